//! Other shapes for the same elements, and joining and cutting of tensors: MIL's
//! `tensor_transformation.py`, and `concat`, `split`, `stack`, `identity`, `shape`, `fill`, `tile`,
//! `pad` of its `tensor_operation.py`.
//!
//! Flow: rows of the table in `ops.rs`.

use crate::args::{Args, normalized};
use crate::error::OpError;
use crate::graph::{Graph, Value, element_type};
use crate::onnx::{AttributeProto, ElementType};
use crate::op::Opset::{CoreML5, CoreML6, CoreML7};
use crate::op::{Op, Param, op, opt, req};

/// Parameters of `expand_dims`.
const EXPAND_DIMS: &[Param] = &[req("x"), req("axes")];
/// Parameters of `squeeze`.
const SQUEEZE: &[Param] = &[req("x"), opt("axes")];
/// Parameters of `reshape`.
const RESHAPE: &[Param] = &[req("x"), req("shape")];
/// Parameters of `reshape_like`.
const LIKE: &[Param] =
    &[req("x"), req("ref_tensors"), req("begins"), req("ends"), req("end_masks")];
/// Parameters of `transpose`.
const TRANSPOSE: &[Param] = &[req("x"), req("perm")];

/// The rows.
pub(super) const OPS: &[Op] = &[
    op("concat", &[CoreML5], &[req("values"), req("axis"), opt("interleave")], concat),
    op("expand_dims", &[CoreML5, CoreML7], EXPAND_DIMS, expand_dims),
    op("fill", &[CoreML5], &[req("shape"), opt("value")], fill),
    op("fill_like", &[CoreML6], &[req("ref_tensor"), opt("value")], fill_like),
    op("flatten2d", &[CoreML5], &[req("x"), opt("axis")], flatten2d),
    op("identity", &[CoreML5], &[req("x")], identity),
    op("pad", &[CoreML5], &[req("x"), req("pad"), opt("mode"), opt("constant_val")], pad),
    op("reshape", &[CoreML5, CoreML7], RESHAPE, reshape),
    op("reshape_like", &[CoreML6, CoreML7], LIKE, reshape_like),
    op("shape", &[CoreML5], &[req("x")], shape),
    op("split", &[CoreML5], &[req("x"), opt("num_splits"), opt("split_sizes"), req("axis")], split),
    op("squeeze", &[CoreML5, CoreML7], SQUEEZE, squeeze),
    op("stack", &[CoreML5], &[req("values"), req("axis")], stack),
    op("tile", &[CoreML5], &[req("x"), req("reps")], tile),
    op("transpose", &[CoreML5, CoreML7], TRANSPOSE, transpose),
];

/// Tensors one after the other along an axis, or element by element in turn.
fn concat(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let values = a.tensors(g, "values")?;
    let ranks: Vec<usize> = a.types("values")?.iter().map(|ty| ty.rank()).collect();
    let rank = ranks.iter().copied().max().unwrap_or(0).max(1);
    let axis = a.axis("axis", 0, rank)?;
    // MIL joins scalars to a vector.
    let parts: Vec<Value> = values
        .iter()
        .zip(&ranks)
        .map(|(x, rank)| if *rank == 0 { g.reshape(x, &[1]) } else { x.clone() })
        .collect();
    let y = if a.get_or("interleave", false)? {
        let spread: Vec<Value> = parts.iter().map(|x| g.unsqueeze(x, &[axis + 1])).collect();
        let pairs = g.concat(&spread.iter().collect::<Vec<_>>(), axis + 1);
        // [.., d, n, ..] becomes [.., d · n, ..]: what stands before the axis is kept, what stands
        // after too.
        let shape = g.shape(&pairs);
        let before = g.slice(&shape, &[0], &[axis], &[0], &[1]);
        let after = g.slice(&shape, &[axis + 2], &[i64::from(i32::MAX)], &[0], &[1]);
        let joined = g.ints(&[-1]);
        let shape = g.concat(&[&before, &joined, &after], 0);
        g.node("Reshape", &[&pairs, &shape], Vec::new())
    } else {
        g.concat(&parts.iter().collect::<Vec<_>>(), axis)
    };
    g.give(y);
    Ok(())
}

/// New dimensions of size 1.
fn expand_dims(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let axes: Vec<i64> = a.need("axes")?;
    let rank = a.rank("x")? + axes.len();
    let mut axes =
        axes.into_iter().map(|axis| normalized(axis, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    let y = g.unsqueeze(&x, &axes);
    g.give(y);
    Ok(())
}

/// A tensor of a given shape with equal elements.
fn fill(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let shape = a.shape_tensor(g, "shape")?;
    let y = filled(a, g, &shape)?;
    g.give(y);
    Ok(())
}

/// A tensor of another's shape with equal elements.
fn fill_like(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "ref_tensor")?;
    let shape = g.shape(&x);
    let y = filled(a, g, &shape)?;
    g.give(y);
    Ok(())
}

/// Returns `value` repeated to a shape.
fn filled(a: &Args<'_, '_>, g: &mut Graph, shape: &Value) -> Result<Value, OpError> {
    let value =
        if a.has("value") { a.tensor(g, "value")? } else { g.scalar(a.output(0)?.data_type, 0.0)? };
    Ok(g.node("Expand", &[&value, shape], Vec::new()))
}

/// Two dimensions: the product of those before the axis, and of the others.
fn flatten2d(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let rank = a.rank("x")? as i64;
    let axis: i64 = a.get_or("axis", 1)?;
    let axis = if axis < 0 { axis + rank } else { axis };
    let y = g.node("Flatten", &[&x], vec![AttributeProto::int("axis", axis)]);
    g.give(y);
    Ok(())
}

/// The same tensor.
fn identity(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    g.give(x);
    Ok(())
}

/// Elements around a tensor: a constant, the edge repeated, or the inside reflected.
fn pad(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, ty) = (a.tensor(g, "x")?, a.ty("x")?);
    let rank = ty.rank();
    let pads = if a.is_constant("pad") {
        let pad: Vec<i64> = a.need("pad")?;
        if !pad.len().is_multiple_of(2) || pad.len() > 2 * rank {
            return Err(OpError::invalid("its pad does not fit its input"));
        }
        // MIL names pairs for the last dimensions; ONNX wants all that stand before, then all that
        // stand after.
        let mut pads = vec![0; 2 * rank];
        for (pair, axis) in pad.chunks_exact(2).zip(rank - pad.len() / 2..) {
            (pads[axis], pads[rank + axis]) = (pair[0], pair[1]);
        }
        g.ints(&pads)
    } else {
        let pad = a.shape_tensor(g, "pad")?;
        let pairs = g.reshape(&pad, &[-1, 2]);
        let split = g.transpose(&pairs, &[1, 0]);
        g.reshape(&split, &[-1])
    };
    let mode = match a.get_or("mode", "constant".to_owned())?.as_str() {
        "constant" => "constant",
        "reflect" => "reflect",
        "replicate" => "edge",
        other => return Err(OpError::unsupported(format!("its mode `{other}` is unknown"))),
    };
    let attributes = vec![AttributeProto::string("mode", mode)];
    let y = if mode == "constant" {
        let value: f32 = a.get_or("constant_val", 0.0)?;
        let value = g.scalar(ty.data_type, f64::from(value))?;
        g.node("Pad", &[&x, &pads, &value], attributes)
    } else {
        g.node("Pad", &[&x, &pads], attributes)
    };
    g.give(y);
    Ok(())
}

/// Another shape; -1 is what remains, 0 keeps a size.
fn reshape(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, shape) = (a.tensor(g, "x")?, a.shape_tensor(g, "shape")?);
    let y = g.node("Reshape", &[&x, &shape], Vec::new());
    g.give(y);
    Ok(())
}

/// The shape that parts of other tensors' shapes make.
fn reshape_like(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, references) = (a.tensor(g, "x")?, a.tensors(g, "ref_tensors")?);
    let (begins, ends): (Vec<i64>, Vec<i64>) = (a.needs("begins")?, a.needs("ends")?);
    let masks: Vec<bool> = a.needs("end_masks")?;
    if [begins.len(), ends.len(), masks.len()] != [references.len(); 3] {
        return Err(OpError::invalid(
            "its begins, ends or end_masks are not as many as its ref_tensors",
        ));
    }
    let mut parts = Vec::new();
    for (i, reference) in references.iter().enumerate() {
        let shape = g.shape(reference);
        let end = if masks[i] { i64::from(i32::MAX) } else { ends[i] };
        parts.push(g.slice(&shape, &[begins[i]], &[end], &[0], &[1]));
    }
    let shape = g.concat(&parts.iter().collect::<Vec<_>>(), 0);
    let y = g.node("Reshape", &[&x, &shape], Vec::new());
    g.give(y);
    Ok(())
}

/// The sizes of a tensor.
fn shape(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let shape = g.shape(&x);
    let y = g.cast(&shape, element_type(a.output(0)?.data_type)?);
    g.give(y);
    Ok(())
}

/// Parts of a tensor along an axis.
fn split(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let axis = AttributeProto::int("axis", a.axis("axis", 0, a.rank("x")?)?);
    let count = a.operation.outputs.len();
    let parts = if a.has("split_sizes") {
        let sizes: Vec<i64> = a.need("split_sizes")?;
        if sizes.len() != count {
            return Err(OpError::invalid("its split_sizes do not fit its outputs"));
        }
        let sizes = g.ints(&sizes);
        g.nodes("Split", &[&x, &sizes], count, vec![axis])
    } else {
        if a.need::<i64>("num_splits")? != count as i64 {
            return Err(OpError::invalid("its num_splits does not fit its outputs"));
        }
        g.nodes("Split", &[&x], count, vec![axis, AttributeProto::int("num_outputs", count as i64)])
    };
    parts.into_iter().for_each(|part| g.give(part));
    Ok(())
}

/// Dimensions of size 1 removed; others that `axes` names stay, as in PyTorch.
fn squeeze(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, ty) = (a.tensor(g, "x")?, a.ty("x")?);
    let named = a.axes("axes", ty.rank())?.unwrap_or_else(|| (0..ty.rank() as i64).collect());
    let axes: Vec<i64> =
        named.into_iter().filter(|axis| ty.dims[*axis as usize] == Some(1)).collect();
    let y = g.squeeze(&x, &axes);
    g.give(y);
    Ok(())
}

/// Tensors along a new axis.
fn stack(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let values = a.tensors(g, "values")?;
    let rank = a.types("values")?.first().map_or(0, |ty| ty.rank());
    let axis = a.axis("axis", 0, rank + 1)?;
    let spread: Vec<Value> = values.iter().map(|x| g.unsqueeze(x, &[axis])).collect();
    let y = g.concat(&spread.iter().collect::<Vec<_>>(), axis);
    g.give(y);
    Ok(())
}

/// A tensor repeated along each dimension.
fn tile(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, reps) = (a.tensor(g, "x")?, a.shape_tensor(g, "reps")?);
    let y = if element_type(a.ty("x")?.data_type)? == ElementType::Bool {
        let wide = g.cast(&x, ElementType::Int32);
        let tiled = g.node("Tile", &[&wide, &reps], Vec::new());
        g.cast(&tiled, ElementType::Bool)
    } else {
        g.node("Tile", &[&x, &reps], Vec::new())
    };
    g.give(y);
    Ok(())
}

/// Dimensions in another order.
fn transpose(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let perm = a.axes("perm", a.rank("x")?)?.unwrap_or_default();
    let y = g.transpose(&x, &perm);
    g.give(y);
    Ok(())
}
