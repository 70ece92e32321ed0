//! The commands of the tutorial, run one after the other in an empty folder, work and print what it
//! says.
//!
//! Owns: the promise that docs/tutorial.md is true. Must not: hold a copy of its text.

#![expect(clippy::expect_used, reason = "this file is tests")]

use coreml_tests::{run, target, workspace};
use std::path::Path;
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
    let document =
        std::fs::read_to_string(workspace().join("docs/tutorial.md")).expect("there is a tutorial");
    let mut build = Command::new(env!("CARGO"));
    // Instead of the block `sh install`: the same program, built beside what is built already.
    build
        .args(["build", "--quiet", "-p", "cargo-coreml"])
        .current_dir(workspace())
        .env("CARGO_TARGET_DIR", target());
    run(&mut build).succeeds();
    let folder = std::env::temp_dir().join(format!("coreml-tutorial-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
    let (mut here, mut said) = (folder.clone(), String::new());
    for block in blocks(&document) {
        match block.kind {
            "sh install" => assert_eq!(block.text.trim(), "cargo install --path cargo-coreml"),
            "sh" => {
                said = shell(&here, block.text);
                let project = here.join("hello-coreml");
                if project.is_dir() {
                    prepare(&project);
                    here = project;
                }
            }
            "rust" => {
                std::fs::write(here.join("src/main.rs"), block.text).expect("the crate has a src")
            }
            "text" => assert_eq!(said.trim(), block.text.trim()),
            kind => unreachable!("a block of the kind {kind}"),
        }
    }
    assert!(said.contains("ANE070"), "{said}");
    let _ = std::fs::remove_dir_all(folder);
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
fn shell(folder: &Path, commands: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = target().join("debug");
    let path = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path)))
        .expect("PATH is a path");
    let mut command = Command::new("sh");
    command
        .args(["-e", "-c", commands])
        .current_dir(folder)
        .env("PATH", path)
        .env("CARGO_TARGET_DIR", target());
    // Cargo sets them for this test, and they are not the user's.
    command.env_remove("CARGO").env_remove("COREML_STRICT").env("CARGO_TERM_COLOR", "never");
    run(&mut command).succeeds().stdout
}
