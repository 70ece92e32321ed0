//! A translated function: what `translate.rs` makes and an engine takes.
//!
//! Owns: [`Translation`] and its ports. Must not: know MIL operations or an engine.
//! Flow: `translate.rs` → here → `engine.rs`, or `export.rs`, which writes it to a file.

use crate::onnx::{ElementType, ModelProto};
use crate::program::TensorType;
use crate::weights::Weights;

/// A translated function.
#[derive(Debug)]
pub(crate) struct Translation {
    /// The ONNX model; its large constants are external.
    pub(crate) model: ModelProto,
    /// The large constants.
    pub(crate) weights: Weights,
    /// Inputs, in the program's order.
    pub(crate) inputs: Vec<Port>,
    /// Outputs, in the program's order.
    pub(crate) outputs: Vec<Port>,
    /// States, in the program's order.
    pub(crate) states: Vec<StatePort>,
}

/// An input or output of the ONNX model.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    /// Name, which is the feature's.
    pub(crate) name: String,
    /// Type in the MIL program.
    pub(crate) ty: TensorType,
    /// Element type in the ONNX model: single precision or 32-bit integers.
    pub(crate) element: ElementType,
}

/// A state: an input that holds it before, and an output that holds it after.
#[derive(Clone, Debug)]
pub(crate) struct StatePort {
    /// The input.
    pub(crate) input: Port,
    /// Name of the output; `None` when the function never writes the state.
    pub(crate) output: Option<String>,
}
