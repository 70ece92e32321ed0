//! A model's life on the command line: `cargo coreml build`, `bench`, `clean`, `lint`, `report`,
//! `diff`, with real conversions.
//!
//! Owns: what the subcommands share through the cache. Must not: test the figures.

use coreml_tests::{Run, UserCrate, run, workspace};
use serde_json::Value;

/// Runs `cargo coreml` in a crate's folder, with the crate's variables.
fn coreml(user: &UserCrate, arguments: &[&str]) -> Run {
    let mut command = user.command(&["run", "--quiet", "--manifest-path"]);
    command.arg(workspace().join("cargo-coreml/Cargo.toml")).args(["--", "coreml"]).args(arguments);
    run(&mut command)
}

/// Returns what a command prints as JSON; null for anything else.
fn json(user: &UserCrate, arguments: &[&str]) -> Value {
    serde_json::from_str(&coreml(user, arguments).succeeds().stdout).unwrap_or_default()
}

#[test]
fn what_is_built_is_measured_and_removed_again() {
    let user = UserCrate::new("commanded", &["nets.toml"]).with_empty_cache();
    user.write(
        "nets.toml",
        "[models.good]\nsource = { file = \"python/nets.py\", entry = \"net\" }\ninputs.x = { \
        shape = [1, 4], dtype = \"float32\" }\n\n\
         [models.bad]\nsource = { file = \"python/nets.py\", entry = \"wrong\" }\ninputs.x = { \
         shape = [1, 4], dtype = \"float32\" }\n",
    );
    let nets = "import torch\n\n\ndef net():\n    torch.manual_seed(0)\n    return \
        torch.nn.Linear(4, 3)\n\n\ndef wrong():\n    ";
    user.write("python/nets.py", format!("{nets}return torch.nn.Linear(5, 3)\n"));

    // One model fails; the other stays, and the JSON reports it together with the error.
    let failed = coreml(&user, &["build", "--json"]);
    let said: Value = serde_json::from_str(&failed.stdout).expect("it is JSON");
    assert!(
        said[0]["errors"][0].as_str().is_some_and(|error| error.contains("model `bad`")),
        "{said}"
    );
    failed.fails_with(&["good: converted", "bad: not converted", "model `bad`"]);
    let places = coreml(&user, &["build", "--dry-run"]).succeeds().stdout;
    assert!(
        places.contains("good  in the local cache") && places.contains("bad   in no cache"),
        "{places}"
    );

    user.write("python/nets.py", format!("{nets}return torch.nn.Linear(4, 3)\n"));
    let built = json(&user, &["build", "--json", "--jobs", "1"]);
    let models = built[0]["models"].as_array().expect("there are models");
    let digest = |at: usize| models[at]["digest"].as_str().map(str::len);
    assert_eq!((models.len(), digest(0), digest(1)), (2, Some(64), Some(64)), "{built}");
    assert!(models.iter().all(|model| model["bytes"].as_u64() > Some(0)), "{built}");
    let again = json(&user, &["build", "--json"]);
    assert!(
        again[0]["models"]
            .as_array()
            .is_some_and(|all| all.iter().all(|model| model["cached"] == true)),
        "{again}"
    );

    let figures =
        json(&user, &["bench", "nets.toml", "--seconds", "0.01", "--threads", "1", "--json"]);
    for (figures, model) in figures.as_array().expect("a list").iter().zip(["good", "bad"]) {
        assert_eq!(figures["model"], format!("nets.toml: {model}"));
        assert!(
            figures["inputs"].as_str().is_some_and(|name| name.ends_with(".safetensors")),
            "{figures}"
        );
        assert!(
            figures["least"].as_f64() <= figures["median"].as_f64()
                && figures["predictions"].as_u64() >= Some(10)
        );
    }

    // Both models on the samples of their conversion, by the manifest's tolerance.
    let verified = json(&user, &["verify", "nets.toml", "--json"]);
    let passed = |at: usize| (&verified[at]["model"], &verified[at]["passed"]);
    assert_eq!(passed(0), (&"good".into(), &true.into()), "{verified}");
    assert_eq!(passed(1), (&"bad".into(), &true.into()), "{verified}");
    assert_eq!(verified.as_array().map(Vec::len), Some(2));
    let samples =
        coreml(&user, &["path", "nets.toml", "--model", "good", "--only", "samples"]).succeeds();
    assert!(
        samples.stdout.lines().next().is_some_and(|path| path.ends_with(".safetensors")),
        "{}",
        samples.stdout
    );

    let removed = coreml(&user, &["clean"]).succeeds().stdout;
    assert!(removed.starts_with("removed ") && removed.contains(" models with "), "{removed}");
    let places = coreml(&user, &["build", "--dry-run"]).succeeds().stdout;
    assert_eq!(places.matches("in no cache").count(), 2, "{places}");
    assert!(coreml(&user, &["clean"]).succeeds().stdout.contains("removed 0 models"));
}

/// Runs git in a crate's folder, as a fixed author.
fn git(user: &UserCrate, arguments: &[&str]) {
    let mut command = std::process::Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]);
    run(command.arg("-C").arg(user.path("")).args(arguments)).succeeds();
}

#[test]
fn the_quickstart_has_no_finding_above_info() {
    let mut build = std::process::Command::new(env!("CARGO"));
    build
        .args(["run", "--quiet", "-p", "cargo-coreml", "--", "coreml"])
        .current_dir(workspace())
        .env("CARGO_TARGET_DIR", coreml_tests::target());
    let coreml = |arguments: &[&str]| {
        let mut command =
            std::process::Command::new(coreml_tests::target().join("debug/cargo-coreml"));
        command.arg("coreml").args(arguments).current_dir(workspace().join("examples/quickstart"));
        run(&mut command).succeeds().stdout
    };
    build.args(["lint", "--rules"]);
    run(&mut build).succeeds();
    coreml(&["build", "digits.toml"]);
    let said = coreml(&["lint", "digits.toml", "--deny", "warn"]);
    assert!(said.contains("\n0 errors, 0 warnings, "), "{said}");
    // The map of the last convolution, and what its activation makes of it.
    assert!(said.contains("\ninfo ANE002: ") && said.contains(" (4 places)\n"), "{said}");
}

#[test]
fn findings_and_reports_lead_to_the_line_and_revisions_are_compared() {
    let user = UserCrate::new("traced", &["net.toml"]);
    user.write(
        "net.toml",
        "[model]\nsource = { file = \"python/net.py\", entry = \"net\" }\ninputs.x = { shape = [1, \
        8], dtype = \"float32\" }\n",
    );
    // Line 12 has the operation that a rule reports.
    let net = |factor: &str| {
        format!(
            "import torch\n\n\nclass Chosen(torch.nn.Module):\n    def \
            __init__(self):\n        super().__init__()\n        \
             torch.manual_seed(0)\n        self.linear = torch.nn.Linear(8, 8)\n\n    def \
             forward(self, x):\n        \
             x = self.linear(x) * {factor}\n        return x.topk(3)[0]\n\n\nclass \
             Net(torch.nn.Module):\n    \
             def __init__(self):\n        super().__init__()\n        self.chosen = \
             Chosen()\n\n    def forward(self, x):\n        \
             return self.chosen(x)\n\n\ndef net():\n    return Net()\n"
        )
    };
    user.write("python/net.py", net("2"));
    coreml(&user, &["build"]).succeeds();
    let lint = json(&user, &["lint", "net.toml", "--json"]);
    let findings = lint[0]["findings"].as_array().expect("there are findings");
    let topk =
        findings.iter().find(|finding| finding["operation"] == "topk").expect("topk is found");
    let origin = serde_json::json!({ "module": "chosen", "file": "python/net.py", "line": 12 });
    assert_eq!((&topk["rule"], &topk["origin"]), (&"ANE021".into(), &origin), "{topk}");
    let text = coreml(&user, &["lint", "net.toml"]).succeeds().stdout;
    assert!(text.contains("; from chosen (python/net.py:12)\n"), "{text}");
    let sarif = json(&user, &["lint", "net.toml", "--sarif"]);
    let results = sarif["runs"][0]["results"].as_array().expect("there are results");
    let place = |result: &Value| result["locations"][0]["physicalLocation"].clone();
    let physical = serde_json::json!({
        "artifactLocation": { "uri": "python/net.py" }, "region": { "startLine": 12 }
    });
    assert!(
        results.iter().any(|result| result["ruleId"] == "ANE021" && place(result) == physical),
        "{sarif}"
    );

    coreml(&user, &["report", "net.toml", "-o", "net.html"]).succeeds();
    let page = std::fs::read_to_string(user.path("net.html")).expect("the page was written");
    for part in [
        r#""module":"chosen","line":"python/net.py:12""#,
        r#"["converted with torch","#,
        r#""stages":[["#,
        r#""log":"#,
    ] {
        assert!(page.contains(part), "the page lacks {part}");
    }
    assert!(!page.contains(r#""log":"","#), "the log is kept");

    user.write(".gitignore", "target\nnet.html\n");
    git(&user, &["init", "-q"]);
    git(&user, &["add", "-A"]);
    git(&user, &["commit", "-q", "-m", "one"]);
    assert_eq!(coreml(&user, &["diff", "HEAD"]).succeeds().stdout, "net.toml: net: the same\n");
    user.write("python/net.py", net("2 + 100"));
    let changed = &json(&user, &["diff", "HEAD", "--json"])[0];
    assert_eq!(
        (&changed["same"], &changed["interface"]),
        (&false.into(), &serde_json::json!([])),
        "{changed}"
    );
    assert!(
        changed["weights"].as_array().is_some_and(|all| !all.is_empty())
            || changed["operations"] != serde_json::json!([]),
        "{changed}"
    );
    assert_eq!(changed["parity"][0]["what"], "parity with PyTorch", "{changed}");
}
