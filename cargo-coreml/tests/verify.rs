//! `cargo coreml verify` as a user runs it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
// The figures are those of the portable backend.
#![cfg(not(target_vendor = "apple"))]

mod command;

use command::{command, package, run};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Writes a sample of float tensors, each of two rows of three.
fn sample(folder: &TempDir, tensors: &[(&str, [f32; 6])]) -> PathBuf {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(_, values)| values.map(f32::to_le_bytes).concat()).collect();
    let views = tensors.iter().zip(&bytes);
    let views = views
        .map(|((key, _), bytes)| (*key, TensorView::new(Dtype::F32, vec![2, 3], bytes).unwrap()));
    let path = folder.path().join("steps.safetensors");
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    path
}

/// Two steps of the package `state`, which adds `x` to its state and returns twice the sum.
const STEPS: [(&str, [f32; 6]); 5] = [
    ("step0/in/x", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    ("step0/out/y", [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]),
    ("step1/in/x", [0.5; 6]),
    ("step1/out/y", [3.0, 5.0, 7.0, 9.0, 11.0, 13.0]),
    ("final_state/total", [1.5, 2.5, 3.5, 4.5, 5.5, 6.5]),
];

/// Returns a package with its sample, from the tests of `coreml-rt`.
fn with_sample(name: &str) -> [PathBuf; 2] {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../coreml-rt/tests/data/packages");
    ["mlpackage", "safetensors"].map(|extension| data.join(format!("{name}.{extension}")))
}

#[test]
fn packages_pass_with_their_samples() {
    for name in ["pets", "mix", "encoder", "decoder"] {
        let [package, sample] = with_sample(name);
        let (code, output, error) =
            run(command().arg("verify").arg(package).arg("--samples").arg(sample));
        assert_eq!((code, error.as_str()), (0, ""), "{output}");
        assert!(
            output.starts_with(&format!("parity of `{name}` with PyTorch on portable (rten")),
            "{output}"
        );
        let header = "max |d|   relative      PSNR     argmax";
        assert!(
            output.contains(header) && output.contains("  pass") && !output.contains("FAIL"),
            "{output}"
        );
    }
}

#[test]
fn the_tolerance_follows_the_precision_unless_it_is_given() {
    let first_line = |name: &str, arguments: &[&str]| {
        let [package, sample] = with_sample(name);
        let (_, output, _) =
            run(command().arg("verify").arg(package).arg("--samples").arg(sample).args(arguments));
        output.lines().next().unwrap().split_once("; ").unwrap().1.to_owned()
    };
    assert_eq!(first_line("mix", &[]), "an output passes at a PSNR of 35 dB");
    assert_eq!(first_line("encoder", &[]), "an output passes at a PSNR of 80 dB");
    assert_eq!(first_line("mix", &["--psnr", "50.5"]), "an output passes at a PSNR of 50.5 dB");
    assert_eq!(
        first_line("mix", &["--rtol", "0.1"]),
        "an output passes within 0 + 0.1 × |reference|"
    );
    assert_eq!(
        first_line("mix", &["--atol", "1", "--rtol", "0.1"]),
        "an output passes within 1 + 0.1 × |reference|"
    );
}

#[test]
fn a_stateful_model_runs_step_by_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = sample(&folder, &STEPS);
    let (code, output, _) = run(command()
        .args(["verify", "--json", "--threads", "1"])
        .arg(package("state"))
        .arg("--samples")
        .arg(path));
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &json["passed"], &json["model"]), (0, &true.into(), &"state".into()));
    assert_eq!(json["tolerance"], serde_json::json!({"psnr": 35.0}));
    let rows = json["comparisons"].as_array().unwrap();
    let place =
        |row: &serde_json::Value| (row["step"].as_u64(), row["role"].clone(), row["name"].clone());
    let rows: Vec<_> = rows.iter().map(place).collect();
    let (output, end) = ("output".into(), "final_state".into());
    assert_eq!(
        rows,
        [
            (Some(0), serde_json::Value::clone(&output), "y".into()),
            (Some(1), output, "y".into()),
            (None, end, "total".into())
        ]
    );
    assert_eq!(json["comparisons"][2]["max_abs"], 0.0);
    assert_eq!(json["comparisons"][2]["psnr"], serde_json::Value::Null, "infinite");
}

/// Asserts that a model with states and the same with inputs and outputs for them have the same
/// figures.
fn states_have_the_figures_of_inputs_and_outputs(engine: &str) {
    let figures = |name: &str| {
        let [package, sample] = with_sample(name);
        let mut command = command();
        command.args(["verify", "--json", "--engine", engine]).arg(package);
        let (code, output, error) = run(command.arg("--samples").arg(sample));
        assert_eq!((code, error.as_str()), (0, ""), "{output}");
        let json: serde_json::Value = serde_json::from_str(&output).unwrap();
        let comparisons = json["comparisons"].as_array().unwrap();
        assert_eq!(comparisons.len(), 5, "three steps and two states: {output}");
        json["comparisons"].to_string().replace("memory_io", "memory")
    };
    assert_eq!(figures("memory"), figures("memory_io"));
}

#[test]
fn states_have_the_figures_of_inputs_and_outputs_on_rten() {
    states_have_the_figures_of_inputs_and_outputs("rten");
}

#[cfg(feature = "onnxruntime")]
#[coreml_test_needs::needs(onnxruntime)]
#[test]
fn states_have_the_figures_of_inputs_and_outputs_on_onnx_runtime() {
    states_have_the_figures_of_inputs_and_outputs("onnxruntime");
}

#[test]
fn what_differs_fails_and_its_figures_are_printed_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = STEPS;
    tensors[4].1[0] += 3.0;
    let path = sample(&folder, &tensors);
    let (code, output, error) =
        run(command().arg("verify").arg(package("state")).arg("--samples").arg(&path));
    assert_eq!((code, error.as_str()), (1, "error: 1 of 3 comparisons failed\n"));
    let row = output.lines().find(|line| line.ends_with("FAIL")).unwrap();
    assert!(row.contains("final state") && row.contains("3.00e0"), "{output}");
    let (code, output, _) =
        run(command().args(["verify", "--json"]).arg(package("state")).arg("--samples").arg(&path));
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &json["passed"]), (1, &false.into()));
    let (code, _, _) = run(command()
        .args(["verify", "--atol", "3"])
        .arg(package("state"))
        .arg("--samples")
        .arg(&path));
    assert_eq!(code, 0);
}

#[test]
fn several_samples_are_one_report() {
    let [package, sample] = with_sample("decoder");
    let (code, output, _) = run(command()
        .arg("verify")
        .arg("--samples")
        .arg(&sample)
        .arg("--samples")
        .arg(&sample)
        .arg(package));
    assert_eq!((code, output.matches("decoder.safetensors").count()), (0, 2), "{output}");
}

#[test]
fn errors_tell_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = sample(&folder, &STEPS);
    let verify = |arguments: &[&str]| {
        run(command()
            .arg("verify")
            .arg(package("state"))
            .arg("--samples")
            .arg(&path)
            .args(arguments))
    };
    let (code, output, error) = verify(&["--function", "x"]);
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(error.ends_with("the package has no function `x`; it has main\n"), "{error}");
    let (_, _, error) = verify(&["--engine", "rten", "--round-to-half"]);
    assert!(
        error.contains(
            "rten has no half precision to round results to; choose the engine ONNX Runtime"
        ),
        "{error}"
    );
    if !cfg!(feature = "onnxruntime") {
        let (code, _, error) = verify(&["--engine", "onnxruntime"]);
        assert!(
            code == 1 && error.contains("build it with the Cargo feature `onnxruntime`"),
            "{error}"
        );
    }
    let (code, _, error) =
        run(command().arg("verify").arg(package("state")).args(["--samples", "/no/such"]));
    assert!(code == 1 && error.contains("/no/such cannot be used: it cannot be read"), "{error}");
    for wrong in [
        &["--psnr", "nan"][..],
        &["--atol", "-1"],
        &["--psnr", "1", "--atol", "1"],
        &["--threads", "0"],
    ] {
        assert_eq!(verify(wrong).0, 2, "{wrong:?}");
    }
    assert_eq!(run(command().arg("verify").arg(package("state"))).0, 2, "without samples");
}

#[test]
fn the_environment_chooses_an_engine_where_nobody_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = sample(&folder, &STEPS);
    let verify = |engine: &str, arguments: &[&str]| {
        let mut command = command();
        command.arg("verify").arg(package("state")).arg("--samples").arg(&path).args(arguments);
        run(command.env("COREML_ENGINE", engine))
    };
    for engine in ["rten", ""] {
        let (code, output, _) = verify(engine, &[]);
        assert!(code == 0 && output.contains("on portable (rten"), "{output}");
    }
    let (code, output, error) = verify("onnxruntime", &[]);
    let chosen = if !cfg!(feature = "onnxruntime") {
        code == 1 && error.contains("built without the engine ONNX Runtime")
    } else if error.contains("its shared library was not found") {
        code == 1
    } else {
        code == 0 && output.contains("on portable (ONNX Runtime")
    };
    assert!(chosen, "{output}{error}");
    assert_eq!(verify("onnxruntime", &["--engine", "rten"]).0, 0, "an option counts more");
    let (code, _, error) = verify("ort", &[]);
    let expected = "the environment variable COREML_ENGINE: there is no engine `ort`; choose \
        `rten` or `onnxruntime`\n";
    assert!(code == 1 && error.ends_with(expected), "{error}");
}

#[test]
fn the_help_says_what_a_sample_is() {
    let (code, help, _) = run(command().args(["verify", "--help"]));
    assert_eq!(code, 0);
    assert!(help.contains("Usage: cargo coreml verify [OPTIONS] <MODEL"), "{help}");
    for part in [
        "in/NAME",
        "step0/out/NAME",
        "final_state/NAME",
        "Examples:",
        "Exit codes:",
        "rten, onnxruntime",
    ] {
        assert!(help.contains(part), "{part} is not in\n{help}");
    }
}
