//! The nearest pixel of an image that is resized.
//!
//! Owns: PyTorch's arithmetic, `min(⌊i · step⌋, Xin − 1)` in single precision, the same for sizes
//! that are known and for sizes that vary. Engines divide instead of multiplying, and are a pixel
//! off at places.
//! Flow: `image.rs`, for each operation with the nearest pixel.

use super::axis::{Axis, output_sizes, size_of, without_size};
use super::sampling::{interpolated, places};
use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value};
use crate::onnx::{AttributeProto, ElementType};

/// Takes the nearest pixel along some axes.
///
/// Parameters: `sizes` — all sizes of the result, where the graph computes them.
/// Errors: an axis has neither a new size nor a scale factor, and there are no `sizes`.
pub(super) fn nearest(
    a: &Args<'_, '_>,
    g: &mut Graph,
    x: &Value,
    axes: &[Axis],
    sizes: Option<&Value>,
) -> Result<Value, OpError> {
    let rank = a.rank("x")?;
    if is_doubled(axes) && rank <= 4 && axes.iter().all(|axis| axis.axis + 2 >= rank) {
        let attributes = vec![
            AttributeProto::string("mode", "nearest"),
            AttributeProto::string("nearest_mode", "floor"),
            AttributeProto::string("coordinate_transformation_mode", "asymmetric"),
        ];
        let (none, sizes) = (Value::none(), output_sizes(a, g, x, axes)?);
        return Ok(g.node("Resize", &[x, &none, &none, &sizes], attributes));
    }
    let mut y = x.clone();
    for axis in axes {
        y = match (axis.input, axis.output) {
            (Some(input), Some(output)) => {
                let step = axis.factor.map_or(input as f32 / output as f32, |factor| factor.step());
                let last = input.saturating_sub(1) as f64;
                let place = |i: usize| f64::from((i as f32 * step).floor()).min(last);
                interpolated(g, &y, axis.axis, rank, input, &places(output, place)?)
            }
            _ => varying(g, &y, axis, sizes)?,
        };
    }
    Ok(y)
}

/// Returns whether each pixel is repeated 1, 2, 4, 8, … times: engines know those places exactly.
fn is_doubled(axes: &[Axis]) -> bool {
    axes.iter().all(|axis| match (axis.input, axis.output, axis.factor) {
        (Some(input), Some(output), _) => {
            input > 0 && output % input == 0 && (output / input).is_power_of_two()
        }
        (None, None, Some(factor)) => factor.is_power_of_two(),
        _ => false,
    })
}

/// Takes the nearest pixel along an axis whose size varies.
fn varying(g: &mut Graph, x: &Value, axis: &Axis, sizes: Option<&Value>) -> Result<Value, OpError> {
    let shape = g.shape(x);
    let input = size_of(g, &shape, axis.axis);
    let (output, step) = if let Some(factor) = axis.factor {
        (factor.apply(g, &input), g.float(factor.step()))
    } else {
        let output = match (axis.output, sizes) {
            (Some(output), _) => g.ints(&[output as i64]),
            (None, Some(sizes)) => size_of(g, sizes, axis.axis),
            (None, None) => return Err(without_size()),
        };
        let (from, to) = (g.cast(&input, ElementType::Float), g.cast(&output, ElementType::Float));
        let step = g.node("Div", &[&from, &to], Vec::new());
        (output, step)
    };
    let (zero, one, count) = (g.int(0), g.int(1), g.squeeze(&output, &[0]));
    let pixels = g.node("Range", &[&zero, &count, &one], Vec::new());
    let pixels = g.cast(&pixels, ElementType::Float);
    let places = g.node("Mul", &[&pixels, &step], Vec::new());
    let places = g.cast(&places, ElementType::Int64);
    let one = g.ints(&[1]);
    let last = g.node("Sub", &[&input, &one], Vec::new());
    let places = g.node("Min", &[&places, &last], Vec::new());
    Ok(g.node("Gather", &[x, &places], vec![AttributeProto::int("axis", axis.axis as i64)]))
}
