//! One function of a program with its names resolved.
//!
//! Owns: which value an argument is, and what type it has. Must not: judge.
//! Flow: `report.rs` makes a [`Scope`] per function → `checks/` ask it.

use coreml_spec::proto::{BindingKind, Function, Operation, TensorType, Value, ValueKind};
use coreml_spec::{DataType, Error, Package};
use std::collections::HashMap;

/// A function with its names resolved.
pub(crate) struct Scope<'a> {
    /// The package.
    pub(crate) package: &'a Package,
    /// Name of the function.
    pub(crate) name: &'a str,
    /// Names of what the function gives.
    pub(crate) outputs: &'a [String],
    /// Every operation, those of nested blocks after the one that they are in.
    pub(crate) operations: Vec<&'a Operation>,
    /// What each name stands for.
    values: HashMap<&'a str, Named<'a>>,
    /// The operations that take each name.
    uses: HashMap<&'a str, Vec<&'a Operation>>,
}

/// What a name stands for.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    /// Its type; `None` when it is no tensor.
    pub(crate) tensor: Option<&'a TensorType>,
    /// The operation that gives it; `None` for an input of the function or of a nested block.
    pub(crate) operation: Option<&'a Operation>,
}

/// What an operation is given for a parameter.
#[derive(Clone, Copy)]
pub(crate) enum Given<'a> {
    /// A result or an input, by name.
    Named(Named<'a>),
    /// A constant in place.
    InPlace(&'a Value),
}

/// An element type with a shape; `None` for each dimension that is not known.
pub(crate) struct Tensor {
    /// Element type.
    pub(crate) data_type: DataType,
    /// Dimensions.
    pub(crate) dims: Vec<Option<usize>>,
}

impl Tensor {
    /// Reads a type.
    pub(crate) fn new(tensor: &TensorType) -> Option<Self> {
        Some(Self { data_type: tensor.element_type()?, dims: tensor.dims()? })
    }

    /// Returns the shape when every dimension is known.
    pub(crate) fn shape(&self) -> Option<Vec<usize>> {
        self.dims.iter().copied().collect()
    }
}

impl<'a> Scope<'a> {
    /// Resolves the names of a function; `None` when it has no block for its opset.
    pub(crate) fn new(package: &'a Package, name: &'a str, function: &'a Function) -> Option<Self> {
        let block = function.block()?;
        let (mut operations, mut values) = (Vec::new(), HashMap::new());
        let mut uses = HashMap::<&str, Vec<&Operation>>::new();
        for input in &function.inputs {
            let tensor = input.r#type.as_ref().and_then(|kind| kind.tensor());
            values.insert(input.name.as_str(), Named { tensor, operation: None });
        }
        block.visit(&mut |operation| {
            operations.push(operation);
            for binding in operation.inputs.values().flat_map(|argument| &argument.arguments) {
                if let Some(BindingKind::Name(name)) = &binding.kind {
                    uses.entry(name).or_default().push(operation);
                }
            }
            for output in &operation.outputs {
                let tensor = output.r#type.as_ref().and_then(|kind| kind.tensor());
                values.insert(output.name.as_str(), Named { tensor, operation: Some(operation) });
            }
            for input in operation.blocks.iter().flat_map(|block| &block.inputs) {
                let tensor = input.r#type.as_ref().and_then(|kind| kind.tensor());
                values.insert(input.name.as_str(), Named { tensor, operation: None });
            }
        });
        Some(Self { package, name, outputs: &block.outputs, operations, values, uses })
    }

    /// Returns the operations that take a result, once for each time.
    pub(crate) fn uses(&self, name: &str) -> &[&'a Operation] {
        self.uses.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns whether an operation converts a type at the end of the program: it gives an output,
    /// or the probabilities of a classifier.
    pub(crate) fn is_last_cast(&self, operation: &Operation) -> bool {
        operation.r#type == "cast"
            && operation.outputs.iter().all(|output| {
                let uses = self.uses(&output.name);
                self.outputs.contains(&output.name)
                    || (!uses.is_empty() && uses.iter().all(|user| user.r#type == "classify"))
            })
    }

    /// Returns what an operation is given, parameter by parameter.
    pub(crate) fn given(
        &self,
        operation: &'a Operation,
    ) -> impl Iterator<Item = (&'a str, Given<'a>)> {
        operation.inputs.iter().flat_map(|(parameter, argument)| {
            argument.arguments.iter().filter_map(|binding| {
                let given = match binding.kind.as_ref()? {
                    BindingKind::Name(name) => Given::Named(*self.values.get(name.as_str())?),
                    BindingKind::Value(value) => Given::InPlace(value),
                };
                Some((parameter.as_str(), given))
            })
        })
    }

    /// Returns what an operation is given for one parameter.
    pub(crate) fn argument(&self, operation: &'a Operation, parameter: &str) -> Option<Given<'a>> {
        self.given(operation).find(|(name, _)| *name == parameter).map(|(_, given)| given)
    }

    /// Returns the type of an argument.
    pub(crate) fn tensor(&self, operation: &'a Operation, parameter: &str) -> Option<Tensor> {
        Tensor::new(self.argument(operation, parameter)?.tensor()?)
    }

    /// Returns the integers that an operation is given as a constant for a parameter.
    ///
    /// Errors: as [`Package::constant`].
    pub(crate) fn integers(
        &self,
        operation: &'a Operation,
        parameter: &str,
    ) -> Result<Option<Vec<i64>>, Error> {
        let Some(value) = self.argument(operation, parameter).and_then(Given::constant) else {
            return Ok(None);
        };
        Ok(self.package.constant(value)?.to_i64s())
    }
}

impl<'a> Given<'a> {
    /// Returns the type, when it is a tensor.
    pub(crate) fn tensor(self) -> Option<&'a TensorType> {
        match self {
            Self::Named(named) => named.tensor,
            Self::InPlace(value) => value.r#type.as_ref()?.tensor(),
        }
    }

    /// Returns the constant, when it is one.
    pub(crate) fn constant(self) -> Option<&'a Value> {
        match self {
            Self::Named(named) => named
                .operation
                .filter(|operation| operation.r#type == "const")?
                .attributes
                .get("val"),
            Self::InPlace(value) => Some(value),
        }
    }

    /// Returns whether it is known before the program runs: a constant, or a compressed one.
    pub(crate) fn is_constant(self) -> bool {
        match self {
            Self::Named(named) => named.operation.is_some_and(is_constant),
            Self::InPlace(_) => true,
        }
    }
}

/// Returns whether an operation computes nothing at run time: `const`, and `constexpr_*`, which
/// expands a compressed one.
pub(crate) fn is_constant(operation: &Operation) -> bool {
    operation.r#type == "const" || operation.r#type.starts_with("constexpr_")
}

/// Returns whether a constant stands in a weight file.
pub(crate) fn is_in_weight_file(value: &Value) -> bool {
    matches!(value.kind, Some(ValueKind::BlobFile(_)))
}

/// Returns the name of the first tensor in a weight file that an operation uses, a parameter called
/// `weight` first, through compressed ones too; empty when there is none.
pub(crate) fn weight<'a>(scope: &Scope<'a>, operation: &'a Operation) -> &'a str {
    let name = |(parameter, given): (&'a str, Given<'a>)| {
        let Given::Named(Named { operation: Some(source), .. }) = given else { return None };
        let holds = is_constant(source)
            && (source.values().any(is_in_weight_file)
                || scope
                    .given(source)
                    .filter_map(|(_, given)| given.constant())
                    .any(is_in_weight_file));
        let output = source.outputs.first().filter(|_| holds)?;
        Some((!parameter.starts_with("weight"), output.name.as_str()))
    };
    let first = scope.given(operation).filter_map(name).min_by_key(|(is_other, _)| *is_other);
    first.map_or("", |(_, name)| name)
}
