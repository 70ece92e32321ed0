//! Reads the archives of `cases/` for the tests beside it.
//!
//! Owns: the layout that `cases/archive.py` writes.

use coreml_spec::Package;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::collections::BTreeMap;
use std::path::Path;

/// The families, each an archive.
pub(crate) const FAMILIES: [&str; 10] = [
    "control",
    "edges",
    "elementwise",
    "images",
    "integers",
    "linear",
    "nans",
    "networks",
    "tensors",
    "weights",
];

/// One case of an archive.
#[derive(Default)]
pub(crate) struct Case {
    /// The package's files.
    files: Vec<(&'static str, &'static [u8])>,
    /// The inputs by name.
    pub(crate) inputs: BTreeMap<String, TensorView<'static>>,
    /// The expected outputs by name.
    pub(crate) outputs: BTreeMap<String, TensorView<'static>>,
    /// Largest difference, relative to the largest expected magnitude.
    pub(crate) tolerance: f64,
}

impl Case {
    /// Opens the package.
    pub(crate) fn package(&self) -> Package {
        Package::from_embedded(&self.files).unwrap()
    }
}

/// Reads an archive into its cases. What they borrow is never freed: a test's process ends soon.
pub(crate) fn read(family: &str) -> BTreeMap<String, Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(format!("{family}.safetensors"));
    let bytes: &'static [u8] = std::fs::read(&path).unwrap().leak();
    let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
    let metadata = header.metadata().clone().unwrap();
    let archive: &'static SafeTensors<'static> =
        Box::leak(Box::new(SafeTensors::deserialize(bytes).unwrap()));
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    for (key, view) in archive.tensors() {
        let mut parts = key.splitn(3, '/');
        let (name, group, rest) =
            (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let case = cases.entry(name.to_owned()).or_default();
        match group {
            "package" => case.files.push((rest.to_owned().leak(), view.data().to_vec().leak())),
            "in" => drop(case.inputs.insert(rest.to_owned(), view)),
            "out" => drop(case.outputs.insert(rest.to_owned(), view)),
            other => panic!("an archive has the unexpected group {other}"),
        }
    }
    for (name, case) in &mut cases {
        let facts: serde_json::Value = serde_json::from_str(&metadata[name]).unwrap();
        case.tolerance = facts["tolerance"].as_f64().unwrap();
    }
    cases
}
