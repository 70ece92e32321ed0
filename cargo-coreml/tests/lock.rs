//! `cargo coreml lock` where it cannot succeed; the tests of whole crates check what it writes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod command;

use command::{command, run};

#[test]
fn a_place_without_manifests_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let lock = |arguments: &[&str]| {
        run(command()
            .arg("lock")
            .args(arguments)
            .current_dir(folder.path())
            .env("COREML_CACHE_DIR", folder.path()))
    };
    let (code, _, errors) = lock(&[]);
    assert!(code == 1 && errors.contains("there is no package around"), "{errors}");
    std::fs::write(folder.path().join("Cargo.toml"), "[package]\nname = \"x\"\n").unwrap();
    let (code, _, errors) = lock(&["--check"]);
    assert!(code == 1 && errors.contains("`[model]` or `[models]` table"), "{errors}");
    let (code, _, errors) = lock(&["digits.toml"]);
    assert!(
        code == 1 && errors.contains("there is no manifest") && errors.contains("digits.toml"),
        "{errors}"
    );
    std::fs::write(folder.path().join("digits.toml"), "[model]\n").unwrap();
    // What is not there is not compared, and nothing is converted for it.
    let (code, output, errors) = lock(&["--check"]);
    assert_eq!((code, output.as_str()), (1, ""), "{errors}");
    assert!(errors.starts_with("error: there is no lock of digits.toml: "), "{errors}");
    assert!(
        errors.ends_with(
            "digits.lock does not exist. Run `cargo coreml lock digits.toml` and commit the file\n"
        ),
        "{errors}"
    );
    let (code, _, errors) = lock(&[]);
    assert!(
        code == 1 && errors.contains("digits.toml:1:2: model `digits`: `source` is missing"),
        "{errors}"
    );
}

#[test]
fn variables_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Cargo.toml"), "[package]\nname = \"x\"\n").unwrap();
    std::fs::write(folder.path().join("digits.toml"), "[model]\n").unwrap();
    let (code, _, errors) =
        run(command().arg("lock").current_dir(folder.path()).env("COREML_BUILD", "perhaps"));
    assert!(
        code == 1
            && errors.contains("COREML_BUILD is \"perhaps\", but must be auto, cached or skip"),
        "{errors}"
    );
}
