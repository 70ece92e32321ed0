//! All that the rules say about a package.
//!
//! Owns: the order of checks and of findings, and which operations count as eligible.
//! Must not: know a rule's conditions; `checks/` does.
//! Flow: the command line → [`lint`] → `checks/` per function.

use crate::Options;
use crate::checks;
use crate::finding::Finding;
use crate::findings::Findings;
use crate::kind::Kind;
use crate::padding::{Padding, Tally};
use crate::rules::Severity;
use crate::scope::{Scope, is_constant};
use coreml_spec::{Error, Package};
use serde::Serialize;
use std::cmp::Reverse;

/// All that the rules say.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The findings: the gravest first, then by rule, then the worst first, then in the program's
    /// order.
    pub findings: Vec<Finding>,
    /// Number of operations that compute something at run time.
    pub operations: usize,
    /// Number of them that no rule excludes from the Neural Engine. Only a device shows whether
    /// Core ML runs them there.
    pub eligible: usize,
    /// The tensors that padding makes at least twice as large, those that lose most first.
    pub padding: Vec<Padding>,
    /// Bytes of all tensors between operations.
    pub bytes: u64,
    /// The same with padding; at most this much.
    pub padded: u64,
    /// Every operation that computes something, in order.
    #[serde(skip)]
    pub verdicts: Vec<OperationVerdict>,
}

/// Whether a rule excludes an operation from the Neural Engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationVerdict {
    /// The function.
    pub function: String,
    /// MIL's name of the operation.
    pub operation: String,
    /// Name of the first output.
    pub name: String,
    /// Whether no rule excludes it.
    pub eligible: bool,
}

impl Report {
    /// Returns how many findings have this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// Applies every rule to a package.
///
/// Called by: `cargo coreml lint`, `cargo coreml report`.
/// Errors: [`Error::Unsupported`] when the model is no ML Program; [`Error::Damaged`] when a
/// function has no operations or a constant cannot be read. Weights are mapped and only small
/// constants among them are read.
pub fn lint(package: &Package, options: &Options) -> Result<Report, Error> {
    let (program, interface) = (package.program()?, package.interface()?);
    let mut findings = Findings::default();
    let (mut tally, mut verdicts) = (Tally::default(), Vec::new());
    for (name, function) in &program.functions {
        // `interface` has refused functions without a block.
        let Some(scope) = Scope::new(package, name, function) else { continue };
        findings.kind = Kind::of(&scope);
        if let Some(described) = interface.function(Some(name)) {
            checks::interface(&scope, described, options, &mut findings);
        }
        let mut eligible = Vec::with_capacity(scope.operations.len());
        for operation in &scope.operations {
            eligible.push(checks::operation(
                &scope,
                operation,
                options,
                &mut findings,
                &mut tally,
            )?);
            if !is_constant(operation) {
                verdicts.push(OperationVerdict {
                    function: name.clone(),
                    operation: operation.r#type.clone(),
                    name: operation
                        .outputs
                        .first()
                        .map(|output| output.name.clone())
                        .unwrap_or_default(),
                    eligible: eligible.last().copied().unwrap_or(false),
                });
            }
        }
        checks::placement(&scope, &eligible, &mut findings);
    }
    let operations = verdicts.len();
    let eligible = verdicts.iter().filter(|verdict| verdict.eligible).count();
    let size = package.files()?.iter().map(|(_, size)| size).sum();
    checks::size(size, operations == eligible, &mut findings);
    let mut findings = findings.list;
    findings.retain(|finding| !options.allow.contains(finding.rule.id));
    for place in findings.iter_mut().map(|finding| &mut finding.place) {
        place.origin = options
            .origins
            .get(&place.function)
            .and_then(|origins| origins.get(&place.name))
            .cloned();
    }
    findings.sort_by_key(|finding| {
        (Reverse(finding.severity), finding.rule.id, Reverse(finding.excess))
    });
    let (bytes, padded) = (tally.bytes, tally.padded);
    let padding = tally.into_worst();
    Ok(Report { findings, operations, eligible, padding, bytes, padded, verdicts })
}
