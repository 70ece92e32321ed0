//! The schema for editors, `docs/manifest.schema.json`, against the code that reads manifests.
//!
//! Owns: that both know the same keys and the same words. Must not: test what values mean.

use super::section::KNOWN;
use super::target::DeploymentTarget;
use super::{Manifest, source};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// A manifest with a table of every kind; that they do not go together is no concern here.
const EVERYTHING: &str = r#"
[python]
[defaults]
[models.m]
source = { file = "a.py", entry = "net" }
inputs.x = { shape = [{ min = 1, max = 2 }], sample = { range = [0, 1] } }
inputs.p = { image = { width = 4, height = 4, color = "rgb" } }
outputs.y = { image = { color = "rgb" } }
states.mode = "io"
states.k = { shape = [1] }
compute-precision = { float32-ops = ["softmax"] }
metadata = {}
classifier = {}
quantize = { weights = "int8" }
palettize = { bits = 4, mode = "uniform" }
prune = { target-sparsity = 0.5 }
buckets = { input = "x", axis = 0, sizes = [2] }
parity = {}
[models.m.functions.f]
source = { file = "a.py", entry = "net" }
inputs.x = { shape = [1] }
"#;

/// The table of each kind, and where the schema has it.
const TABLES: [(&str, &str); 24] = [
    ("", ""),
    ("python", "/properties/python"),
    ("defaults", "/$defs/model"),
    ("models.m", "/$defs/model"),
    ("models.m.source", "/$defs/source"),
    ("models.m.inputs.x", "/$defs/input"),
    ("models.m.inputs.p", "/$defs/input"),
    ("models.m.inputs.x.shape", "/$defs/range"),
    ("models.m.inputs.x.sample", "/$defs/sample"),
    ("models.m.inputs.p.image", "/$defs/image"),
    ("models.m.outputs.y", "/$defs/output"),
    ("models.m.outputs.y.image", "/$defs/output/properties/image"),
    ("models.m.states.k", "/$defs/state"),
    ("models.m.compute-precision", "/$defs/model/properties/compute-precision/anyOf/1"),
    ("models.m.metadata", "/$defs/model/properties/metadata"),
    ("models.m.classifier", "/$defs/model/properties/classifier"),
    ("models.m.quantize", "/$defs/model/properties/quantize"),
    ("models.m.palettize", "/$defs/model/properties/palettize"),
    ("models.m.prune", "/$defs/model/properties/prune"),
    ("models.m.buckets", "/$defs/model/properties/buckets"),
    ("models.m.parity", "/$defs/model/properties/parity"),
    ("models.m.functions.f", "/$defs/function"),
    ("models.m.functions.f.source", "/$defs/source"),
    ("models.m.functions.f.inputs.x", "/$defs/input"),
];

/// Returns the schema.
fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/manifest.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Returns the words of an `enum` in the schema.
fn words(schema: &Value, pointer: &str) -> Vec<String> {
    let words = schema.pointer(pointer).and_then(Value::as_array);
    words
        .unwrap_or_else(|| panic!("{pointer}"))
        .iter()
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_schema_has_the_keys_that_are_read_and_no_other() {
    let schema = schema();
    // Errors are expected; the keys are asked for all the same.
    let _ = Manifest::parse(Path::new("/m.toml"), "m.toml", EVERYTHING.to_owned());
    let known = KNOWN.take();
    for (path, pointer) in TABLES {
        let table =
            schema.pointer(pointer).unwrap_or_else(|| panic!("the schema has no {pointer}"));
        let named: BTreeSet<&str> =
            table["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let read =
            known.get(path).unwrap_or_else(|| panic!("`{path}` was not read: {:?}", known.keys()));
        assert_eq!(&named, read, "keys of `{path}`");
        assert_eq!(table["additionalProperties"], false, "`{path}`");
    }
    let tables: BTreeSet<&str> = TABLES.iter().map(|(path, _)| *path).collect();
    let unknown: Vec<_> = known.keys().filter(|path| !tables.contains(path.as_str())).collect();
    assert!(unknown.is_empty(), "tables that the test does not compare: {unknown:?}");
}

#[test]
fn the_schema_has_the_words_that_are_read() {
    let schema = schema();
    let mut tasks = words(&schema, "/$defs/source/properties/task/enum");
    tasks.sort_unstable();
    assert_eq!(tasks, source::TASKS);
    let targets = words(&schema, "/$defs/model/properties/minimum-deployment-target/enum");
    let known: BTreeSet<_> = DeploymentTarget::names().map(str::to_owned).collect();
    assert_eq!(targets.into_iter().collect::<BTreeSet<_>>(), known);
}
