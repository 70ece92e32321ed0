//! `cargo coreml new` as a user runs it. The tutorial's test shows that the result builds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;

use command::{command, run};
use std::fs;
use std::path::Path;

/// Makes a crate as `cargo new` does.
fn new_crate() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    write(
        folder.path(),
        "Cargo.toml",
        "[package]\nname = \"my-app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n",
    );
    write(folder.path(), "src/main.rs", "fn main() {\n    println!(\"Hello, world!\");\n}\n");
    folder
}

/// Writes a file of the crate.
fn write(folder: &Path, path: &str, text: &str) {
    fs::write(folder.join(path), text).unwrap();
}

/// Reads a file of the crate.
fn read(folder: &Path, path: &str) -> String {
    fs::read_to_string(folder.join(path)).unwrap()
}

/// Runs `new` in a folder.
fn new(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    run(command().arg("new").args(arguments).current_dir(folder))
}

#[test]
fn everything_is_made() {
    let folder = new_crate();
    // Also from a folder below.
    let (code, output, error) = new(&folder.path().join("src"), &[]);
    assert_eq!((code, error.as_str()), (0, ""), "{output}");
    for line in [
        "    made my_app.toml",
        "    made python/my_app.py",
        "    made build.rs",
        " changed src/main.rs: mod my_app",
        " changed Cargo.toml: coreml-rt in [dependencies]",
        " changed Cargo.toml: coreml-build in [build-dependencies]",
    ] {
        assert!(output.lines().any(|other| other == line), "{line}\n{output}");
    }
    let main = read(folder.path(), "src/main.rs");
    assert!(main.starts_with("fn main() {\n    println!"), "{main}");
    assert!(
        main.ends_with("}\n\n#[coreml_rt::coreml_model(\"my_app.toml\")]\npub mod my_app {}\n"),
        "{main}"
    );
    assert!(
        read(folder.path(), "build.rs").contains("    coreml_build::compile(\"my_app.toml\");\n")
    );
    assert!(read(folder.path(), "my_app.toml").contains("entry = \"my_app\""));
    assert!(read(folder.path(), "python/my_app.py").contains("\ndef my_app():\n"));
    let cargo = read(folder.path(), "Cargo.toml");
    assert!(cargo.contains("coreml-rt = { ") && cargo.contains("coreml-build = { "), "{cargo}");
}

#[test]
fn nothing_is_overwritten() {
    let folder = new_crate();
    write(folder.path(), "build.rs", "fn main() {}\n");
    assert_eq!(new(folder.path(), &["one"]).0, 0);
    write(folder.path(), "python/one.py", "# mine\n");
    let (code, output, error) = new(folder.path(), &["one"]);
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(
        error.ends_with("already there: one.toml and python/one.py; choose another NAME\n"),
        "{error}"
    );
    assert_eq!(
        (read(folder.path(), "python/one.py").as_str(), read(folder.path(), "build.rs").as_str()),
        ("# mine\n", "fn main() {}\n")
    );
    let (code, output, _) = new(folder.path(), &["two"]);
    assert_eq!(code, 0);
    assert!(
        output.contains(
            "   to do build.rs exists already: add `coreml_build::compile(\"two.toml\");` to its \
             main\n"
        ),
        "{output}"
    );
    assert!(!output.contains("Cargo.toml"), "the dependencies are there: {output}");
    assert_eq!(read(folder.path(), "src/main.rs").matches("pub mod ").count(), 2);
}

#[test]
fn without_a_crate_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, error) = new(folder.path(), &[]);
    assert!(code == 1 && error.ends_with("run `cargo init` first\n"), "{error}");
    let (code, _, error) = new(folder.path(), &["my-model"]);
    assert!(code == 2 && error.contains("such as my_model"), "{error}");
    write(folder.path(), "Cargo.toml", "[workspace]\n");
    let (code, _, error) = new(folder.path(), &[]);
    assert!(code == 1 && error.contains("run this in the folder of a crate"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
