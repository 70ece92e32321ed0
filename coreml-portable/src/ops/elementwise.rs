//! Elementwise operations on one tensor or two: MIL's `elementwise_unary.py` and
//! `elementwise_binary.py`.
//!
//! Flow: rows of the table in `ops.rs`.

use super::{division, nan};
use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value, element_type};
use crate::limit::NAN_CLIPPED;
use crate::onnx::ElementType;
use crate::op::Opset::{CoreML5, CoreML7};
use crate::op::{Op, Param, op, opt, req};
use coreml_spec::DataType;

/// Parameters of an operation on one tensor.
const X: &[Param] = &[req("x")];
/// Parameters of an operation on two tensors, which broadcast.
const X_Y: &[Param] = &[req("x"), req("y")];
/// Parameters of an operation that adds a small constant for stability.
const X_EPSILON: &[Param] = &[req("x"), opt("epsilon")];
/// Parameters of a clamp.
const X_ALPHA_BETA: &[Param] = &[req("x"), req("alpha"), req("beta")];
/// Parameters of a conversion.
const X_DTYPE: &[Param] = &[req("x"), req("dtype")];

/// The rows of operations on two tensors.
pub(super) const BINARY: &[Op] = &[
    op("add", &[CoreML5], X_Y, |a, g| a.binary(g, "Add")),
    op("equal", &[CoreML5], X_Y, |a, g| a.binary(g, "Equal")),
    op("floor_div", &[CoreML5], X_Y, division::floor_div),
    op("greater", &[CoreML5], X_Y, |a, g| a.binary(g, "Greater")),
    op("greater_equal", &[CoreML5], X_Y, |a, g| a.binary(g, "GreaterOrEqual")),
    op("less", &[CoreML5], X_Y, |a, g| a.binary(g, "Less")),
    op("less_equal", &[CoreML5], X_Y, |a, g| a.binary(g, "LessOrEqual")),
    op("logical_and", &[CoreML5], X_Y, |a, g| a.binary(g, "And")),
    op("logical_or", &[CoreML5], X_Y, |a, g| a.binary(g, "Or")),
    op("logical_xor", &[CoreML5], X_Y, |a, g| a.binary(g, "Xor")),
    op("maximum", &[CoreML5], X_Y, |a, g| a.binary(g, "Max")),
    op("minimum", &[CoreML5], X_Y, |a, g| a.binary(g, "Min")),
    op("mod", &[CoreML5], X_Y, division::modulo),
    op("mul", &[CoreML5], X_Y, |a, g| a.binary(g, "Mul")),
    op("not_equal", &[CoreML5], X_Y, not_equal),
    op("pow", &[CoreML5], X_Y, |a, g| a.binary(g, "Pow")),
    op("real_div", &[CoreML5], X_Y, division::real_div),
    op("sub", &[CoreML5], X_Y, |a, g| a.binary(g, "Sub")),
];

/// The rows of operations on one tensor.
pub(super) const UNARY: &[Op] = &[
    op("abs", &[CoreML5], X, |a, g| a.unary(g, "Abs")),
    op("acos", &[CoreML5], X, |a, g| a.unary(g, "Acos")),
    op("asin", &[CoreML5], X, |a, g| a.unary(g, "Asin")),
    op("atan", &[CoreML5], X, |a, g| a.unary(g, "Atan")),
    op("atanh", &[CoreML5], X, |a, g| a.unary(g, "Atanh")),
    op("cast", &[CoreML5, CoreML7], X_DTYPE, cast),
    op("ceil", &[CoreML5], X, |a, g| a.unary(g, "Ceil")),
    op("clip", &[CoreML5, CoreML7], X_ALPHA_BETA, clip).limited(&[NAN_CLIPPED]),
    op("cos", &[CoreML5], X, |a, g| a.unary(g, "Cos")),
    op("cosh", &[CoreML5], X, |a, g| a.unary(g, "Cosh")),
    op("erf", &[CoreML5], X, |a, g| a.unary(g, "Erf")),
    op("exp", &[CoreML5], X, |a, g| a.unary(g, "Exp")),
    op("exp2", &[CoreML5], X, exp2),
    op("floor", &[CoreML5], X, |a, g| a.unary(g, "Floor")),
    op("inverse", &[CoreML5, CoreML7], X_EPSILON, inverse),
    op("log", &[CoreML5, CoreML7], X_EPSILON, log),
    op("logical_not", &[CoreML5], X, |a, g| a.unary(g, "Not")),
    op("round", &[CoreML5], X, |a, g| a.unary(g, "Round")),
    op("rsqrt", &[CoreML5, CoreML7], X_EPSILON, rsqrt),
    op("sign", &[CoreML5], X, sign),
    op("sin", &[CoreML5], X, |a, g| a.unary(g, "Sin")),
    op("sinh", &[CoreML5], X, |a, g| a.unary(g, "Sinh")),
    op("sqrt", &[CoreML5], X, |a, g| a.unary(g, "Sqrt")),
    op("square", &[CoreML5], X, square),
    op("tan", &[CoreML5], X, |a, g| a.unary(g, "Tan")),
    op("tanh", &[CoreML5], X, |a, g| a.unary(g, "Tanh")),
    op("threshold", &[CoreML5], &[req("x"), req("alpha")], threshold),
];

/// True where the elements differ.
fn not_equal(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, y) = (a.tensor(g, "x")?, a.tensor(g, "y")?);
    let equal = g.node("Equal", &[&x, &y], Vec::new());
    let differ = g.node("Not", &[&equal], Vec::new());
    g.give(differ);
    Ok(())
}

/// Conversion of elements.
fn cast(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let dtype: String = a.need("dtype")?;
    let x = a.tensor(g, "x")?;
    let from = element_type(a.ty("x")?.data_type)?;
    let to = match dtype.as_str() {
        "fp16" => DataType::Float16,
        "fp32" => DataType::Float32,
        "fp64" => DataType::Float64,
        "int32" => DataType::Int32,
        "int8" => DataType::Int8,
        "uint8" => DataType::UInt8,
        "int16" => DataType::Int16,
        "uint16" => DataType::UInt16,
        "bool" => DataType::Bool,
        _ => return Err(OpError::unsupported(format!("its dtype `{dtype}` is unknown"))),
    };
    let y = convert(g, &x, from, to)?;
    g.give(y);
    Ok(())
}

/// Converts to a MIL type, with the wrap-around that its width has. Floats are held to 32 bits
/// before that.
pub(super) fn convert(
    g: &mut Graph,
    x: &Value,
    from: ElementType,
    to: DataType,
) -> Result<Value, OpError> {
    let element = element_type(to)?;
    if element == ElementType::Bool && from != element {
        // A conversion by the engine may keep the number, since some engines have no truth values.
        let zero = g.int(0);
        let zero = g.cast(&zero, from);
        let equal = g.node("Equal", &[x, &zero], Vec::new());
        return Ok(g.node("Not", &[&equal], Vec::new()));
    }
    let wide = match (from, element) {
        _ if from == element => x.clone(),
        (ElementType::Float, ElementType::Int32) => nan::integers(g, x),
        _ => g.cast(x, element),
    };
    Ok(match to {
        DataType::Int8 => narrow(g, &wide, ElementType::Int8),
        DataType::UInt8 => narrow(g, &wide, ElementType::Uint8),
        DataType::Int16 => wrap(g, &wide, -0x8000),
        DataType::UInt16 => wrap(g, &wide, 0),
        _ => wide,
    })
}

/// Converts 32-bit integers to 8 bits and back.
fn narrow(g: &mut Graph, x: &Value, to: ElementType) -> Value {
    let byte = g.cast(x, to);
    g.cast(&byte, ElementType::Int32)
}

/// Wraps 32-bit integers around to the 2¹⁶ values from `lowest`.
fn wrap(g: &mut Graph, x: &Value, lowest: i64) -> Value {
    let (offset, modulus) = (g.int(lowest), g.int(0x1_0000));
    let (offset, modulus) =
        (g.cast(&offset, ElementType::Int32), g.cast(&modulus, ElementType::Int32));
    let shifted = g.node("Sub", &[x, &offset], Vec::new());
    let wrapped = g.node("Mod", &[&shifted, &modulus], Vec::new());
    g.node("Add", &[&wrapped, &offset], Vec::new())
}

/// `x` clamped to `alpha … beta`.
fn clip(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let (low, high) = (g.float(a.need("alpha")?), g.float(a.need("beta")?));
    let y = g.node("Clip", &[&x, &low, &high], Vec::new());
    g.give(y);
    Ok(())
}

/// `2 ^ x`.
fn exp2(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let two = g.scalar(a.ty("x")?.data_type, 2.0)?;
    let y = g.node("Pow", &[&two, &x], Vec::new());
    g.give(y);
    Ok(())
}

/// `1 / (x + epsilon)`.
fn inverse(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let shifted = shifted(a, g, 1e-4)?;
    let y = g.node("Reciprocal", &[&shifted], Vec::new());
    g.give(y);
    Ok(())
}

/// `log(x + epsilon)`.
fn log(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let shifted = shifted(a, g, 1e-45)?;
    let y = g.node("Log", &[&shifted], Vec::new());
    g.give(y);
    Ok(())
}

/// `1 / sqrt(x + epsilon)`.
fn rsqrt(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let shifted = shifted(a, g, 1e-12)?;
    let root = g.node("Sqrt", &[&shifted], Vec::new());
    let y = g.node("Reciprocal", &[&root], Vec::new());
    g.give(y);
    Ok(())
}

/// Returns `x + epsilon`.
fn shifted(a: &Args<'_, '_>, g: &mut Graph, default: f32) -> Result<Value, OpError> {
    let x = a.tensor(g, "x")?;
    let epsilon = a.get_or("epsilon", default)?;
    if epsilon == 0.0 {
        return Ok(x);
    }
    let epsilon = g.float(epsilon);
    Ok(g.node("Add", &[&x, &epsilon], Vec::new()))
}

/// -1, 0 or 1.
fn sign(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, zero) = (a.tensor(g, "x")?, g.scalar(a.ty("x")?.data_type, 0.0)?);
    // The sign of a floating-point zero is not zero in every engine.
    let sign = g.node("Sign", &[&x], Vec::new());
    let at_zero = g.node("Equal", &[&x, &zero], Vec::new());
    let y = g.node("Where", &[&at_zero, &zero, &sign], Vec::new());
    g.give(y);
    Ok(())
}

/// `x · x`.
fn square(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let y = g.node("Mul", &[&x, &x], Vec::new());
    g.give(y);
    Ok(())
}

/// `max(x, alpha)`.
fn threshold(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, alpha) = (a.tensor(g, "x")?, a.tensor(g, "alpha")?);
    let y = g.node("Max", &[&x, &alpha], Vec::new());
    g.give(y);
    Ok(())
}
