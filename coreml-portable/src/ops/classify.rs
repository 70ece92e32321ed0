//! The classifier at the end of a program: MIL's `classify.py`.
//!
//! Flow: rows of the table in `ops.rs`.

use crate::args::Args;
use crate::error::OpError;
use crate::graph::Graph;
use crate::onnx::ElementType;
use crate::op::Opset::CoreML5;
use crate::op::{Op, op, req};

/// The rows.
pub(super) const OPS: &[Op] =
    &[op("classify", &[CoreML5], &[req("probabilities"), req("classes")], classify)];

/// The position of the most probable class, and the probabilities as a vector.
///
/// The labels themselves stay in the interface: position `i` is its label `i`.
fn classify(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "probabilities")?;
    let probabilities = g.reshape(&x, &[-1]);
    let best = g.argmax(&probabilities, 0, false);
    let best = g.cast(&best, ElementType::Int32);
    g.give(best);
    g.give(probabilities);
    Ok(())
}
