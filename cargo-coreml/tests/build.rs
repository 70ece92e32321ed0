//! `cargo coreml build` and `clean` as a user runs them, where nothing can be converted; the tests
//! of whole crates convert.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod command;

use command::{command, package, run};
use std::path::Path;

/// Runs a subcommand in a package, with a cache of its own and without Python.
fn coreml(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = command();
    command.args(arguments).current_dir(folder).env("COREML_CACHE_DIR", folder.join("cache"));
    command
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env("COREML_PYTHON", "/nonexistent/python");
    run(command.env_remove("COREML_BUILD").env_remove("COREML_REMOTE"))
}

#[test]
fn a_ready_package_needs_no_conversion_and_an_error_stands_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let write =
        |name: &str, content: &str| std::fs::write(folder.path().join(name), content).unwrap();
    write("Cargo.toml", "[package]\nname = \"x\"\n");
    let ready = package("state");
    let copied = folder.path().join("state.mlpackage");
    let status =
        std::process::Command::new("cp").arg("-r").arg(ready).arg(&copied).status().unwrap();
    assert!(status.success());
    write("ready.toml", "[model]\nsource = { package = \"state.mlpackage\" }\n");
    let (code, output, errors) = coreml(folder.path(), &["build"]);
    assert_eq!((code, errors.as_str()), (0, ""), "{output}");
    assert!(output.contains("ready.toml  ready") && output.contains("a ready package"), "{output}");

    write("net.py", "");
    write(
        "other.toml",
        "[model]\nsource = { file = \"net.py\", entry = \"net\" }\ninputs.x = { shape = [1, 3] }\n",
    );
    let (code, output, errors) = coreml(folder.path(), &["build", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, said.as_array().unwrap().len()), (1, 2), "{output}");
    assert!(said[0]["errors"][0].as_str().unwrap().contains("/nonexistent/python"), "{output}");
    assert!(errors.contains("COREML_PYTHON"), "{errors}");

    let (code, output, errors) = coreml(folder.path(), &["clean"]);
    assert_eq!((code, output.as_str(), errors.as_str()), (0, "removed 0 models with 0 B\n", ""));
    assert!(copied.join("Manifest.json").exists(), "a package of the user's own stays");
}

#[test]
fn a_manifest_that_is_wrong_fails_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let write =
        |name: &str, content: &str| std::fs::write(folder.path().join(name), content).unwrap();
    write("Cargo.toml", "[package]\nname = \"x\"\n");
    write("m.toml", "[model]\nsauce = 1\n");
    for command in ["build", "clean"] {
        let (code, _, errors) = coreml(folder.path(), &[command]);
        assert!(
            code == 1 && errors.contains("m.toml:2:1") && errors.contains("`source`"),
            "{errors}"
        );
    }
}
