//! How a user names models: a package, or a manifest with `--model`, and the manifests of a
//! workspace's packages.
//!
//! Owns: what every subcommand has in common. Must not: test what they say of a model.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
// Models are run by the portable backend.
#![cfg(not(target_vendor = "apple"))]

mod command;

use command::{command, run};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Returns a file or folder of the tests of `coreml-rt`.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../coreml-rt/tests/data/packages").join(name)
}

/// Makes a workspace of three packages: `draw` with two models, `zoo` with one, `bare` with none.
fn workspace() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "Cargo.toml",
        "[workspace]\nmembers = [\"draw\", \"zoo\", \"bare\"]\nresolver = \"3\"\n\
         default-members = [\"draw\", \"bare\"]\n",
    );
    for name in ["draw", "zoo", "bare"] {
        let text =
            format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
        write(&format!("{name}/Cargo.toml"), &text);
        write(&format!("{name}/src/lib.rs"), "");
    }
    let table =
        |name: &str| format!("[models.{name}]\nsource = {{ package = \"{name}.mlpackage\" }}\n");
    write("draw/all.toml", &[table("encoder"), table("decoder")].concat());
    write("draw/first.toml", "[model]\nsource = { package = \"encoder.mlpackage\" }\n");
    write("zoo/pets.toml", "[model]\nsource = { package = \"pets.mlpackage\" }\n");
    for (package, model) in [("draw", "encoder"), ("draw", "decoder"), ("zoo", "pets")] {
        let name = format!("{model}.mlpackage");
        copy(&data(&name), &folder.path().join(package).join(name));
    }
    folder
}

/// Writes a file of the workspace.
fn write(workspace: &TempDir, path: &str, text: &str) {
    let path = workspace.path().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

/// Runs a subcommand in a folder of the workspace, with a cache of its own and without Python.
fn coreml(workspace: &TempDir, folder: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut command = command();
    command.args(arguments).current_dir(workspace.path().join(folder));
    command
        .env("COREML_CACHE_DIR", workspace.path().join("cache"))
        .env("XDG_CONFIG_HOME", workspace.path().join("config"))
        .env("COREML_PYTHON", "/nonexistent/python");
    run(command.env_remove("COREML_BUILD").env_remove("COREML_REMOTE"))
}

/// [`coreml`] for a command that must succeed; returns its output.
fn output(workspace: &TempDir, folder: &str, arguments: &[&str]) -> String {
    let (code, output, error) = coreml(workspace, folder, arguments);
    assert_eq!((code, error.as_str()), (0, ""), "{arguments:?}\n{output}");
    output
}

/// Returns the error of a command that must fail.
fn error(workspace: &TempDir, folder: &str, arguments: &[&str]) -> String {
    let (code, output, error) = coreml(workspace, folder, arguments);
    assert_eq!(code, 1, "{arguments:?}\n{output}{error}");
    error
}

#[test]
fn a_manifest_stands_for_its_models() {
    let workspace = workspace();
    let said = |arguments: &[&str]| output(&workspace, "draw", arguments);
    let inspected = said(&["inspect", "all.toml"]);
    assert!(
        inspected.starts_with("all.toml: encoder\n")
            && inspected.contains("\n\nall.toml: decoder\n"),
        "{inspected}"
    );
    let one = said(&["inspect", "all.toml", "--model", "decoder"]);
    assert!(one.starts_with("all.toml: decoder\n") && !one.contains("encoder"), "{one}");
    let json: serde_json::Value =
        serde_json::from_str(&said(&["inspect", "all.toml", "--json"])).unwrap();
    assert_eq!(
        (&json[0]["path"], &json[0]["model"], &json[1]["model"]),
        (&"all.toml".into(), &"encoder".into(), &"decoder".into())
    );
    let linted = said(&["lint", "all.toml", "--model", "decoder"]);
    assert!(linted.contains("all.toml: decoder") && !linted.contains("encoder"), "{linted}");
    let timed = said(&["bench", "all.toml", "--model", "decoder", "--seconds", "0"]);
    assert!(timed.contains("all.toml: decoder") && !timed.contains("encoder"), "{timed}");
}

#[test]
fn a_command_for_one_model_says_which_there_are() {
    let workspace = workspace();
    let file = workspace.path().join("one.onnx");
    let file = file.to_str().unwrap();
    let sample = data("decoder.safetensors");
    let sample = sample.to_str().unwrap();
    let which = "error: all.toml: give --model one of: encoder, decoder\n";
    for arguments in [
        &["export", "all.toml", file][..],
        &["verify", "all.toml", "--samples", sample],
        &["report", "all.toml"],
        &["inspect", "all.toml", "--model", "painter"],
        &["lint", "all.toml", "--model", "painter"],
    ] {
        assert_eq!(error(&workspace, "draw", arguments), which, "{arguments:?}");
    }
    assert!(!Path::new(file).exists());
    let exported = output(&workspace, "draw", &["export", "all.toml", file, "--model", "decoder"]);
    assert!(exported.contains("one.onnx: ") && Path::new(file).exists(), "{exported}");
    let verified = output(
        &workspace,
        "draw",
        &["verify", "all.toml", "--model", "decoder", "--samples", sample],
    );
    assert!(verified.starts_with("all.toml: decoder\nparity of `decoder` with"), "{verified}");
    // A ready package has no samples of a conversion.
    let without = error(&workspace, "draw", &["verify", "first.toml"]);
    assert_eq!(
        without,
        "error: first.toml: first: its conversion kept no samples: give --samples\n"
    );
    let package = error(&workspace, "draw", &["inspect", "encoder.mlpackage", "--model", "a"]);
    assert_eq!(package, "error: encoder.mlpackage: a package has only one model: omit --model\n");
}

#[test]
fn manifests_are_compared_with_packages_and_with_each_other() {
    let workspace = workspace();
    let same = "The packages have the same interface, operations and weights.\n";
    let diff = |arguments: &[&str]| output(&workspace, "draw", &[&["diff"], arguments].concat());
    assert_eq!(diff(&["encoder.mlpackage", "first.toml"]), same);
    assert_eq!(diff(&["all.toml", "first.toml"]), {
        "decoder\nInterface\n  - model: there\nOperations: the same\nWeights: the same\nParity: \
         the same\nencoder\nInterface\n  - model: there\nOperations: the same\nWeights: the \
         same\nParity: the same\nfirst\nInterface\n  + model: there\nOperations: the \
         same\nWeights: the same\nParity: the same\n"
    });
    assert_eq!(diff(&["all.toml", "encoder.mlpackage", "--model", "encoder"]), same);
    assert_eq!(diff(&["all.toml", "all.toml"]), "decoder: the same\nencoder: the same\n");
    let json: serde_json::Value =
        serde_json::from_str(&diff(&["all.toml", "all.toml", "--json"])).unwrap();
    assert_eq!((&json[0]["model"], &json[1]["same"]), (&"decoder".into(), &true.into()));
    let error = |arguments: &[&str]| error(&workspace, "draw", &[&["diff"], arguments].concat());
    assert_eq!(
        error(&["all.toml", "encoder.mlpackage"]),
        "error: a package is compared with one model: give --model encoder, decoder\n"
    );
    assert!(error(&["all.toml"]).contains("`cargo coreml diff REVISION --manifest MANIFEST.toml`"));
}

#[test]
fn paths_are_those_of_the_cache() {
    let workspace = workspace();
    let table = output(&workspace, "draw", &["path"]);
    for row in ["all.toml    encoder  package  ", "first.toml  first    report   "] {
        assert!(table.contains(row), "{row}\n{table}");
    }
    let only = ["path", "all.toml", "--model", "decoder", "--only", "package"];
    let package = output(&workspace, "draw", &only);
    let package = Path::new(package.trim_end());
    assert!(package.starts_with(workspace.path().join("cache")), "{}", package.display());
    assert!(package.join("Manifest.json").is_file(), "{}", package.display());
    let json: serde_json::Value =
        serde_json::from_str(&output(&workspace, "draw", &["path", "--json"])).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 3);
    assert_eq!(json[1]["package"], package.to_str().unwrap());
    assert_eq!(json[1]["samples"], serde_json::json!([]));
    let unknown = error(&workspace, "draw", &["path", "--model", "painter"]);
    assert_eq!(unknown, "error: give --model one of: encoder, decoder, first\n");
}

#[test]
fn packages_of_a_workspace_are_named_as_for_cargo() {
    let workspace = workspace();
    let built = |folder: &str, arguments: &[&str]| {
        let table = output(&workspace, folder, &[&["build"], arguments].concat());
        let names = table.lines().filter_map(|line| line.split_whitespace().nth(1));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(built("", &["--workspace"]), ["encoder", "decoder", "first", "pets"]);
    assert_eq!(built("draw", &["--workspace"]), ["encoder", "decoder", "first", "pets"]);
    // The default members.
    assert_eq!(built("", &[]), ["encoder", "decoder", "first"]);
    assert_eq!(built("", &["-p", "zoo"]), ["pets"]);
    assert_eq!(built("zoo", &["-p", "draw", "-p", "zoo"]), ["encoder", "decoder", "first", "pets"]);
    assert_eq!(built("zoo", &[]), ["pets"]);
    let error = |arguments: &[&str]| error(&workspace, "", arguments);
    assert_eq!(
        error(&["build", "-p", "shop"]),
        "error: there is no package `shop` in the workspace, only bare, draw, zoo\n"
    );
    assert_eq!(
        error(&["lock", "-p", "bare"]),
        "error: no file of these packages has a `[model]` or `[models]` table\n"
    );
    // Every subcommand about manifests takes them.
    for arguments in
        [&["clean"][..], &["fetch"], &["lock", "--check"], &["path"], &["cache", "pull"]]
    {
        let (code, _, error) = coreml(&workspace, "", &[arguments, &["-p", "zoo"]].concat());
        assert!(code != 2 && !error.contains("no package"), "{arguments:?} {error}");
    }
    assert_eq!(coreml(&workspace, "", &["build", "-p", "zoo", "zoo/pets.toml"]).0, 2);
}

#[test]
fn files_of_a_model_go_where_it_goes() {
    let workspace = workspace();
    let manifest = "[model]\nsource = { package = \"pets.mlpackage\" }\nfiles = [\"words.txt\"]\n";
    write(&workspace, "zoo/pets.toml", manifest);
    write(&workspace, "zoo/words.txt", "one");
    write(&workspace, "bin/program", "");
    let bundle = ["bundle", "pets.toml", "--beside", "../bin/program"];
    // Twice: the second replaces the first.
    for content in ["one", "two"] {
        write(&workspace, "zoo/words.txt", content);
        let said = output(&workspace, "zoo", &bundle);
        assert!(said.contains("pets.files\n") && said.contains("pets.mlpackage\n"), "{said}");
        let copy = workspace.path().join("bin/pets.files/words.txt");
        assert_eq!(std::fs::read_to_string(copy).unwrap(), content);
    }
    let listed = output(&workspace, "zoo", &["path", "pets.toml"]);
    let file = workspace.path().canonicalize().unwrap().join("zoo/words.txt");
    let line = listed.lines().find(|line| line.contains(" file ")).unwrap();
    assert!(line.ends_with(&file.display().to_string()), "{listed}");
    let only = output(&workspace, "zoo", &["path", "pets.toml", "--only", "files"]);
    assert_eq!(only, format!("{}\n", file.display()));
}
