//! Every rule finds what it is about, and nothing else, in packages that coremltools wrote.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use coreml_lint::{Options, RULES, Report, Severity, lint, sarif};
use coreml_spec::{ComputeUnits, Package};
use std::path::{Path, PathBuf};

/// Returns a package that `data/make.py` made.
fn package(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/{name}.mlpackage"))
}

/// Applies the rules to a package.
fn report(path: &Path, options: &Options) -> Report {
    lint(&Package::open(path).unwrap(), options).unwrap()
}

/// Returns the findings as `RULE name`, in order.
fn found(report: &Report) -> Vec<String> {
    report
        .findings
        .iter()
        .map(|finding| format!("{} {}", finding.rule.id, finding.place.name))
        .collect()
}

/// Copies the package without fault, and makes its weight file `bytes` long without writing them.
fn clean(bytes: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let data = "Data/com.apple.CoreML";
    std::fs::create_dir_all(folder.path().join(data).join("weights")).unwrap();
    for file in [
        "Manifest.json",
        "Data/com.apple.CoreML/model.mlmodel",
        "Data/com.apple.CoreML/weights/weight.bin",
    ] {
        std::fs::copy(package("clean").join(file), folder.path().join(file)).unwrap();
    }
    let weights = folder.path().join(data).join("weights/weight.bin");
    std::fs::File::options().write(true).open(weights).unwrap().set_len(bytes).unwrap();
    folder
}

#[test]
fn every_rule_finds_its_fault_once() {
    let report = report(&package("hostile"), &Options::default());
    let mut found = found(&report);
    found.sort();
    let expected = [
        "ANE001 flexible",
        "ANE002 narrow",
        "ANE003 five",
        "ANE004 single",
        "ANE005 long",
        "ANE006 places",
        "ANE010 cache",
        "ANE011 ",
        "ANE020 recurrent_0",
        "ANE021 repeated",
        "ANE022 embedded",
        "ANE030 product",
        "ANE031 attention",
        "ANE032 fused",
        "ANE040 dynamic",
        "ANE041 long_kernel",
        "ANE042 stride",
        "ANE043 dilated",
        "ANE044 pooled",
        "ANE050 bounded",
        "ANE051 wave",
        "ANE060 ",
        "ANE070 ",
    ];
    assert_eq!(found, expected);
    // The one that is left needs a gigabyte: see below.
    assert_eq!(expected.len() + 1, RULES.len());
    assert!(report.findings.is_sorted_by_key(|finding| std::cmp::Reverse(finding.severity)));
    let not_eligible: Vec<&str> = report
        .verdicts
        .iter()
        .filter(|verdict| !verdict.eligible)
        .map(|verdict| verdict.name.as_str())
        .collect();
    assert_eq!(
        not_eligible,
        ["single", "long", "places", "embedded", "recurrent_0", "repeated", "dynamic"]
    );
    assert_eq!(report.eligible + not_eligible.len(), report.operations);
    let [padding] = &report.padding[..] else { panic!("{:?}", report.padding) };
    assert_eq!((padding.name.as_str(), padding.bytes, padding.padded), ("narrow", 65_536, 524_288));
    assert!(report.padded >= report.bytes + 458_752);
    let stride = report.findings.iter().find(|finding| finding.rule.id == "ANE042").unwrap();
    assert_eq!(stride.place.operation, "conv");
    assert_eq!(stride.place.weight, "stride_weight_0");
    assert_eq!(stride.detail, "its strides are [5, 1]");
}

#[test]
fn a_model_that_follows_every_advice_has_no_finding() {
    let folder = clean(60_000_000);
    let report = report(folder.path(), &Options::default());
    assert_eq!(found(&report), [""; 0]);
    assert_eq!((report.operations, report.eligible, report.padding.len()), (3, 3, 0));
}

#[test]
fn size_is_judged_at_both_ends() {
    assert_eq!(found(&report(&package("clean"), &Options::default())), ["ANE070 "]);
    assert_eq!(found(&report(clean(1_000_000_000).path(), &Options::default())), ["ANE071 "]);
}

#[test]
fn rules_are_left_out_and_compute_units_are_heeded() {
    let mut options = Options::default();
    options.allow = ["ANE070".to_owned(), "ANE002".to_owned()].into();
    options.compute_units = Some(ComputeUnits::CpuAndGpu);
    let found = found(&report(&package("hostile"), &options));
    assert_eq!(found.len(), RULES.len() - 4);
    assert!(
        found.iter().all(|found| !["ANE002", "ANE011", "ANE070"].contains(&&found[..6])),
        "{found:?}"
    );
}

#[test]
fn what_pytorch_models_become() {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../coreml-spec/tests/data/packages");
    for (name, expected) in [
        ("fixed", vec!["ANE070 "]),
        (
            "ranges",
            vec!["ANE001 x", "ANE001 y", "ANE001 z", "ANE004 x", "ANE004 y", "ANE004 z", "ANE070 "],
        ),
        ("enumerated", vec!["ANE001 x", "ANE001 y", "ANE004 x", "ANE004 y", "ANE070 "]),
        ("state", vec!["ANE010 total", "ANE011 ", "ANE070 "]),
    ] {
        let report = report(&packages.join(format!("{name}.mlpackage")), &Options::default());
        assert_eq!(found(&report), expected, "{name}");
    }
}

#[test]
fn a_classifier_of_pictures_has_nothing_above_info() {
    let report = report(&package("pictures"), &Options::default());
    // The worst first: what the convolution to 160 channels makes, twice as it is activated.
    assert_eq!(
        found(&report),
        ["ANE002 wide", "ANE002 active", "ANE002 depth", "ANE004 x", "ANE070 "]
    );
    assert!(report.findings.iter().all(|finding| finding.severity == Severity::Info));
    assert!(report.findings[0].advice.starts_with("the small maps at the end"));
    // The cast in front of the classifier is coremltools' own.
    assert_eq!((report.operations, report.eligible), (10, 10));
}

#[test]
fn masks_are_no_finding_where_results_are_compared() {
    let mut options = Options::default();
    let large = |options: &Options| {
        let found = found(&report(&package("masked"), options));
        found.into_iter().filter(|found| found.starts_with("ANE050")).collect::<Vec<_>>()
    };
    assert_eq!(large(&options), ["ANE050 masked", "ANE050 bounded"]);
    options.compared = true;
    assert_eq!(large(&options), ["ANE050 bounded"]);
    let report = report(&package("masked"), &options);
    let heads = report.findings.iter().find(|finding| finding.rule.id == "ANE031").unwrap();
    assert!(heads.advice.starts_with("rewrite = [\"ane\"]"), "{}", heads.advice);
}

/// Returns whether a log has the members, of the types, that the schema of SARIF has: the types of
/// `serde-sarif` are made from it, and what they do not know is lost between reading and writing.
fn is_sarif(log: &serde_json::Value) -> bool {
    let typed = serde_json::from_value::<serde_sarif::sarif::Sarif>(log.clone());
    typed.is_ok_and(|typed| serde_json::to_value(typed).is_ok_and(|written| written == *log))
}

#[test]
fn sarif_has_what_its_schema_asks_for() {
    let report = report(&package("hostile"), &Options::default());
    let log = sarif(&[("a b/hostile.mlpackage".to_owned(), &report)]);
    assert!(is_sarif(&log));
    for (member, wrong) in [
        ("/runs/0/results/0", "{}"),
        ("/runs/0/results/0/level", "\"fatal\""),
        ("/runs/0/tool", "{}"),
    ] {
        let mut other = log.clone();
        *other.pointer_mut(member).unwrap() = serde_json::from_str(wrong).unwrap();
        assert!(!is_sarif(&other), "{member}");
    }
    let mut other = log.clone();
    other["runs"][0]["results"][0]["place"] = "here".into();
    assert!(!is_sarif(&other), "an unknown member");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(
        (run["tool"]["driver"]["name"].as_str(), rules.len()),
        (Some("cargo-coreml"), RULES.len())
    );
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), report.findings.len());
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let location = &result["locations"][0];
        assert_eq!(
            location["physicalLocation"]["artifactLocation"]["uri"],
            "a%20b/hostile.mlpackage"
        );
    }
    let long = results.iter().find(|result| result["ruleId"] == "ANE005").unwrap();
    assert_eq!(long["locations"][0]["logicalLocations"][0]["fullyQualifiedName"], "main/long");
}

#[test]
fn a_finding_stands_at_the_line_of_python_that_it_comes_from() {
    let origins = serde_json::json!({"main": {
        "stride": { "module": "encoder.convs.0", "file": "python/a net.py", "line": 12 },
        "repeated": { "module": "tiler" },
    }});
    let mut options = Options::default();
    options.origins = serde_json::from_value(origins).unwrap();
    let report = report(&package("hostile"), &options);
    let log = sarif(&[("m.toml".to_owned(), &report)]);
    assert!(is_sarif(&log));
    let results = log["runs"][0]["results"].as_array().unwrap();
    let result = |rule: &str| results.iter().find(|result| result["ruleId"] == rule).unwrap();
    let physical = |uri: &str| serde_json::json!({ "artifactLocation": { "uri": uri } });
    let module = |path: &str| {
        let kind = "module";
        serde_json::json!({ "name": path, "fullyQualifiedName": path, "kind": kind })
    };
    let stride = &result("ANE042")["locations"][0];
    assert_eq!(stride["physicalLocation"]["artifactLocation"]["uri"], "python/a%20net.py");
    assert_eq!(stride["physicalLocation"]["region"]["startLine"], 12);
    assert_eq!(stride["logicalLocations"][1], module("encoder.convs.0"));
    assert_eq!(result("ANE042")["relatedLocations"][0]["physicalLocation"], physical("m.toml"));
    let repeated = &result("ANE021")["locations"][0];
    assert_eq!(
        (&repeated["physicalLocation"], &repeated["logicalLocations"][1]),
        (&physical("m.toml"), &module("tiler"))
    );
    assert!(result("ANE041")["locations"][0]["logicalLocations"].as_array().unwrap().len() == 1);
}
