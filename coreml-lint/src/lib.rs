//! Static rules about ML Programs and Apple's Neural Engine: what may keep an operation off it.
//!
//! Owns: the rules with their sources ([`RULES`]), applying them to a package ([`lint`]), padding,
//! SARIF.
//! Must not: run anything, read the environment, print; say that something runs on the Neural
//! Engine: only a device knows.
//! Flow: `cargo coreml lint` → [`lint`] → `scope.rs` (one function, names resolved) → `checks/` →
//! [`Report`].

mod checks;
mod finding;
mod findings;
mod kind;
mod padding;
mod report;
mod rules;
mod sarif;
mod scope;

pub use finding::{Finding, Place};
pub use padding::Padding;
pub use report::{OperationVerdict, Report, lint};
pub use rules::{Grade, RULES, Rule, Severity, rule};
pub use sarif::sarif;

use coreml_spec::{ComputeUnits, Origins};
use std::collections::BTreeSet;

/// What a check may leave out.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// Identifiers of rules whose findings are not wanted.
    pub allow: BTreeSet<String>,
    /// The compute units that the program asks for; `None` when they are not known.
    pub compute_units: Option<ComputeUnits>,
    /// Whether the model's results are compared with PyTorch's at each build. Then nothing is said
    /// about the large constants of attention masks, which the comparison has seen at work.
    pub compared: bool,
    /// Where operations come from, as the conversion noted it; empty when it did not.
    pub origins: Origins,
}
