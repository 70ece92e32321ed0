//! Rules about a program as a whole: ANE060, ANE070, ANE071.
//!
//! Flow: `report.rs` → [`placement`] per function, [`size`] per package.

use crate::findings::Findings;
use crate::rules::{ANE060, ANE070, ANE071};
use crate::scope::{Scope, is_constant};
use coreml_spec::proto::{BindingKind, Operation};
use std::collections::HashSet;

/// Size of a package below which Core ML usually takes the CPU, in bytes.
const SMALL: u64 = 50_000_000;

/// Size of a package from which a device may run out of memory; the sources say "large".
const LARGE: u64 = 1_000_000_000;

/// Looks for operations that are not eligible and stand between eligible ones: each is a way to the
/// CPU and back.
///
/// Parameters: `eligible` — of each of the scope's operations.
pub(crate) fn placement(scope: &Scope<'_>, eligible: &[bool], findings: &mut Findings) {
    // Names that depend on an eligible operation, and names that an eligible operation depends on.
    let (mut after, mut before) = (HashSet::new(), HashSet::new());
    let mut follows = Vec::with_capacity(eligible.len());
    for (operation, eligible) in scope.operations.iter().zip(eligible) {
        let follows_eligible = names(operation).any(|name| after.contains(name));
        follows.push(follows_eligible);
        if follows_eligible || (*eligible && computes(operation)) {
            after.extend(operation.outputs.iter().map(|output| output.name.as_str()));
        }
    }
    let mut between = Vec::new();
    for ((operation, eligible), follows) in scope.operations.iter().zip(eligible).zip(follows).rev()
    {
        let precedes = operation.outputs.iter().any(|output| before.contains(output.name.as_str()));
        if precedes || (*eligible && computes(operation)) {
            before.extend(names(operation));
        }
        if follows && precedes && !eligible && computes(operation) {
            between.push(*operation);
        }
    }
    let Some(first) = between.last() else { return };
    let name = first.outputs.first().map(|output| output.name.as_str()).unwrap_or_default();
    let detail = format!("{} of them, the first is {name} ({})", between.len(), first.r#type);
    findings.of_feature(ANE060, scope.name, "", detail);
}

/// Returns whether an operation does something: constants need no place, and conversions happen at
/// every border.
fn computes(operation: &Operation) -> bool {
    !is_constant(operation) && operation.r#type != "cast"
}

/// Returns the names that an operation is given. Those in nested blocks are the blocks' own
/// operations'.
fn names(operation: &Operation) -> impl Iterator<Item = &str> {
    operation.inputs.values().flat_map(|argument| &argument.arguments).filter_map(|binding| {
        match &binding.kind {
            Some(BindingKind::Name(name)) => Some(name.as_str()),
            _ => None,
        }
    })
}

/// Applies the rules about size.
///
/// Parameters: `bytes` — of the model's files; `eligible` — whether every operation is.
pub(crate) fn size(bytes: u64, eligible: bool, findings: &mut Findings) {
    if bytes < SMALL {
        findings.of_feature(
            ANE070,
            "",
            "",
            format!("its files have {bytes} bytes, less than {SMALL}"),
        );
    }
    if bytes >= LARGE && eligible {
        findings.of_feature(ANE071, "", "", format!("its files have {bytes} bytes"));
    }
}
