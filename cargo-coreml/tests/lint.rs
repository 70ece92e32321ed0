//! `cargo coreml lint` as a user runs it, on the packages of `coreml-lint`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod large;

use command::{command, run};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Returns a package of `coreml-lint`.
fn package(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../coreml-lint/tests/data/{name}.mlpackage"))
}

#[test]
fn findings_as_text() {
    let (code, output, error) = run(command().arg("lint").arg(package("hostile")));
    assert_eq!((code, error.as_str()), (0, ""));
    let expected = "\n\
        warn ANE042: a stride with a prime factor other than 2 and 3\n  \
        main: stride (conv): its strides are [5, 1]; weight stride_weight_0\n  \
        advice: use a stride of 2, 3, 4, 6, 8, 9 or 12\n  \
        source: A: Apple's text or code\n";
    assert!(output.contains(expected), "{output}");
    assert!(
        output.contains("  narrow  float16 [1, 1024, 8, 4]  65.5 kB  524.3 kB    8.0\n"),
        "{output}"
    );
    assert!(
        output.contains("\n5 errors, 10 warnings, 8 remarks; 32 of 39 operations are eligible"),
        "{output}"
    );
    assert!(!output.contains("runs on the Neural") && !output.contains('\u{1b}'), "{output}");
}

#[test]
fn the_worst_places_of_a_rule_stand_first_and_few() {
    let lint = |arguments: &[&str]| {
        let (code, output, error) = run(command()
            .arg("lint")
            .arg(package("pictures"))
            .args(["--deny", "warn"])
            .args(arguments));
        assert_eq!((code, error.as_str()), (0, ""), "{output}");
        output
    };
    let output = lint(&[]);
    let expected = "\ninfo ANE002: padding makes a tensor at least twice as large (3 places)\n  \
        main: wide (conv): wide is float16 [1, 160, 14, 14]: 62720 bytes become up to 143360, \
        2.3 times; weight wide_weight_0\n";
    assert!(output.contains(expected), "{output}");
    assert!(output.contains("  advice: the small maps at the end of a convolutional"), "{output}");
    assert!(!output.contains("--all") && !output.contains("fp32"), "{output}");
    assert!(output.contains("\n0 errors, 0 warnings, 5 remarks; 10 of 10"), "{output}");
}

#[test]
fn denied_findings_fail_after_they_are_shown() {
    let lint = |package_name: &str, arguments: &[&str]| {
        run(command().arg("lint").arg(package(package_name)).args(arguments))
    };
    let (code, output, error) = lint("hostile", &["--deny", "error"]);
    assert!(code == 1 && output.contains("ANE005"), "{output}");
    assert_eq!(error, "error: 5 findings of severity error or higher (--deny)\n");
    assert_eq!(
        lint("hostile", &["--deny", "warn"]).2,
        "error: 15 findings of severity warn or higher (--deny)\n"
    );
    assert_eq!(lint("clean", &["--deny", "warn"]).0, 0);
    let errors = "--allow=ANE001,ANE005,ANE010,ANE020,ANE040";
    let (code, output, _) = lint("hostile", &["--deny", "error", errors]);
    assert!(code == 0 && !output.contains("ANE005:"), "{output}");
    let (code, _, error) = lint("hostile", &["--allow", "ANE999"]);
    assert!(code == 2 && error.contains("ANE999"), "{error}");
}

#[test]
fn a_manifest_allows_rules_for_its_models() {
    let folder = tempfile::tempdir().unwrap();
    let write =
        |name: &str, content: &str| std::fs::write(folder.path().join(name), content).unwrap();
    write("Cargo.toml", "[package]\nname = \"x\"\n");
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(package("hostile"))
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(copied.success());
    let lint = |rules: &str| {
        let table = "[model]\nsource = { package = \"hostile.mlpackage\" }\nallow = ";
        write("m.toml", &format!("{table}{rules}\n"));
        let mut command = command();
        command.args(["lint", "m.toml", "--json"]).current_dir(folder.path());
        run(command.env("COREML_CACHE_DIR", folder.path().join("cache")))
    };
    let rules = |output: &str| {
        let json: serde_json::Value = serde_json::from_str(output).unwrap();
        let findings = json[0]["findings"].as_array().unwrap();
        findings
            .iter()
            .map(|finding| finding["rule"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let (_, all, _) = lint("[]");
    let (code, fewer, errors) = lint("[\"ANE042\"]");
    assert_eq!((code, errors.as_str()), (0, ""));
    let expected: Vec<_> = rules(&all).into_iter().filter(|rule| rule != "ANE042").collect();
    assert!(rules(&fewer) == expected && expected.len() < rules(&all).len());
    let (code, _, errors) = lint("[\"ANE999\"]");
    assert!(
        code == 1 && errors.contains("`allow` contains ANE999, which is not a rule"),
        "{errors}"
    );
}

#[test]
fn findings_for_programs() {
    let (code, output, _) = run(command().arg("lint").arg(package("hostile")).arg("--json"));
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    let findings = json[0]["findings"].as_array().unwrap();
    assert_eq!((code, findings.len(), &json[0]["operations"]), (0, 23, &39.into()));
    let stride = findings.iter().find(|finding| finding["rule"] == "ANE042").unwrap();
    let expected = serde_json::json!({
        "rule": "ANE042", "severity": "warn", "function": "main", "operation": "conv",
        "name": "stride", "weight": "stride_weight_0", "detail": "its strides are [5, 1]",
    });
    assert_eq!(*stride, expected);
    let (code, output, _) = run(command().arg("lint").arg(package("hostile")).arg("--sarif"));
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, json["runs"][0]["results"].as_array().unwrap().len()), (0, 23));
    let uri = &json["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
        ["uri"];
    assert!(uri.as_str().unwrap().starts_with("file:///"), "{uri}");
}

#[test]
fn a_model_that_was_converted_from_pytorch() {
    let (code, output, _) = run(command().arg("lint").arg(command::package("state")));
    assert!(
        code == 0
            && output.contains("  main: total: the state is float16 [2, 3]: 3 could become 32\n"),
        "{output}"
    );
}

#[test]
fn the_rules_can_be_listed() {
    let (code, output, _) = run(command().args(["lint", "--rules"]));
    assert!(
        code == 0
            && output.contains("ANE030 info: ")
            && output.contains("\n  source: C: a single source\n")
    );
    assert_eq!(run(command().arg("lint")).0, 2);
}

#[test]
fn a_manifest_that_is_not_converted_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("Cargo.toml", "[package]\nname = \"a\"\n");
    write("model.py", "def model():\n    pass\n");
    let manifest = "[model]\n\
        source = { file = \"model.py\", entry = \"model\" }\n\
        inputs.x = { shape = [3], dtype = \"float32\" }\n\
        outputs.y = { dtype = \"float32\" }\n";
    write("a.toml", manifest);
    let lint = |name: &str| {
        run(command()
            .env("COREML_CACHE_DIR", folder.path().join("cache"))
            .arg("lint")
            .arg(folder.path().join(name)))
    };
    let (code, output, error) = lint("a.toml");
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(error.contains("\nhelp: `cargo build` converts what is not in the cache\n"), "{error}");
    assert_eq!(lint("b.toml").0, 1);
}

/// The release build takes 0.1 s; a debug build on a busy machine may be fifty times slower.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn ten_thousand_operations_and_two_gigabytes() {
    let folder = tempfile::tempdir().unwrap();
    large::make(folder.path());
    for subcommand in ["lint", "inspect"] {
        let start = Instant::now();
        let (code, output, error) = run(command().arg(subcommand).arg(folder.path()));
        assert_eq!((code, error.as_str()), (0, ""), "{output}");
        assert!(start.elapsed() < PATIENCE, "{subcommand} took {:?}", start.elapsed());
    }
    let (_, output, _) = run(command().args(["lint", "--json"]).arg(folder.path()));
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&json[0]["operations"], &json[0]["eligible"]), (&6000.into(), &6000.into()));
    assert_eq!(json[0]["findings"][0]["rule"], "ANE071");
}
