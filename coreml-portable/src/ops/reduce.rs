//! Reductions: MIL's `reduction.py`.
//!
//! Flow: rows of the table in `ops.rs`.

use super::elementwise::convert;
use super::nan;
use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value, element_type};
use crate::limit::{CLAMPED_PRODUCT, LARGEST_IS_INFINITE, NARROW_SUM, ROUNDED_INTEGERS};
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
    op("reduce_argmax", &[CoreML5], AXIS, |a, g| position(a, g, true))
        .limited(&[LARGEST_IS_INFINITE]),
    op("reduce_argmax", &[CoreML7], AXIS_DTYPE, |a, g| position(a, g, true))
        .limited(&[LARGEST_IS_INFINITE]),
    op("reduce_argmin", &[CoreML5], AXIS, |a, g| position(a, g, false))
        .limited(&[LARGEST_IS_INFINITE]),
    op("reduce_argmin", &[CoreML7], AXIS_DTYPE, |a, g| position(a, g, false))
        .limited(&[LARGEST_IS_INFINITE]),
    op("reduce_l1_norm", &[CoreML5], AXES, |a, g| number(a, g, "ReduceL1")),
    op("reduce_l2_norm", &[CoreML5], AXES, |a, g| float_number(a, g, "ReduceL2"))
        .limited(&[ROUNDED_INTEGERS]),
    op("reduce_log_sum", &[CoreML5], AXES, |a, g| float_number(a, g, "ReduceLogSum")),
    op("reduce_log_sum_exp", &[CoreML5], AXES, |a, g| float_number(a, g, "ReduceLogSumExp"))
        .limited(&[ROUNDED_INTEGERS]),
    op("reduce_max", &[CoreML5], AXES, |a, g| number(a, g, "ReduceMax")),
    op("reduce_mean", &[CoreML5], AXES, mean).limited(&[NARROW_SUM]),
    op("reduce_min", &[CoreML5], AXES, |a, g| number(a, g, "ReduceMin")),
    op("reduce_prod", &[CoreML5], AXES, |a, g| number(a, g, "ReduceProd"))
        .limited(&[CLAMPED_PRODUCT]),
    op("reduce_sum", &[CoreML5], AXES, |a, g| number(a, g, "ReduceSum")),
    op("reduce_sum_square", &[CoreML5], AXES, |a, g| number(a, g, "ReduceSumSquare")),
];

/// A number for all elements along some axes; along all of them when none are named.
fn number(a: &Args<'_, '_>, g: &mut Graph, op_type: &str) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let axes = a.axes("axes", a.rank("x")?)?.unwrap_or_default();
    let keep_dims = a.get_or("keep_dims", false)?;
    let y = match op_type {
        _ if !is_float(a)? => integer(g, op_type, &x, &axes, keep_dims),
        "ReduceMax" | "ReduceMin" => nan::extreme(g, op_type, &x, &axes, keep_dims),
        _ => g.reduce(op_type, &x, &axes, keep_dims),
    };
    g.give(y);
    Ok(())
}

/// Returns a number for integers, which wraps around where it overflows: ONNX Runtime clamps sums
/// and products to 32 bits, and in 64 bits to those.
fn integer(g: &mut Graph, op_type: &str, x: &Value, axes: &[i64], keep_dims: bool) -> Value {
    if !g.dialect().wide_integers || matches!(op_type, "ReduceMax" | "ReduceMin") {
        return g.reduce(op_type, x, axes, keep_dims);
    }
    let wide = |g: &mut Graph, x: &Value| g.cast(x, ElementType::Int64);
    let (x, op_type) = match op_type {
        // A square has 64 bits, and a sum of them would not.
        "ReduceSumSquare" => {
            let squares = g.node("Mul", &[x, x], Vec::new());
            (wide(g, &squares), "ReduceSum")
        }
        "ReduceL1" => {
            let x = wide(g, x);
            (g.node("Abs", &[&x], Vec::new()), "ReduceSum")
        }
        other => (wide(g, x), other),
    };
    let y = g.reduce(op_type, &x, axes, keep_dims);
    g.cast(&y, ElementType::Int32)
}

/// A number that is computed in single precision; of integers, cut off towards zero.
fn float_number(a: &Args<'_, '_>, g: &mut Graph, op_type: &str) -> Result<(), OpError> {
    let (x, axes) = (floats(a, g)?, a.axes("axes", a.rank("x")?)?.unwrap_or_default());
    let y = g.reduce(op_type, &x, &axes, a.get_or("keep_dims", false)?);
    let y = convert(g, &y, ElementType::Float, a.ty("x")?.data_type)?;
    g.give(y);
    Ok(())
}

/// The mean of all elements along some axes; NaN where there are none. Of integers, their sum
/// divided and cut off towards zero; 0 where there are none.
fn mean(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, ty) = (a.tensor(g, "x")?, a.ty("x")?);
    let axes = a.axes("axes", ty.rank())?.unwrap_or_default();
    let keep_dims = a.get_or("keep_dims", false)?;
    let mut sizes =
        ty.dims.iter().zip(0..).filter(|(_, axis)| axes.is_empty() || axes.contains(axis));
    let is_some = sizes.all(|(size, _)| size.is_some_and(|size| size > 0));
    let y = match (is_float(a)?, is_some) {
        (true, true) => g.reduce("ReduceMean", &x, &axes, keep_dims),
        // Engines differ about the mean of nothing.
        (true, false) => {
            let sum = g.reduce("ReduceSum", &x, &axes, keep_dims);
            let count = count(g, &x, &axes);
            let count = g.cast(&count, ElementType::Float);
            g.node("Div", &[&sum, &count], Vec::new())
        }
        // Single precision would round what is beyond 2²⁴.
        (false, _) => {
            let x = g.cast(&x, ElementType::Int64);
            let sum = g.reduce("ReduceSum", &x, &axes, keep_dims);
            let (count, one) = (count(g, &x, &axes), g.int(1));
            let count = g.node("Max", &[&count, &one], Vec::new());
            let mean = g.node("Div", &[&sum, &count], Vec::new());
            g.cast(&mean, ElementType::Int32)
        }
    };
    g.give(y);
    Ok(())
}

/// Returns how many elements a reduction takes together, as an integer of 64 bits.
fn count(g: &mut Graph, x: &Value, axes: &[i64]) -> Value {
    let shape = g.shape(x);
    let sizes = if axes.is_empty() {
        shape
    } else {
        let axes = g.ints(axes);
        g.node("Gather", &[&shape, &axes], Vec::new())
    };
    g.reduce("ReduceProd", &sizes, &[], false)
}

/// Returns `x` in single precision.
fn floats(a: &Args<'_, '_>, g: &mut Graph) -> Result<Value, OpError> {
    let x = a.tensor(g, "x")?;
    Ok(if is_float(a)? { x } else { g.cast(&x, ElementType::Float) })
}

/// Returns whether `x` holds floating-point numbers.
fn is_float(a: &Args<'_, '_>) -> Result<bool, OpError> {
    Ok(element_type(a.ty("x")?.data_type)? == ElementType::Float)
}

/// The position of an extreme along one axis, the first of equals.
fn position(a: &Args<'_, '_>, g: &mut Graph, largest: bool) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let axis = a.axis("axis", -1, a.rank("x")?)?;
    let keep_dims = a.get_or("keep_dims", false)?;
    let wide = if is_float(a)? {
        nan::position(g, &x, axis, keep_dims, largest)
    } else {
        g.position(&x, axis, keep_dims, largest)
    };
    let y = convert(g, &wide, ElementType::Int64, a.output(0)?.data_type)?;
    g.give(y);
    Ok(())
}
