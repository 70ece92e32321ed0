//! What a package is made of: operations, weights, sizes, metadata.
//!
//! Owns: the counting, and its JSON form. Must not: print.
//! Flow: [`Package::summary`]; shown by `cargo coreml inspect`.

use crate::proto::{Block, Function, ImmediateKind, Value, ValueKind};
use crate::{DataType, Error, Package};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// What a package is made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Core ML specification version: 6 is iOS 15 (see
    /// [`crate::Interface::specification_version`]).
    pub specification_version: i32,
    /// The author's text about the model; empty when there is none.
    pub description: String,
    /// The author's version; empty when there is none.
    pub version: String,
    /// Who made the model; empty when not said.
    pub author: String,
    /// Under which terms; empty when not said.
    pub license: String,
    /// Every other metadata, by key; converters note their versions here.
    pub metadata: BTreeMap<String, String>,
    /// Files with their sizes in bytes, the specification first; paths start from its folder.
    pub files: Vec<(String, u64)>,
    /// The functions, by name.
    pub functions: BTreeMap<String, FunctionSummary>,
    /// Tensors in weight files, by element type; each counts once, however many functions share it.
    pub weights: BTreeMap<DataType, Weights>,
}

/// What a function is made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FunctionSummary {
    /// The opset of its operations: `CoreML7`.
    pub opset: String,
    /// Number of operations of each name, nested blocks included.
    pub operations: BTreeMap<String, usize>,
    /// Tensors in weight files that this function uses, by element type.
    pub weights: BTreeMap<DataType, Weights>,
}

/// Tensors of one element type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Weights {
    /// Number of tensors.
    pub tensors: usize,
    /// Number of elements.
    pub elements: usize,
    /// Bytes in weight files, without headers and padding between tensors.
    pub bytes: usize,
}

impl Package {
    /// Returns the operations, the weights and the sizes of the package.
    ///
    /// Errors: as [`Package::constant`] for every constant of the program, since all of them are
    /// read.
    pub fn summary(&self) -> Result<Summary, Error> {
        of(self)
    }

    /// Returns whether a function computes or stores anything in half precision, so that its
    /// results are not those of single precision.
    ///
    /// Parameters: `function` — the name of a function of the program.
    /// Errors: [`Error::Damaged`] when the program has no such function.
    pub fn has_half_precision(&self, function: &str) -> Result<bool, Error> {
        has_half_precision(self, function)
    }
}

/// Counts the parts of a package.
fn of(package: &Package) -> Result<Summary, Error> {
    let mut functions = BTreeMap::new();
    let mut all = Tensors::new(package);
    for (name, function) in &package.program()?.functions {
        functions.insert(name.clone(), of_function(package, name, function, &mut all)?);
    }
    let metadata =
        package.model().description.as_ref().and_then(|description| description.metadata.clone());
    let metadata = metadata.unwrap_or_default();
    Ok(Summary {
        specification_version: package.model().specification_version,
        description: metadata.short_description,
        version: metadata.version_string,
        author: metadata.author,
        license: metadata.license,
        metadata: metadata.user_defined,
        files: package.files()?,
        functions,
        weights: all.weights,
    })
}

/// Looks for half precision among the results of a function's operations.
fn has_half_precision(package: &Package, function: &str) -> Result<bool, Error> {
    let block = package.program()?.functions.get(function).and_then(Function::block);
    let block = block.ok_or_else(|| {
        package.damaged(format!("it has no function {function:?} with operations"))
    })?;
    let mut half = false;
    block.visit(&mut |operation| {
        let mut types = operation
            .outputs
            .iter()
            .filter_map(|output| output.r#type.as_ref()?.tensor()?.element_type());
        half |= types.any(|data_type| data_type == DataType::Float16);
    });
    Ok(half)
}

/// Counts the parts of a function, and its tensors also into `all`.
fn of_function<'a>(
    package: &'a Package,
    name: &str,
    function: &'a Function,
    all: &mut Tensors<'a>,
) -> Result<FunctionSummary, Error> {
    let missing = || {
        package.damaged(format!(
            "the function {name:?} has no block for its opset {:?}",
            function.opset
        ))
    };
    let block: &Block = function.block().ok_or_else(missing)?;
    let mut operations = BTreeMap::new();
    let mut values = Vec::new();
    block.visit(&mut |operation| {
        *operations.entry(operation.r#type.clone()).or_default() += 1;
        values.extend(operation.values());
    });
    let mut own = Tensors::new(package);
    for value in values {
        own.add(value)?;
        all.add(value)?;
    }
    Ok(FunctionSummary { opset: function.opset.clone(), operations, weights: own.weights })
}

/// Tensors in weight files, each counted once.
struct Tensors<'a> {
    /// Where they are read.
    package: &'a Package,
    /// File and offset of those that are counted.
    seen: HashSet<(&'a str, u64)>,
    /// The count, by element type.
    weights: BTreeMap<DataType, Weights>,
}

impl<'a> Tensors<'a> {
    /// Begins at zero.
    fn new(package: &'a Package) -> Self {
        Self { package, seen: HashSet::new(), weights: BTreeMap::new() }
    }

    /// Counts a constant if it is in a weight file; checks it if it is a tensor in place.
    fn add(&mut self, value: &'a Value) -> Result<(), Error> {
        match &value.kind {
            Some(ValueKind::BlobFile(reference)) => {
                if !self.seen.insert((&reference.file_name, reference.offset)) {
                    return Ok(());
                }
                let constant = self.package.constant(value)?;
                let weights = self.weights.entry(constant.data_type).or_default();
                weights.tensors += 1;
                // Saturating: a hostile package may claim the same bytes many times over.
                weights.elements = weights.elements.saturating_add(constant.len());
                weights.bytes = weights.bytes.saturating_add(constant.bytes.len());
            }
            Some(ValueKind::Immediate(immediate)) => {
                if let Some(ImmediateKind::Tensor(_)) = immediate.kind {
                    self.package.constant(value)?;
                }
            }
            None => {}
        }
        Ok(())
    }
}

impl Summary {
    /// Returns the share of a function: the summary without the other functions, and with its
    /// weights alone; `None` when there is no such function.
    pub fn of_function(&self, name: &str) -> Option<Self> {
        let function = self.functions.get(name)?.clone();
        let weights = function.weights.clone();
        let functions = BTreeMap::from([(name.to_owned(), function)]);
        Some(Self { functions, weights, ..self.clone() })
    }
}

/// Returns the first release of Apple's systems that runs a specification version, in the words of
/// coremltools' deployment targets: `iOS17`; `None` for a version that coremltools 9.0 does not
/// write for ML Programs.
pub fn deployment_target(specification_version: i32) -> Option<&'static str> {
    match specification_version {
        6 => Some("iOS15"),
        7 => Some("iOS16"),
        8 => Some("iOS17"),
        9 => Some("iOS18"),
        10 => Some("iOS26"),
        _ => None,
    }
}
