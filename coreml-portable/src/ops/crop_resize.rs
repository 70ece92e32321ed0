//! Parts of images, each resized to the same size: `crop_resize` of MIL's `image_resizing.py`.
//!
//! Flow: rows of the table in `ops.rs`; the sampling itself is that of `resample.rs`.

use super::resample::{image_size, sampled};
use super::sampling::{LARGEST_GRID, Sampling};
use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value};
use crate::onnx::{AttributeProto, ElementType};
use crate::op::Opset::{CoreML5, CoreML6, CoreML7};
use crate::op::{Op, op, opt, req};

/// The rows.
pub(super) const OPS: &[Op] = &[
    op(
        "crop_resize",
        &[CoreML5],
        &[
            req("x"),
            req("roi"),
            opt("target_height"),
            opt("target_width"),
            opt("normalized_coordinates"),
            opt("spatial_scale"),
            opt("box_coordinate_mode"),
            opt("sampling_mode"),
        ],
        crop_resize_regions,
    ),
    op(
        "crop_resize",
        &[CoreML6],
        &[
            req("x"),
            req("roi"),
            opt("target_height"),
            opt("target_width"),
            opt("normalized_coordinates"),
            opt("spatial_scale"),
            opt("box_coordinate_mode"),
            opt("sampling_mode"),
            opt("pad_value"),
        ],
        crop_resize_regions,
    ),
    op(
        "crop_resize",
        &[CoreML7],
        &[
            req("x"),
            req("boxes"),
            opt("box_indices"),
            opt("target_height"),
            opt("target_width"),
            opt("normalized_coordinates"),
            opt("spatial_scale"),
            opt("box_coordinate_mode"),
            opt("sampling_mode"),
            opt("pad_value"),
        ],
        crop_resize_boxes,
    ),
];

/// Parts of images, resized, for regions of shape [N, 1, 4 or 5, 1, 1].
fn crop_resize_regions(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, regions) = (a.tensor(g, "x")?, a.tensor(g, "roi")?);
    let (height, width): (i64, i64) = (a.get_or("target_height", 1)?, a.get_or("target_width", 1)?);
    let columns = a.ty("roi")?.dims.get(2).copied().flatten();
    let shape = g.shape(&x);
    match columns {
        Some(4) => {
            // Every region of every image: images become channels.
            let boxes = g.reshape(&regions, &[-1, 4]);
            let places = box_places(a, g, &x, &boxes)?;
            let plane = g.slice(&shape, &[2], &[4], &[0], &[1]);
            let (one, all) = (g.ints(&[1]), g.ints(&[-1]));
            let joined_shape = g.concat(&[&one, &all, &plane], 0);
            let joined = g.node("Reshape", &[&x, &joined_shape], Vec::new());
            let boxes_shape = g.shape(&boxes);
            let count = g.slice(&boxes_shape, &[0], &[1], &[0], &[1]);
            let ones = g.ints(&[1, 1, 1]);
            let repeated_shape = g.concat(&[&count, &ones], 0);
            let repeated = g.node("Expand", &[&joined, &repeated_shape], Vec::new());
            let y = crops(a, g, &repeated, &places)?;
            let images = g.slice(&shape, &[0], &[2], &[0], &[1]);
            let target = g.ints(&[height, width]);
            let shape = g.concat(&[&count, &images, &target], 0);
            let y = g.node("Reshape", &[&y, &shape], Vec::new());
            g.give(y);
        }
        Some(5) => {
            let rows = g.reshape(&regions, &[-1, 5]);
            let indices = g.slice(&rows, &[0], &[1], &[1], &[1]);
            let indices = g.squeeze(&indices, &[1]);
            let indices = g.cast(&indices, ElementType::Int64);
            let boxes = g.slice(&rows, &[1], &[5], &[1], &[1]);
            let places = box_places(a, g, &x, &boxes)?;
            let images = g.node("Gather", &[&x, &indices], vec![AttributeProto::int("axis", 0)]);
            let y = crops(a, g, &images, &places)?;
            let y = g.unsqueeze(&y, &[1]);
            g.give(y);
        }
        _ => return Err(OpError::invalid("its roi has neither 4 nor 5 numbers for each region")),
    }
    Ok(())
}

/// Parts of images, resized, for boxes of shape [N, 4].
fn crop_resize_boxes(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, boxes) = (a.tensor(g, "x")?, a.tensor(g, "boxes")?);
    let boxes = g.cast(&boxes, ElementType::Float);
    let indices = if a.has("box_indices") {
        a.tensor(g, "box_indices")?
    } else {
        let shape = g.shape(&boxes);
        let count = g.slice(&shape, &[0], &[1], &[0], &[1]);
        let count = g.squeeze(&count, &[0]);
        let (zero, one) = (g.int(0), g.int(1));
        g.node("Range", &[&zero, &count, &one], Vec::new())
    };
    let places = box_places(a, g, &x, &boxes)?;
    let images = g.node("Gather", &[&x, &indices], vec![AttributeProto::int("axis", 0)]);
    let y = crops(a, g, &images, &places)?;
    g.give(y);
    Ok(())
}

/// Samples one image for each box.
fn crops(
    a: &Args<'_, '_>,
    g: &mut Graph,
    images: &Value,
    places: &Value,
) -> Result<Value, OpError> {
    let x = a.tensor(g, "x")?;
    let size = image_size(a, g, &x)?;
    Ok(sampled(g, images, places, &size, a.get_or("pad_value", 0.0)?))
}

/// Returns the places of all samples of all boxes, of shape [N, height, width, 2], (x, y) in
/// pixels.
fn box_places(a: &Args<'_, '_>, g: &mut Graph, x: &Value, boxes: &Value) -> Result<Value, OpError> {
    let sampling = Sampling::read(a)?;
    let (height, width): (i64, i64) = (a.get_or("target_height", 1)?, a.get_or("target_width", 1)?);
    let mode = a.get_or("box_coordinate_mode", "CORNERS_HEIGHT_FIRST".to_owned())?;
    let height_first = match mode.as_str() {
        "CORNERS_HEIGHT_FIRST" | "CENTER_SIZE_HEIGHT_FIRST" => true,
        "CORNERS_WIDTH_FIRST" | "CENTER_SIZE_WIDTH_FIRST" => false,
        _ => {
            return Err(OpError::unsupported(format!(
                "its box_coordinate_mode `{mode}` is unknown"
            )));
        }
    };
    // Each box as ((x, y), (x, y)): first and last corner, or centre and size.
    let order = if height_first { [1, 0, 3, 2] } else { [0, 1, 2, 3] };
    let order = g.ints(&order);
    let ordered = g.node("Gather", &[boxes, &order], vec![AttributeProto::int("axis", 1)]);
    let pairs = g.reshape(&ordered, &[-1, 2, 2]);
    let mut pairs = g.scale(&pairs, a.get_or("spatial_scale", 1.0)?);
    if a.get_or("normalized_coordinates", false)? {
        let size = image_size(a, g, x)?;
        let one = g.float(1.0);
        let last = g.node("Sub", &[&size, &one], Vec::new());
        pairs = g.node("Mul", &[&pairs, &last], Vec::new());
    }
    let attributes = vec![AttributeProto::int("axis", 1), AttributeProto::int("num_outputs", 2)];
    let parts = g.nodes("Split", &[&pairs], 2, attributes);
    let (start, length) = if mode.starts_with("CENTER") {
        let half = g.scale(&parts[1], 0.5);
        (g.node("Sub", &[&parts[0], &half], Vec::new()), parts[1].clone())
    } else {
        (parts[0].clone(), g.node("Sub", &[&parts[1], &parts[0]], Vec::new()))
    };
    // Both of shape [N, 1, 2]: x and y along the last dimension.
    let attributes = vec![AttributeProto::int("axis", 2), AttributeProto::int("num_outputs", 2)];
    let starts = g.nodes("Split", &[&start], 2, attributes.clone());
    let lengths = g.nodes("Split", &[&length], 2, attributes);
    let (mut columns, mut rows) = (Value::none(), Value::none());
    for (axis, count) in [(0, width), (1, height)] {
        let places = along(g, sampling, &starts[axis], &lengths[axis], count)?;
        if axis == 0 { columns = places } else { rows = places }
    }
    // From [N, 1, count] to [N, height, width, 1].
    let (columns, rows) = (g.unsqueeze(&columns, &[3]), g.transpose(&rows, &[0, 2, 1]));
    let rows = g.unsqueeze(&rows, &[3]);
    let whole = g.ints(&[1, height, width, 1]);
    let columns = g.node("Expand", &[&columns, &whole], Vec::new());
    let rows = g.node("Expand", &[&rows, &whole], Vec::new());
    Ok(g.concat(&[&columns, &rows], 3))
}

/// Returns the places of `count` samples between `start` and `start + length`, along the last
/// dimension.
fn along(
    g: &mut Graph,
    sampling: Sampling,
    start: &Value,
    length: &Value,
    count: i64,
) -> Result<Value, OpError> {
    let count = usize::try_from(count).ok().filter(|count| (1..=LARGEST_GRID).contains(count));
    let count = count.ok_or_else(|| OpError::invalid("its target size is not positive"))?;
    let steps =
        |place: &dyn Fn(f32) -> f32| (0..count).map(|i| place(i as f32)).collect::<Vec<f32>>();
    let n = count as f32;
    let (one, zero) = (g.float(1.0), g.float(0.0));
    let offsets = match sampling {
        Sampling::StrictAlignCorners | Sampling::AlignCorners => {
            let middle = if sampling == Sampling::AlignCorners { 0.5 } else { 0.0 };
            let parts = g.floats(&steps(&|i| if count == 1 { middle } else { i / (n - 1.0) }));
            g.node("Mul", &[length, &parts], Vec::new())
        }
        Sampling::OffsetCorners => {
            let span = g.node("Max", &[length, &one], Vec::new());
            let parts = g.floats(&steps(&|i| (i + 0.5) / n));
            g.node("Mul", &[&span, &parts], Vec::new())
        }
        Sampling::Default | Sampling::UnalignCorners => {
            let half = if sampling == Sampling::UnalignCorners { 0.5 } else { 0.0 };
            let pixels = g.node("Add", &[length, &one], Vec::new());
            let parts = g.floats(&steps(&|i| (i + half) / n));
            let scaled = g.node("Mul", &[&pixels, &parts], Vec::new());
            let back = g.float(half);
            let shifted = g.node("Sub", &[&scaled, &back], Vec::new());
            let above = g.node("Max", &[&shifted, &zero], Vec::new());
            g.node("Min", &[&above, length], Vec::new())
        }
    };
    Ok(g.node("Add", &[start, &offsets], Vec::new()))
}
