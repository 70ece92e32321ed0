//! Activations: MIL's `activation.py`.
//!
//! Flow: rows of the table in `ops.rs`.

use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value};
use crate::limit::{NAN_CLIPPED, NAN_RECTIFIED};
use crate::onnx::AttributeProto;
use crate::op::Opset::{CoreML5, CoreML7};
use crate::op::{Op, Param, op, opt, req};

/// Parameters of an activation without constants.
const X: &[Param] = &[req("x")];
/// Parameters of an activation with one constant.
const X_ALPHA: &[Param] = &[req("x"), req("alpha")];
/// Parameters of an activation with two constants.
const X_ALPHA_BETA: &[Param] = &[req("x"), req("alpha"), req("beta")];

/// The rows.
pub(super) const OPS: &[Op] = &[
    op("clamped_relu", &[CoreML5, CoreML7], X_ALPHA_BETA, clamped_relu),
    op("elu", &[CoreML5, CoreML7], X_ALPHA, elu),
    op("gelu", &[CoreML5], &[req("x"), opt("mode")], gelu),
    op("leaky_relu", &[CoreML5, CoreML7], X_ALPHA, leaky_relu),
    op("linear_activation", &[CoreML5, CoreML7], X_ALPHA_BETA, linear_activation),
    op("prelu", &[CoreML5, CoreML7], X_ALPHA, prelu),
    op("relu", &[CoreML5], X, |a, g| a.unary(g, "Relu")).limited(&[NAN_RECTIFIED]),
    op("relu6", &[CoreML5], X, relu6).limited(&[NAN_CLIPPED]),
    op("scaled_tanh", &[CoreML5, CoreML7], X_ALPHA_BETA, scaled_tanh),
    op("sigmoid", &[CoreML5], X, |a, g| a.unary(g, "Sigmoid")),
    op("sigmoid_hard", &[CoreML5, CoreML7], X_ALPHA_BETA, sigmoid_hard),
    op("silu", &[CoreML5], X, silu),
    op("softmax", &[CoreML5], &[req("x"), opt("axis")], softmax),
    op("softplus", &[CoreML5], X, softplus),
    op("softplus_parametric", &[CoreML5, CoreML7], X_ALPHA_BETA, softplus_parametric),
    op("softsign", &[CoreML5], X, |a, g| a.unary(g, "Softsign")),
    op("thresholded_relu", &[CoreML5, CoreML7], X_ALPHA, thresholded_relu),
];

/// `x` clamped below by `alpha · x` and above by `beta`: `min(max(0, x), beta)` with slope `alpha`
/// below zero.
fn clamped_relu(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let leaky = g.node("LeakyRelu", &[&x], vec![AttributeProto::float("alpha", a.need("alpha")?)]);
    let beta = g.float(a.need("beta")?);
    let y = g.node("Min", &[&leaky, &beta], Vec::new());
    g.give(y);
    Ok(())
}

/// Exponential linear unit.
fn elu(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let y = g.node("Elu", &[&x], vec![AttributeProto::float("alpha", a.need("alpha")?)]);
    g.give(y);
    Ok(())
}

/// Gaussian error linear unit, exact or by one of two approximations.
fn gelu(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let mode = a.get_or("mode", "EXACT".to_owned())?;
    let y = match mode.as_str() {
        "EXACT" => g.node("Gelu", &[&x], Vec::new()),
        "TANH_APPROXIMATION" => {
            g.node("Gelu", &[&x], vec![AttributeProto::string("approximate", "tanh")])
        }
        "SIGMOID_APPROXIMATION" => {
            // 1.702 is the slope that MIL defines for this mode.
            let steep = g.scale(&x, 1.702);
            let gate = g.node("Sigmoid", &[&steep], Vec::new());
            g.node("Mul", &[&x, &gate], Vec::new())
        }
        _ => return Err(OpError::unsupported(format!("its mode `{mode}` is unknown"))),
    };
    g.give(y);
    Ok(())
}

/// `x` above zero, `alpha · x` below.
fn leaky_relu(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let y = g.node("LeakyRelu", &[&x], vec![AttributeProto::float("alpha", a.need("alpha")?)]);
    g.give(y);
    Ok(())
}

/// `alpha · x + beta`.
fn linear_activation(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let scaled = g.scale(&x, a.need("alpha")?);
    let beta = g.float(a.need("beta")?);
    let y = g.node("Add", &[&scaled, &beta], Vec::new());
    g.give(y);
    Ok(())
}

/// `x` above zero, `alpha · x` below, with an `alpha` for each channel (dimension 1).
fn prelu(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let slope = per_channel(a, g, "alpha")?;
    let y = g.node("PRelu", &[&x, &slope], Vec::new());
    g.give(y);
    Ok(())
}

/// `min(max(0, x), 6)`.
fn relu6(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let (low, high) = (g.float(0.0), g.float(6.0));
    let y = g.node("Clip", &[&x, &low, &high], Vec::new());
    g.give(y);
    Ok(())
}

/// `alpha · tanh(beta · x)`.
fn scaled_tanh(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let inner = g.scale(&x, a.need("beta")?);
    let tanh = g.node("Tanh", &[&inner], Vec::new());
    let y = g.scale(&tanh, a.need("alpha")?);
    g.give(y);
    Ok(())
}

/// `min(max(alpha · x + beta, 0), 1)`.
fn sigmoid_hard(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let attributes = vec![
        AttributeProto::float("alpha", a.need("alpha")?),
        AttributeProto::float("beta", a.need("beta")?),
    ];
    let y = g.node("HardSigmoid", &[&x], attributes);
    g.give(y);
    Ok(())
}

/// `x · sigmoid(x)`.
fn silu(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let gate = g.node("Sigmoid", &[&x], Vec::new());
    let y = g.node("Mul", &[&x, &gate], Vec::new());
    g.give(y);
    Ok(())
}

/// Softmax along one axis.
fn softmax(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let axis = a.axis("axis", -1, a.rank("x")?)?;
    let y = g.node("Softmax", &[&x], vec![AttributeProto::int("axis", axis)]);
    g.give(y);
    Ok(())
}

/// `log(1 + exp(x))`.
fn softplus(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let y = stable_softplus(g, &x);
    g.give(y);
    Ok(())
}

/// Returns `max(x, 0) + log(1 + exp(−|x|))`, which does not overflow for large `x` as the plain
/// formula does.
fn stable_softplus(g: &mut Graph, x: &Value) -> Value {
    let magnitude = g.node("Abs", &[x], Vec::new());
    let below = g.node("Neg", &[&magnitude], Vec::new());
    let rest = g.node("Softplus", &[&below], Vec::new());
    let positive = g.node("Relu", &[x], Vec::new());
    g.node("Add", &[&positive, &rest], Vec::new())
}

/// `alpha · log(1 + exp(beta · x))`, with an `alpha` and `beta` for each channel (dimension 1).
fn softplus_parametric(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let (alpha, beta) = (per_channel(a, g, "alpha")?, per_channel(a, g, "beta")?);
    let inner = g.node("Mul", &[&x, &beta], Vec::new());
    let softplus = stable_softplus(g, &inner);
    let y = g.node("Mul", &[&softplus, &alpha], Vec::new());
    g.give(y);
    Ok(())
}

/// `x`, but zero below `alpha`.
fn thresholded_relu(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let (alpha, zero) = (g.float(a.need("alpha")?), g.float(0.0));
    // This way round NaN stays.
    let drop = g.node("Less", &[&x, &alpha], Vec::new());
    let y = g.node("Where", &[&drop, &zero, &x], Vec::new());
    g.give(y);
    Ok(())
}

/// Returns a constant vector so that it applies to dimension 1 of `x`.
fn per_channel(a: &Args<'_, '_>, g: &mut Graph, name: &str) -> Result<Value, OpError> {
    let vector = a.tensor(g, name)?;
    let after: Vec<i64> = (1..a.rank("x")? as i64 - 1).collect();
    Ok(g.unsqueeze(&vector, &after))
}
