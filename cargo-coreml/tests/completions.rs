//! The completion scripts, and bash completing with its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;

use command::{command, run};
use coreml_test_needs::needs;
use std::process::Command;

/// Returns the script of a shell.
fn script(shell: &str) -> String {
    let (code, script, error) = run(command().args(["completions", shell]));
    assert_eq!((code, error.as_str()), (0, ""));
    script
}

/// Lets bash complete the last of `words`, and returns what it offers.
fn completed(script: &str, words: &[&str]) -> Vec<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let (last, previous) = (words[words.len() - 1], words[words.len() - 2]);
    let ask = format!(
        "COMP_WORDS=({})\n\
         COMP_CWORD={}\n\
         _cargo__coreml cargo-coreml '{last}' '{previous}'\n\
         printf '%s\\n\
         ' \"${{COMPREPLY[@]}}\"\n",
        quoted.join(" "),
        words.len() - 1
    );
    let (code, offered, error) =
        run(Command::new("bash").args(["--norc", "-c", &format!("{script}\n{ask}")]));
    assert_eq!(code, 0, "{error}");
    offered.split_whitespace().map(str::to_owned).collect()
}

#[needs(bash)]
#[test]
fn bash_completes_subcommands_and_their_options() {
    let script = script("bash");
    assert_eq!(completed(&script, &["cargo-coreml", "ins"]), ["inspect"]);
    assert_eq!(completed(&script, &["cargo-coreml", "lint", "--sa"]), ["--sarif"]);
    assert_eq!(completed(&script, &["cargo-coreml", "lint", "--deny", ""]), ["warn", "error"]);
    // A subcommand of a subcommand.
    assert!(completed(&script, &["cargo-coreml", "cache", "ver"]).contains(&"verify".to_owned()));
}

#[test]
fn other_shells_know_the_words() {
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = script(shell);
        assert!(
            ["inspect", "quantize", "sarif"].iter().all(|word| script.contains(word)),
            "{shell}"
        );
    }
    assert_eq!(run(command().args(["completions", "tcsh"])).0, 2);
}
