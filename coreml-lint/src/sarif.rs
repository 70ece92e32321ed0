//! Findings in the Static Analysis Results Interchange Format, which code hosts show beside the
//! code.
//!
//! Owns: the mapping to SARIF 2.1.0. Must not: write files.
//! Flow: `cargo coreml lint --sarif` → [`sarif`].

use crate::{Finding, RULES, Report, Rule, Severity};
use coreml_spec::Origin;
use serde_json::{Value, json};

/// Where the format is described.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Returns the findings as a SARIF log.
///
/// Parameters: `checked` — the path of each package or manifest, and what was found in it.
pub fn sarif(checked: &[(String, &Report)]) -> Value {
    let results: Vec<Value> = checked
        .iter()
        .flat_map(|(package, report)| {
            report.findings.iter().map(move |finding| result(package, finding))
        })
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
    let mut message = format!("{}: {}. Advice: {}.", rule.title, finding.detail, finding.advice);
    if !place.weight.is_empty() {
        message.push_str(&format!(" Its weight is {}.", place.weight));
    }
    let mut location =
        json!({ "physicalLocation": { "artifactLocation": { "uri": uri(package) } } });
    let mut related = Vec::new();
    if let Some(Origin { file: Some(file), line: Some(line), .. }) = &place.origin {
        // The line of Python is where a reviewer looks; the model is named beside it.
        related.push(location.clone());
        let python = uri(file);
        location["physicalLocation"] =
            json!({ "artifactLocation": { "uri": python }, "region": { "startLine": line } });
    }
    if !place.function.is_empty() {
        let parts = [place.function.as_str(), place.name.as_str()];
        let full = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        let name = if place.name.is_empty() { &place.function } else { &place.name };
        let mut logical = vec![json!({ "name": name, "fullyQualifiedName": full })];
        if let Some(Origin { module, .. }) =
            place.origin.as_ref().filter(|origin| !origin.module.is_empty())
        {
            logical.push(json!({ "name": module, "fullyQualifiedName": module, "kind": "module" }));
        }
        location["logicalLocations"] = json!(logical);
    }
    let mut result = json!({
        "ruleId": rule.id,
        "ruleIndex": RULES.iter().position(|other| other.id == rule.id),
        "level": level(finding.severity),
        "message": { "text": message },
        "locations": [location],
    });
    if !related.is_empty() {
        result["relatedLocations"] = json!(related);
    }
    result
}

/// Returns a path as a relative or `file:` URI.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.replace('\\', "/").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                uri.push(char::from(byte))
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    if path.starts_with('/') { format!("file://{uri}") } else { uri }
}
