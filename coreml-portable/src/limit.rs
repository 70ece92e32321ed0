//! What MIL allows and a row of the table cannot express, or computes otherwise than PyTorch.
//!
//! Owns: [`Limit`], and the limits that rows declare.
//! Flow: a row of `ops/` names its limits and raises the same ones, so that the table
//! says before a model does; `findings.rs` raises those that forbid an operation altogether. Those
//! that depend on numbers nobody raises: the result is another one, which the table says and
//! `tests/cases/differences.py` shows.

use crate::engine_kind::EngineKind;
use crate::error::OpError;

/// Something that MIL allows and a row of the table cannot express, or computes otherwise.
///
/// An argument that must be constant and is not, and a value that MIL does not define, are errors
/// of every row and no limits of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The engine that lacks it, where the others do not; `None` when every engine lacks it.
    pub engine: Option<EngineKind>,
    /// Whether the operation can never be expressed, rather than with some arguments only.
    pub always: bool,
    /// Whether the result is another one for some numbers, rather than an error at loading.
    pub differs: bool,
    /// What is missing, or what is computed; errors say it in the same words.
    pub reason: &'static str,
}

impl Limit {
    /// Returns a limit of every engine, for some arguments.
    const fn of_all(reason: &'static str) -> Self {
        Self { engine: None, always: false, differs: false, reason }
    }

    /// Returns a limit of rten, for some arguments.
    const fn of_rten(reason: &'static str) -> Self {
        Self { engine: Some(EngineKind::Rten), ..Self::of_all(reason) }
    }

    /// Returns another result of one engine, or of every engine, for some numbers.
    const fn differing(engine: Option<EngineKind>, reason: &'static str) -> Self {
        Self { engine, always: false, differs: true, reason }
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
    differs: false,
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

/// `clip` and `relu6`.
pub(crate) const NAN_CLIPPED: Limit =
    Limit::differing(Some(EngineKind::Rten), "NaN becomes the lower limit");

/// `relu`.
pub(crate) const NAN_RECTIFIED: Limit = Limit::differing(Some(EngineKind::Rten), "NaN becomes 0");

/// `max_pool`.
pub(crate) const NAN_POOLED: Limit =
    Limit::differing(None, "NaN beside other numbers in a window is passed over");

/// `scatter` and its kin.
pub(crate) const NAN_SCATTERED: Limit =
    Limit::differing(Some(EngineKind::OnnxRuntime), "NaN is passed over in modes `max` and `min`");

/// Sorting and finding.
pub(crate) const LARGEST_IS_INFINITE: Limit = Limit::differing(
    Some(EngineKind::Rten),
    "infinity and the largest number of single precision count as equal",
);

/// Matrix products.
pub(crate) const ROUNDED_PRODUCTS: Limit = Limit::differing(
    Some(EngineKind::Rten),
    "integers are rounded to 24 bits, sums of products too",
);

/// Operations on integers by way of floats.
pub(crate) const ROUNDED_INTEGERS: Limit =
    Limit::differing(None, "integers are rounded to 24 bits");

/// `reduce_mean`.
pub(crate) const NARROW_SUM: Limit =
    Limit::differing(Some(EngineKind::Rten), "a sum of integers wraps around at 32 bits");

/// `reduce_prod`.
pub(crate) const CLAMPED_PRODUCT: Limit = Limit::differing(
    Some(EngineKind::OnnxRuntime),
    "a product of integers beyond 64 bits is the largest of them, cut to 32 bits",
);
