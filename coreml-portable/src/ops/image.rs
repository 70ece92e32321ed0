//! Resizing and cropping of images on a regular grid: the `resize`, `upsample` and `crop`
//! operations of MIL's `image_resizing.py`.
//!
//! Flow: rows of the table in `ops.rs`; `resample.rs` has those that sample at computed places, and
//! `nearest.rs` finds nearest pixels. Where ONNX has the same grid, its Resize does the work; any
//! other grid of known sizes is two gathers for each axis.

use super::axis::{Axis, Factor, output_sizes};
use super::elementwise::convert;
use super::nearest::nearest;
use super::sampling::{Sampling, interpolated, places};
use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value, element_type};
use crate::limit::{ALIGNED_HALF_PIXELS, NEAREST_SAMPLED, ROUNDED_INTEGERS, VARYING_GRID};
use crate::onnx::{AttributeProto, ElementType};
use crate::op::Opset::{CoreML5, CoreML6, CoreML7};
use crate::op::{Op, op, opt, req};
use coreml_spec::Constant;

/// The rows.
pub(super) const OPS: &[Op] = &[
    op("crop", &[CoreML5], &[req("x"), req("crop_height"), req("crop_width")], crop),
    op(
        "resize",
        &[CoreML7],
        &[
            req("x"),
            req("shape"),
            req("resized_dims"),
            opt("interpolation_mode"),
            opt("sampling_mode"),
        ],
        resize,
    )
    .limited(&[NEAREST_SAMPLED, VARYING_GRID, ROUNDED_INTEGERS]),
    op(
        "resize_bilinear",
        &[CoreML5],
        &[req("x"), opt("target_size_height"), opt("target_size_width"), opt("sampling_mode")],
        resize_bilinear,
    )
    .limited(&[VARYING_GRID]),
    op(
        "resize_nearest_neighbor",
        &[CoreML5],
        &[req("x"), req("target_size_height"), req("target_size_width")],
        resize_nearest_neighbor,
    ),
    op(
        "upsample_bilinear",
        &[CoreML5],
        &[req("x"), opt("scale_factor_height"), opt("scale_factor_width"), opt("align_corners")],
        upsample_bilinear,
    )
    .limited(&[VARYING_GRID]),
    op(
        "upsample_bilinear",
        &[CoreML6],
        &[
            req("x"),
            opt("scale_factor_height"),
            opt("scale_factor_width"),
            opt("align_corners"),
            opt("half_pixel_centers"),
        ],
        upsample_bilinear,
    )
    .limited(&[ALIGNED_HALF_PIXELS, VARYING_GRID]),
    op(
        "upsample_nearest_neighbor",
        &[CoreML5],
        &[req("x"), opt("scale_factor_height"), opt("scale_factor_width")],
        upsample_nearest_neighbor,
    ),
];

/// Rows and columns cut off.
fn crop(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let (rows, columns): (Vec<i64>, Vec<i64>) = (a.need("crop_height")?, a.need("crop_width")?);
    let (&[top, bottom], &[left, right]) = (rows.as_slice(), columns.as_slice()) else {
        return Err(OpError::invalid("its crop_height or crop_width is not a pair"));
    };
    if [top, bottom, left, right].iter().any(|cut| *cut < 0) {
        return Err(OpError::invalid("it crops a negative number of rows or columns"));
    }
    let y = super::blocks::cropped(g, &x, [top, bottom, left, right]);
    g.give(y);
    Ok(())
}

/// Returns the last two axes, with new sizes.
fn image_axes(
    a: &Args<'_, '_>,
    height: Option<usize>,
    width: Option<usize>,
) -> Result<[Axis; 2], OpError> {
    let dims = a.ty("x")?.dims;
    let Some(first) = dims.len().checked_sub(2) else {
        return Err(OpError::invalid("its input has fewer than two dimensions"));
    };
    let axis = |axis: usize, output| Axis { axis, input: dims[axis], output, factor: None };
    Ok([axis(first, height), axis(first + 1, width)])
}

/// Bilinear interpolation to a given size.
fn resize_bilinear(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (height, width) = (size(a, "target_size_height")?, size(a, "target_size_width")?);
    let axes = image_axes(a, Some(height), Some(width))?;
    let x = a.tensor(g, "x")?;
    let y = linear(a, g, &x, &axes, Sampling::read(a)?)?;
    g.give(y);
    Ok(())
}

/// The nearest pixel, at a given size.
fn resize_nearest_neighbor(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (height, width) = (size(a, "target_size_height")?, size(a, "target_size_width")?);
    let axes = image_axes(a, Some(height), Some(width))?;
    let x = a.tensor(g, "x")?;
    let y = nearest(a, g, &x, &axes, None)?;
    g.give(y);
    Ok(())
}

/// Returns a constant size; 1 when it is absent.
fn size(a: &Args<'_, '_>, name: &str) -> Result<usize, OpError> {
    let size: i64 = a.get_or(name, 1)?;
    usize::try_from(size)
        .ok()
        .filter(|size| *size > 0)
        .ok_or_else(|| OpError::invalid(format!("its {name} is {size}")))
}

/// Returns the last two axes with their scale factors, and the new sizes that the program declares.
fn scaled_axes(a: &Args<'_, '_>) -> Result<[Axis; 2], OpError> {
    let read =
        |constant: Constant<'_>| constant.to_f32s().and_then(|factors| factors.first().copied());
    let factor = |name: &str| Ok(a.constant(name)?.and_then(read).unwrap_or(1.0));
    let (height, width) = (factor("scale_factor_height")?, factor("scale_factor_width")?);
    let mut axes = image_axes(a, None, None)?;
    for (axis, factor) in axes.iter_mut().zip([height, width]) {
        if !(factor.is_finite() && factor > 0.0) {
            return Err(OpError::invalid(format!("its scale factor is {factor}")));
        }
        axis.output =
            a.output(0)?.dims.get(axis.axis).copied().flatten().filter(|_| axis.input.is_some());
        axis.factor = Some(Factor::new(factor));
    }
    Ok(axes)
}

/// Bilinear interpolation by scale factors.
fn upsample_bilinear(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let align = a.get_or("align_corners", true)?;
    let half = a.get_or("half_pixel_centers", !align)?;
    let sampling = match (align, half) {
        (true, false) => Sampling::StrictAlignCorners,
        (false, true) => Sampling::UnalignCorners,
        (false, false) => Sampling::Default,
        (true, true) => return Err(ALIGNED_HALF_PIXELS.error()),
    };
    let (axes, x) = (scaled_axes(a)?, a.tensor(g, "x")?);
    let y = linear(a, g, &x, &axes, sampling)?;
    g.give(y);
    Ok(())
}

/// The nearest pixel, by scale factors.
fn upsample_nearest_neighbor(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (axes, x) = (scaled_axes(a)?, a.tensor(g, "x")?);
    let y = nearest(a, g, &x, &axes, None)?;
    g.give(y);
    Ok(())
}

/// Interpolation of the last axes to a size that may be computed; 0 keeps a size.
fn resize(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let ty = a.ty("x")?;
    let element = element_type(ty.data_type)?;
    let mut x = a.tensor(g, "x")?;
    let count: i64 = a.need("resized_dims")?;
    let (rank, known) = (ty.rank(), a.is_constant("shape"));
    let count = usize::try_from(count).ok().filter(|count| *count <= rank);
    let count = count.ok_or_else(|| {
        OpError::invalid("its resized_dims is not a number of its input's dimensions")
    })?;
    let wanted: Vec<i64> = if known { a.need("shape")? } else { Vec::new() };
    if known && wanted.len() < count {
        return Err(OpError::invalid("its shape is shorter than resized_dims"));
    }
    let mut axes = Vec::new();
    for (i, axis) in (rank - count..rank).enumerate() {
        let input = ty.dims[axis];
        let wanted = if known { wanted.get(wanted.len() - count + i).copied() } else { None };
        let output = match wanted {
            Some(0) => input,
            Some(size) => usize::try_from(size).ok(),
            None => None,
        };
        axes.push(Axis { axis, input, output, factor: None });
    }
    let sizes = if known && axes.iter().all(|axis| axis.output.is_some()) {
        None
    } else {
        let shape = a.shape_tensor(g, "shape")?;
        let tail = g.slice(&shape, &[-(count as i64)], &[i64::from(i32::MAX)], &[0], &[1]);
        let own = g.shape(&x);
        let head = g.slice(&own, &[0], &[(rank - count) as i64], &[0], &[1]);
        let rest = g.slice(&own, &[(rank - count) as i64], &[i64::from(i32::MAX)], &[0], &[1]);
        let zero = g.int(0);
        let inherit = g.node("Equal", &[&tail, &zero], Vec::new());
        let tail = g.node("Where", &[&inherit, &rest, &tail], Vec::new());
        Some(g.concat(&[&head, &tail], 0))
    };
    let sampling = Sampling::read(a)?;
    if element != ElementType::Float {
        x = g.cast(&x, ElementType::Float);
    }
    let mut y = match a.get_or("interpolation_mode", "LINEAR".to_owned())?.as_str() {
        "LINEAR" => sized(a, g, &x, &axes, sampling, sizes.as_ref())?,
        "NEAREST_NEIGHBOR" if sampling == Sampling::Default => {
            nearest(a, g, &x, &axes, sizes.as_ref())?
        }
        "NEAREST_NEIGHBOR" => {
            return Err(NEAREST_SAMPLED.error());
        }
        other => {
            return Err(OpError::unsupported(format!(
                "its interpolation_mode `{other}` is unknown"
            )));
        }
    };
    if element != ElementType::Float {
        y = convert(g, &y, ElementType::Float, ty.data_type)?;
    }
    g.give(y);
    Ok(())
}

/// Interpolates linearly to sizes that are known, or that a vector of all sizes gives.
fn sized(
    a: &Args<'_, '_>,
    g: &mut Graph,
    x: &Value,
    axes: &[Axis],
    sampling: Sampling,
    sizes: Option<&Value>,
) -> Result<Value, OpError> {
    let Some(sizes) = sizes else { return linear(a, g, x, axes, sampling) };
    let mode = if sampling == Sampling::AlignCorners {
        Some("align_corners")
    } else {
        sampling.onnx(None)
    };
    let mode = mode.ok_or_else(|| VARYING_GRID.error())?;
    let attributes = vec![
        AttributeProto::string("mode", "linear"),
        AttributeProto::string("coordinate_transformation_mode", mode),
    ];
    let none = Value::none();
    Ok(g.node("Resize", &[x, &none, &none, sizes], attributes))
}

/// Interpolates linearly along some axes.
fn linear(
    a: &Args<'_, '_>,
    g: &mut Graph,
    x: &Value,
    axes: &[Axis],
    sampling: Sampling,
) -> Result<Value, OpError> {
    let rank = a.rank("x")?;
    let known = axes.iter().all(|axis| axis.input.is_some() && axis.output.is_some());
    let modes: Option<Vec<&str>> = axes.iter().map(|axis| sampling.onnx(axis.output)).collect();
    let last_two = rank <= 4 && axes.iter().all(|axis| axis.axis + 2 >= rank);
    let none = Value::none();
    if let (Some(modes), true) = (&modes, last_two || !known) {
        let mode = modes.first().copied().unwrap_or("asymmetric");
        let attributes = vec![
            AttributeProto::string("mode", "linear"),
            AttributeProto::string("coordinate_transformation_mode", mode),
        ];
        let sizes = output_sizes(a, g, x, axes)?;
        return Ok(g.node("Resize", &[x, &none, &none, &sizes], attributes));
    }
    let mut y = x.clone();
    for axis in axes {
        let (Some(input), Some(output)) = (axis.input, axis.output) else {
            return Err(VARYING_GRID.error());
        };
        let places = places(output, |i| sampling.place(i, input, output))?;
        y = interpolated(g, &y, axis.axis, rank, input, &places);
    }
    Ok(y)
}
