//! The packages that are harmed.

use crate::reading::Files;
use std::fs;
use std::path::Path;

/// Path of the specification inside a package.
pub(crate) const MODEL: &str = "Data/com.apple.CoreML/model.mlmodel";
/// Path of the weight file inside a package.
pub(crate) const WEIGHTS: &str = "Data/com.apple.CoreML/weights/weight.bin";
/// Path of the manifest inside a package.
pub(crate) const MANIFEST: &str = "Manifest.json";

/// Reads every package made by `data/make.py`.
pub(crate) fn packages() -> Vec<(String, Files)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/packages");
    let mut packages: Vec<(String, Files)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let paths = [MANIFEST, MODEL, WEIGHTS, "Data/com.apple.CoreML/weights/small.bin"];
            let read = |file: &str| Some((file.to_owned(), fs::read(path.join(file)).ok()?));
            (name, paths.into_iter().filter_map(read).collect())
        })
        .collect();
    packages.sort();
    assert_eq!(packages.len(), 20);
    packages
}

/// Reads one package.
pub(crate) fn package(name: &str) -> Files {
    packages().into_iter().find(|(found, _)| found == name).unwrap().1
}
