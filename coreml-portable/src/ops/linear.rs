//! Matrix products: MIL's `linear.py`, and attention of iOS 18.
//!
//! Flow: rows of the table in `ops.rs`.

use super::elementwise::convert;
use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value, element_type};
use crate::limit::ROUNDED_PRODUCTS;
use crate::onnx::{AttributeProto, ElementType};
use crate::op::Opset::{CoreML5, CoreML7};
use crate::op::{Op, Param, op, opt, req};

/// Parameters of `linear`.
const LINEAR: &[Param] = &[req("x"), req("weight"), opt("bias")];
/// Parameters of `matmul`.
const MATMUL: &[Param] = &[req("x"), req("y"), opt("transpose_x"), opt("transpose_y")];

/// The rows.
pub(super) const OPS: &[Op] = &[
    op("einsum", &[CoreML5], &[req("values"), req("equation")], einsum)
        .limited(&[ROUNDED_PRODUCTS]),
    op("linear", &[CoreML5, CoreML7], LINEAR, linear).limited(&[ROUNDED_PRODUCTS]),
    op("matmul", &[CoreML5, CoreML7], MATMUL, matmul).limited(&[ROUNDED_PRODUCTS]),
];

/// Sum over products of elements, by an equation such as `nchw,nwhu->nchu`.
fn einsum(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let equation: String = a.need("equation")?;
    let attributes = vec![AttributeProto::string("equation", &equation)];
    let (values, types) = (a.tensors(g, "values")?, a.types("values")?);
    let mut factors = Vec::new();
    for (value, ty) in values.iter().zip(&types) {
        factors.push((value.clone(), element_type(ty.data_type)?));
    }
    let y = products(a, g, &factors, |g, values| {
        g.node("Einsum", &values.iter().collect::<Vec<_>>(), attributes)
    })?;
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
    let mut factors = Vec::new();
    for name in ["x", "weight", "bias"] {
        if name != "bias" || a.has("bias") && !all_zero(a, "bias")? {
            let value = if name == "weight" { a.transposed(g, name)? } else { a.tensor(g, name)? };
            factors.push((value, element_type(a.ty(name)?.data_type)?));
        }
    }
    let y = products(a, g, &factors, |g, values| match values {
        [x, weight, bias] => {
            let y = g.node("MatMul", &[x, weight], Vec::new());
            g.node("Add", &[&y, bias], Vec::new())
        }
        values => g.node("MatMul", &values.iter().collect::<Vec<_>>(), Vec::new()),
    })?;
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
    let mut float = true;
    for name in ["x", "weight", "bias"].into_iter().filter(|name| a.has(name)) {
        float &= element_type(a.ty(name)?.data_type)? == ElementType::Float;
    }
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
    let factors =
        [(x, element_type(a.ty("x")?.data_type)?), (y, element_type(a.ty("y")?.data_type)?)];
    let z = products(a, g, &factors, |g, values| {
        g.node("MatMul", &values.iter().collect::<Vec<_>>(), Vec::new())
    })?;
    g.give(z);
    Ok(())
}

/// Returns a sum of products, of floats or integers or both.
///
/// Parameters: `factors` — the operands with their types; `multiply` — appends the nodes.
fn products(
    a: &Args<'_, '_>,
    g: &mut Graph,
    factors: &[(Value, ElementType)],
    multiply: impl FnOnce(&mut Graph, &[Value]) -> Value,
) -> Result<Value, OpError> {
    let values = |g: &mut Graph, to: Option<ElementType>| -> Vec<Value> {
        let value = |(value, from): &(Value, ElementType)| match to {
            Some(to) if to != *from => g.cast(value, to),
            _ => value.clone(),
        };
        factors.iter().map(value).collect()
    };
    let is_float = |(_, element): &(Value, ElementType)| *element == ElementType::Float;
    if factors.iter().all(is_float) || g.dialect().integer_products && !factors.iter().any(is_float)
    {
        let values = values(g, None);
        return Ok(multiply(g, &values));
    }
    // Exact as long as all sums stay below 2²⁴.
    let values = values(g, Some(ElementType::Float));
    let y = multiply(g, &values);
    convert(g, &y, ElementType::Float, a.output(0)?.data_type)
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
