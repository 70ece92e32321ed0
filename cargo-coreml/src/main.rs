//! `cargo coreml`: a thin door over the library crates.
//!
//! Owns: arguments, exit codes, the dispatch to one file per subcommand. Must not: hold logic that
//! a library could hold.
//! Flow: cargo runs `cargo-coreml coreml SUBCOMMAND …` → here → the subcommand's file → the crate
//! that does it.

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
mod fetch;
mod inspect;
mod lint;
mod lock;
mod man;
mod models;
mod new;
mod ops;
mod parts;
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

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// What is said after the list of subcommands.
const EXAMPLES: &str = "\
Examples:
  cargo coreml doctor                                   is everything there that a conversion needs?
  cargo coreml new digits                               a first model in this crate
  cargo coreml build                                    convert now what `cargo build` would convert
  cargo coreml inspect Digits.mlpackage                 what is in a package
  cargo coreml lint digits.toml --deny warn             what speaks against the Neural Engine
  cargo coreml verify Digits.mlpackage --samples s.safetensors
                                                        is it still PyTorch's model?
  cargo coreml quantize digits.toml                     how small can it be?
  cargo coreml report digits.toml -o digits.html        all of it on one page

Every subcommand has --help with examples of its own.

Exit codes:
  0  done
  1  failed; the reason is on standard error
  2  the arguments are wrong";

/// The arguments.
#[derive(Parser)]
#[command(
    name = "cargo-coreml",
    bin_name = "cargo coreml",
    version,
    about = "See what was built and why it is wrong",
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
    /// Add a model to the crate around the working folder
    New(new::Arguments),
    /// Convert what `cargo build` would convert, and show how far it is
    Build(build::Arguments),
    /// Check what a conversion needs from this machine, and say what to do about what is missing
    Doctor(doctor::Arguments),
    /// Show the interface, the operations and the weights of a model package
    Inspect(inspect::Arguments),
    /// Show what differs between two model packages, or between a crate's models at two git
    /// revisions
    Diff(diff::Arguments),
    /// Show what speaks against a model running on Apple's Neural Engine
    Lint(lint::Arguments),
    /// Show on what device Core ML would run each operation (on a Mac)
    Profile(profile::Arguments),
    /// Lay models out where a shipped program looks for them: in an app, or beside an installed
    /// program
    Bundle(bundle::Arguments),
    /// Write one HTML file that shows a model: operations, eligibility, padding, weights, parity
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
    /// Walk the ladder of weight compression: size against error, rung by rung
    Quantize(quantize::Arguments),
    /// Write the lock of a manifest, or check it
    Lock(lock::Arguments),
    /// Bring everything that an offline build needs
    Fetch(fetch::Arguments),
    /// List, verify, collect, push and pull converted models
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

/// Why a subcommand failed, for the user.
type Failure = Box<dyn std::error::Error>;

/// Runs the subcommand and turns its result into an exit code.
fn main() -> ExitCode {
    // Wrong arguments end here, with exit code 2; --help and --version with 0.
    let arguments = Arguments::parse_from(without_cargo(std::env::args_os().collect()));
    let mut output = io::BufWriter::new(io::stdout().lock());
    let result = match arguments.command {
        Command::Bench(arguments) => bench::run(&arguments, &mut output),
        Command::Build(arguments) => build::run(&arguments, &mut output),
        Command::Clean(arguments) => clean::run(&arguments, &mut output),
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
        Command::Completions(arguments) => completions::run(&arguments, &mut output),
        Command::Man(arguments) => man::run(&arguments, &mut output),
    };
    // A comparison that fails has printed its figures; they come before the error.
    let flushed = output.flush().map_err(Failure::from);
    match result.and(flushed) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has seen enough: `cargo coreml inspect … | head`.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done when even standard error is closed.
            let _ = writeln!(io::stderr(), "error: {}", table::printable_lines(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// Drops the argument that cargo puts before the user's: the subcommand's own name.
///
/// Called by: [`main`]. Without cargo, as `cargo-coreml inspect …`, there is none.
fn without_cargo(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.get(1).is_some_and(|argument| argument == "coreml") {
        arguments.remove(1);
    }
    arguments
}

/// Returns whether an error is that nobody reads the output any more.
fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
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
