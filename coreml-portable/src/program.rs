//! An ML Program as the translator sees it: operations with typed arguments and outputs.
//!
//! Owns: the only code of this crate that reads the package's MIL messages.
//! Must not: judge operations; `findings.rs` does that with the table.
//! Flow: `translate.rs` → [`Function::read`]; `emitter.rs` walks its operations.

use crate::error::Error;
use coreml_spec::{DataType, Package, proto};
use std::collections::BTreeMap;

/// Deepest nesting of control flow that is read; deeper is taken for an attack.
const DEEPEST: usize = 32;

/// Type and shape of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TensorType {
    /// Element type.
    pub(crate) data_type: DataType,
    /// Size of each dimension; `None` where it varies.
    pub(crate) dims: Vec<Option<usize>>,
}

impl TensorType {
    /// Returns the number of dimensions.
    pub(crate) fn rank(&self) -> usize {
        self.dims.len()
    }
}

/// Type of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// A tensor.
    Tensor(TensorType),
    /// A list of tensors, all of this type.
    List(TensorType),
    /// A state that holds a tensor.
    State(TensorType),
    /// The dictionary from label to probability that `classify` returns.
    Dictionary,
}

/// A name with its type.
#[derive(Clone, Debug)]
pub(crate) struct Port<'a> {
    /// The name.
    pub(crate) name: &'a str,
    /// The type.
    pub(crate) ty: Type,
}

/// What an argument is bound to.
#[derive(Clone, Debug)]
pub(crate) enum Binding<'a> {
    /// A value by its name.
    Name(&'a str),
    /// A constant in place.
    Value(&'a proto::Value),
}

/// One operation.
#[derive(Debug)]
pub(crate) struct Operation<'a> {
    /// Name of the operation in MIL's vocabulary.
    pub(crate) kind: &'a str,
    /// The arguments: inputs, and the attributes that older `constexpr_*` use instead. One argument
    /// may be a tuple.
    pub(crate) arguments: BTreeMap<&'a str, Vec<Binding<'a>>>,
    /// The outputs.
    pub(crate) outputs: Vec<Port<'a>>,
    /// Bodies of control flow.
    pub(crate) blocks: Vec<Block<'a>>,
}

/// A sequence of operations.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    /// Inputs of a body; a function's own block has none.
    pub(crate) inputs: Vec<Port<'a>>,
    /// The operations, in an order in which they can run.
    pub(crate) operations: Vec<Operation<'a>>,
    /// Names of the results.
    pub(crate) outputs: Vec<&'a str>,
}

/// One function of a program.
#[derive(Debug)]
pub(crate) struct Function<'a> {
    /// Inputs and states.
    pub(crate) inputs: Vec<Port<'a>>,
    /// Opset that the operations belong to: `CoreML7`.
    pub(crate) opset: &'a str,
    /// The operations.
    pub(crate) block: Block<'a>,
}

impl<'a> Function<'a> {
    /// Reads the function called `name`.
    ///
    /// Errors: [`Error::Invalid`] when the package is not an ML Program, has no such function, or
    /// its messages lack something that the format requires.
    pub(crate) fn read(package: &'a Package, name: &str) -> Result<Self, Error> {
        let program = package.program()?;
        let function = program.functions.get(name).ok_or_else(|| {
            let mut names: Vec<&str> = program.functions.keys().map(String::as_str).collect();
            names.sort_unstable();
            Error::invalid(format!(
                "the program has no function `{name}`; it has {}",
                names.join(", ")
            ))
        })?;
        let opset = function.opset.as_str();
        let block = function.block().ok_or_else(|| {
            Error::invalid(format!(
                "function `{name}` has no block for its own opset `{opset}`; convert the model \
                again"
            ))
        })?;
        Ok(Self { inputs: ports(&function.inputs)?, opset, block: Block::read(block, 0)? })
    }
}

impl<'a> Block<'a> {
    /// Reads a block that stands `depth` bodies deep.
    fn read(block: &'a proto::Block, depth: usize) -> Result<Self, Error> {
        if depth > DEEPEST {
            return Err(Error::invalid(format!(
                "the program nests control flow more than {DEEPEST} deep"
            )));
        }
        let operations = block
            .operations
            .iter()
            .map(|operation| Operation::read(operation, depth))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            inputs: ports(&block.inputs)?,
            operations,
            outputs: block.outputs.iter().map(String::as_str).collect(),
        })
    }
}

impl<'a> Operation<'a> {
    /// Reads an operation of a block that stands `depth` bodies deep.
    fn read(operation: &'a proto::Operation, depth: usize) -> Result<Self, Error> {
        let mut arguments = BTreeMap::new();
        for (name, argument) in &operation.inputs {
            let bindings = argument
                .arguments
                .iter()
                .map(|binding| binding_of(binding, name, &operation.r#type));
            arguments.insert(name.as_str(), bindings.collect::<Result<Vec<_>, _>>()?);
        }
        for (name, value) in operation.attributes.iter().filter(|(name, _)| *name != "name") {
            arguments.insert(name.as_str(), vec![Binding::Value(value)]);
        }
        Ok(Self {
            kind: &operation.r#type,
            arguments,
            outputs: ports(&operation.outputs)?,
            blocks: operation
                .blocks
                .iter()
                .map(|block| Block::read(block, depth + 1))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Returns what a binding refers to.
fn binding_of<'a>(
    binding: &'a proto::Binding,
    argument: &str,
    operation: &str,
) -> Result<Binding<'a>, Error> {
    match &binding.kind {
        Some(proto::BindingKind::Name(name)) => Ok(Binding::Name(name)),
        Some(proto::BindingKind::Value(value)) => Ok(Binding::Value(value)),
        None => Err(Error::invalid(format!(
            "argument `{argument}` of a `{operation}` is bound to nothing"
        ))),
    }
}

/// Returns names with their types.
fn ports(ports: &[proto::NamedValueType]) -> Result<Vec<Port<'_>>, Error> {
    let port = |port: &'_ proto::NamedValueType| {
        let ty = port.r#type.as_ref().and_then(type_of);
        ty.ok_or_else(|| {
            Error::invalid(format!("the type of `{}` is not one that MIL has", port.name))
        })
    };
    ports.iter().map(|named| Ok(Port { name: &named.name, ty: port(named)? })).collect()
}

/// Returns a type; `None` when it is damaged or none that an operation can have.
fn type_of(value: &proto::ValueType) -> Option<Type> {
    match value.kind.as_ref()? {
        proto::ValueTypeKind::Tensor(_) => value.tensor().and_then(tensor_of).map(Type::Tensor),
        proto::ValueTypeKind::List(list) => {
            list.r#type.as_ref()?.tensor().and_then(tensor_of).map(Type::List)
        }
        proto::ValueTypeKind::State(_) => value.tensor().and_then(tensor_of).map(Type::State),
        proto::ValueTypeKind::Dictionary(_) => Some(Type::Dictionary),
        proto::ValueTypeKind::Tuple(_) => None,
    }
}

/// Returns a tensor type; `None` when its element type or its rank is not known, or a size is
/// beyond 32 bits, which no memory holds and no row has to multiply.
fn tensor_of(tensor: &proto::TensorType) -> Option<TensorType> {
    let dims = tensor.dims()?;
    let fits = dims.iter().flatten().all(|size| i32::try_from(*size).is_ok());
    fits.then_some(TensorType { data_type: tensor.element_type()?, dims })
}
