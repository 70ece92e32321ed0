//! The commands of the tutorial and of the second day, run one after the other in an empty folder,
//! work and print what the pages say.
//!
//! Owns: the promise that docs/tutorial.md and docs/second-day.md are true. Must not: hold a copy
//! of their texts.

#![expect(clippy::expect_used, reason = "this file is tests")]

use coreml_test_needs::needs;
use coreml_tests::{python, run, target, workspace};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A code block.
struct Block<'a> {
    /// The info string of the fence: `sh`.
    kind: &'a str,
    /// Its lines.
    text: &'a str,
}

/// Returns the code blocks of a document.
fn blocks(document: &str) -> Vec<Block<'_>> {
    let fenced = document.split("```").skip(1).step_by(2);
    fenced
        .filter_map(|block| block.split_once('\n').map(|(kind, text)| Block { kind, text }))
        .collect()
}

#[test]
fn its_commands_work() {
    let said = follow("docs/tutorial.md", &["sh", "rust", "text"], &[]);
    assert!(said.contains("ANE070"), "{said}");
}

#[test]
fn a_picture_gets_its_label_in_four_commands() {
    let said = follow("docs/second-day.md", &["sh picture", "text"], &[]);
    assert_eq!(said.trim(), "blue 60 %");
}

/// Needs transformers for the conversion; the model is made on the spot.
#[needs(transformers)]
#[test]
fn a_text_gets_its_label() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let python = environment(folder.path());
    let said = follow("docs/second-day.md", &["sh text", "text"], &[("COREML_PYTHON", &python)]);
    assert_eq!(said.trim(), "positive 100 %");
}

/// Creates an environment that sees the conversion environment and transformers.
fn environment(folder: &Path) -> PathBuf {
    let transformers = std::env::var_os("COREML_TEST_TRANSFORMERS_PATH").expect("it is needed");
    run(Command::new(python()).args(["-m", "venv", "--without-pip"]).arg(folder)).succeeds();
    let interpreter = folder.join("bin/python");
    let packages = |python: &Path| {
        let question = "import sysconfig; print(sysconfig.get_path('purelib'))";
        run(Command::new(python).args(["-I", "-c", question])).succeeds().stdout.trim().to_owned()
    };
    let seen = format!("{}\n{}\n", packages(&python()), transformers.display());
    std::fs::write(Path::new(&packages(&interpreter)).join("seen.pth"), seen)
        .expect("the environment is writable");
    interpreter
}

/// Runs the blocks of the first kind of a page, in a folder of its own; of a page with several
/// jobs, a block `text` belongs to the commands before it.
///
/// Parameters: `kinds` — of commands first, then of what else is heeded; `variables` — for the
/// commands; with `COREML_PYTHON` a model in the form of the hub lies in the folder.
/// Returns: what the last command printed.
fn follow(page: &str, kinds: &[&str], variables: &[(&str, &PathBuf)]) -> String {
    let document = std::fs::read_to_string(workspace().join(page)).expect("there is such a page");
    let mut build = Command::new(env!("CARGO"));
    // Instead of the block `sh install`: the same program, built beside what is built already.
    build
        .args(["build", "--quiet", "-p", "cargo-coreml"])
        .current_dir(workspace())
        .env("CARGO_TARGET_DIR", target());
    run(&mut build).succeeds();
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    for (_, python) in variables {
        let script = workspace().join("tests/fixtures/moods.py");
        run(Command::new(python).arg(script).arg(folder.path().join("sentiment"))).succeeds();
    }
    let (mut here, mut said) = (folder.path().to_owned(), None);
    for block in blocks(&document) {
        match block.kind {
            "sh install" => assert_eq!(block.text.trim(), "cargo install --path cargo-coreml"),
            kind if kind == kinds[0] => {
                for line in block.text.lines() {
                    if let Some(name) = line.strip_prefix("cd ") {
                        here = here.join(name);
                        continue;
                    }
                    said = Some(shell(&here, line, variables));
                    if let Some(name) = line.strip_prefix("cargo new ") {
                        prepare(&here.join(name));
                    }
                }
            }
            "rust" => {
                std::fs::write(here.join("src/main.rs"), block.text).expect("the crate has a src")
            }
            "text" => {
                if let Some(said) = &said {
                    assert_eq!(said.trim(), block.text.trim());
                    // What follows belongs to other commands.
                    if !kinds.contains(&"rust") {
                        break;
                    }
                }
            }
            kind if kind.starts_with("sh ") => {}
            kind => unreachable!("a block of the kind {kind}"),
        }
    }
    said.expect("there are commands")
}

/// Makes the new crate build with what is compiled already: the workspace's versions and profiles.
fn prepare(project: &Path) {
    let manifest = project.join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).expect("cargo new makes a Cargo.toml");
    let text = format!("{text}\n[workspace]\n{}", coreml_tests::profiles());
    std::fs::write(&manifest, text).expect("it can be written");
    std::fs::copy(workspace().join("Cargo.lock"), project.join("Cargo.lock"))
        .expect("the workspace has a lock");
}

/// Runs commands in a folder; returns what they print.
fn shell(folder: &Path, commands: &str, variables: &[(&str, &PathBuf)]) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = target().join("debug");
    let path = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path)))
        .expect("PATH is a path");
    let mut command = Command::new("sh");
    command
        .args(["-e", "-c", commands])
        .current_dir(folder)
        .envs(variables.iter().copied())
        .env("PATH", path)
        .env("CARGO_TARGET_DIR", target());
    // Cargo sets them for this test, and they are not the user's.
    command.env_remove("CARGO").env_remove("COREML_STRICT").env("CARGO_TERM_COLOR", "never");
    run(&mut command).succeeds().stdout
}
