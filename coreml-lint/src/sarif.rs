//! Findings in the Static Analysis Results Interchange Format, which code hosts show beside the code.
//!
//! Owns: the mapping to SARIF 2.1.0. Must not: write files.
//! Flow: `cargo coreml lint --sarif` → [`sarif`].

use crate::{Finding, RULES, Report, Rule, Severity};
use serde_json::{Value, json};

/// Where the format is described.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Returns the findings as a SARIF log.
///
/// Parameters: `checked` — each package as a URI or relative path with `/`, and what was found in it.
pub fn sarif(checked: &[(String, &Report)]) -> Value {
    let results: Vec<Value> = checked
        .iter()
        .flat_map(|(package, report)| report.findings.iter().map(move |finding| result(package, finding)))
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "cargo-coreml",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": RULES.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// Returns SARIF's word for a severity.
fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "note",
        Severity::Warn => "warning",
        Severity::Error => "error",
    }
}

/// Describes a rule.
fn descriptor(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.title },
        "help": { "text": format!("{}. Source: {}.", rule.advice, rule.grade.text()) },
        "defaultConfiguration": { "level": level(rule.severity) },
    })
}

/// Describes a finding.
fn result(package: &str, finding: &Finding) -> Value {
    let (rule, place) = (finding.rule, &finding.place);
    let mut message = format!("{}: {}. Advice: {}.", rule.title, finding.detail, rule.advice);
    if !place.weight.is_empty() {
        message.push_str(&format!(" Its weight is {}.", place.weight));
    }
    let mut location = json!({ "physicalLocation": { "artifactLocation": { "uri": package } } });
    if !place.function.is_empty() {
        let parts = [place.function.as_str(), place.name.as_str()];
        let full = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        let name = if place.name.is_empty() { &place.function } else { &place.name };
        location["logicalLocations"] = json!([{ "name": name, "fullyQualifiedName": full }]);
    }
    json!({
        "ruleId": rule.id,
        "ruleIndex": RULES.iter().position(|other| other.id == rule.id),
        "level": level(rule.severity),
        "message": { "text": message },
        "locations": [location],
    })
}
