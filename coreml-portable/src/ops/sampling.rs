//! Sampling grids: the positions of the samples of an axis, by MIL's `sampling_mode`.
//!
//! Owns: the formulas of each mode, and interpolation along one axis.
//! Flow: `image.rs`, `nearest.rs` and `crop_resize.rs` sample by them.

use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value};
use crate::onnx::AttributeProto;

/// Most pixels of a grid that is made while translating.
pub(super) const LARGEST_GRID: usize = 1 << 24;

/// Returns where in the input each pixel of an axis comes from.
///
/// Errors: more pixels than a constant of the graph may have.
pub(super) fn places(output: usize, place: impl Fn(usize) -> f64) -> Result<Vec<f64>, OpError> {
    if output > LARGEST_GRID {
        return Err(OpError::invalid(format!(
            "its output has {output} pixels along an axis, more than {LARGEST_GRID}"
        )));
    }
    Ok((0..output).map(place).collect())
}

/// The positions of the samples of an axis: MIL's `sampling_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sampling {
    /// `i · Xin / Xout`.
    Default,
    /// From the first pixel's centre to the last one's.
    StrictAlignCorners,
    /// The same, but a single sample is in the middle.
    AlignCorners,
    /// Centres of equal parts of the span between the first and the last centre.
    OffsetCorners,
    /// Centres of equal parts of the whole axis.
    UnalignCorners,
}

impl Sampling {
    /// Reads `sampling_mode`.
    pub(super) fn read(a: &Args<'_, '_>) -> Result<Self, OpError> {
        match a.get_or("sampling_mode", "DEFAULT".to_owned())?.as_str() {
            "DEFAULT" => Ok(Self::Default),
            "STRICT_ALIGN_CORNERS" => Ok(Self::StrictAlignCorners),
            "ALIGN_CORNERS" => Ok(Self::AlignCorners),
            "OFFSET_CORNERS" => Ok(Self::OffsetCorners),
            "UNALIGN_CORNERS" => Ok(Self::UnalignCorners),
            other => Err(OpError::unsupported(format!("its sampling_mode `{other}` is unknown"))),
        }
    }

    /// Returns the position of sample `i` of `output` samples on an axis of `input` pixels.
    pub(super) fn place(self, i: usize, input: usize, output: usize) -> f64 {
        let (i, n, x) = (i as f64, output as f64, input as f64);
        let place = match self {
            Self::Default => i * x / n,
            Self::AlignCorners if output == 1 => (x - 1.0) / 2.0,
            Self::StrictAlignCorners | Self::AlignCorners if output == 1 => 0.0,
            Self::StrictAlignCorners | Self::AlignCorners => i * (x - 1.0) / (n - 1.0),
            Self::OffsetCorners => (i + 0.5) * (x - 1.0).max(1.0) / n,
            Self::UnalignCorners => (i + 0.5) * x / n - 0.5,
        };
        place.clamp(0.0, x - 1.0)
    }

    /// Returns ONNX's name for it, when there is one for this number of samples.
    pub(super) fn onnx(self, output: Option<usize>) -> Option<&'static str> {
        match self {
            Self::Default => Some("asymmetric"),
            Self::StrictAlignCorners => Some("align_corners"),
            Self::AlignCorners => {
                output.is_some_and(|output| output != 1).then_some("align_corners")
            }
            Self::UnalignCorners => Some("half_pixel"),
            Self::OffsetCorners => None,
        }
    }
}

/// Interpolates along one axis at given places.
pub(super) fn interpolated(
    g: &mut Graph,
    x: &Value,
    axis: usize,
    rank: usize,
    input: usize,
    places: &[f64],
) -> Value {
    if places.len() == input && places.iter().enumerate().all(|(i, place)| *place == i as f64) {
        return x.clone();
    }
    let along = || vec![AttributeProto::int("axis", axis as i64)];
    let low: Vec<i64> = places.iter().map(|place| place.floor() as i64).collect();
    let high: Vec<i64> = low.iter().map(|low| (low + 1).min(input as i64 - 1)).collect();
    let weights: Vec<f32> = places.iter().map(|place| place.fract() as f32).collect();
    let low = g.ints(&low);
    let low = g.node("Gather", &[x, &low], along());
    if weights.iter().all(|weight| *weight == 0.0) {
        return low;
    }
    let high = g.ints(&high);
    let high = g.node("Gather", &[x, &high], along());
    let weights = g.floats(&weights);
    let weights = g.unsqueeze(&weights, &(1..(rank - axis) as i64).collect::<Vec<_>>());
    let difference = g.node("Sub", &[&high, &low], Vec::new());
    let part = g.node("Mul", &[&difference, &weights], Vec::new());
    g.node("Add", &[&low, &part], Vec::new())
}
