//! `cargo coreml export` as a user runs it. `coreml-portable/tests/export.rs` tests the content of
//! the files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;

use command::{command, package, run};
use std::path::Path;

/// Runs `export` with more arguments.
fn export(name: &str, file: &Path, arguments: &[&str]) -> (i32, String, String) {
    run(command().arg("export").arg(package(name)).arg(file).args(arguments))
}

#[test]
fn a_file_with_its_opset_and_size() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.onnx");
    let (code, output, error) = export("state", &file, &[]);
    assert_eq!((code, error.as_str()), (0, ""));
    let size = std::fs::metadata(&file).unwrap().len();
    let expected = format!(
        "{}: {size} B\n  ONNX opset  20\n  inputs      x, total\n  outputs     y, total/after\n",
        file.display()
    );
    assert_eq!(output, expected);
    // The answer is what another program asks for.
    let (_, output, _) = export("state", &file, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(json["files"], serde_json::json!([{"path": file, "bytes": size}]));
    assert_eq!((&json["opset"], &json["inputs"][1]), (&20.into(), &"total".into()));
}

#[test]
fn one_function_of_several() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.onnx");
    assert_eq!(export("multifunction", &file, &["--function", "one"]).0, 0);
    std::fs::remove_file(&file).unwrap();
    let (code, output, error) = export("multifunction", &file, &["--function", "x"]);
    assert_eq!((code, output.as_str(), file.exists()), (1, "", false));
    assert!(error.contains("no function `x`") && error.contains("one, four"), "{error}");
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, "as it was").unwrap();
    let (code, output, error) = export("no_such_package", &file, &[]);
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(error.starts_with("error: ") && error.contains("no_such_package"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "as it was");
    let (code, _, error) = export("state", &folder.path().join("missing/model.onnx"), &[]);
    assert!(code == 1 && error.contains("missing/model.onnx cannot be written: "), "{error}");
    let (code, _, error) = export("state", folder.path(), &[]);
    assert!(code == 1 && error.ends_with("is not the name of a file\n"), "{error}");
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "only the file that was there"
    );
}

#[test]
fn the_help_has_examples() {
    let (code, help, _) = run(command().args(["export", "--help"]));
    assert_eq!(code, 0);
    assert!(
        help.contains(
            "Usage: cargo coreml export [OPTIONS] <MODEL.mlpackage|MANIFEST.toml> <MODEL.onnx>"
        ),
        "{help}"
    );
    for part in ["NAME/after", "Examples:", "Exit codes:", "--function", "--json"] {
        assert!(help.contains(part), "{part}");
    }
}
