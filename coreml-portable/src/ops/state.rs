//! States: MIL's `states.py`, and `write_state`, which coremltools writes for its
//! `coreml_update_state`.
//!
//! Flow: rows of the table in `ops.rs`. A program reads and writes states in its own order; the
//! graph has no order but that of its values, so reading gives the value that was written last, and
//! the last one becomes an output.

use crate::args::Args;
use crate::error::OpError;
use crate::graph::Graph;
use crate::limit::STATE_IN_BODY;
use crate::op::Opset::CoreML8;
use crate::op::{Op, op, req};
use crate::scope::Entry;

/// The rows.
pub(super) const OPS: &[Op] = &[
    op("read_state", &[CoreML8], &[req("input")], read_state),
    op("write_state", &[CoreML8], &[req("input"), req("data")], write_state)
        .limited(&[STATE_IN_BODY]),
];

/// What a state holds now.
fn read_state(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let index = state(a)?;
    let value = g
        .state(index)
        .cloned()
        .ok_or_else(|| OpError::invalid("its state is not one of the function's"))?;
    g.give(value);
    Ok(())
}

/// Another tensor for a state.
fn write_state(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (index, value) = (state(a)?, a.tensor(g, "data")?);
    g.write_state(index, value)
}

/// Returns the number of the state that the operation is about.
fn state(a: &Args<'_, '_>) -> Result<usize, OpError> {
    match a.entry("input")? {
        Entry::State(index) => Ok(index),
        _ => Err(OpError::invalid("its `input` is not a state")),
    }
}
