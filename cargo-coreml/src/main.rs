//! `cargo coreml`: the command line of the library crates.
//!
//! Owns: arguments, exit codes, the dispatch to one file for each subcommand. Must not: hold logic
//! that belongs in a library.
//! Flow: cargo runs `cargo-coreml coreml SUBCOMMAND …` → here → the subcommand's file → the crate
//! that does the work.

mod bars;
mod bench;
mod build;
mod bundle;
mod cache;
mod clean;
mod completions;
mod diff;
mod doctor;
mod export;
mod failure;
mod fetch;
mod inspect;
mod lint;
mod lock;
mod man;
mod models;
mod new;
mod ops;
mod parts;
mod path;
mod plot;
mod precision;
mod profile;
mod quantize;
mod report;
mod selection;
mod style;
mod table;
mod variant;
mod verify;
mod workspace;

use clap::{CommandFactory, Parser, Subcommand};
use failure::Failure;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// What `--help` prints after the list of subcommands.
const EXAMPLES: &str = "\
Examples:
  cargo coreml doctor                         is this machine ready to convert models?
  cargo coreml new digits                     add a first model to this crate
  cargo coreml build                          convert now what `cargo build` would convert
  cargo coreml inspect Digits.mlpackage       what is in a package?
  cargo coreml lint digits.toml --deny warn   what may keep a model off the Neural Engine?
  cargo coreml verify Digits.mlpackage --samples s.safetensors
                                              does it still compute what PyTorch computes?
  cargo coreml quantize digits.toml           how small can it be?
  cargo coreml report digits.toml -o digits.html
                                              all of this on one page

Every subcommand has --help with its own examples.

Exit codes:
  0  done
  1  failed; the reason is on standard error
  2  the arguments are wrong";

/// Most columns of `--help`.
const HELP_WIDTH: usize = 100;

/// The arguments.
#[derive(Parser)]
#[command(
    name = "cargo-coreml",
    bin_name = "cargo coreml",
    version,
    about = "Build, inspect and verify Core ML models",
    max_term_width = HELP_WIDTH,
    after_help = EXAMPLES
)]
struct Arguments {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done: one variant and one file per subcommand.
#[derive(Subcommand)]
enum Command {
    /// Add a model to the current crate
    New(new::Arguments),
    /// Convert what `cargo build` would convert, and show the progress
    Build(build::Arguments),
    /// Show where the packages, samples and reports of models lie
    Path(path::Arguments),
    /// Check whether this machine can convert models, and say what to do if it cannot
    Doctor(doctor::Arguments),
    /// Show the interface, the operations and the weights of a model package
    Inspect(inspect::Arguments),
    /// Show the differences between two model packages, or between a crate's models at two git
    /// revisions
    Diff(diff::Arguments),
    /// Show what may keep a model off Apple's Neural Engine
    Lint(lint::Arguments),
    /// Show on which device Core ML would run each operation (on a Mac)
    Profile(profile::Arguments),
    /// Copy models to where a shipped program looks for them: into an app, or beside a program
    Bundle(bundle::Arguments),
    /// Write an HTML report about a model: operations, eligibility, padding, weights, parity
    Report(report::Arguments),
    /// Compare a model package with PyTorch's results on samples
    Verify(verify::Arguments),
    /// Measure how long a model takes to load and to predict
    Bench(bench::Arguments),
    /// Write a model package as an ONNX file
    Export(export::Arguments),
    /// Find the operations that half precision breaks, and the manifest line that keeps them in
    /// single precision
    Precision(precision::Arguments),
    /// Compare weight compressions of a model by size and error
    Quantize(quantize::Arguments),
    /// Write the lock of a manifest, or check it
    Lock(lock::Arguments),
    /// Download everything that an offline build needs
    Fetch(fetch::Arguments),
    /// List, verify, remove, upload and download converted models
    Cache(cache::Arguments),
    /// Remove a package's converted models from the local cache
    Clean(clean::Arguments),
    /// Show which MIL operations the portable backend runs, on which engine
    Ops(ops::Arguments),
    /// Write the completion script of a shell
    Completions(completions::Arguments),
    /// Write manual pages
    Man(man::Arguments),
}

/// Runs the subcommand and turns its result into an exit code.
fn main() -> ExitCode {
    // Wrong arguments end here, with exit code 2; --help and --version with 0.
    let arguments = Arguments::parse_from(without_cargo(std::env::args_os().collect()));
    let mut output = io::BufWriter::new(io::stdout().lock());
    let result = match arguments.command {
        Command::Bench(arguments) => bench::run(&arguments, &mut output),
        Command::Build(arguments) => build::run(&arguments, &mut output),
        Command::Clean(arguments) => clean::run(&arguments, &mut output),
        Command::Path(arguments) => path::run(&arguments, &mut output),
        Command::Doctor(arguments) => doctor::run(&arguments, &mut output),
        Command::New(arguments) => new::run(&arguments, &mut output),
        Command::Inspect(arguments) => inspect::run(&arguments, &mut output),
        Command::Diff(arguments) => diff::run(&arguments, &mut output),
        Command::Lint(arguments) => lint::run(&arguments, &mut output),
        Command::Bundle(arguments) => bundle::run(&arguments, &mut output),
        Command::Profile(arguments) => profile::run(&arguments, &mut output),
        Command::Report(arguments) => report::run(&arguments, &mut output),
        Command::Verify(arguments) => verify::run(&arguments, &mut output),
        Command::Export(arguments) => export::run(&arguments, &mut output),
        Command::Fetch(arguments) => fetch::run(&arguments, &mut output),
        Command::Cache(arguments) => cache::run(&arguments, &mut output),
        Command::Precision(arguments) => precision::run(&arguments, &mut output),
        Command::Quantize(arguments) => quantize::run(&arguments, &mut output),
        Command::Lock(arguments) => lock::run(&arguments, &mut output),
        Command::Ops(arguments) => ops::run(&arguments, &mut output),
        Command::Completions(arguments) => {
            completions::run(&arguments, Arguments::command(), &mut output)
        }
        Command::Man(arguments) => man::run(&arguments, Arguments::command(), &mut output),
    };
    // A comparison that fails has printed its figures; they come before the error.
    let flushed = output.flush().map_err(Failure::from);
    match result.and(flushed) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has seen enough: `cargo coreml inspect … | head`.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done when even standard error is closed.
            let _ = writeln!(io::stderr(), "error: {}", table::printable_lines(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// Drops the argument that cargo puts before the user's: the subcommand's own name. It is missing
/// when a user runs `cargo-coreml inspect …`.
fn without_cargo(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.get(1).is_some_and(|argument| argument == "coreml") {
        arguments.remove(1);
    }
    arguments
}

/// Returns whether an error means that the reader of the output is gone.
fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_is_not_wide() {
        /// Checks a command and its subcommands.
        fn check(command: &mut clap::Command) {
            for line in command.render_long_help().to_string().lines() {
                assert!(line.chars().count() <= HELP_WIDTH, "{}: {line}", command.get_name());
            }
            command.get_subcommands_mut().for_each(check);
        }
        let mut command = Arguments::command();
        command.build();
        check(&mut command);
    }

    #[test]
    fn cargo_and_the_shell_give_the_same_arguments() {
        let arguments = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let direct = arguments(&["cargo-coreml", "inspect", "coreml"]);
        assert_eq!(
            without_cargo(arguments(&["cargo-coreml", "coreml", "inspect", "coreml"])),
            direct
        );
        assert_eq!(without_cargo(direct.clone()), direct);
    }
}
