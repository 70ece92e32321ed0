//! The findings so far, while a package is checked.
//!
//! Owns: how a finding gets its place.
//! Flow: `checks/` adds; `report.rs` sorts and keeps.

use crate::finding::{Finding, Place};
use crate::rules::Rule;
use crate::scope::{Scope, weight};
use coreml_spec::proto::Operation;

/// What was found so far.
#[derive(Default)]
pub(crate) struct Findings(pub(crate) Vec<Finding>);

impl Findings {
    /// Adds a finding about an operation.
    pub(crate) fn of_operation<'a>(
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
    pub(crate) fn of_feature(
        &mut self,
        rule: &'static Rule,
        function: &str,
        name: &str,
        detail: String,
    ) {
        let place =
            Place { function: function.to_owned(), name: name.to_owned(), ..Place::default() };
        self.0.push(Finding { rule, place, detail });
    }
}
