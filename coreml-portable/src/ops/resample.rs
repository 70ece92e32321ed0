//! Sampling of images at computed places: `affine` and `resample` of MIL's `image_resizing.py`.
//!
//! Flow: rows of the table in `ops.rs`. Everything becomes places in pixels, to which padding and
//! rounding are applied here, and one bilinear GridSample with zeros outside: the form that every
//! engine has.

use super::sampling::LARGEST_GRID;
use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value};
use crate::limit::LARGE_GRID;
use crate::onnx::{AttributeProto, ElementType};
use crate::op::Opset::{CoreML5, CoreML6, CoreML7};
use crate::op::{Op, Param, op, req};

/// Parameters of `resample`.
const RESAMPLE: &[Param] = &[
    req("x"),
    req("coordinates"),
    req("sampling_mode"),
    req("padding_mode"),
    req("padding_value"),
    req("coordinates_mode"),
    req("align_corners"),
];

/// The rows.
pub(super) const OPS: &[Op] = &[
    op(
        "affine",
        &[CoreML5],
        &[
            req("x"),
            req("transform_matrix"),
            req("output_height"),
            req("output_width"),
            req("sampling_mode"),
            req("padding_mode"),
            req("padding_value"),
            req("coordinates_mode"),
            req("align_corners"),
        ],
        affine,
    )
    .limited(&[LARGE_GRID]),
    op("resample", &[CoreML5, CoreML6, CoreML7], RESAMPLE, resample),
];

/// Returns width and height of an image as a vector of floats.
pub(super) fn image_size(a: &Args<'_, '_>, g: &mut Graph, x: &Value) -> Result<Value, OpError> {
    let dims = a.ty("x")?.dims;
    match dims.as_slice() {
        [_, _, Some(height), Some(width)] => Ok(g.floats(&[*width as f32, *height as f32])),
        [_, _, _, _] => {
            let shape = g.shape(x);
            let order = g.ints(&[3, 2]);
            let size = g.node("Gather", &[&shape, &order], vec![AttributeProto::int("axis", 0)]);
            Ok(g.cast(&size, ElementType::Float))
        }
        _ => Err(OpError::invalid(format!(
            "it takes images with four dimensions, not {}",
            dims.len()
        ))),
    }
}

/// Samples images bilinearly.
///
/// Parameters: `places` — of shape [batch, height, width, 2], (x, y) in pixels; `outside` — what
/// is around the image.
pub(super) fn sampled(
    g: &mut Graph,
    x: &Value,
    places: &Value,
    size: &Value,
    outside: f32,
) -> Value {
    // GridSample counts from -1 to 1 between the outer edges of the outermost pixels.
    let (half, two, one) = (g.float(0.5), g.float(2.0), g.float(1.0));
    let shifted = g.node("Add", &[places, &half], Vec::new());
    let doubled = g.node("Mul", &[&shifted, &two], Vec::new());
    let scaled = g.node("Div", &[&doubled, size], Vec::new());
    let grid = g.node("Sub", &[&scaled, &one], Vec::new());
    let attributes = vec![
        AttributeProto::string("mode", "linear"),
        AttributeProto::string("padding_mode", "zeros"),
        AttributeProto::int("align_corners", 0),
    ];
    if outside == 0.0 {
        return g.node("GridSample", &[x, &grid], attributes);
    }
    let outside = g.float(outside);
    let above = g.node("Sub", &[x, &outside], Vec::new());
    let sampled = g.node("GridSample", &[&above, &grid], attributes);
    g.node("Add", &[&sampled, &outside], Vec::new())
}

/// Pixels at places that a tensor gives.
fn resample(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, coordinates) = (a.tensor(g, "x")?, a.tensor(g, "coordinates")?);
    let coordinates = g.cast(&coordinates, ElementType::Float);
    let size = image_size(a, g, &x)?;
    let align = a.get_or("align_corners", false)?;
    let places = match a.need::<String>("coordinates_mode")?.as_str() {
        "unnormalized" => coordinates,
        "normalized_minus_one_to_one" => {
            let (one, half) = (g.float(1.0), g.float(0.5));
            let shifted = g.node("Add", &[&coordinates, &one], Vec::new());
            let unit = g.node("Mul", &[&shifted, &half], Vec::new());
            in_pixels(g, &unit, &size, align)
        }
        "normalized_zero_to_one" => in_pixels(g, &coordinates, &size, align),
        other => {
            return Err(OpError::unsupported(format!("its coordinates_mode `{other}` is unknown")));
        }
    };
    let padding = a.need::<String>("padding_mode")?;
    let one = g.float(1.0);
    let last = g.node("Sub", &[&size, &one], Vec::new());
    let places = match padding.as_str() {
        "constant" => places,
        "border" => within(g, &places, &last),
        "reflection" => folded(g, &places, &last),
        "symmetric" => {
            let half = g.float(0.5);
            let shifted = g.node("Add", &[&places, &half], Vec::new());
            let folded = folded(g, &shifted, &size);
            let places = g.node("Sub", &[&folded, &half], Vec::new());
            within(g, &places, &last)
        }
        other => {
            return Err(OpError::unsupported(format!("its padding_mode `{other}` is unknown")));
        }
    };
    let places = match a.need::<String>("sampling_mode")?.as_str() {
        "bilinear" => places,
        // At the centre of a pixel the interpolation is the pixel.
        "nearest" => g.node("Round", &[&places], Vec::new()),
        other => {
            return Err(OpError::unsupported(format!("its sampling_mode `{other}` is unknown")));
        }
    };
    let outside = if padding == "constant" { a.need("padding_value")? } else { 0.0 };
    let y = sampled(g, &x, &places, &size, outside);
    g.give(y);
    Ok(())
}

/// Returns places in pixels for coordinates from 0 to 1: between the outer centres, or between the
/// outer edges.
fn in_pixels(g: &mut Graph, unit: &Value, size: &Value, align: bool) -> Value {
    if align {
        let one = g.float(1.0);
        let last = g.node("Sub", &[size, &one], Vec::new());
        return g.node("Mul", &[unit, &last], Vec::new());
    }
    let half = g.float(0.5);
    let scaled = g.node("Mul", &[unit, size], Vec::new());
    g.node("Sub", &[&scaled, &half], Vec::new())
}

/// Returns places moved to the nearest one from 0 to `last`.
fn within(g: &mut Graph, places: &Value, last: &Value) -> Value {
    let zero = g.float(0.0);
    let above = g.node("Max", &[places, &zero], Vec::new());
    g.node("Min", &[&above, last], Vec::new())
}

/// Returns places folded back and forth between 0 and `span`.
fn folded(g: &mut Graph, places: &Value, span: &Value) -> Value {
    // An image of one pixel has nothing to fold into: the tiny span keeps the division defined.
    let (tiny, two) = (g.float(f32::MIN_POSITIVE), g.float(2.0));
    let span = g.node("Max", &[span, &tiny], Vec::new());
    let period = g.node("Mul", &[&span, &two], Vec::new());
    let periods = g.node("Div", &[places, &period], Vec::new());
    let whole = g.node("Floor", &[&periods], Vec::new());
    let part = g.node("Sub", &[&periods, &whole], Vec::new());
    let position = g.node("Mul", &[&part, &period], Vec::new());
    let centred = g.node("Sub", &[&position, &span], Vec::new());
    let distance = g.node("Abs", &[&centred], Vec::new());
    g.node("Sub", &[&span, &distance], Vec::new())
}

/// The image seen through an affine map of its plane.
fn affine(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, matrix) = (a.tensor(g, "x")?, a.tensor(g, "transform_matrix")?);
    let (height, width): (i64, i64) = (a.need("output_height")?, a.need("output_width")?);
    let known = [
        ("sampling_mode", "bilinear"),
        ("padding_mode", "constant"),
        ("coordinates_mode", "normalized_minus_one_to_one"),
    ];
    for (name, wanted) in known {
        let given: String = a.need(name)?;
        if !given.eq_ignore_ascii_case(wanted) {
            return Err(OpError::unsupported(format!(
                "its {name} `{given}`; MIL defines only `{wanted}`"
            )));
        }
    }
    if !a.need::<bool>("align_corners")? {
        return Err(OpError::unsupported("align_corners = false; MIL defines only true"));
    }
    let (Ok(rows), Ok(columns)) = (usize::try_from(height), usize::try_from(width)) else {
        return Err(OpError::invalid("its output_height or output_width is negative"));
    };
    if rows.saturating_mul(columns) > LARGEST_GRID {
        return Err(LARGE_GRID.error());
    }
    // Rows (x, y, 1) for all places of the output, from -1 to 1.
    let place =
        |i: usize, n: usize| if n < 2 { 0.0 } else { 2.0 * i as f32 / (n - 1) as f32 - 1.0 };
    let row = |i: usize| [place(i % columns, columns), place(i / columns, rows), 1.0];
    let base: Vec<f32> = (0..rows * columns).flat_map(row).collect();
    let base = g.floats(&base);
    let base = g.reshape(&base, &[1, -1, 3]);
    let matrix = g.reshape(&matrix, &[-1, 2, 3]);
    let matrix = g.transpose(&matrix, &[0, 2, 1]);
    let mapped = g.node("MatMul", &[&base, &matrix], Vec::new());
    let mapped = g.reshape(&mapped, &[-1, height, width, 2]);
    let shape = g.shape(&x);
    let batch = g.slice(&shape, &[0], &[1], &[0], &[1]);
    let rest = g.ints(&[1, 1, 1]);
    let shape = g.concat(&[&batch, &rest], 0);
    let mapped = g.node("Expand", &[&mapped, &shape], Vec::new());
    let size = image_size(a, g, &x)?;
    let (one, half) = (g.float(1.0), g.float(0.5));
    let shifted = g.node("Add", &[&mapped, &one], Vec::new());
    let unit = g.node("Mul", &[&shifted, &half], Vec::new());
    let places = in_pixels(g, &unit, &size, true);
    let y = sampled(g, &x, &places, &size, a.need("padding_value")?);
    g.give(y);
    Ok(())
}
