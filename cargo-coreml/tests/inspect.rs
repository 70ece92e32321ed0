//! `cargo coreml inspect` as a user runs it, on the packages of `coreml-spec`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;

use command::{command, package, run};
use std::io::Read;
use std::process::{Command, Stdio};

/// Runs `inspect` on a package and returns what it prints after the first line, which is the path.
fn inspect(name: &str, arguments: &[&str]) -> String {
    let (code, output, error) = run(command().arg("inspect").arg(package(name)).args(arguments));
    assert_eq!((code, error.as_str()), (0, ""));
    let (first, rest) = output.split_once('\n').unwrap();
    assert_eq!(first, package(name).display().to_string());
    rest.to_owned()
}

#[test]
fn a_package_as_text() {
    let expected = r"  specification                                version 7 (iOS16)
  size                                         2.1 kB
  description                                  A matrix.
  version                                      3
  author                                       The tests
  license                                      MIT
  com.github.apple.coremltools.source_dialect  TorchScript
  com.github.apple.coremltools.version         9.0
  key                                          value

Function main, opset CoreML6
  input   x  float16 [1, 16]  What goes in.
  output  y  float16 [1, 32]  What comes out.

Operations of main: 3
  2  const
  1  linear

Weights
  type     tensors  elements    size
  float16        2       544  1.1 kB

Weights by name
  linear_weight_to_fp16  linear  float16 [32, 16]  1.0 kB
  linear_bias_to_fp16    linear  float16 [32]        64 B

Files
  model.mlmodel        772 B
  weights/weight.bin  1.3 kB
";
    assert_eq!(inspect("fixed", &[]), expected);
}

#[test]
fn every_kind_of_feature() {
    for (name, line) in [
        ("ranges", "  input   y  float32 [1..=9, 3], default [4, 3], optional, default 2.5\n"),
        ("ranges", "  output  z  float32 [0.., 3]\n"),
        ("enumerated", "  input   x  float32 [1, 8] or [1, 4] or [2, 8]\n"),
        ("image_gray", "  input   x  image grayscale 6 x 8\n"),
        ("image_ranges", "  input   x  image rgb 2..=64 x 4..=32, default 6 x 8\n"),
        ("classifier_strings", "  output  animal        class label, text\n"),
        ("classifier_strings", "  classes: 3 (cat, a dog, größe)\n"),
        ("classifier_ints", "  classes: 3 (7, -1, 1099511627776)\n"),
        ("state", "  state   total  float16 [2, 3]\n"),
        ("unknown", "\nWeights: none\n"),
        ("palettized", "  uint3          1       512  192 B\n"),
    ] {
        let output = inspect(name, &[]);
        assert!(output.contains(line), "{line}not in\n{output}");
    }
}

#[test]
fn one_function_of_several() {
    let all = inspect("multifunction", &[]);
    assert!(
        all.contains("\nFunction one, opset CoreML8\n")
            && all.contains("\nFunction four, the default, opset")
    );
    let one = inspect("multifunction", &["--function", "one"]);
    assert!(one.contains("\nFunction one, opset CoreML8\n") && !one.contains("four"), "{one}");
    let (code, output, error) =
        run(command().arg("inspect").arg(package("multifunction")).args(["--function", "x"]));
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(
        error.ends_with("there is no function \"x\"; give --function one of: one, four\n"),
        "{error}"
    );
}

#[test]
fn a_package_as_json() {
    let (code, output, _) = run(command().arg("inspect").arg(package("fixed")).arg("--json"));
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(code, 0);
    assert_eq!(json["path"], package("fixed").display().to_string());
    assert_eq!(
        json["interface"]["functions"][0]["inputs"][0]["kind"]["shape"]["default"],
        serde_json::json!([1, 16])
    );
    assert_eq!(
        json["summary"]["functions"]["main"]["operations"],
        serde_json::json!({"const": 2, "linear": 1})
    );
    let weights = serde_json::json!({"tensors": 2, "elements": 544, "bytes": 1088});
    assert_eq!(json["summary"]["weights"]["float16"], weights);
    assert_eq!(json["summary"]["files"][1][0], "weights/weight.bin");
    let layer = serde_json::json!({"name": "linear_weight_to_fp16", "operation": "linear",
        "data_type": "float16",
                                   "shape": [32, 16], "bytes": 1024, "functions": ["main"]});
    assert_eq!(json["layers"][0], layer);
}

#[test]
fn weights_that_are_compressed_or_shared() {
    let layers = |name: &str, arguments: &[&str]| {
        let (_, output, _) =
            run(command().args(["inspect", "--json"]).arg(package(name)).args(arguments));
        let json: serde_json::Value = serde_json::from_str(&output).unwrap();
        let layers = json["layers"].as_array().unwrap().iter();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        layers
            .map(|layer| {
                (text(&layer["operation"]), text(&layer["data_type"]), layer["functions"].clone())
            })
            .collect::<Vec<_>>()
    };
    // What expands a compressed weight is not its user.
    assert!(
        layers("palettized", &[])
            .iter()
            .any(|(user, data_type, _)| user == "linear" && data_type == "uint3")
    );
    assert!(
        layers("int8", &[])
            .iter()
            .any(|(user, data_type, _)| user == "linear" && data_type == "int8")
    );
    let shared = serde_json::json!(["four", "one"]);
    assert!(layers("multifunction", &[]).iter().all(|(_, _, functions)| *functions == shared));
    assert_eq!(layers("multifunction", &["--function", "one"]).len(), 2);
    let all = inspect("constants", &["--all"]);
    let first = inspect("constants", &[]);
    assert!(
        first.contains("\nLargest weights\n") && first.contains(" more (--all shows them)\n"),
        "{first}"
    );
    assert!(all.contains("\nWeights by name\n") && !all.contains(" more (--all"), "{all}");
}

#[test]
fn exit_codes_tell_failures_from_wrong_arguments() {
    let (code, output, error) = run(command().args(["inspect", "/nonexistent.mlpackage"]));
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(error.starts_with("error: /nonexistent.mlpackage/Manifest.json: "), "{error}");
    assert_eq!(run(command().arg("inspect")).0, 2);
    assert_eq!(run(command().args(["inspect", "a", "--unknown"])).0, 2);
    assert_eq!(run(command().arg("unknown")).0, 2);
    assert_eq!(run(&mut command()).0, 2);
    assert_eq!(run(command().arg("--version")).0, 0);
    let (code, help, _) = run(command().args(["inspect", "--help"]));
    assert_eq!(code, 0);
    assert!(
        help.contains("Usage: cargo coreml inspect [OPTIONS] <MODEL.mlpackage|MANIFEST.toml>"),
        "{help}"
    );
    for part in ["Examples:", "Exit codes:", "--json", "--function"] {
        assert!(help.contains(part), "{part}");
    }
}

#[test]
fn cargo_need_not_be_there() {
    let mut direct = Command::new(env!("CARGO_BIN_EXE_cargo-coreml"));
    assert_eq!(run(direct.arg("inspect").arg(package("fixed"))).0, 0);
}

#[test]
fn a_damaged_package_fails_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("Data/com.apple.CoreML");
    std::fs::create_dir_all(&data).unwrap();
    for file in ["Manifest.json", "Data/com.apple.CoreML/model.mlmodel"] {
        std::fs::copy(package("fixed").join(file), folder.path().join(file)).unwrap();
    }
    let (code, output, error) = run(command().arg("inspect").arg(folder.path()));
    assert_eq!((code, output.as_str()), (1, ""));
    let expected = "refers to the weight file \"@model_path/weights/weight.bin\", which is not in \
        the package; the package is damaged: convert or copy the model again\n";
    assert!(error.starts_with("error: ") && error.ends_with(expected), "{error}");
}

#[test]
fn foreign_text_cannot_control_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let json =
        r#"{"fileFormatVersion":"1.0","itemInfoEntries":{},"rootModelIdentifier":"\u001b[2J"}"#;
    std::fs::write(folder.path().join("Manifest.json"), json).unwrap();
    let (code, _, error) = run(command().arg("inspect").arg(folder.path()));
    assert!(code == 1 && !error.contains('\u{1b}') && error.contains("[2J"), "{error}");
}

#[test]
fn a_reader_may_stop_early() {
    // The pipe has no reader.
    let mut child = command()
        .args(["inspect", "--json"])
        .arg(package("constants"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!((child.wait().unwrap().code(), error.as_str()), (Some(0), ""));
}
