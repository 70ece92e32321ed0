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
    /// Products with a transposed weight: `Gemm`, which takes the weight as MIL stores it.
    pub(crate) transposed_weights: bool,
    /// Half-precision constants are widened when the engine loads the model, not by us.
    pub(crate) widens_constants: bool,
    /// ArgMax and ArgMin take the first of equals, as ONNX says.
    pub(crate) first_of_equals: bool,
}

impl Dialect {
    /// All of ONNX.
    pub(crate) const FULL: Self = Self {
        volumes: true,
        integer_products: true,
        transposed_weights: true,
        widens_constants: false,
        first_of_equals: true,
    };

    /// rten's part of it.
    const RTEN: Self = Self {
        volumes: false,
        integer_products: false,
        transposed_weights: false,
        widens_constants: false,
        first_of_equals: false,
    };

    /// Returns what an engine understands; all of ONNX for no engine.
    pub(crate) fn of(engine: Option<EngineKind>) -> Self {
        match engine {
            None => Self::FULL,
            Some(EngineKind::Rten) => Self::RTEN,
            Some(EngineKind::OnnxRuntime) => Self { widens_constants: true, ..Self::FULL },
        }
    }
}
