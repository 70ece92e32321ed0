//! `cargo coreml bench` as a user runs it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
// The names of engines are those of the portable backend.
#![cfg(not(target_vendor = "apple"))]

mod command;

use command::{command, package, run};

/// Measures for a moment.
fn bench(arguments: &[&str]) -> (i32, String, String) {
    run(command().arg("bench").args(arguments).args(["--seconds", "0.001"]))
}

#[test]
fn packages_are_measured_with_made_up_inputs() {
    // Tensors, a state, an image and a classifier.
    for name in ["state", "classifier_strings", "image"] {
        let path = package(name);
        let (code, output, errors) = bench(&[path.to_str().unwrap(), "--json"]);
        assert_eq!((code, errors.as_str()), (0, ""), "{name}");
        let figures: serde_json::Value = serde_json::from_str(&output).unwrap();
        let seconds = |key: &str| figures[0][key].as_f64().unwrap();
        assert!(
            seconds("least") > 0.0
                && seconds("least") <= seconds("median")
                && seconds("median") <= seconds("p95")
        );
        assert!(
            seconds("load") > 0.0 && figures[0]["predictions"].as_u64() >= Some(10),
            "{output}"
        );
        assert_eq!(figures[0]["inputs"], "generated, in their default sizes");
    }
    let (code, output, _) = bench(&[package("state").to_str().unwrap(), "--threads", "1"]);
    assert!(
        code == 0 && output.contains("on portable (rten") && output.contains("first prediction"),
        "{output}"
    );
}

#[test]
fn wrong_arguments_and_models_are_named() {
    let state = package("state");
    let state = state.to_str().unwrap();
    let (code, _, errors) = bench(&[state, "--function", "absent"]);
    assert!(code == 1 && errors.contains("the package has no function `absent`"), "{errors}");
    let (code, _, errors) = bench(&["absent.mlpackage"]);
    assert!(code == 1 && errors.contains("absent.mlpackage"), "{errors}");
    let (code, _, errors) = bench(&[state, "--compute-units", "npu"]);
    assert!(code == 2 && errors.contains("cpu-and-ne"), "{errors}");
    let (code, _, errors) = bench(&[state, "--samples", "absent.safetensors"]);
    assert!(code == 1 && errors.contains("absent.safetensors"), "{errors}");
}
