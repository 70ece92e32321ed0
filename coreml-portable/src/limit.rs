//! What MIL allows and a row of the table cannot express.
//!
//! Owns: [`Limit`], and the limits that rows declare.
//! Flow: a row of `ops/` names its limits and raises the same ones, so that the table
//! says before a model does; `findings.rs` raises those that forbid an operation altogether.

use crate::engine_kind::EngineKind;
use crate::error::OpError;

/// Something that MIL allows and a row of the table cannot express.
///
/// An argument that must be constant and is not, and a value that MIL does not define, are errors
/// of every row and no limits of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The engine that lacks it, where the others do not; `None` when every engine lacks it.
    pub engine: Option<EngineKind>,
    /// Whether the operation can never be expressed, rather than with some arguments only.
    pub always: bool,
    /// What is missing; errors say it in the same words.
    pub reason: &'static str,
}

impl Limit {
    /// Returns a limit of every engine, for some arguments.
    const fn of_all(reason: &'static str) -> Self {
        Self { engine: None, always: false, reason }
    }

    /// Returns a limit of rten, for some arguments.
    const fn of_rten(reason: &'static str) -> Self {
        Self { engine: Some(EngineKind::Rten), always: false, reason }
    }

    /// Returns whether an engine has the limit.
    pub fn concerns(&self, engine: EngineKind) -> bool {
        self.engine.is_none_or(|limited| limited == engine)
    }

    /// Returns the error of an operation that meets the limit.
    pub(crate) fn error(&self) -> OpError {
        OpError::unsupported(self.reason)
    }
}

/// Operations that exist only inside coremltools.
pub(crate) const NEVER_WRITTEN: Limit = Limit {
    engine: None,
    always: true,
    reason: "it exists only while coremltools converts; no package has it",
};

/// Three spatial dimensions on an engine without them.
pub(crate) const VARYING_VOLUME: Limit =
    Limit::of_rten("three spatial dimensions whose sizes vary");

/// `conv_transpose`.
pub(crate) const VARYING_OUTPUT_SHAPE: Limit =
    Limit::of_all("an output_shape for an input whose sizes vary");

/// `conv_quantized`.
pub(crate) const NOT_LINEAR: Limit = Limit::of_all("another quantization_type than `linear`");

/// `conv_quantized`.
pub(crate) const NOT_EIGHT_BITS: Limit = Limit::of_all("another nbits than 8");

/// Resizing to given sizes.
pub(crate) const VARYING_SIZE: Limit = Limit::of_all("an image whose size varies");

/// Interpolation on a grid that ONNX does not have.
pub(crate) const VARYING_GRID: Limit =
    Limit::of_all("a size that varies, with a sampling_mode that ONNX lacks");

/// `upsample_bilinear`.
pub(crate) const ALIGNED_HALF_PIXELS: Limit =
    Limit::of_all("align_corners together with half_pixel_centers");

/// `resize`.
pub(crate) const NEAREST_SAMPLED: Limit =
    Limit::of_all("the nearest pixel with another sampling_mode than DEFAULT");

/// `affine`, whose grid is a constant.
pub(crate) const LARGE_GRID: Limit = Limit::of_all("an output of more than 2²⁴ pixels");

/// `instance_norm`.
pub(crate) const VARYING_CHANNELS: Limit = Limit::of_all("a number of channels that varies");

/// `scaled_dot_product_attention`.
pub(crate) const VARYING_WIDTH: Limit = Limit::of_all("a query whose last dimension varies");

/// `scatter` and its kin.
pub(crate) const INTEGER_DIVISION: Limit =
    Limit::of_all("division of integers while scattering (mode `div`)");

/// `constexpr_lut_to_dense` and its kin.
pub(crate) const LONG_VECTOR: Limit =
    Limit::of_all("a table whose vectors have more than 256 elements");

/// `write_state`.
pub(crate) const STATE_IN_BODY: Limit = Limit::of_all("a state written inside a branch or loop");
