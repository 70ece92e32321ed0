//! The conditions of the rules, one file per family.
//!
//! Owns: which families apply to an operation. Must not: hold a condition itself.
//! Flow: `report.rs` → here → a file per family → [`Findings`], [`Tally`].

mod features;
mod layers;
mod placement;
mod tensors;

pub(crate) use features::interface;
pub(crate) use placement::{placement, size};

use crate::Options;
use crate::findings::Findings;
use crate::padding::Tally;
use crate::scope::{Scope, is_constant};
use coreml_spec::Error;
use coreml_spec::proto::Operation;

/// Applies the rules about one operation.
///
/// Returns: whether the operation is eligible for the Neural Engine; a constant is.
pub(crate) fn operation<'a>(
    scope: &Scope<'a>,
    operation: &'a Operation,
    options: &Options,
    findings: &mut Findings,
    tally: &mut Tally,
) -> Result<bool, Error> {
    let before = findings.list.len();
    tensors::constants(scope, operation, options, findings)?;
    if is_constant(operation) {
        return Ok(true);
    }
    let shapes_are_known = tensors::results(scope, operation, findings, tally);
    layers::layer(scope, operation, findings)?;
    let new = findings.list.get(before..).unwrap_or_default();
    Ok(shapes_are_known && new.iter().all(|finding| !finding.rule.ineligible))
}
