//! Quantization of activations, and convolution with quantized weights: MIL's `quantization_ops.py`
//! and `conv_quantized`.
//!
//! Flow: rows of the table in `ops.rs`. Quantized tensors are 32-bit integers in the graph; the
//! arithmetic is that of the definition, in single precision, where all 8-bit numbers are exact.

use super::conv::convolution;
use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value};
use crate::limit::{NOT_EIGHT_BITS, NOT_LINEAR, VARYING_VOLUME};
use crate::onnx::ElementType;
use crate::op::Opset::{CoreML5, CoreML7};
use crate::op::{Op, op, opt, req};

/// The rows.
pub(super) const OPS: &[Op] = &[
    op(
        "conv_quantized",
        &[CoreML5],
        &[
            req("x"),
            req("weight"),
            opt("bias"),
            req("quantization_type"),
            opt("nbits"),
            req("quant_scale"),
            req("quant_bias"),
            opt("strides"),
            opt("pad_type"),
            opt("pad"),
            opt("dilations"),
            opt("groups"),
        ],
        conv_quantized,
    )
    .limited(&[NOT_LINEAR, NOT_EIGHT_BITS, VARYING_VOLUME]),
    op(
        "dequantize",
        &[CoreML7],
        &[req("input"), opt("zero_point"), req("scale"), opt("axis")],
        dequantize,
    ),
    op(
        "quantize",
        &[CoreML7],
        &[req("input"), opt("zero_point"), req("scale"), opt("axis"), req("output_dtype")],
        quantize,
    ),
];

/// `clip(round(input / scale) + zero_point)`.
fn quantize(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (low, high) = match a.need::<String>("output_dtype")?.as_str() {
        "int8" => (-128.0, 127.0),
        "uint8" => (0.0, 255.0),
        other => {
            return Err(OpError::unsupported(format!("its output_dtype `{other}` is unknown")));
        }
    };
    let (x, scale) = (a.tensor(g, "input")?, spread(a, g, "scale")?);
    let quotient = g.node("Div", &[&x, &scale], Vec::new());
    let mut rounded = g.node("Round", &[&quotient], Vec::new());
    if a.has("zero_point") {
        let zero_point = spread(a, g, "zero_point")?;
        let zero_point = g.cast(&zero_point, ElementType::Float);
        rounded = g.node("Add", &[&rounded, &zero_point], Vec::new());
    }
    let (low, high) = (g.float(low), g.float(high));
    // PyTorch makes the largest number of NaN; engines' Clip differs.
    let is_below = g.node("Less", &[&rounded, &high], Vec::new());
    let raised = g.node("Max", &[&rounded, &low], Vec::new());
    let clipped = g.node("Where", &[&is_below, &raised, &high], Vec::new());
    let y = g.cast(&clipped, ElementType::Int32);
    g.give(y);
    Ok(())
}

/// `scale · (input − zero_point)`.
fn dequantize(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, scale) = (a.tensor(g, "input")?, spread(a, g, "scale")?);
    let mut x = g.cast(&x, ElementType::Float);
    if a.has("zero_point") {
        let zero_point = spread(a, g, "zero_point")?;
        let zero_point = g.cast(&zero_point, ElementType::Float);
        x = g.node("Sub", &[&x, &zero_point], Vec::new());
    }
    let y = g.node("Mul", &[&x, &scale], Vec::new());
    g.give(y);
    Ok(())
}

/// Returns a scale or zero point so that it applies along `axis` of the input.
fn spread(a: &Args<'_, '_>, g: &mut Graph, name: &str) -> Result<Value, OpError> {
    let vector = a.tensor(g, name)?;
    let rank = a.rank("input")?;
    if a.rank(name)? == 0 {
        return Ok(vector);
    }
    let axis = a.axis("axis", 0, rank)?;
    let after: Vec<i64> = (1..rank as i64 - axis).collect();
    Ok(g.unsqueeze(&vector, &after))
}

/// Convolution with the weight `weight · quant_scale + quant_bias`, each for all or for each output
/// channel.
fn conv_quantized(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let kind: String = a.need("quantization_type")?;
    if kind != "linear" {
        return Err(NOT_LINEAR.error());
    }
    let nbits: i64 = a.get_or("nbits", 8)?;
    if nbits != 8 {
        return Err(NOT_EIGHT_BITS.error());
    }
    let rank = a.rank("weight")? as i64;
    let weight = a.tensor(g, "weight")?;
    let mut weight = g.cast(&weight, ElementType::Float);
    for (name, op_type) in [("quant_scale", "Mul"), ("quant_bias", "Add")] {
        let vector = a.tensor(g, name)?;
        let vector = if a.rank(name)? == 1 {
            g.unsqueeze(&vector, &(1..rank).collect::<Vec<_>>())
        } else {
            vector
        };
        weight = g.node(op_type, &[&weight, &vector], Vec::new());
    }
    convolution(a, g, &weight)
}
