//! What an engine is: something that loads an ONNX model from memory and runs it.
//!
//! Owns: the form in which tensors go in and out of every engine.
//! Must not: know MIL.
//! Flow: `session.rs` converts features to these forms and back.

#[cfg(feature = "onnxruntime")]
mod onnxruntime;
mod rten;

use crate::error::Error;
use crate::graph::Dialect;
use crate::translate::Translation;
use std::fmt::{self, Debug};

/// The engines that can run a translated program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineKind {
    /// rten, in pure Rust: always there.
    #[default]
    Rten,
    /// ONNX Runtime: with the feature `onnxruntime`, and a shared library found by `ORT_DYLIB_PATH`
    /// or in a Python environment.
    OnnxRuntime,
}

impl EngineKind {
    /// All engines, the default first.
    pub const ALL: [Self; 2] = [Self::Rten, Self::OnnxRuntime];

    /// Returns the engine of that name: `rten` or `onnxruntime`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.name() == name)
    }

    /// Returns the name by which options choose the engine: `rten` or `onnxruntime`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rten => "rten",
            Self::OnnxRuntime => "onnxruntime",
        }
    }

    /// Returns whether the program was built with the engine. The shared library of ONNX Runtime
    /// has to be there besides.
    pub fn is_built(self) -> bool {
        self == Self::Rten || cfg!(feature = "onnxruntime")
    }

    /// Returns what ONNX the engine understands.
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::Rten => rten::DIALECT,
            Self::OnnxRuntime => Dialect { widens_constants: true, ..Dialect::FULL },
        }
    }

    /// Returns whether the engine has half precision, so that results can be rounded to it.
    pub(crate) fn rounds(self) -> bool {
        self == Self::OnnxRuntime
    }

    /// Loads a translated function.
    ///
    /// Parameters: `threads` — how many to compute with; `None` for as many as the machine has
    /// cores.
    pub(crate) fn load(
        self,
        translation: Translation,
        threads: Option<usize>,
    ) -> Result<Box<dyn Engine>, Error> {
        match self {
            Self::Rten => match rten::Rten::load(translation, threads) {
                Ok(rten) => Ok(Box::new(rten)),
                Err(Error::Engine { engine, message }) => {
                    let message = format!(
                        "{message}; the other engine, {}, has all of \
                        ONNX",
                        Self::OnnxRuntime
                    );
                    Err(Error::Engine { engine, message })
                }
                Err(error) => Err(error),
            },
            #[cfg(feature = "onnxruntime")]
            Self::OnnxRuntime => {
                Ok(Box::new(onnxruntime::OnnxRuntime::load(translation, threads)?))
            }
            #[cfg(not(feature = "onnxruntime"))]
            Self::OnnxRuntime => Err(Error::Options(
                "this program was built without the engine ONNX Runtime; build it with the Cargo \
                feature `onnxruntime`, which \
                 coreml-rt, coreml-portable and cargo-coreml have"
                    .to_owned(),
            )),
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rten => "rten",
            Self::OnnxRuntime => "ONNX Runtime",
        })
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
