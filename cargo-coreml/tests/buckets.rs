//! Packages with buckets in each subcommand: one model in several sizes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
// The figures are those of the portable backend.
#![cfg(not(target_vendor = "apple"))]

mod command;

use command::{command, run};
use std::path::{Path, PathBuf};

/// Returns a file of the test data of `coreml-rt`.
fn letters(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../coreml-rt/tests/data/packages").join(file)
}

/// The buckets as a package describes them.
const BUCKETS: &str = "4, 8 by dimension 1 of ids (2..=8); padded: ids with 3, rows with -1.5; \
    mask: mask; trimmed: scaled, products";

#[test]
fn inspect_says_what_is_padded_and_trimmed() {
    let (code, output, _) = run(command().arg("inspect").arg(letters("letters.mlpackage")));
    assert_eq!(code, 0);
    assert!(output.contains(&format!("  buckets        {BUCKETS}\n")), "{output}");
    assert!(!output.contains("coreml-build.buckets"), "{output}");
    assert!(output.contains("Function bucket_8, the default, opset CoreML8"), "{output}");
    let (_, json, _) = run(command().args(["inspect", "--json"]).arg(letters("letters.mlpackage")));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["interface"]["buckets"]["sizes"], serde_json::json!([4, 8]));
}

#[test]
fn diff_sees_another_set_of_buckets() {
    let (_, output, _) = run(command()
        .arg("diff")
        .arg(letters("letters_4.mlpackage"))
        .arg(letters("letters_8.mlpackage")));
    assert!(output.contains("  ~ buckets: 4 by dimension 1 of ids (2..=4)"), "{output}");
    let same = letters("letters.mlpackage");
    let (_, output, _) = run(command().arg("diff").arg(&same).arg(&same));
    assert!(!output.contains('~'), "{output}");
}

#[test]
fn verify_pads_samples_that_are_not() {
    let verify = |package: &str, arguments: &[&str]| {
        let mut verify = command();
        verify.arg("verify").arg(letters(package)).args(arguments);
        for length in [3, 4, 7] {
            verify.arg("--samples").arg(letters(&format!("letters.{length}.safetensors")));
        }
        run(&mut verify)
    };
    let (code, output, error) = verify("letters.mlpackage", &[]);
    assert_eq!((code, error.as_str()), (0, ""), "{output}");
    assert_eq!(output.matches("  pass").count(), 9, "{output}");
    let (code, _, error) = verify("letters_4.mlpackage", &[]);
    assert!(
        code == 1 && error.contains("a length of 7 fits no bucket: the model takes 2 to 4"),
        "{error}"
    );
    let (code, _, error) = verify("letters.mlpackage", &["--function", "bucket_4"]);
    assert!(code == 1 && error.contains("ids"), "{error}");
}

#[test]
fn lint_and_report_show_every_size() {
    let (code, output, _) =
        run(command().args(["lint", "--json"]).arg(letters("letters.mlpackage")));
    assert_eq!(code, 0, "{output}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    let mut report = command();
    report.arg("report").arg(letters("letters.mlpackage")).arg("-o").arg(&file);
    let (code, _, error) = run(report.arg("--samples").arg(letters("letters.7.safetensors")));
    assert_eq!((code, error.as_str()), (0, ""));
    let page = std::fs::read_to_string(file).unwrap();
    let data = page.split_once("id=\"data\">").unwrap().1.split_once("</script>").unwrap().0;
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert!(
        data["facts"].as_array().unwrap().contains(&serde_json::json!(["buckets", BUCKETS])),
        "{}",
        data["facts"]
    );
    let rows = data["parity"]["rows"].as_array().unwrap();
    assert!(rows.len() == 3 && rows.iter().all(|row| row["passed"] == true), "{rows:?}");
}

#[test]
fn bench_runs_the_bucket_of_a_sample_and_the_smallest_without_one() {
    for samples in [&["--samples", "letters.3.safetensors"][..], &[]] {
        let mut bench = command();
        bench.args(["bench", "--json", "--seconds", "0.01"]).arg(letters("letters.mlpackage"));
        for argument in samples {
            match argument.strip_suffix(".safetensors") {
                Some(_) => bench.arg(letters(argument)),
                None => bench.arg(argument),
            };
        }
        let (code, output, error) = run(&mut bench);
        assert_eq!((code, error.as_str()), (0, ""), "{output}");
        let json: serde_json::Value = serde_json::from_str(&output).unwrap();
        assert!(json[0]["predictions"].as_u64().unwrap() > 0, "{json}");
    }
}
