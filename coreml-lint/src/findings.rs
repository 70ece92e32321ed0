//! The findings so far, while a package is checked.
//!
//! Owns: how a finding gets its place, and its advice by the kind of model.
//! Flow: `checks/` adds; `report.rs` sorts and keeps.

use crate::finding::{Finding, Place};
use crate::kind::Kind;
use crate::rules::{Rule, Severity, advice};
use crate::scope::{Scope, weight};
use coreml_spec::proto::Operation;

/// What was found so far.
#[derive(Default)]
pub(crate) struct Findings {
    /// The findings.
    pub(crate) list: Vec<Finding>,
    /// What the function is that is checked now.
    pub(crate) kind: Kind,
}

impl Findings {
    /// Adds a finding about an operation.
    ///
    /// Returns: the finding, for what is particular to it.
    pub(crate) fn of_operation<'a>(
        &mut self,
        rule: &'static Rule,
        scope: &Scope<'a>,
        operation: &'a Operation,
        detail: String,
    ) -> Added<'_> {
        let place = Place {
            function: scope.name.to_owned(),
            operation: operation.r#type.clone(),
            name: operation.outputs.first().map(|output| output.name.clone()).unwrap_or_default(),
            weight: weight(scope, operation).to_owned(),
            origin: None,
        };
        self.add(rule, place, detail)
    }

    /// Adds a finding about an input, an output, a state or a whole function.
    pub(crate) fn of_feature(
        &mut self,
        rule: &'static Rule,
        function: &str,
        name: &str,
        detail: String,
    ) -> Added<'_> {
        let place =
            Place { function: function.to_owned(), name: name.to_owned(), ..Place::default() };
        self.add(rule, place, detail)
    }

    /// Adds a finding.
    fn add(&mut self, rule: &'static Rule, place: Place, detail: String) -> Added<'_> {
        let (severity, advice) = (rule.severity, advice(rule, self.kind));
        self.list.push(Finding { rule, severity, advice, excess: 0, place, detail });
        Added(self.list.last_mut())
    }
}

/// A finding that was just added.
pub(crate) struct Added<'a>(Option<&'a mut Finding>);

impl Added<'_> {
    /// Says that it matters less here than the rule says.
    pub(crate) fn only(self, severity: Severity) {
        if let Some(finding) = self.0 {
            finding.severity = severity;
        }
    }

    /// Says what to do in this place, where the rule's advice is about others.
    pub(crate) fn advising(mut self, advice: &'static str) -> Self {
        if let Some(finding) = &mut self.0 {
            finding.advice = advice;
        }
        self
    }

    /// Says how bad it is, in bytes or elements.
    pub(crate) fn by(mut self, excess: usize) -> Self {
        if let Some(finding) = &mut self.0 {
            finding.excess = u64::try_from(excess).unwrap_or(u64::MAX);
        }
        self
    }
}
