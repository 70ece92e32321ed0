//! `cargo coreml cache` and `cargo coreml fetch` as a user runs them, on a cache with entries made
//! by hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod command;

use command::{command, run};
use std::path::Path;

/// Runs `cargo coreml` in a folder, whose subfolder `cache` is the cache.
fn coreml(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = command();
    command.args(arguments).current_dir(folder).env("COREML_CACHE_DIR", folder.join("cache"));
    command
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env_remove("COREML_REMOTE")
        .env_remove("COREML_REMOTE_WRITE");
    run(&mut command)
}

/// Makes a package whose model is not converted.
fn package() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write =
        |name: &str, content: &str| std::fs::write(folder.path().join(name), content).unwrap();
    write("Cargo.toml", "[package]\nname = \"x\"\n");
    write("net.py", "");
    write(
        "m.toml",
        "[model]\nsource = { file = \"net.py\", entry = \"net\" }\ninputs.x = { shape = [1, 3] }\n",
    );
    folder
}

#[test]
fn an_empty_cache_has_nothing_to_list_verify_or_collect() {
    let folder = package();
    let text = |arguments: &[&str]| {
        let (code, output, errors) = coreml(folder.path(), arguments);
        assert_eq!((code, errors.as_str()), (0, ""));
        output
    };
    assert_eq!(text(&["cache", "ls"]), "0 models, 0 B\n");
    assert_eq!(text(&["cache", "verify"]), "0 models, all intact\n");
    assert!(
        text(&["cache", "gc", "--max-age", "1", "--max-size", "1"])
            .contains("removed 0 models with 0 B")
    );
}

#[test]
fn a_damaged_entry_fails_and_is_named() {
    let folder = package();
    std::fs::create_dir_all(folder.path().join("cache/v1/entries/0123")).unwrap();
    let (code, _, errors) = coreml(folder.path(), &["cache", "verify"]);
    assert!(code == 1 && errors.contains("0123: entry.json: "), "{errors}");
    let (code, output, _) = coreml(folder.path(), &["cache", "ls"]);
    assert!(code == 0 && output.contains("1 models, 0 B"), "{output}");
}

#[test]
fn moving_models_needs_a_remote_cache() {
    let folder = package();
    for command in ["push", "pull"] {
        let (code, _, errors) = coreml(folder.path(), &["cache", command]);
        assert!(
            code == 1
                && errors.contains("there is no remote cache")
                && errors.contains("COREML_REMOTE"),
            "{errors}"
        );
    }
    std::fs::create_dir_all(folder.path().join("config/coreml")).unwrap();
    let config = folder.path().join("config/coreml/config.toml");
    std::fs::write(
        &config,
        format!("[cache]\nremote = \"{}\"\n", folder.path().join("remote").display()),
    )
    .unwrap();
    let (code, output, errors) = coreml(folder.path(), &["cache", "pull"]);
    assert!(code == 1 && output.contains("m.toml  m  in no cache"), "{output}");
    assert!(errors.contains("1 of 1 models are not where they should be"), "{errors}");
    std::fs::write(&config, "[cache]\nremotes = \"x\"\n").unwrap();
    let (code, _, errors) = coreml(folder.path(), &["cache", "pull"]);
    assert!(
        code == 1
            && errors.contains("config.toml cannot be used")
            && errors.contains("`remote`, `max-age-days`"),
        "{errors}"
    );
}

#[test]
fn fetch_says_what_an_offline_build_would_lack() {
    let folder = package();
    let mut command = command();
    command
        .args(["fetch", "m.toml"])
        .current_dir(folder.path())
        .env("COREML_CACHE_DIR", folder.path().join("cache"));
    let (code, output, errors) = run(command.env("COREML_PYTHON", "/nonexistent/python"));
    assert!(code == 1 && output.contains("in no cache: a build converts it"), "{output}");
    assert!(errors.contains("COREML_PYTHON is /nonexistent/python"), "{errors}");
}
