//! Rearrangement between channels, batch and space, in blocks and windows: `depth_to_space`,
//! `space_to_batch`, `sliding_windows` and their kin of MIL's `tensor_transformation.py`.
//!
//! Flow: rows of the table in `ops.rs`. Each is a reshape to more dimensions, a transpose, and a
//! reshape back.

use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value};
use crate::onnx::AttributeProto;
use crate::op::Opset::{CoreML5, CoreML6, CoreML7};
use crate::op::{Op, Param, op, opt, req};

/// Parameters of `sliding_windows`.
const WINDOWS: &[Param] = &[req("x"), req("axis"), req("size"), opt("stride")];

/// The rows.
pub(super) const OPS: &[Op] = &[
    op("batch_to_space", &[CoreML5], &[req("x"), req("block_shape"), req("crops")], batch_to_space),
    op("depth_to_space", &[CoreML5], &[req("x"), req("block_size")], |a, g| {
        to_space(a, g, "block_size", "DCR")
    }),
    op("pixel_shuffle", &[CoreML5], &[req("x"), req("upscale_factor")], |a, g| {
        to_space(a, g, "upscale_factor", "CRD")
    }),
    op("pixel_unshuffle", &[CoreML6], &[req("x"), req("downscale_factor")], |a, g| {
        to_depth(a, g, "downscale_factor", &[0, 1, 3, 5, 2, 4])
    }),
    op("sliding_windows", &[CoreML5, CoreML7], WINDOWS, sliding_windows),
    op(
        "space_to_batch",
        &[CoreML5],
        &[req("x"), req("block_shape"), req("paddings")],
        space_to_batch,
    ),
    op("space_to_depth", &[CoreML5], &[req("x"), req("block_size")], |a, g| {
        to_depth(a, g, "block_size", &[0, 3, 5, 1, 2, 4])
    }),
];

/// Channels spread over blocks of space; the mode says which part of the channel number is the
/// place in the block.
fn to_space(a: &Args<'_, '_>, g: &mut Graph, name: &str, mode: &str) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let attributes =
        vec![AttributeProto::int("blocksize", a.need(name)?), AttributeProto::string("mode", mode)];
    let y = g.node("DepthToSpace", &[&x], attributes);
    g.give(y);
    Ok(())
}

/// Blocks of space moved into channels; `perm` orders `[n, c, h, block, w, block]`.
fn to_depth(a: &Args<'_, '_>, g: &mut Graph, name: &str, perm: &[i64]) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let block: i64 = a.need(name)?;
    let mut source = Source::new(a, &x, a.ty("x")?.dims)?;
    let sizes = [
        source.size(0, 1, 1),
        source.size(1, 1, 1),
        source.size(2, 1, block),
        Size::Fixed(block),
        source.size(3, 1, block),
        Size::Fixed(block),
    ];
    let parts = source.reshape(g, &x, &sizes);
    let moved = g.transpose(&parts, perm);
    let channels = source.size(1, block * block, 1);
    let sizes =
        [source.size(0, 1, 1), channels, source.size(2, 1, block), source.size(3, 1, block)];
    let y = source.reshape(g, &moved, &sizes);
    g.give(y);
    Ok(())
}

/// Blocks of space moved into the batch, after padding with zeros.
fn space_to_batch(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let (rows, columns) = pair(a, "block_shape")?;
    let [top, bottom, left, right] = four(a, "paddings")?;
    let mut dims = a.ty("x")?.dims;
    for (axis, total) in [(2, top + bottom), (3, left + right)] {
        if let Some(Some(size)) = dims.get_mut(axis) {
            *size += usize::try_from(total).unwrap_or(0);
        }
    }
    let padded = if [top, bottom, left, right] == [0; 4] {
        x
    } else {
        let pads = g.ints(&[0, 0, top, left, 0, 0, bottom, right]);
        g.node("Pad", &[&x, &pads], vec![AttributeProto::string("mode", "constant")])
    };
    let mut source = Source::new(a, &padded, dims)?;
    let sizes = [
        source.size(0, 1, 1),
        source.size(1, 1, 1),
        source.size(2, 1, rows),
        Size::Fixed(rows),
        source.size(3, 1, columns),
        Size::Fixed(columns),
    ];
    let parts = source.reshape(g, &padded, &sizes);
    let moved = g.transpose(&parts, &[3, 5, 0, 1, 2, 4]);
    let batch = source.size(0, rows * columns, 1);
    let sizes = [batch, source.size(1, 1, 1), source.size(2, 1, rows), source.size(3, 1, columns)];
    let y = source.reshape(g, &moved, &sizes);
    g.give(y);
    Ok(())
}

/// Parts of the batch spread over blocks of space, then cropped.
fn batch_to_space(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let (rows, columns) = pair(a, "block_shape")?;
    let [top, bottom, left, right] = four(a, "crops")?;
    let mut source = Source::new(a, &x, a.ty("x")?.dims)?;
    let batch = source.size(0, 1, rows * columns);
    let sizes = [
        Size::Fixed(rows),
        Size::Fixed(columns),
        batch.clone(),
        source.size(1, 1, 1),
        source.size(2, 1, 1),
        source.size(3, 1, 1),
    ];
    let parts = source.reshape(g, &x, &sizes);
    let moved = g.transpose(&parts, &[2, 3, 4, 0, 5, 1]);
    let sizes = [batch, source.size(1, 1, 1), source.size(2, rows, 1), source.size(3, columns, 1)];
    let y = source.reshape(g, &moved, &sizes);
    let y = cropped(g, &y, [top, bottom, left, right]);
    g.give(y);
    Ok(())
}

/// Cuts rows and columns off the last two of four dimensions: above, below, left, right.
pub(super) fn cropped(g: &mut Graph, x: &Value, [top, bottom, left, right]: [i64; 4]) -> Value {
    if [top, bottom, left, right] == [0; 4] {
        return x.clone();
    }
    let end = |cut: i64| if cut == 0 { i64::from(i32::MAX) } else { -cut };
    g.slice(x, &[top, left], &[end(bottom), end(right)], &[-2, -1], &[1, 1])
}

/// All windows along an axis, as a new dimension after it.
fn sliding_windows(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let dims = a.ty("x")?.dims;
    let axis = a.axis("axis", 0, dims.len())?;
    let (size, stride): (i64, i64) = (a.need("size")?, a.get_or("stride", 1)?);
    if size < 1 || stride < 1 {
        return Err(OpError::invalid("its size or stride is not positive"));
    }
    let shape = g.shape(&x);
    let length = g.slice(&shape, &[axis], &[axis + 1], &[0], &[1]);
    let length = g.squeeze(&length, &[0]);
    // Windows begin at 0, stride, 2 · stride, … as long as they end within.
    let (zero, one, step, last) = (g.int(0), g.int(1), g.int(stride), g.int(size - 1));
    let room = g.node("Sub", &[&length, &last], Vec::new());
    let starts = g.node("Range", &[&zero, &room, &step], Vec::new());
    let window = g.int(size);
    let offsets = g.node("Range", &[&zero, &window, &one], Vec::new());
    let starts = g.unsqueeze(&starts, &[1]);
    let indices = g.node("Add", &[&starts, &offsets], Vec::new());
    let y = g.node("Gather", &[&x, &indices], vec![AttributeProto::int("axis", axis)]);
    g.give(y);
    Ok(())
}

/// Returns a constant of two positive integers.
fn pair(a: &Args<'_, '_>, name: &str) -> Result<(i64, i64), OpError> {
    match a.need::<Vec<i64>>(name)?.as_slice() {
        &[rows, columns] if rows > 0 && columns > 0 => Ok((rows, columns)),
        other => Err(OpError::invalid(format!("its {name} {other:?} is not two positive numbers"))),
    }
}

/// Returns a constant of two pairs of natural numbers.
fn four(a: &Args<'_, '_>, name: &str) -> Result<[i64; 4], OpError> {
    let values: Vec<i64> = a.need(name)?;
    match <[i64; 4]>::try_from(values.as_slice()) {
        Ok(values) if values.iter().all(|value| (0..i64::from(i32::MAX)).contains(value)) => {
            Ok(values)
        }
        _ => Err(OpError::invalid(format!(
            "its {name} {values:?} is not two pairs of natural numbers"
        ))),
    }
}

/// A size of a target shape.
#[derive(Clone, Debug)]
enum Size {
    /// Known now.
    Fixed(i64),
    /// A dimension of the source, times one number and over another.
    Scaled(i64, i64, i64),
}

/// A tensor of rank 4 whose dimensions target shapes are derived from.
struct Source {
    /// The tensor.
    tensor: Value,
    /// Its dimensions.
    dims: Vec<Option<usize>>,
    /// Its shape in the graph, once that was needed.
    shape: Option<Value>,
}

impl Source {
    /// Checks the rank.
    fn new(a: &Args<'_, '_>, tensor: &Value, dims: Vec<Option<usize>>) -> Result<Self, OpError> {
        if dims.len() != 4 {
            let kind = a.operation.kind;
            return Err(OpError::invalid(format!(
                "{kind} takes four dimensions, not {}",
                dims.len()
            )));
        }
        Ok(Self { tensor: tensor.clone(), dims, shape: None })
    }

    /// Returns a dimension times one number and over another.
    fn size(&mut self, axis: usize, times: i64, over: i64) -> Size {
        match self.dims[axis].and_then(|size| i64::try_from(size).ok()) {
            Some(size) => Size::Fixed(size.saturating_mul(times) / over.max(1)),
            None => Size::Scaled(axis as i64, times, over),
        }
    }

    /// Reshapes a tensor to sizes derived from the source.
    fn reshape(&mut self, g: &mut Graph, x: &Value, sizes: &[Size]) -> Value {
        let fixed: Option<Vec<i64>> = sizes
            .iter()
            .map(|size| if let Size::Fixed(size) = size { Some(*size) } else { None })
            .collect();
        if let Some(fixed) = fixed {
            return g.reshape(x, &fixed);
        }
        let shape = self.shape.clone().unwrap_or_else(|| g.shape(&self.tensor));
        self.shape = Some(shape.clone());
        let mut parts = Vec::new();
        for size in sizes {
            parts.push(match size {
                Size::Fixed(size) => g.ints(&[*size]),
                Size::Scaled(axis, times, over) => {
                    let size = g.slice(&shape, &[*axis], &[axis + 1], &[0], &[1]);
                    let (times, over) = (g.int(*times), g.int(*over));
                    let scaled = g.node("Mul", &[&size, &times], Vec::new());
                    g.node("Div", &[&scaled, &over], Vec::new())
                }
            });
        }
        let target = g.concat(&parts.iter().collect::<Vec<_>>(), 0);
        g.node("Reshape", &[x, &target], Vec::new())
    }
}
