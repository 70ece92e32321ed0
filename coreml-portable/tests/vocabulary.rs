//! The table of operations against coremltools' own registry, as `vocabulary.py` wrote it down.
//!
//! Owns: the proof that no operation, version or parameter is missing, misspelt or invented.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its tools too"
)]

use coreml_portable::{Opset, operations};
use std::collections::BTreeMap;

/// Rows of the table that coremltools' registry does not have, and why.
const OWN: &[(&str, &str)] =
    &[("write_state", "what coremltools writes for its `coreml_update_state`")];

/// Parameter names with whether they are required.
type Params = BTreeMap<String, bool>;

/// Reads the registry: (name, opset) → parameters. Names that start with `_` are arguments of
/// Python, never written.
fn registry() -> BTreeMap<(String, String), Params> {
    let text = include_str!("vocabulary.json");
    let document: serde_json::Value = serde_json::from_str(text).unwrap();
    let rows = document["rows"].as_array().unwrap().iter();
    let params = |row: &serde_json::Value| {
        let all = row["parameters"].as_object().unwrap().iter();
        all.filter(|(name, _)| !name.starts_with('_'))
            .map(|(name, facts)| (name.clone(), facts["required"].as_bool().unwrap()))
            .collect()
    };
    let key = |row: &serde_json::Value| {
        (row["name"].as_str().unwrap().into(), row["since"].as_str().unwrap().into())
    };
    rows.map(|row| (key(row), params(row))).collect()
}

/// Returns the table in the same form.
fn table() -> BTreeMap<(String, String), Params> {
    let params = |op: &coreml_portable::Op| -> Params {
        op.params.iter().map(|p| (p.name.to_owned(), p.required)).collect()
    };
    let versions = operations().flat_map(|op| op.versions.iter().map(move |version| (op, version)));
    versions
        .map(|(op, version)| ((op.name.to_owned(), version.name().to_owned()), params(op)))
        .collect()
}

#[test]
fn every_version_of_every_operation_has_its_row() {
    let (registry, table) = (registry(), table());
    let missing: Vec<_> = registry.keys().filter(|key| !table.contains_key(*key)).collect();
    assert!(missing.is_empty(), "{} rows are missing: {missing:?}", missing.len());
    let own = |name: &str| OWN.iter().any(|(own, _)| *own == name);
    let invented: Vec<_> =
        table.keys().filter(|key| !registry.contains_key(*key) && !own(&key.0)).collect();
    assert!(invented.is_empty(), "rows that coremltools does not know: {invented:?}");
}

#[test]
fn parameters_are_those_of_the_registry() {
    let table = table();
    for (key, params) in registry() {
        if let Some(row) = table.get(&key) {
            assert_eq!(*row, params, "{key:?}");
        }
    }
}

#[test]
fn no_version_stands_twice_and_the_oldest_is_first() {
    assert_eq!(operations().map(|op| op.versions.len()).sum::<usize>(), table().len());
    assert!(operations().all(|op| !op.versions.is_empty() && op.versions.is_sorted()));
}

#[test]
fn opsets_are_known_by_their_names() {
    for opset in Opset::ALL {
        assert_eq!(Opset::parse(opset.name()), Some(opset));
    }
    assert_eq!(Opset::parse("CoreML4"), None);
}
