//! Normalizations: MIL's `normalization.py`.
//!
//! Flow: rows of the table in `ops.rs`.

use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value};
use crate::limit::VARYING_CHANNELS;
use crate::onnx::AttributeProto;
use crate::op::Opset::{CoreML5, CoreML7};
use crate::op::{Op, Param, op, opt, req};

/// Parameters of `batch_norm`.
const BATCH: &[Param] =
    &[req("x"), req("mean"), req("variance"), opt("gamma"), opt("beta"), opt("epsilon")];
/// Parameters of `instance_norm`.
const INSTANCE: &[Param] = &[req("x"), opt("gamma"), opt("beta"), opt("epsilon")];
/// Parameters of `l2_norm`.
const L2: &[Param] = &[req("x"), opt("epsilon")];
/// Parameters of `layer_norm`.
const LAYER: &[Param] = &[req("x"), opt("axes"), opt("gamma"), opt("beta"), opt("epsilon")];
/// Parameters of `local_response_norm`.
const LOCAL_RESPONSE: &[Param] = &[req("x"), req("size"), opt("alpha"), opt("beta"), opt("k")];

/// The rows.
pub(super) const OPS: &[Op] = &[
    op("batch_norm", &[CoreML5, CoreML7], BATCH, batch_norm),
    op("instance_norm", &[CoreML5, CoreML7], INSTANCE, instance_norm).limited(&[VARYING_CHANNELS]),
    op("l2_norm", &[CoreML5, CoreML7], L2, l2_norm),
    op("layer_norm", &[CoreML5, CoreML7], LAYER, layer_norm),
    op("local_response_norm", &[CoreML5, CoreML7], LOCAL_RESPONSE, local_response_norm),
];

/// `gamma · (x − mean) / sqrt(variance + epsilon) + beta`, each a vector over dimension 1.
fn batch_norm(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, mean, variance) = (a.tensor(g, "x")?, a.tensor(g, "mean")?, a.tensor(g, "variance")?);
    let channels = a.ty("mean")?.dims.first().copied().flatten().unwrap_or(0);
    let gamma = vector_or(a, g, "gamma", channels, 1.0)?;
    let beta = vector_or(a, g, "beta", channels, 0.0)?;
    let epsilon = AttributeProto::float("epsilon", a.get_or("epsilon", 1e-5)?);
    let y = g.node("BatchNormalization", &[&x, &gamma, &beta, &mean, &variance], vec![epsilon]);
    g.give(y);
    Ok(())
}

/// Normalization of each channel of each batch element by its own mean and variance.
fn instance_norm(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let channels = a.ty("x")?.dims.get(1).copied().flatten();
    let channels = channels.ok_or_else(|| VARYING_CHANNELS.error())?;
    let gamma = vector_or(a, g, "gamma", channels, 1.0)?;
    let beta = vector_or(a, g, "beta", channels, 0.0)?;
    let epsilon = AttributeProto::float("epsilon", a.get_or("epsilon", 1e-5)?);
    let y = g.node("InstanceNormalization", &[&x, &gamma, &beta], vec![epsilon]);
    g.give(y);
    Ok(())
}

/// `x / sqrt(Σ x² + epsilon)` over the last three dimensions.
fn l2_norm(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let squares = g.reduce("ReduceSumSquare", &x, &[-3, -2, -1], true);
    let epsilon = g.float(a.get_or("epsilon", 1e-6)?);
    let shifted = g.node("Add", &[&squares, &epsilon], Vec::new());
    let norm = g.node("Sqrt", &[&shifted], Vec::new());
    let y = g.node("Div", &[&x, &norm], Vec::new());
    g.give(y);
    Ok(())
}

/// Normalization by mean and variance over some axes.
fn layer_norm(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let ty = a.ty("x")?;
    let rank = ty.rank();
    let mut axes = a.axes("axes", rank)?.unwrap_or_else(|| (0..rank as i64).collect());
    axes.sort_unstable();
    let epsilon: f32 = a.get_or("epsilon", 1e-5)?;
    let sizes: Option<Vec<usize>> = axes.iter().map(|axis| ty.dims[*axis as usize]).collect();
    let trailing = axes
        .iter()
        .zip(rank as i64 - axes.len() as i64..)
        .all(|(axis, expected)| *axis == expected);
    if let (true, Some(sizes)) = (trailing, &sizes) {
        let gamma = tensor_or(a, g, "gamma", sizes, 1.0)?;
        let axis = AttributeProto::int("axis", axes.first().copied().unwrap_or(-1));
        let attributes = vec![axis, AttributeProto::float("epsilon", epsilon)];
        let y = if a.has("beta") {
            let beta = a.tensor(g, "beta")?;
            g.node("LayerNormalization", &[&x, &gamma, &beta], attributes)
        } else {
            g.node("LayerNormalization", &[&x, &gamma], attributes)
        };
        g.give(y);
        return Ok(());
    }
    let mean = g.reduce("ReduceMean", &x, &axes, true);
    let centred = g.node("Sub", &[&x, &mean], Vec::new());
    let squares = g.node("Mul", &[&centred, &centred], Vec::new());
    let variance = g.reduce("ReduceMean", &squares, &axes, true);
    let epsilon = g.float(epsilon);
    let shifted = g.node("Add", &[&variance, &epsilon], Vec::new());
    let deviation = g.node("Sqrt", &[&shifted], Vec::new());
    let mut y = g.node("Div", &[&centred, &deviation], Vec::new());
    let others: Vec<i64> = (0..rank as i64).filter(|axis| !axes.contains(axis)).collect();
    for (name, op_type) in [("gamma", "Mul"), ("beta", "Add")] {
        if a.has(name) {
            let vector = a.tensor(g, name)?;
            let spread = g.unsqueeze(&vector, &others);
            y = g.node(op_type, &[&y, &spread], Vec::new());
        }
    }
    g.give(y);
    Ok(())
}

/// `x / (k + alpha / size · Σ x²)^beta`, the sum over neighbouring channels.
fn local_response_norm(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let rank = a.rank("x")? as i64;
    let size: i64 = a.need("size")?;
    let (alpha, beta, k): (f32, f32, f32) =
        (a.get_or("alpha", 1e-4)?, a.get_or("beta", 0.75)?, a.get_or("k", 1.0)?);
    if size < 1 || rank < 3 {
        return Err(OpError::invalid("its size or its input's rank is too small"));
    }
    // A mean over channels is an average pooling whose first spatial dimension is the channels: [n,
    // C, …] is seen as [n, 1, C, rest].
    let squares = g.node("Mul", &[&x, &x], Vec::new());
    let flat = g.reshape(&squares, &[0, 0, -1]);
    let image = g.unsqueeze(&flat, &[1]);
    let before = (size - 1) / 2;
    let attributes = vec![
        AttributeProto::ints("kernel_shape", &[size, 1]),
        AttributeProto::ints("pads", &[before, 0, size - 1 - before, 0]),
        AttributeProto::ints("strides", &[1, 1]),
        AttributeProto::int("count_include_pad", 1),
    ];
    let means = g.node("AveragePool", &[&image], attributes);
    let shape = g.shape(&x);
    let means = g.node("Reshape", &[&means, &shape], Vec::new());
    let scaled = g.scale(&means, alpha);
    let (k, beta) = (g.float(k), g.float(beta));
    let base = g.node("Add", &[&scaled, &k], Vec::new());
    let power = g.node("Pow", &[&base, &beta], Vec::new());
    let y = g.node("Div", &[&x, &power], Vec::new());
    g.give(y);
    Ok(())
}

/// Returns a vector argument, or one of `length` equal elements when it is absent.
fn vector_or(
    a: &Args<'_, '_>,
    g: &mut Graph,
    name: &str,
    length: usize,
    fill: f32,
) -> Result<Value, OpError> {
    tensor_or(a, g, name, &[length], fill)
}

/// Returns a tensor argument, or one of equal elements when it is absent.
fn tensor_or(
    a: &Args<'_, '_>,
    g: &mut Graph,
    name: &str,
    dims: &[usize],
    fill: f32,
) -> Result<Value, OpError> {
    if a.has(name) { a.tensor(g, name) } else { g.filled(dims, fill) }
}
