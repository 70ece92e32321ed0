//! The conditions of the rules, one file per family.
//!
//! Owns: what the files share. Must not: hold a condition itself.
//! Flow: `report.rs` → here → a file per family → [`Findings`].

mod features;
mod layers;
mod placement;
mod tensors;

pub(crate) use features::interface;
pub(crate) use placement::{placement, size};

use crate::finding::{Finding, Place};
use crate::scope::{Scope, is_constant, weight};
use crate::{Report, Rule};
use coreml_spec::Error;
use coreml_spec::proto::Operation;

/// What was found so far.
#[derive(Default)]
pub(crate) struct Findings(pub(crate) Vec<Finding>);

impl Findings {
    /// Adds a finding about an operation.
    fn of_operation<'a>(
        &mut self,
        rule: &'static Rule,
        scope: &Scope<'a>,
        operation: &'a Operation,
        detail: String,
    ) {
        let place = Place {
            function: scope.name.to_owned(),
            operation: operation.r#type.clone(),
            name: operation.outputs.first().map(|output| output.name.clone()).unwrap_or_default(),
            weight: weight(scope, operation).to_owned(),
            origin: None,
        };
        self.0.push(Finding { rule, place, detail });
    }

    /// Adds a finding about an input, an output, a state or a whole function.
    fn of_feature(&mut self, rule: &'static Rule, function: &str, name: &str, detail: String) {
        let place =
            Place { function: function.to_owned(), name: name.to_owned(), ..Place::default() };
        self.0.push(Finding { rule, place, detail });
    }
}

/// Applies the rules about one operation.
///
/// Returns: whether the operation is eligible for the Neural Engine; a constant is.
pub(crate) fn operation<'a>(
    scope: &Scope<'a>,
    operation: &'a Operation,
    findings: &mut Findings,
    report: &mut Report,
) -> Result<bool, Error> {
    let before = findings.0.len();
    tensors::constants(scope, operation, findings)?;
    if is_constant(operation) {
        return Ok(true);
    }
    let shapes_are_known = tensors::results(scope, operation, findings, report);
    layers::layer(scope, operation, findings)?;
    let new = findings.0.get(before..).unwrap_or_default();
    Ok(shapes_are_known && new.iter().all(|finding| !finding.rule.ineligible))
}
