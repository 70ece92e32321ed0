//! `cargo coreml quantize` and `cargo coreml precision` on a user's crate, with real conversions.
//!
//! Owns: the output of the two searches. Must not: test compression or precision themselves.

use coreml_test_needs::needs;
use coreml_tests::{Run, UserCrate, run, target, workspace};
use std::process::Command;

/// A network that half precision breaks, and one that it does not: in the first, squares of large
/// numbers overflow.
const NETS: &str = include_str!("../fixtures/ladder_nets.py");

/// The manifest of both.
const MANIFEST: &str = r#"[defaults]
inputs.x = { shape = [1, 16], dtype = "float32", sample = { range = [20, 60] } }
outputs.y = { dtype = "float32" }

[models.loud]
source = { file = "python/nets.py", entry = "net", args = { factor = 20.0 } }

[models.quiet]
source = { file = "python/nets.py", entry = "net", args = { factor = 0.01 } }
quantize = { weights = "int8", per = "channel" }
"#;

/// Returns a crate with both models.
fn crate_of(name: &str) -> UserCrate {
    let user = UserCrate::new(name, &["nets.toml"]);
    user.write("nets.toml", MANIFEST);
    user.write("python/nets.py", NETS);
    user
}

/// Runs the command line, as this workspace builds it, on the crate's manifest.
fn coreml(user: &UserCrate, arguments: &[&str]) -> Run {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--quiet", "--package", "cargo-coreml"]).current_dir(workspace());
    if arguments[0] == "precision" {
        command.args(["--features", "onnxruntime"]);
    }
    command
        .args(["--", "coreml"])
        .args(arguments)
        .arg(user.path("nets.toml"))
        .env("CARGO_TARGET_DIR", target());
    run(&mut command)
}

#[test]
fn the_ladder_is_walked_and_the_manifest_stays_as_it_is() {
    let user = crate_of("ladder");
    let plot = user.path("ladder.svg");
    let metric = "basename \"$COREML_PACKAGE\"";
    let said = coreml(&user, &["quantize", "--model", "quiet", "--json", "--metric", metric])
        .succeeds()
        .stdout;
    let rungs: serde_json::Value = serde_json::from_str(&said).expect("it is JSON");
    let rung = |name: &str| {
        rungs.as_array().and_then(|all| all.iter().find(|rung| rung["name"] == name)).cloned()
    };
    let (whole, int8, palette1) = (rung("float16"), rung("int8"), rung("palette1"));
    let (whole, int8, palette1) =
        whole.zip(int8).zip(palette1).map(|((a, b), c)| (a, b, c)).expect("all rungs are there");
    assert_eq!(whole["line"], "", "the model's own compression is taken away: {said}");
    assert_eq!((&whole["passed"], &palette1["passed"]), (&true.into(), &false.into()), "{said}");
    assert!(int8["bytes"].as_u64() < whole["bytes"].as_u64(), "{said}");
    assert!(palette1["psnr"].as_f64() < int8["psnr"].as_f64(), "{said}");
    assert_eq!(int8["metric"], "int8.mlpackage", "{said}");

    // Everything is in the cache now.
    let table =
        coreml(&user, &["quantize", "--model", "quiet", "--plot", &plot.display().to_string()])
            .succeeds()
            .stdout;
    assert!(table.contains("rung") && table.contains("add to the model:"), "{table}");
    assert!(std::fs::read_to_string(plot).expect("it was drawn").contains("palette4"));
    assert_eq!(std::fs::read_to_string(user.path("nets.toml")).expect("it is there"), MANIFEST);

    coreml(&user, &["quantize"]).fails_with(&["--model", "loud, quiet"]);
    coreml(&user, &["quantize", "--model", "laud"]).fails_with(&["`laud`", "loud, quiet"]);
}

#[needs(onnxruntime)]
#[test]
fn the_culprits_of_half_precision_are_found() {
    let user = crate_of("culprits");
    let quiet = coreml(&user, &["precision", "--model", "quiet"]).succeeds().stdout;
    assert!(quiet.contains("Half precision meets the target"), "{quiet}");
    let loud = coreml(&user, &["precision", "--model", "loud"]).succeeds().stdout;
    let line = loud.lines().last().unwrap_or_default().trim();
    assert!(
        line.starts_with("compute-precision = { float32-ops = [") && line.contains("\"rsqrt\""),
        "{loud}"
    );
    assert!(
        !line.contains("\"linear\"") && !line.contains("\"relu\""),
        "what does no harm stays: {loud}"
    );

    // When the target is out of reach, it says so instead of naming every kind.
    coreml(&user, &["precision", "--model", "loud", "--psnr", "1000"])
        .fails_with(&["even single precision misses"]);
}
