//! What the names of a block mean at the operation being translated.
//!
//! Owns: lookup through nested blocks.
//! Flow: `emitter.rs` binds the outputs of each operation; `args.rs` looks the arguments of the
//! next one up.

use crate::constant::ConstantEntry;
use crate::error::OpError;
use crate::graph::{Graph, Layout, Value};
use crate::program::TensorType;
use coreml_spec::DataType;
use std::collections::HashMap;
use std::rc::Rc;

/// What a name stands for.
#[derive(Clone, Debug)]
pub(crate) enum Entry<'a> {
    /// A constant.
    Constant(Rc<ConstantEntry<'a>>),
    /// A tensor that the graph computes.
    Tensor(Value, TensorType),
    /// A list of tensors, with the type of its elements.
    List(Value, TensorType),
    /// A state, by its position among the function's states.
    State(usize),
}

impl Entry<'_> {
    /// Returns the tensor of the graph.
    ///
    /// Errors: a state is none; a constant may be text or have integers beyond 32 bits.
    pub(crate) fn tensor(&self, g: &mut Graph, layout: Layout) -> Result<Value, OpError> {
        match self {
            Self::Constant(constant) => g.constant(constant, layout),
            Self::Tensor(value, _) | Self::List(value, _) => Ok(value.clone()),
            Self::State(_) => {
                Err(OpError::invalid("it uses a state as a tensor; only read_state may"))
            }
        }
    }

    /// Returns the type; of a list, that of its elements.
    pub(crate) fn ty(&self) -> TensorType {
        match self {
            Self::Constant(constant) => constant.ty.clone(),
            Self::Tensor(_, ty) | Self::List(_, ty) => ty.clone(),
            Self::State(_) => TensorType { data_type: DataType::Float32, dims: Vec::new() },
        }
    }
}

/// The names of a block and, through `parent`, of the blocks around it.
#[derive(Debug, Default)]
pub(crate) struct Scope<'s, 'a> {
    /// The block around this one.
    parent: Option<&'s Scope<'s, 'a>>,
    /// The names of this block so far.
    entries: HashMap<&'a str, Entry<'a>>,
}

impl<'s, 'a> Scope<'s, 'a> {
    /// Returns the empty scope of a body inside `parent`.
    pub(crate) fn inside(parent: &'s Scope<'s, 'a>) -> Self {
        Self { parent: Some(parent), entries: HashMap::new() }
    }

    /// Gives a name a meaning. A later binding of the same name hides the earlier one.
    pub(crate) fn bind(&mut self, name: &'a str, entry: Entry<'a>) {
        self.entries.insert(name, entry);
    }

    /// Returns what a name stands for.
    pub(crate) fn find(&self, name: &str) -> Option<&Entry<'a>> {
        self.entries.get(name).or_else(|| self.parent?.find(name))
    }
}
