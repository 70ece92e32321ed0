//! `cargo coreml diff` as a user runs it, on the packages of `coreml-spec`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod large;

use command::{command, package, run};
use coreml_spec::proto::{ImmediateKind, Model, TensorKind, Value, ValueKind};
use prost::Message;
use std::path::Path;

/// The specification inside a package.
const SPECIFICATION: &str = "Data/com.apple.CoreML/model.mlmodel";

/// The weights inside a package.
const WEIGHTS: &str = "Data/com.apple.CoreML/weights/weight.bin";

/// Copies a package and changes its program and its weight file.
fn changed(
    name: &str,
    program: impl FnOnce(&mut Model),
    weights: impl FnOnce(&mut Vec<u8>),
) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join(WEIGHTS).parent().unwrap()).unwrap();
    std::fs::copy(package(name).join("Manifest.json"), folder.path().join("Manifest.json"))
        .unwrap();
    let mut model =
        Model::decode(&std::fs::read(package(name).join(SPECIFICATION)).unwrap()[..]).unwrap();
    program(&mut model);
    std::fs::write(folder.path().join(SPECIFICATION), model.encode_to_vec()).unwrap();
    let mut bytes = std::fs::read(package(name).join(WEIGHTS)).unwrap();
    weights(&mut bytes);
    std::fs::write(folder.path().join(WEIGHTS), bytes).unwrap();
    folder
}

/// Returns the operations of the only block of `main`.
fn operations(model: &mut Model) -> &mut Vec<coreml_spec::proto::Operation> {
    let function = model.ml_program.as_mut().unwrap().functions.get_mut("main").unwrap();
    &mut function.block_specializations.values_mut().next().unwrap().operations
}

/// Compares a package with another one; returns what is printed.
fn diff(before: &Path, after: &Path) -> String {
    let (code, output, error) = run(command().arg("diff").args([before, after]));
    assert_eq!((code, error.as_str()), (0, ""));
    output
}

#[test]
fn a_package_is_the_same_as_its_copy() {
    let same = "The packages have the same interface, operations and weights.\n";
    for name in ["fixed", "multifunction", "palettized", "classifier_strings"] {
        assert_eq!(diff(&package(name), &package(name)), same, "{name}");
    }
    let copy = changed("fixed", |_| (), |_| ());
    assert_eq!(
        run(command().args(["diff", "--exit-code"]).arg(package("fixed")).arg(copy.path())).0,
        0
    );
}

#[test]
fn other_packages_differ_in_everything() {
    let (code, output, error) = run(command()
        .args(["diff", "--exit-code"])
        .args([package("fixed"), package("classifier_strings")]));
    assert_eq!((code, error.as_str()), (1, "error: the packages differ (--exit-code)\n"));
    for line in [
        "  ~ main/input x: float16 [1, 16] → float16 [1, 4]\n",
        "  - main/output y: float16 [1, 32]\n",
        "  + main/output animal: class label, text\n",
        "  + main/softmax: 1\n",
    ] {
        assert!(output.contains(line), "{line}{output}");
    }
}

#[test]
fn a_single_number_of_a_weight_is_seen() {
    let other = changed("fixed", |_| (), |bytes| *bytes.last_mut().unwrap() ^= 1);
    let output = diff(&package("fixed"), other.path());
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[..3], ["Interface: the same", "Operations: the same", "Weights"], "{output}");
    assert!(lines.len() == 4 && lines[3].ends_with(", other numbers"), "{output}");
}

#[test]
fn a_renamed_weight_is_the_same() {
    let rename = |model: &mut Model| {
        for operation in operations(model) {
            if let Some(output) =
                operation.outputs.first_mut().filter(|output| output.name.contains("weight"))
            {
                output.name = "renamed".to_owned();
            }
        }
    };
    let json = |name: &str| {
        let other = changed(name, rename, |_| ());
        let (_, output, _) =
            run(command().args(["diff", "--json"]).arg(package(name)).arg(other.path()));
        serde_json::from_str::<serde_json::Value>(&output).unwrap()
    };
    let json = json("fixed");
    assert_eq!(
        (&json["same"], json["weights"].as_array().unwrap().len()),
        (&false.into(), 1),
        "{json}"
    );
    assert_eq!(json["weights"][0]["after"], "the same, called renamed");
}

#[test]
fn a_constant_in_place_is_seen() {
    // The factor of x * 0.5 becomes 0.25; neither names nor counts show it.
    let mut seen = false;
    let mut halve = |model: &mut Model| {
        for operation in operations(model) {
            for value in operation.attributes.values_mut() {
                let Value { kind: Some(ValueKind::Immediate(immediate)), .. } = value else {
                    continue;
                };
                let Some(ImmediateKind::Tensor(tensor)) = &mut immediate.kind else { continue };
                if let Some(TensorKind::Bytes(bytes)) = &mut tensor.kind {
                    bytes.values = vec![0, 0x34];
                    seen = true;
                }
            }
        }
    };
    let mut model =
        Model::decode(&std::fs::read(package("exported").join(SPECIFICATION)).unwrap()[..])
            .unwrap();
    halve(&mut model);
    assert!(seen, "the package has no such constant");
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join(SPECIFICATION).parent().unwrap()).unwrap();
    std::fs::copy(package("exported").join("Manifest.json"), folder.path().join("Manifest.json"))
        .unwrap();
    std::fs::write(folder.path().join(SPECIFICATION), model.encode_to_vec()).unwrap();
    let output = diff(&package("exported"), folder.path());
    assert!(output.contains(": float16 0.5 → float16 0.25\n"), "{output}");
}

/// Runs git in a folder, as a fixed author.
fn git(folder: &Path, arguments: &[&str]) {
    let mut command = std::process::Command::new("git");
    command.args([
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "init.defaultBranch=main",
        "-c",
        "commit.gpgsign=false",
    ]);
    let done = command.arg("-C").arg(folder).args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Makes a repository whose crate, in a folder of it, has a ready package: another one at each of
/// two tags. Returns its folder.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("crates/a");
    std::fs::create_dir_all(&inside).unwrap();
    std::fs::write(inside.join("Cargo.toml"), "[package]\nname = \"a\"\n").unwrap();
    std::fs::write(inside.join("m.toml"), "[model]\nsource = { package = \"m.mlpackage\" }\n")
        .unwrap();
    git(folder.path(), &["init", "-q"]);
    for (tag, name) in [("v1", "fixed"), ("v2", "classifier_strings")] {
        let copy = |from: &Path, to: &Path| {
            std::process::Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap()
        };
        let _ = std::fs::remove_dir_all(inside.join("m.mlpackage"));
        assert!(copy(&package(name), &inside.join("m.mlpackage")).success());
        let (code, _, error) = run(in_crate(folder.path()).arg("lock"));
        assert_eq!(code, 0, "{error}");
        git(folder.path(), &["add", "-A"]);
        git(folder.path(), &["commit", "-q", "-m", tag]);
        git(folder.path(), &["tag", tag]);
    }
    folder
}

/// Returns the command in the repository's crate, with a cache of its own.
fn in_crate(repository: &Path) -> std::process::Command {
    let mut command = command();
    command
        .current_dir(repository.join("crates/a"))
        .env("COREML_CACHE_DIR", repository.join("crates/a/target/cache"));
    command
}

#[coreml_test_needs::needs(git)]
#[test]
fn two_revisions() {
    let repository = repository();
    let diff = |arguments: &[&str]| run(in_crate(repository.path()).arg("diff").args(arguments));
    let changes = [
        "  ~ main/input x: float16 [1, 16] → float16 [1, 4]\n",
        "  + main/output animal: class label, text\n",
    ];
    let (code, output, error) = diff(&["v1", "v2", "--exit-code"]);
    assert_eq!((code, error.contains("1 of 1 models differ (--exit-code)")), (1, true), "{error}");
    assert!(
        output.starts_with("m.toml: m\nInterface\n") && output.contains("  + main/softmax: 1\n"),
        "{output}"
    );
    assert!(changes.iter().all(|change| output.contains(change)), "{output}");
    // By the locks alone: without operations and weights, but with the digest.
    let (code, output, _) = diff(&["v1", "v2", "--locked"]);
    assert!(code == 0 && changes.iter().all(|change| output.contains(change)), "{output}");
    assert!(
        output.contains("  ~ digest of the package: ") && !output.contains("softmax"),
        "{output}"
    );
    // One revision against the files as they are, which are the second one's.
    assert_eq!(diff(&["HEAD", "--exit-code"]).1, "m.toml: m: the same\n");
    let json: serde_json::Value =
        serde_json::from_str(&diff(&["v1", "--json", "--manifest", "m.toml"]).1).unwrap();
    assert_eq!((&json[0]["model"], &json[0]["same"]), (&"m.toml: m".into(), &false.into()));
    let (code, _, error) = diff(&["v3"]);
    let branch = run(std::process::Command::new("git")
        .arg("-C")
        .arg(repository.path())
        .args(["branch", "--show-current"]));
    let expected = format!(
        "error: v3: there is no package and no git revision `v3`: give two packages, or a branch, \
         a tag or a commit (branches are {})\n",
        branch.1.trim()
    );
    assert_eq!((code, error), (1, expected));
    let outside = tempfile::tempdir().unwrap();
    let (code, _, error) = run(command().current_dir(outside.path()).args(["diff", "main"]));
    assert_eq!(code, 1);
    assert!(error.contains("`main`") && error.contains("not in a git repository"), "{error}");
    let status = std::process::Command::new("git")
        .arg("-C")
        .arg(repository.path())
        .args(["status", "--porcelain", "-uno"])
        .output();
    assert_eq!(
        String::from_utf8(status.unwrap().stdout).unwrap(),
        "",
        "the repository stays as it is"
    );
}

#[test]
fn one_number_among_gigabytes_is_seen() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    large::make(one.path());
    large::make(other.path());
    // The last weight: all others have to be read before.
    let file = std::fs::File::options().write(true).open(other.path().join(WEIGHTS)).unwrap();
    let size = file.metadata().unwrap().len();
    std::os::unix::fs::FileExt::write_all_at(&file, &[1], size - 1024).unwrap();
    let output = diff(one.path(), other.path());
    assert!(
        output.ends_with("  ~ layers_1999_bias: float16 [512] → float16 [512], other numbers\n"),
        "{output}"
    );
    assert_eq!(output.matches("other numbers").count(), 1, "{output}");
}
