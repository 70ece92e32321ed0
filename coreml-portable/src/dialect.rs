//! What ONNX each engine understands.
//!
//! Owns: the differences of engines that a row of the table works around. What a row cannot work
//! around is a limit (`limit.rs`).
//! Flow: `translate.rs` chooses the dialect; rows ask the graph for it.

use crate::engine_kind::EngineKind;

/// What ONNX an engine understands, where engines differ and a row can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// Convolution and pooling over three spatial dimensions.
    pub(crate) volumes: bool,
    /// Matrix products of integers.
    pub(crate) integer_products: bool,
    /// Integers of 64 bits. Reductions of 32 bits may clamp what overflows.
    pub(crate) wide_integers: bool,
    /// Products with a transposed weight: `Gemm`, which takes the weight as MIL stores it.
    pub(crate) transposed_weights: bool,
    /// Half-precision constants are widened when the engine loads the model, not by us.
    pub(crate) widens_constants: bool,
    /// TopK takes NaN for the largest of all numbers, and the first of several.
    pub(crate) sorts_nan: bool,
    /// A conversion of floats to integers takes the nearest that there is, and 0 for NaN.
    pub(crate) clamps_casts: bool,
}

impl Dialect {
    /// All of ONNX.
    pub(crate) const FULL: Self = Self {
        volumes: true,
        integer_products: true,
        wide_integers: true,
        transposed_weights: true,
        widens_constants: false,
        // ONNX says neither.
        sorts_nan: false,
        clamps_casts: false,
    };

    /// rten's part of it.
    const RTEN: Self = Self {
        volumes: false,
        integer_products: false,
        wide_integers: false,
        transposed_weights: false,
        widens_constants: false,
        sorts_nan: false,
        clamps_casts: true,
    };

    /// Returns what an engine understands; all of ONNX for no engine.
    pub(crate) fn of(engine: Option<EngineKind>) -> Self {
        match engine {
            None => Self::FULL,
            Some(EngineKind::Rten) => Self::RTEN,
            Some(EngineKind::OnnxRuntime) => {
                Self { widens_constants: true, sorts_nan: true, ..Self::FULL }
            }
        }
    }
}
