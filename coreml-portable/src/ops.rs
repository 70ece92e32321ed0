//! The table of MIL operations: one row per operation and meaning.
//!
//! Owns: lookup, and the list of families.
//! Must not: compute on the inputs of a model. A row appends ONNX nodes; only `constexpr.rs`
//! computes, constants from constants.
//! Flow: `findings.rs` finds the row of each operation by name and opset and compares its
//! parameters; `emitter.rs` calls it.
//!
//! Adding an operation is adding a row to its family's `OPS` and a case to the tests. A new version
//! that changes nothing here is another opset in its row; one with other parameters or another
//! meaning is a row of its own. An argument that the row does not declare is an error, never
//! ignored.

mod activation;
mod attention;
mod axis;
mod blocks;
mod classify;
mod constexpr;
mod control_flow;
mod conv;
mod crop_resize;
mod detection;
mod division;
mod elementwise;
mod image;
mod linear;
mod list;
mod nan;
mod nearest;
mod norm;
mod ordering;
mod pool;
mod quantize;
mod random;
mod rearrange;
mod recurrent;
mod reduce;
mod resample;
mod sampling;
mod scatter_gather;
mod slicing;
mod state;
mod volume;
mod window;

use crate::op::{Op, Opset};

/// The families, each a file.
const FAMILIES: &[&[Op]] = &[
    activation::OPS,
    attention::OPS,
    blocks::OPS,
    classify::OPS,
    constexpr::OPS,
    control_flow::OPS,
    crop_resize::OPS,
    conv::OPS,
    detection::OPS,
    elementwise::BINARY,
    elementwise::UNARY,
    image::OPS,
    linear::OPS,
    list::OPS,
    norm::OPS,
    ordering::OPS,
    pool::OPS,
    quantize::OPS,
    random::OPS,
    rearrange::OPS,
    recurrent::OPS,
    reduce::OPS,
    resample::OPS,
    scatter_gather::OPS,
    slicing::OPS,
    state::OPS,
];

/// Returns every row of the table.
pub fn operations() -> impl Iterator<Item = &'static Op> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// Returns the row for an operation in a program of some opset: the latest version that the opset
/// has.
pub(crate) fn find(name: &str, opset: Opset) -> Option<&'static Op> {
    let versions = operations()
        .filter(|op| op.name == name)
        .filter_map(|op| Some((op.version_in(opset)?, op)));
    versions.max_by_key(|(version, _)| *version).map(|(_, op)| op)
}
