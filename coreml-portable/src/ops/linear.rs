//! Matrix products: MIL's `linear.py`, and attention of iOS 18.
//!
//! Flow: rows of the table in `ops.rs`.

use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value, element_type};
use crate::onnx::{AttributeProto, ElementType};
use crate::op::Opset::{CoreML5, CoreML7};
use crate::op::{Op, Param, op, opt, req};

/// Parameters of `linear`.
const LINEAR: &[Param] = &[req("x"), req("weight"), opt("bias")];
/// Parameters of `matmul`.
const MATMUL: &[Param] = &[req("x"), req("y"), opt("transpose_x"), opt("transpose_y")];

/// The rows.
pub(super) const OPS: &[Op] = &[
    op("einsum", &[CoreML5], &[req("values"), req("equation")], einsum),
    op("linear", &[CoreML5, CoreML7], LINEAR, linear),
    op("matmul", &[CoreML5, CoreML7], MATMUL, matmul),
];

/// Sum over products of elements, by an equation such as `nchw,nwhu->nchu`.
fn einsum(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let values = a.tensors(g, "values")?;
    let equation: String = a.need("equation")?;
    let operands: Vec<&Value> = values.iter().collect();
    let y = g.node("Einsum", &operands, vec![AttributeProto::string("equation", &equation)]);
    g.give(y);
    Ok(())
}

/// `x · weightᵀ + bias`. The weight stays as it is where the engine can multiply it so; otherwise
/// it is stored transposed.
fn linear(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    if let Some(y) = linear_as_stored(a, g)? {
        g.give(y);
        return Ok(());
    }
    let (x, weight) = (a.tensor(g, "x")?, a.transposed(g, "weight")?);
    let mut y = product(a, g, &x, &weight)?;
    if a.has("bias") && !all_zero(a, "bias")? {
        let bias = a.tensor(g, "bias")?;
        y = g.node("Add", &[&y, &bias], Vec::new());
    }
    g.give(y);
    Ok(())
}

/// Returns a `linear` with the weight as MIL stores it; `None` when the engine has no such product,
/// or the shape is not known well enough to make one matrix of `x` and to undo that.
fn linear_as_stored(a: &Args<'_, '_>, g: &mut Graph) -> Result<Option<Value>, OpError> {
    let (ty, weight) = (a.ty("x")?, a.ty("weight")?);
    let (Some((Some(inner), rows)), &[Some(outer), Some(_)]) =
        (ty.dims.split_last(), weight.dims.as_slice())
    else {
        return Ok(None);
    };
    let varying = rows.iter().filter(|size| size.is_none()).count();
    let empty = ty.dims.contains(&Some(0)) || outer == 0;
    let float = element_type(ty.data_type)? == ElementType::Float;
    if !g.dialect().transposed_weights || !float || varying > 1 || empty || rows.is_empty() {
        return Ok(None);
    }
    let mut x = a.tensor(g, "x")?;
    if rows.len() != 1 {
        let matrix = g.ints(&[-1, *inner as i64]);
        x = g.node("Reshape", &[&x, &matrix], Vec::new());
    }
    let mut operands = vec![x, a.tensor(g, "weight")?];
    if a.has("bias") && !all_zero(a, "bias")? {
        operands.push(a.tensor(g, "bias")?);
    }
    let operands: Vec<&Value> = operands.iter().collect();
    let mut y = g.node("Gemm", &operands, vec![AttributeProto::int("transB", 1)]);
    if rows.len() != 1 {
        let sizes = rows.iter().copied().chain([Some(outer)]);
        let shape: Vec<i64> = sizes.map(|size| size.map_or(-1, |size| size as i64)).collect();
        let shape = g.ints(&shape);
        y = g.node("Reshape", &[&y, &shape], Vec::new());
    }
    Ok(Some(y))
}

/// Batched matrix product, with either operand transposed.
fn matmul(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = exchanged(a, g, "x", "transpose_x")?;
    let y = exchanged(a, g, "y", "transpose_y")?;
    let z = product(a, g, &x, &y)?;
    g.give(z);
    Ok(())
}

/// Returns a matrix product, of floats or integers.
fn product(a: &Args<'_, '_>, g: &mut Graph, x: &Value, y: &Value) -> Result<Value, OpError> {
    let element = element_type(a.ty("x")?.data_type)?;
    if element == ElementType::Float || g.dialect().integer_products {
        return Ok(g.node("MatMul", &[x, y], Vec::new()));
    }
    // Exact as long as all sums stay below 2²⁴.
    let (x, y) = (g.cast(x, ElementType::Float), g.cast(y, ElementType::Float));
    let z = g.node("MatMul", &[&x, &y], Vec::new());
    Ok(g.cast(&z, element))
}

/// Returns an operand with its last two dimensions exchanged when the flag says so.
fn exchanged(a: &Args<'_, '_>, g: &mut Graph, name: &str, flag: &str) -> Result<Value, OpError> {
    let rank = a.rank(name)?;
    if !a.get_or(flag, false)? || rank < 2 {
        return a.tensor(g, name);
    }
    if rank == 2 {
        return a.transposed(g, name);
    }
    let x = a.tensor(g, name)?;
    let mut perm: Vec<i64> = (0..rank as i64).collect();
    perm.swap(rank - 1, rank - 2);
    Ok(g.transpose(&x, &perm))
}

/// Returns whether an argument is a constant of zeros: coremltools writes such biases where there
/// are none.
pub(super) fn all_zero(a: &Args<'_, '_>, name: &str) -> Result<bool, OpError> {
    if !a.is_constant(name) {
        return Ok(false);
    }
    Ok(a.constant(name)?.is_some_and(|constant| constant.bytes.iter().all(|byte| *byte == 0)))
}
