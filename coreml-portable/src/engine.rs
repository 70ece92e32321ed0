//! What an engine is: something that loads an ONNX model from memory and runs it.
//!
//! Owns: the form in which tensors go in and out of every engine.
//! Must not: know MIL.
//! Flow: `session.rs` converts features to these forms and back.

#[cfg(feature = "onnxruntime")]
mod onnxruntime;
mod rten;

use crate::engine_kind::EngineKind;
use crate::error::Error;
use crate::translation::Translation;
use std::fmt::Debug;

/// Loads a translated function into an engine.
///
/// Parameters: `threads` — how many to compute with; `None` for as many as the machine has cores.
/// Errors: [`Error::Options`] when the engine is not in this build, otherwise [`Error::Engine`].
pub(crate) fn load(
    kind: EngineKind,
    translation: Translation,
    threads: Option<usize>,
) -> Result<Box<dyn Engine>, Error> {
    match kind {
        EngineKind::Rten => match rten::Rten::load(translation, threads) {
            Ok(rten) => Ok(Box::new(rten)),
            Err(Error::Engine { engine, message }) => {
                let other = EngineKind::OnnxRuntime;
                let message = format!("{message}; the other engine, {other}, has all of ONNX");
                Err(Error::Engine { engine, message })
            }
            Err(error) => Err(error),
        },
        #[cfg(feature = "onnxruntime")]
        EngineKind::OnnxRuntime => {
            Ok(Box::new(onnxruntime::OnnxRuntime::load(translation, threads)?))
        }
        #[cfg(not(feature = "onnxruntime"))]
        EngineKind::OnnxRuntime => Err(Error::Options(
            "this program was built without the engine ONNX Runtime; build it with the Cargo \
             feature `onnxruntime`, which coreml-rt, coreml-portable and cargo-coreml have"
                .to_owned(),
        )),
    }
}

/// A tensor to read, in one of the two element types that graphs have at their borders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    /// Size of each dimension.
    pub(crate) dims: &'a [usize],
    /// The elements.
    pub(crate) numbers: Numbers<'a>,
}

/// Elements in row-major order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Numbers<'a> {
    /// Single precision.
    Float(&'a [f32]),
    /// 32-bit integers.
    Int(&'a [i32]),
}

impl Numbers<'_> {
    /// Returns the number of elements.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Float(elements) => elements.len(),
            Self::Int(elements) => elements.len(),
        }
    }
}

/// A tensor that an engine made, or that a state holds.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    /// Size of each dimension.
    pub(crate) dims: Vec<usize>,
    /// The elements.
    pub(crate) buffer: Buffer,
}

/// Elements in row-major order.
#[derive(Clone, Debug)]
pub(crate) enum Buffer {
    /// Single precision.
    Float(Vec<f32>),
    /// 32-bit integers.
    Int(Vec<i32>),
    /// Memory of the engine.
    #[cfg(feature = "onnxruntime")]
    Held(std::sync::Arc<dyn Hold>),
}

/// Elements in memory of an engine.
#[cfg(feature = "onnxruntime")]
pub(crate) trait Hold: Debug + Send + Sync {
    /// Returns the elements.
    fn numbers(&self) -> Numbers<'_>;
}

impl Buffer {
    /// Returns the elements.
    pub(crate) fn numbers(&self) -> Numbers<'_> {
        match self {
            Self::Float(elements) => Numbers::Float(elements),
            Self::Int(elements) => Numbers::Int(elements),
            #[cfg(feature = "onnxruntime")]
            Self::Held(held) => held.numbers(),
        }
    }
}

/// A loaded model.
pub(crate) trait Engine: Debug + Send + Sync {
    /// Returns name and version.
    fn name(&self) -> &str;

    /// Runs the model.
    ///
    /// Parameters: `inputs` — in the model's order; `states` — what the states hold before, and,
    /// when the run succeeds, after. When it fails, states that the function writes may have lost
    /// their elements.
    /// Returns: all outputs, in the model's order.
    fn run(&self, inputs: &[Input<'_>], states: &mut [Tensor]) -> Result<Vec<Tensor>, Error>;
}
