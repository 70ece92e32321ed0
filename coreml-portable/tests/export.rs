//! Every case of the archives as an ONNX file, checked and run by others than this crate.
//!
//! Owns: writing the files. Must not: judge them; `check_onnx.py` does, with the Python that
//! `COREML_ONNX_PYTHON` names or `python3`, when it has the package `onnx`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its tools too"
)]

mod archive;

use coreml_portable::{Error, to_onnx};
use std::path::Path;
use std::process::Command;

#[coreml_test_needs::needs(onnx)]
#[test]
fn every_case_is_valid_onnx() {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for family in archive::FAMILIES.into_iter().chain(["distributions"]) {
        for (name, case) in archive::read(family) {
            let file = folder.path().join(format!("{family}-{name}.onnx"));
            let written = to_onnx(&case.package(), None).unwrap().write(&file).unwrap();
            assert_eq!(written, [(file.clone(), std::fs::metadata(&file).unwrap().len())]);
            count += 1;
            // Steps with states are for an engine with states, and random numbers have no
            // reference.
            if case.outputs.is_empty() || case.inputs.keys().any(|key| key.starts_with("step0/")) {
                continue;
            }
            let inputs = case.inputs.into_iter().map(|(name, view)| (format!("in/{name}"), view));
            let outputs =
                case.outputs.into_iter().map(|(name, view)| (format!("out/{name}"), view));
            let bytes = safetensors::serialize(inputs.chain(outputs), None).unwrap();
            std::fs::write(file.with_extension("safetensors"), bytes).unwrap();
            std::fs::write(file.with_extension("tolerance"), case.tolerance.to_string()).unwrap();
        }
    }
    assert!(count > 300, "only {count} cases");
    let python = std::env::var("COREML_ONNX_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check_onnx.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    let (text, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{text}");
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains(&format!("checked {count} files")), "{text}");
}

#[test]
fn a_file_is_replaced_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, "older").unwrap();
    let case = archive::read("linear").into_values().next().unwrap();
    to_onnx(&case.package(), None).unwrap().write(&file).unwrap();
    assert!(std::fs::metadata(&file).unwrap().len() > 5);
    let names =
        || std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names().collect::<Vec<_>>(), ["model.onnx"], "nothing else is left");
    // A folder cannot be replaced by a file.
    let error = to_onnx(&case.package(), None).unwrap().write(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)));
    let missing = folder.path().join("missing/model.onnx");
    let error = to_onnx(&case.package(), None).unwrap().write(&missing).unwrap_err();
    assert!(
        error.to_string().starts_with(&format!("{} cannot be written: ", missing.display())),
        "{error}"
    );
}

#[test]
fn a_function_that_is_not_there_is_named_with_those_that_are() {
    let case = archive::read("linear").into_values().next().unwrap();
    let error = to_onnx(&case.package(), Some("other")).unwrap_err();
    assert_eq!(error.to_string(), "the package has no function `other`; it has main");
}
