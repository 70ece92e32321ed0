//! `cargo coreml diff`: what differs between two model packages.
//!
//! Owns: the text and the JSON form of the answer. Must not: compare; `coreml_spec::difference` does.
//! Flow: `main.rs` → [`run`] → [`coreml_spec::difference`].

use crate::Failure;
use crate::style::Style;
use crate::table;
use coreml_spec::{Change, Package, difference};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// What is said after the options.
const EXAMPLES: &str = "\
Features are the same by role and name, operations by the name of their first output, weights by name and then by their
bytes: one that was only renamed is said to be the same. Metadata and the places of weights in their files are not compared.

Examples:
  cargo coreml diff old/Whisper.mlpackage new/Whisper.mlpackage
  cargo coreml diff old.mlpackage new.mlpackage --exit-code
  cargo coreml diff old.mlpackage new.mlpackage --json | jq .weights

Exit codes:
  0  done
  1  a package cannot be read; with --exit-code also when something differs
  2  the arguments are wrong";

/// Most changes of one kind that the text shows.
const CHANGES_SHOWN: usize = 20;

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The model package as it was
    #[arg(value_name = "BEFORE.mlpackage")]
    before: PathBuf,
    /// The model package as it is
    #[arg(value_name = "AFTER.mlpackage")]
    after: PathBuf,
    /// Fail when something differs
    #[arg(long)]
    exit_code: bool,
    /// Show every change, not only the first ones of each kind
    #[arg(long)]
    all: bool,
    /// Print everything as JSON: {"same", "interface", "operations", "weights"}
    #[arg(long)]
    json: bool,
}

/// The JSON form.
#[derive(Serialize)]
struct Json {
    /// Whether nothing differs.
    same: bool,
    /// What does.
    #[serde(flatten)]
    difference: coreml_spec::Difference,
}

/// Compares two packages.
///
/// Called by: `main.rs`.
/// Errors: a package cannot be read; something differs and that is to fail.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let difference = difference(&Package::open(&arguments.before)?, &Package::open(&arguments.after)?)?;
    let same = difference.is_empty();
    if arguments.json {
        serde_json::to_writer_pretty(&mut *output, &Json { same, difference }).map_err(std::io::Error::from)?;
        writeln!(output)?;
    } else if same {
        writeln!(output, "The packages have the same interface, operations and weights.")?;
    } else {
        section("Interface", &difference.interface, arguments.all, output)?;
        section("Operations", &difference.operations, arguments.all, output)?;
        section("Weights", &difference.weights, arguments.all, output)?;
    }
    if arguments.exit_code && !same { Err("the packages differ (--exit-code)".into()) } else { Ok(()) }
}

/// Writes the changes of one kind.
fn section(title: &str, changes: &[Change], all: bool, output: &mut impl Write) -> std::io::Result<()> {
    writeln!(output, "{title}{}", if changes.is_empty() { ": the same" } else { "" })?;
    let shown = if all { changes.len() } else { CHANGES_SHOWN };
    for change in changes.iter().take(shown) {
        let what = table::printable(&change.what);
        let text = |text: &Option<String>| table::printable(text.as_deref().unwrap_or_default());
        let (before, after) = (text(&change.before), text(&change.after));
        match (&change.before, &change.after) {
            (Some(_), Some(_)) => writeln!(output, "  {} {what}: {before} → {after}", Style::Warn.paint("~"))?,
            (Some(_), None) => writeln!(output, "  {} {what}: {before}", Style::Error.paint("-"))?,
            (None, _) => writeln!(output, "  {} {what}: {after}", Style::Good.paint("+"))?,
        }
    }
    if changes.len() > shown {
        writeln!(output, "  … and {} more (--all shows them)", changes.len() - shown)?;
    }
    Ok(())
}
