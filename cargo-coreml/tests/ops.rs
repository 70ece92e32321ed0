//! `cargo coreml ops` as a user runs it, and the page that it writes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "not every test needs a package")]
mod command;

use command::{command, run};
use std::path::Path;

/// Fewest operations that every engine runs, of the 168 that coremltools has and `write_state`.
const FEWEST: u64 = 168;

#[test]
fn nearly_every_operation_runs_on_every_engine() {
    let (code, output, error) = run(command().args(["ops", "--json"]));
    assert_eq!((code, error.as_str()), (0, ""));
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    let rows = json["operations"].as_array().unwrap();
    for engine in ["rten", "onnxruntime"] {
        let names = &json["engines"][engine]["operations"];
        assert_eq!(names["total"], 169);
        assert!(names["supported"].as_u64().unwrap() >= FEWEST, "{engine}: {names}");
        let versions = &json["engines"][engine]["versions"];
        assert_eq!(versions["total"], rows.len());
        let supported = rows.iter().filter(|row| row["engines"][engine] == true).count();
        assert_eq!(versions["supported"], supported);
    }
    assert_eq!(json["engines"]["rten"]["built"], true);
    assert_eq!(json["engines"]["onnxruntime"]["built"], cfg!(feature = "onnxruntime"));
    let conv = rows.iter().find(|row| row["name"] == "conv" && row["since"] == "CoreML7").unwrap();
    assert_eq!(
        (&conv["parameters"]["weight"], &conv["parameters"]["pad"]),
        (&true.into(), &false.into())
    );
    let limit = |engine, differs, reason: &str| {
        let limit = serde_json::json!(
            {"engine": engine, "always": false, "differs": differs, "reason": reason}
        );
        serde_json::json!([limit])
    };
    let volume = "three spatial dimensions whose sizes vary";
    assert_eq!(conv["limits"], limit("rten", false, volume));
    let relu = rows.iter().find(|row| row["name"] == "relu").unwrap();
    assert_eq!(relu["limits"], limit("rten", true, "NaN becomes 0"));
}

#[test]
fn the_text_tells_what_is_missing_where() {
    let (code, output, _) = run(command().arg("ops"));
    assert_eq!(code, 0);
    assert!(
        output.starts_with("  engine       operations    versions\n  rten         168 of 169  "),
        "{output}"
    );
    let (_, never) = output.split_once("\nNot supported\n").unwrap();
    assert!(
        never.starts_with("  _const_symbolic  CoreML5  every engine  it exists only"),
        "{never}"
    );
    assert!(
        output.contains(
            "  conv                          CoreML5, CoreML7  rten          three spatial"
        ),
        "{output}"
    );
}

#[test]
fn the_text_tells_what_is_computed_otherwise() {
    let (_, output, _) = run(command().arg("ops"));
    let (_, others) =
        output.split_once("\nOther results than PyTorch's for some numbers\n").unwrap();
    let relu = others.lines().find(|line| line.starts_with("  relu ")).unwrap();
    assert_eq!(
        relu.split_whitespace().collect::<Vec<_>>().join(" "),
        "relu CoreML5 rten NaN becomes 0"
    );
    assert!(!others.contains("three spatial"), "{others}");
}

#[test]
fn one_engine_alone() {
    let (_, output, _) = run(command().args(["ops", "--engine", "onnxruntime"]));
    assert!(!output.contains("rten") && output.contains("every engine"), "{output}");
    assert_eq!(run(command().args(["ops", "--engine", "tract"])).0, 2);
    assert_eq!(run(command().args(["ops", "--json", "--markdown"])).0, 2);
}

#[test]
fn the_page_of_operations_is_the_table() {
    let (code, output, _) = run(command().args(["ops", "--markdown"]));
    assert_eq!(code, 0);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let page = std::fs::read_to_string(path).unwrap();
    let advice = "docs/operations.md is stale: run `cargo run -q -p cargo-coreml -- ops --markdown \
        > docs/operations.md`";
    assert!(page.replace("\r\n", "\n") == output, "{advice}");
}
