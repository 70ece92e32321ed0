//! The engines by name.
//!
//! Owns: which engines there are, what they are called, and which of them are in this build.
//! Must not: load anything; `engine.rs` does.
//! Flow: options and errors name an engine; `session.rs` loads it.

use std::fmt;

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

    /// Returns whether the program was built with the engine. ONNX Runtime needs its
    /// shared library as well.
    pub fn is_built(self) -> bool {
        self == Self::Rten || cfg!(feature = "onnxruntime")
    }

    /// Returns whether the engine has half precision, so that results can be rounded to it.
    pub(crate) fn rounds(self) -> bool {
        self == Self::OnnxRuntime
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
