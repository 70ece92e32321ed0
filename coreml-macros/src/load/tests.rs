//! Tests of every way in which the index can be missing.

use super::*;
use coreml_spec::BuildError;

/// A package whose build script made these indexes (manifest, text).
fn package(indexes: &[(&str, &str)]) -> (tempfile::TempDir, Environment) {
    let root = tempfile::tempdir().unwrap();
    let out_dir = root.path().join("out");
    let mut built = BTreeMap::new();
    for (manifest, text) in indexes {
        let folder = index_folder(&out_dir, manifest);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(INDEX_FILE), text).unwrap();
        built.insert(built_variable(manifest), built_value(manifest, text.as_bytes()));
    }
    let package_root = Some(root.path().to_owned());
    (root, Environment { out_dir: Some(out_dir), package_root, built })
}

/// The text of an index for the manifest at `path`, of models that failed.
fn failed(path: &Path) -> String {
    let message = "digits.toml:3:1: what\nand how".to_owned();
    let outcome = Outcome::Error(BuildError { message, models: vec!["a".to_owned()] });
    let index = Index { version: INDEX_VERSION, manifest: path.to_owned(), outcome };
    serde_json::to_string(&index).unwrap()
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
    let (_root, mut environment) = package(&[("m/b.toml", "{}"), ("a.toml", "{}")]);
    // A variable of the crate whose test started cargo.
    environment.built.insert(built_variable("c.toml"), built_value("c.toml", b"{}"));
    assert_eq!(
        message("digits.toml", &environment),
        "build.rs does not build `digits.toml` (it builds `a.toml`, `m/b.toml`). Correct a name \
         there, or add to its `main`:\n\
         \n    \
         coreml_build::compile(\"digits.toml\");"
    );
    let (_root, environment) = package(&[]);
    assert!(message("a.toml", &environment).contains("(it builds no manifest). Add to"));
}

#[test]
fn manifest_that_another_build_script_left_out() {
    let (root, environment) = package(&[("a.toml", "{}")]);
    let script = "fn main() { coreml_build::compile(\"digits.toml\"); }";
    fs::write(root.path().join("build.rs"), script).unwrap();
    let said = message("digits.toml", &environment);
    assert!(said.starts_with("build.rs names `digits.toml`, but"), "{said}");
    assert!(said.contains("did not build it (it builds `a.toml`)"), "{said}");
    assert!(said.contains("another copy of this package"), "{said}");
    assert!(message("digit.toml", &environment).starts_with("build.rs does not build"));
}

#[test]
fn an_index_that_this_run_did_not_write() {
    let (_root, mut environment) = package(&[("a.toml", &failed(Path::new("/p/a.toml")))]);
    environment.built.insert(built_variable("a.toml"), built_value("a.toml", b"other"));
    assert!(message("a.toml", &environment).contains("what another one left"));
    fs::remove_dir_all(environment.out_dir.clone().unwrap()).unwrap();
    assert!(message("a.toml", &environment).contains("what another one left"));
    environment.built.clear();
    assert!(message("a.toml", &environment).contains("(it builds no manifest)"));
}

#[test]
fn an_index_of_another_copy_of_the_package() {
    let copy = tempfile::tempdir().unwrap();
    let (root, environment) = package(&[("a.toml", &failed(&copy.path().join("a.toml")))]);
    // A package without the manifest is no copy, but one of trybuild's.
    assert!(message("a.toml", &environment).starts_with("digits.toml:3:1"));
    fs::write(root.path().join("a.toml"), "").unwrap();
    let said = message("./a.toml", &environment);
    assert!(said.contains("another copy of this package that shares its target folder"), "{said}");
    assert!(said.contains(&copy.path().display().to_string()), "{said}");
}

#[test]
fn other_version() {
    let (_root, environment) = package(&[("a.toml", r#"{"version": 99, "future": true}"#)]);
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
        let (_root, environment) = package(&[("a.toml", text)]);
        assert!(message("a.toml", &environment).contains("cargo clean"), "{text}");
    }
}

#[test]
fn failed_build() {
    let (_root, environment) = package(&[("a.toml", &failed(Path::new("/p/a.toml")))]);
    assert_eq!(message("./a.toml", &environment), "digits.toml:3:1: what\nand how");
}
