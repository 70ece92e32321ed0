//! Reductions: MIL's `reduction.py`.
//!
//! Flow: rows of the table in `ops.rs`.

use super::elementwise::convert;
use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value, element_type};
use crate::onnx::ElementType;
use crate::op::Opset::{CoreML5, CoreML7};
use crate::op::{Op, Param, op, opt, req};

/// Parameters of a reduction to a number.
const AXES: &[Param] = &[req("x"), opt("axes"), opt("keep_dims")];
/// Parameters of a reduction to a position.
const AXIS: &[Param] = &[req("x"), opt("axis"), opt("keep_dims")];
/// Parameters of a reduction to a position of chosen type.
const AXIS_DTYPE: &[Param] = &[req("x"), opt("axis"), opt("keep_dims"), opt("output_dtype")];

/// The rows.
pub(super) const OPS: &[Op] = &[
    op("reduce_argmax", &[CoreML5], AXIS, |a, g| position(a, g, true)),
    op("reduce_argmax", &[CoreML7], AXIS_DTYPE, |a, g| position(a, g, true)),
    op("reduce_argmin", &[CoreML5], AXIS, |a, g| position(a, g, false)),
    op("reduce_argmin", &[CoreML7], AXIS_DTYPE, |a, g| position(a, g, false)),
    op("reduce_l1_norm", &[CoreML5], AXES, |a, g| number(a, g, "ReduceL1")),
    op("reduce_l2_norm", &[CoreML5], AXES, |a, g| float_number(a, g, "ReduceL2")),
    op("reduce_log_sum", &[CoreML5], AXES, |a, g| float_number(a, g, "ReduceLogSum")),
    op("reduce_log_sum_exp", &[CoreML5], AXES, |a, g| float_number(a, g, "ReduceLogSumExp")),
    op("reduce_max", &[CoreML5], AXES, |a, g| number(a, g, "ReduceMax")),
    op("reduce_mean", &[CoreML5], AXES, mean),
    op("reduce_min", &[CoreML5], AXES, |a, g| number(a, g, "ReduceMin")),
    op("reduce_prod", &[CoreML5], AXES, |a, g| number(a, g, "ReduceProd")),
    op("reduce_sum", &[CoreML5], AXES, |a, g| number(a, g, "ReduceSum")),
    op("reduce_sum_square", &[CoreML5], AXES, |a, g| number(a, g, "ReduceSumSquare")),
];

/// A number for all elements along some axes; along all of them when none are named.
fn number(a: &Args<'_, '_>, g: &mut Graph, op_type: &str) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let axes = a.axes("axes", a.rank("x")?)?.unwrap_or_default();
    let y = g.reduce(op_type, &x, &axes, a.get_or("keep_dims", false)?);
    g.give(y);
    Ok(())
}

/// A number that is computed in single precision; of integers, cut off towards zero.
fn float_number(a: &Args<'_, '_>, g: &mut Graph, op_type: &str) -> Result<(), OpError> {
    let (x, axes) = (floats(a, g)?, a.axes("axes", a.rank("x")?)?.unwrap_or_default());
    let y = g.reduce(op_type, &x, &axes, a.get_or("keep_dims", false)?);
    let y = convert(g, &y, ElementType::Float, a.ty("x")?.data_type)?;
    g.give(y);
    Ok(())
}

/// The mean of all elements along some axes; NaN where there are none.
fn mean(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let ty = a.ty("x")?;
    let axes = a.axes("axes", ty.rank())?.unwrap_or_default();
    let mut sizes =
        ty.dims.iter().zip(0..).filter(|(_, axis)| axes.is_empty() || axes.contains(axis));
    if sizes.all(|(size, _)| size.is_some_and(|size| size > 0)) {
        return float_number(a, g, "ReduceMean");
    }
    // Engines differ about the mean of nothing.
    let (x, keep_dims) = (floats(a, g)?, a.get_or("keep_dims", false)?);
    let sum = g.reduce("ReduceSum", &x, &axes, keep_dims);
    let shape = g.shape(&x);
    let sizes = if axes.is_empty() {
        shape
    } else {
        let axes = g.ints(&axes);
        g.node("Gather", &[&shape, &axes], Vec::new())
    };
    let count = g.reduce("ReduceProd", &sizes, &[], false);
    let count = g.cast(&count, ElementType::Float);
    let y = g.node("Div", &[&sum, &count], Vec::new());
    let y = convert(g, &y, ElementType::Float, ty.data_type)?;
    g.give(y);
    Ok(())
}

/// Returns `x` in single precision.
fn floats(a: &Args<'_, '_>, g: &mut Graph) -> Result<Value, OpError> {
    let x = a.tensor(g, "x")?;
    let is_float = element_type(a.ty("x")?.data_type)? == ElementType::Float;
    Ok(if is_float { x } else { g.cast(&x, ElementType::Float) })
}

/// The position of an extreme along one axis, the first of equals.
fn position(a: &Args<'_, '_>, g: &mut Graph, largest: bool) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let axis = a.axis("axis", -1, a.rank("x")?)?;
    let keep_dims = a.get_or("keep_dims", false)?;
    let wide = g.position(&x, axis, keep_dims, largest);
    let y = convert(g, &wide, ElementType::Int64, a.output(0)?.data_type)?;
    g.give(y);
    Ok(())
}
