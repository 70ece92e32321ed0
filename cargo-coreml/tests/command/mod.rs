//! Running the command as a user does.
//!
//! Owns: the packages of `coreml-spec`, and the result of a run.

use std::path::{Path, PathBuf};
use std::process::Command;

#[allow(dead_code, reason = "not every test file reads a package")]
/// Returns the path of a package that `coreml-spec/tests/data/make.py` made.
pub(crate) fn package(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../coreml-spec/tests/data/packages/{name}.mlpackage"))
}

/// Returns the command, with the argument that cargo adds.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-coreml"));
    command.arg("coreml");
    command
}

/// Runs the command; returns exit code, standard output and standard error.
pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}
