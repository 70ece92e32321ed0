//! Typed access to the arguments of one operation.
//!
//! Owns: the difference between an argument that must be known now (an axis, a mode) and one that
//! the graph computes.
//! Must not: append nodes other than constants.
//! Flow: `emitter.rs` makes one per operation and hands it to the operation's row.

use crate::constant::ConstantEntry;
use crate::error::OpError;
use crate::graph::{Graph, Layout, Value};
use crate::program::{Binding, Block, Operation, TensorType, Type};
use crate::scope::{Entry, Scope};
use coreml_spec::{Constant, DataType, proto};
use std::fmt::Debug;
use std::rc::Rc;

/// What a row may ask of the program around its operation.
pub(crate) trait Context<'a>: Debug {
    /// Returns a constant of the program.
    fn constant(&self, value: &'a proto::Value) -> Result<Constant<'a>, OpError>;

    /// Returns whether a `linear` multiplies by the constant of that name.
    fn is_factor(&self, name: &str) -> bool;

    /// Translates a body of control flow inside the graph's body that is being built.
    ///
    /// Parameters: `parent` — what names mean where the body stands; `inputs` — what it gets.
    /// Returns: what it gives.
    fn emit_body(
        &self,
        block: &Block<'a>,
        g: &mut Graph,
        parent: &Scope<'_, 'a>,
        inputs: Vec<Entry<'a>>,
    ) -> Result<Vec<Entry<'a>>, OpError>;
}

/// The arguments of one operation.
#[derive(Debug)]
pub(crate) struct Args<'s, 'a> {
    /// The operation.
    pub(crate) operation: &'s Operation<'a>,
    /// What names mean here.
    pub(crate) scope: &'s Scope<'s, 'a>,
    /// What the row may ask of the program around the operation.
    pub(crate) context: &'s dyn Context<'a>,
}

impl<'s, 'a> Args<'s, 'a> {
    /// Returns whether the operation has the argument.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.operation.arguments.get(name).is_some_and(|bindings| !bindings.is_empty())
    }

    /// Returns what a required argument stands for.
    pub(crate) fn entry(&self, name: &str) -> Result<Entry<'a>, OpError> {
        match self.entries(name)?.as_slice() {
            [entry] => Ok(entry.clone()),
            [] => Err(OpError::invalid(format!("argument `{name}` is missing"))),
            _ => Err(OpError::invalid(format!("argument `{name}` has several values"))),
        }
    }

    /// Returns what the values of an argument stand for: several for a tuple, none when it is
    /// absent.
    pub(crate) fn entries(&self, name: &str) -> Result<Vec<Entry<'a>>, OpError> {
        let bindings = self.operation.arguments.get(name).map_or(&[][..], Vec::as_slice);
        let resolve = |binding: &Binding<'a>| match *binding {
            Binding::Name(name) => self.scope.find(name).cloned().ok_or_else(|| {
                OpError::invalid(format!("it uses `{name}`, which no operation before it makes"))
            }),
            Binding::Value(value) => {
                let constant = self.context.constant(value)?;
                Ok(Entry::Constant(Rc::new(ConstantEntry::literal(
                    std::ptr::from_ref(value).addr(),
                    constant,
                ))))
            }
        };
        bindings.iter().map(resolve).collect()
    }

    /// Returns a required tensor as a value of the graph.
    pub(crate) fn tensor(&self, g: &mut Graph, name: &str) -> Result<Value, OpError> {
        self.entry(name)?.tensor(g, Layout::Plain)
    }

    /// Returns a required constant matrix with rows and columns exchanged.
    pub(crate) fn transposed(&self, g: &mut Graph, name: &str) -> Result<Value, OpError> {
        let entry = self.entry(name)?;
        match entry {
            Entry::Constant(..) => entry.tensor(g, Layout::Transposed),
            _ => {
                let x = entry.tensor(g, Layout::Plain)?;
                Ok(g.transpose(&x, &[1, 0]))
            }
        }
    }

    /// Returns whether a tensor is a constant that the graph has transposed, or will have: the
    /// weight of a `linear`, where the engine wants it so.
    pub(crate) fn is_stored_transposed(&self, g: &Graph, name: &str) -> Result<bool, OpError> {
        let is_factor = match self.operation.arguments.get(name).map(Vec::as_slice) {
            Some(&[Binding::Name(name)]) => self.context.is_factor(name),
            _ => false,
        };
        Ok(is_factor
            && !g.dialect().transposed_weights
            && matches!(self.entry(name)?, Entry::Constant(..)))
    }

    /// Returns a tensor, or the absent operand when there is no such argument.
    pub(crate) fn optional(&self, g: &mut Graph, name: &str) -> Result<Value, OpError> {
        if self.has(name) { self.tensor(g, name) } else { Ok(Value::none()) }
    }

    /// Returns the tensors of a tuple.
    pub(crate) fn tensors(&self, g: &mut Graph, name: &str) -> Result<Vec<Value>, OpError> {
        self.entries(name)?.iter().map(|entry| entry.tensor(g, Layout::Plain)).collect()
    }

    /// Returns the type of a required tensor.
    pub(crate) fn ty(&self, name: &str) -> Result<TensorType, OpError> {
        Ok(self.entry(name)?.ty())
    }

    /// Returns the types of the tensors of a tuple.
    pub(crate) fn types(&self, name: &str) -> Result<Vec<TensorType>, OpError> {
        Ok(self.entries(name)?.iter().map(Entry::ty).collect())
    }

    /// Returns the number of dimensions of a required tensor.
    pub(crate) fn rank(&self, name: &str) -> Result<usize, OpError> {
        Ok(self.ty(name)?.rank())
    }

    /// Returns the type of an output.
    pub(crate) fn output(&self, index: usize) -> Result<&TensorType, OpError> {
        match self.operation.outputs.get(index).map(|port| &port.ty) {
            Some(Type::Tensor(ty)) => Ok(ty),
            Some(_) => Err(OpError::invalid(format!("its output {index} is not a tensor"))),
            None => Err(OpError::invalid(format!("it has no output {index}"))),
        }
    }

    /// Returns an argument that must be a constant, or `None` when it is absent.
    ///
    /// Errors: the argument is computed while the program runs.
    pub(crate) fn constant(&self, name: &str) -> Result<Option<Constant<'a>>, OpError> {
        if !self.has(name) {
            return Ok(None);
        }
        match self.entry(name)? {
            Entry::Constant(constant) => Ok(Some(constant.value()?.into_owned())),
            _ => Err(OpError::unsupported(format!("its `{name}` is not a constant"))),
        }
    }

    /// Returns whether the argument is there and a constant.
    pub(crate) fn is_constant(&self, name: &str) -> bool {
        matches!(self.entry(name), Ok(Entry::Constant(..)))
    }

    /// Returns a constant argument as a Rust value, or `None` when it is absent.
    pub(crate) fn get<T: Parameter>(&self, name: &str) -> Result<Option<T>, OpError> {
        let Some(constant) = self.constant(name)? else { return Ok(None) };
        T::read(&constant).map(Some).ok_or_else(|| {
            let (data_type, dims) = (constant.data_type, &constant.dims);
            OpError::invalid(format!(
                "its `{name}`, a {data_type} of shape {dims:?}, is not {}",
                T::WHAT
            ))
        })
    }

    /// Returns a constant argument as a Rust value, or `default` when it is absent.
    pub(crate) fn get_or<T: Parameter>(&self, name: &str, default: T) -> Result<T, OpError> {
        Ok(self.get(name)?.unwrap_or(default))
    }

    /// Returns a required constant argument as a Rust value.
    pub(crate) fn need<T: Parameter>(&self, name: &str) -> Result<T, OpError> {
        self.get(name)?.ok_or_else(|| OpError::invalid(format!("argument `{name}` is missing")))
    }

    /// Returns the constants of a tuple as Rust values.
    pub(crate) fn needs<T: Parameter>(&self, name: &str) -> Result<Vec<T>, OpError> {
        let value = |entry: &Entry<'a>| match entry {
            Entry::Constant(constant) => T::read(&*constant.value()?).ok_or_else(|| {
                OpError::invalid(format!("a member of its `{name}` is not {}", T::WHAT))
            }),
            _ => Err(OpError::unsupported(format!("its `{name}` is not constant"))),
        };
        self.entries(name)?.iter().map(value).collect()
    }

    /// Returns a constant axis of a tensor with `rank` dimensions, counted from the front.
    pub(crate) fn axis(&self, name: &str, default: i64, rank: usize) -> Result<i64, OpError> {
        normalized(self.get_or(name, default)?, rank)
    }

    /// Returns constant axes of a tensor with `rank` dimensions, counted from the front; `None`
    /// when absent.
    pub(crate) fn axes(&self, name: &str, rank: usize) -> Result<Option<Vec<i64>>, OpError> {
        let axes: Option<Vec<i64>> = self.get(name)?;
        axes.map(|axes| axes.into_iter().map(|axis| normalized(axis, rank)).collect()).transpose()
    }

    /// Gives the result of a unary ONNX operator on `x`.
    pub(crate) fn unary(&self, g: &mut Graph, op_type: &str) -> Result<(), OpError> {
        let x = self.tensor(g, "x")?;
        let y = g.node(op_type, &[&x], Vec::new());
        g.give(y);
        Ok(())
    }

    /// Gives the result of a broadcasting ONNX operator on `x` and `y`.
    pub(crate) fn binary(&self, g: &mut Graph, op_type: &str) -> Result<(), OpError> {
        let (x, y) = (self.tensor(g, "x")?, self.tensor(g, "y")?);
        let z = g.node(op_type, &[&x, &y], Vec::new());
        g.give(z);
        Ok(())
    }

    /// Returns a shape, or sizes and positions in one, as the 64-bit integers that ONNX wants.
    pub(crate) fn shape_tensor(&self, g: &mut Graph, name: &str) -> Result<Value, OpError> {
        if self.is_constant(name) {
            return Ok(g.ints(&self.need::<Vec<i64>>(name)?));
        }
        let x = self.tensor(g, name)?;
        Ok(g.cast(&x, crate::onnx::ElementType::Int64))
    }
}

/// Returns an axis counted from the front.
pub(crate) fn normalized(axis: i64, rank: usize) -> Result<i64, OpError> {
    let count = rank as i64;
    let from_front = if axis < 0 { axis + count } else { axis };
    if (0..count).contains(&from_front) {
        Ok(from_front)
    } else {
        Err(OpError::invalid(format!(
            "its axis {axis} is outside of a tensor with {rank} dimensions"
        )))
    }
}

/// A Rust type that a constant argument can be read as.
pub(crate) trait Parameter: Sized {
    /// What the constant has to be, for messages.
    const WHAT: &'static str;

    /// Reads it; `None` when it is something else.
    fn read(constant: &Constant<'_>) -> Option<Self>;
}

/// Integers of 32 bits, as MIL has them: rows add and multiply two of them in 64 bits without
/// overflow.
impl Parameter for i64 {
    const WHAT: &'static str = "one integer of 32 bits";
    fn read(constant: &Constant<'_>) -> Option<Self> {
        match Vec::<i64>::read(constant)?.as_slice() {
            [value] => Some(*value),
            _ => None,
        }
    }
}

impl Parameter for f32 {
    const WHAT: &'static str = "one number";
    fn read(constant: &Constant<'_>) -> Option<Self> {
        match constant.to_f32s()?.as_slice() {
            [value] => Some(*value),
            _ => None,
        }
    }
}

impl Parameter for bool {
    const WHAT: &'static str = "true or false";
    fn read(constant: &Constant<'_>) -> Option<Self> {
        match constant.to_i64s()?.as_slice() {
            [value] if constant.data_type == DataType::Bool => Some(*value != 0),
            _ => None,
        }
    }
}

impl Parameter for String {
    const WHAT: &'static str = "a text";
    fn read(constant: &Constant<'_>) -> Option<Self> {
        match constant.strings {
            [text] => Some(text.clone()),
            _ => None,
        }
    }
}

impl Parameter for Vec<i64> {
    const WHAT: &'static str = "a list of integers of 32 bits";
    fn read(constant: &Constant<'_>) -> Option<Self> {
        constant.to_i64s().filter(|values| values.iter().all(|value| i32::try_from(*value).is_ok()))
    }
}

impl Parameter for Vec<f32> {
    const WHAT: &'static str = "a list of numbers";
    fn read(constant: &Constant<'_>) -> Option<Self> {
        constant.to_f32s()
    }
}

impl Parameter for Vec<bool> {
    const WHAT: &'static str = "a list of true and false";
    fn read(constant: &Constant<'_>) -> Option<Self> {
        let values = constant.to_i64s()?;
        (constant.data_type == DataType::Bool)
            .then(|| values.into_iter().map(|value| value != 0).collect())
    }
}
