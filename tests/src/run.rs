//! The result of a cargo command.
//!
//! Owns: [`Run`]. Must not: choose what to run.
//! Flow: [`crate::UserCrate::cargo`] or [`run`] makes it, the tests read it.

use std::process::Command;
use std::time::{Duration, Instant};

/// One finished run of a program, mostly of cargo.
#[derive(Debug)]
pub struct Run {
    /// Whether the exit code was 0.
    pub success: bool,
    /// How long it took.
    pub time: Duration,
    /// What cargo and rustc say: errors and warnings as a person sees them, without colours.
    pub stderr: String,
    /// What the program wrote.
    pub stdout: String,
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Run {
    let start = Instant::now();
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    Run {
        success: output.status.success(),
        time: start.elapsed(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
    }
}

impl Run {
    /// Panics with all that was said unless the exit code was 0.
    pub fn succeeds(self) -> Self {
        assert!(self.success, "this should have succeeded:\n{}{}", self.stdout, self.stderr);
        self
    }

    /// Panics with all that was said unless the generated test of each model compared it with
    /// PyTorch and passed.
    ///
    /// Parameters: `module` — of the manifest; `models` — their paths below it.
    pub fn has_parity(&self, module: &str, models: &[&str]) {
        for model in models {
            let line = format!("test {module}::{model}::parity::matches_pytorch ... ok");
            assert!(self.stdout.contains(&line), "no {line:?}:\n{}", self.stdout);
        }
    }

    /// Panics with all that was said unless it failed and said each of `parts`.
    pub fn fails_with(&self, parts: &[&str]) {
        assert!(!self.success, "this should have failed:\n{}{}", self.stdout, self.stderr);
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "the message does not say {part:?}:\n{}",
                self.stderr
            );
        }
    }
}
