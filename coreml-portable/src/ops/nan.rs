//! NaN where engines pass over it: sorting, extremes, conversion to integers.
//!
//! Owns: PyTorch's order, in which NaN is the largest of all numbers; that an extreme of numbers
//! with NaN is NaN; and what an integer made of it is.
//! Flow: rows in `ordering.rs`, `reduce.rs` and others come here with floats.

use crate::graph::{Graph, Value};
use crate::onnx::ElementType;

/// Returns numbers whose order in the engine is PyTorch's order of `x`.
///
/// Infinity and the largest finite number count as equal, where the engine's own order is not
/// PyTorch's.
pub(super) fn sortable(g: &mut Graph, x: &Value) -> Value {
    if g.dialect().sorts_nan {
        return x.clone();
    }
    let (largest, infinity) = (g.float(f32::MAX), g.float(f32::INFINITY));
    let finite = g.node("Min", &[x, &largest], Vec::new());
    let is_nan = g.node("IsNaN", &[x], Vec::new());
    g.node("Where", &[&is_nan, &infinity, &finite], Vec::new())
}

/// Returns the position of an extreme along an axis: of the first NaN, or else the first of equals.
pub(super) fn position(
    g: &mut Graph,
    x: &Value,
    axis: i64,
    keep_dims: bool,
    largest: bool,
) -> Value {
    let x = if largest { x.clone() } else { g.node("Neg", &[x], Vec::new()) };
    let x = sortable(g, &x);
    g.position(&x, axis, keep_dims, true)
}

/// Returns the largest or smallest number along some axes, NaN where there is one among them.
///
/// Parameters: `op_type` — `ReduceMax` or `ReduceMin`.
pub(super) fn extreme(
    g: &mut Graph,
    op_type: &str,
    x: &Value,
    axes: &[i64],
    keep_dims: bool,
) -> Value {
    let y = g.reduce(op_type, x, axes, keep_dims);
    // A sum without signs is NaN when a number is, and then only.
    let sum = g.reduce("ReduceL1", x, axes, keep_dims);
    let is_nan = g.node("IsNaN", &[&sum], Vec::new());
    g.node("Where", &[&is_nan, &sum, &y], Vec::new())
}

/// Converts floats to integers of 32 bits: cut off towards zero, then the nearest that there is; 0
/// for NaN.
pub(super) fn integers(g: &mut Graph, x: &Value) -> Value {
    if g.dialect().clamps_casts {
        return g.cast(x, ElementType::Int32);
    }
    let (zero, low, high) = (g.float(0.0), g.float(i32::MIN as f32), g.float(-(i32::MIN as f32)));
    let is_nan = g.node("IsNaN", &[x], Vec::new());
    let number = g.node("Where", &[&is_nan, &zero, x], Vec::new());
    let clipped = g.node("Clip", &[&number, &low, &high], Vec::new());
    // No float is the largest integer of 32 bits; the next one is one more.
    let wide = g.cast(&clipped, ElementType::Int64);
    let largest = g.int(i64::from(i32::MAX));
    let held = g.node("Min", &[&wide, &largest], Vec::new());
    g.cast(&held, ElementType::Int32)
}
