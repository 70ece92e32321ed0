//! Random numbers: MIL's `random.py`.
//!
//! Flow: rows of the table in `ops.rs`. A seed makes an engine repeat its numbers; -1 means none.
//! Which numbers they are is the engine's affair: only the distribution is MIL's.

use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value};
use crate::onnx::{AttributeProto, ElementType};
use crate::op::Opset::CoreML5;
use crate::op::{Op, op, opt, req};

/// The rows.
pub(super) const OPS: &[Op] = &[
    op("random_bernoulli", &[CoreML5], &[req("shape"), opt("prob"), opt("seed")], random_bernoulli),
    op(
        "random_categorical",
        &[CoreML5],
        &[req("x"), opt("mode"), opt("size"), opt("seed")],
        random_categorical,
    ),
    op(
        "random_normal",
        &[CoreML5],
        &[req("shape"), opt("mean"), opt("stddev"), opt("seed")],
        random_normal,
    ),
    op(
        "random_uniform",
        &[CoreML5],
        &[req("shape"), opt("low"), opt("high"), opt("seed")],
        random_uniform,
    ),
];

/// Returns random numbers of a shape that `shape` holds.
fn drawn(
    a: &Args<'_, '_>,
    g: &mut Graph,
    distribution: &str,
    shape: &Value,
    mut attributes: Vec<AttributeProto>,
) -> Result<Value, OpError> {
    let seed: i64 = a.get_or("seed", -1)?;
    if seed != -1 {
        attributes.push(AttributeProto::float("seed", seed as f32));
    }
    attributes.push(AttributeProto::int("dtype", i64::from(ElementType::Float.code())));
    let zero = g.float(0.0);
    let like = g.node("Expand", &[&zero, shape], Vec::new());
    Ok(g.node(&format!("Random{distribution}Like"), &[&like], attributes))
}

/// Returns uniformly distributed numbers from 0 to 1.
fn unit(a: &Args<'_, '_>, g: &mut Graph, shape: &Value) -> Result<Value, OpError> {
    let limits = vec![AttributeProto::float("low", 0.0), AttributeProto::float("high", 1.0)];
    drawn(a, g, "Uniform", shape, limits)
}

/// Uniformly distributed numbers.
fn random_uniform(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let shape = a.shape_tensor(g, "shape")?;
    let (low, high): (f32, f32) = (a.get_or("low", 0.0)?, a.get_or("high", 1.0)?);
    let limits = vec![AttributeProto::float("low", low), AttributeProto::float("high", high)];
    let y = drawn(a, g, "Uniform", &shape, limits)?;
    g.give(y);
    Ok(())
}

/// Normally distributed numbers.
fn random_normal(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let shape = a.shape_tensor(g, "shape")?;
    let (mean, deviation): (f32, f32) = (a.get_or("mean", 0.0)?, a.get_or("stddev", 1.0)?);
    let attributes =
        vec![AttributeProto::float("mean", mean), AttributeProto::float("scale", deviation)];
    let y = drawn(a, g, "Normal", &shape, attributes)?;
    g.give(y);
    Ok(())
}

/// Ones with a probability, otherwise zeros.
fn random_bernoulli(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let shape = a.shape_tensor(g, "shape")?;
    let uniform = unit(a, g, &shape)?;
    let probability = g.float(a.get_or("prob", 0.5)?);
    let hit = g.node("Less", &[&uniform, &probability], Vec::new());
    let y = g.cast(&hit, ElementType::Float);
    g.give(y);
    Ok(())
}

/// Positions along the last dimension, drawn by their logarithmic or plain probabilities.
///
/// The position of the largest sum of logarithmic probability and Gumbel noise is distributed just
/// so.
fn random_categorical(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let rank = a.rank("x")? as i64;
    let size: i64 = a.get_or("size", 1)?;
    let logits = match a.get_or("mode", "logits".to_owned())?.as_str() {
        "logits" => x,
        "probs" => g.node("Log", &[&x], Vec::new()),
        other => return Err(OpError::unsupported(format!("its mode `{other}` is unknown"))),
    };
    let rows = g.unsqueeze(&logits, &[rank - 1]);
    let shape = g.shape(&rows);
    let before = g.slice(&shape, &[0], &[rank - 1], &[0], &[1]);
    let classes = g.slice(&shape, &[rank], &[rank + 1], &[0], &[1]);
    let samples = g.ints(&[size]);
    let shape = g.concat(&[&before, &samples, &classes], 0);
    let uniform = unit(a, g, &shape)?;
    // Zero has no logarithm: the smallest normal number stands for it.
    let tiny = g.float(f32::MIN_POSITIVE);
    let uniform = g.node("Max", &[&uniform, &tiny], Vec::new());
    let log = g.node("Log", &[&uniform], Vec::new());
    let negative = g.node("Neg", &[&log], Vec::new());
    let negative = g.node("Max", &[&negative, &tiny], Vec::new());
    let noise = g.node("Log", &[&negative], Vec::new());
    let noisy = g.node("Sub", &[&rows, &noise], Vec::new());
    let best = g.argmax(&noisy, -1, false);
    let y = g.cast(&best, ElementType::Float);
    g.give(y);
    Ok(())
}
