//! Tests of every way in which the index can be missing.

use super::*;
use coreml_spec::BuildError;

/// A package whose build script left `files` (path below `OUT_DIR/coreml`, text).
fn package(files: &[(&str, &str)]) -> (tempfile::TempDir, Environment) {
    let root = tempfile::tempdir().unwrap();
    let out_dir = root.path().join("out");
    for (path, text) in files {
        let path = out_dir.join("coreml").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let environment =
        Environment { out_dir: Some(out_dir), package_root: Some(root.path().to_owned()) };
    (root, environment)
}

/// Loads what must fail.
fn message(manifest: &str, environment: &Environment) -> String {
    match load(manifest, environment) {
        Ok(_) => panic!("{manifest} loads"),
        Err(missing) => missing.message,
    }
}

#[test]
fn no_build_script() {
    let (_root, mut environment) = package(&[]);
    environment.out_dir = None;
    assert_eq!(
        message("digits.toml", &environment),
        "`digits.toml` has not been built, because this package has no build script. Add a file \
         build.rs beside Cargo.toml:\n\
         \n    \
         fn main() {\n        \
         coreml_build::compile(\"digits.toml\");\n    \
         }\n\
         \n\
         and to Cargo.toml:\n\
         \n    \
         [build-dependencies]\n    \
         coreml-build = \"=0.1.0\""
    );
}

#[test]
fn build_script_that_did_not_run() {
    let (root, mut environment) = package(&[]);
    environment.out_dir = None;
    fs::write(root.path().join("build.rs"), "").unwrap();
    assert!(message("digits.toml", &environment).contains("build.rs failed or has not run"));
}

#[test]
fn manifest_that_is_not_listed() {
    let (_root, environment) =
        package(&[("m%2Fb.toml/index.json", "{}"), ("a.toml/index.json", "{}"), ("half/x", "")]);
    assert_eq!(
        message("digits.toml", &environment),
        "build.rs does not build `digits.toml` (it builds `a.toml`, `m/b.toml`). Add to its \
         `main`:\n\
         \n    \
         coreml_build::compile(\"digits.toml\");"
    );
    let (_root, environment) = package(&[]);
    assert!(message("a.toml", &environment).contains("(it builds no manifest)"));
}

#[test]
fn other_version() {
    let (_root, environment) =
        package(&[("a.toml/index.json", r#"{"version": 99, "future": true}"#)]);
    let message = message("a.toml", &environment);
    assert!(
        message.contains("wrote version 99 of the index, and coreml-rt 0.1.0 reads version 1"),
        "{message}"
    );
    assert!(message.contains("coreml-build = \"=0.1.0\""));
}

#[test]
fn damaged_index() {
    for text in ["", "{", r#"{"version": 1}"#] {
        let (_root, environment) = package(&[("a.toml/index.json", text)]);
        assert!(message("a.toml", &environment).contains("cargo clean"), "{text}");
    }
}

#[test]
fn failed_build() {
    let outcome = Outcome::Error(BuildError {
        message: "digits.toml:3:1: what\nand how".to_owned(),
        models: vec!["a".to_owned()],
    });
    let index = Index { version: INDEX_VERSION, manifest: "/p/a.toml".into(), outcome };
    let (_root, environment) =
        package(&[("a.toml/index.json", &serde_json::to_string(&index).unwrap())]);
    assert_eq!(message("./a.toml", &environment), "digits.toml:3:1: what\nand how");
}

#[test]
fn folders_are_read_back() {
    for manifest in ["a.toml", "m/ä b.toml", "100%.toml", "%2F.toml"] {
        let folder = index_folder(Path::new(""), manifest);
        assert_eq!(manifest_of_folder(folder.file_name().unwrap().to_str().unwrap()), manifest);
    }
}
