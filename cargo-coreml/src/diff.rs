//! `cargo coreml diff`: what differs between two model packages, or between a crate's models at two
//! git revisions.
//!
//! Owns: the text and the JSON form of the answer. Must not: compare; `coreml_spec::difference`
//! does.
//! Flow: `main.rs` → [`run`] → [`coreml_spec::difference`], or `diff/revisions.rs`.

mod git;
mod revisions;

use crate::Failure;
use crate::style::Style;
use crate::table;
use coreml_spec::{Change, Package, difference};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// What is said after the options.
const EXAMPLES: &str = "\
Features are the same by role and name, operations by the name of their first output, weights by \
name and then by their
bytes: one that was only renamed is said to be the same. Metadata and the places of weights in their files are not compared.

An argument that is no folder is a git revision. Then the models of the crate around the working folder are built at each of
both, from the sources of that revision and in a temporary folder: what the cache has is not converted again. Parity is
compared, too. A single revision is compared with the files as they are. Your repository stays as it is.

Examples:
  cargo coreml diff old/Whisper.mlpackage new/Whisper.mlpackage
  cargo coreml diff old.mlpackage new.mlpackage --exit-code
  cargo coreml diff old.mlpackage new.mlpackage --json | jq .weights
  cargo coreml diff main
  cargo coreml diff v1.0 v1.1 --manifest whisper.toml
  cargo coreml diff v1.0 v1.1 --locked

Exit codes:
  0  done
  1  a package cannot be read, or a revision cannot be built; with --exit-code also when something differs
  2  the arguments are wrong";

/// Most changes of one kind that the text shows.
const CHANGES_SHOWN: usize = 20;

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The model package as it was, or a git revision
    #[arg(value_name = "BEFORE.mlpackage|REVISION")]
    before: PathBuf,
    /// The model package as it is, or another revision; without it a revision is compared with the
    /// working tree
    #[arg(value_name = "AFTER.mlpackage|REVISION")]
    after: Option<PathBuf>,
    /// Of revisions: compare this manifest's models alone; give it again for another one
    #[arg(long, value_name = "MANIFEST.toml")]
    manifest: Vec<PathBuf>,
    /// Of revisions: compare interface and digest as the locks have them, and convert nothing
    #[arg(long)]
    locked: bool,
    /// Fail when something differs
    #[arg(long)]
    exit_code: bool,
    /// Show every change, not only the first ones of each kind
    #[arg(long)]
    all: bool,
    /// Print everything as JSON: {"same", "interface", "operations", "weights"}; of revisions a
    /// list of them, with "model" and "parity"
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

/// Compares two packages, or two revisions.
///
/// Called by: `main.rs`.
/// Errors: a package cannot be read, a revision cannot be built; something differs and that is to
/// fail.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let is_package = arguments.before.extension().is_some_and(|extension| extension == "mlpackage");
    if !is_package && !arguments.before.exists() {
        return run_revisions(arguments, output);
    }
    let Some(after) =
        arguments.after.as_ref().filter(|_| arguments.manifest.is_empty() && !arguments.locked)
    else {
        let shown = arguments.before.display();
        return Err(format!(
            "{shown} is a package: name a second one; --manifest and --locked go with revisions"
        )
        .into());
    };
    let difference = difference(&Package::open(&arguments.before)?, &Package::open(after)?)?;
    let same = difference.is_empty();
    if arguments.json {
        serde_json::to_writer_pretty(&mut *output, &Json { same, difference })
            .map_err(std::io::Error::from)?;
        writeln!(output)?;
    } else if same {
        writeln!(output, "The packages have the same interface, operations and weights.")?;
    } else {
        sections(&difference, arguments.all, output)?;
    }
    if arguments.exit_code && !same {
        Err("the packages differ (--exit-code)".into())
    } else {
        Ok(())
    }
}

/// Compares two revisions.
fn run_revisions(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let text = |path: &PathBuf| path.to_str().map(str::to_owned).ok_or("a revision is text");
    let (before, after) =
        (text(&arguments.before)?, arguments.after.as_ref().map(text).transpose()?);
    let models =
        revisions::compare(&before, after.as_deref(), &arguments.manifest, arguments.locked)?;
    if arguments.json {
        serde_json::to_writer_pretty(&mut *output, &models).map_err(std::io::Error::from)?;
        writeln!(output)?;
    } else {
        for model in &models {
            let same = if model.same { ": the same" } else { "" };
            writeln!(output, "{}{same}", table::printable(&model.model))?;
            if !model.same && arguments.locked {
                section("Interface", &model.difference.interface, arguments.all, output)?;
            } else if !model.same {
                sections(&model.difference, arguments.all, output)?;
                section("Parity", &model.parity, arguments.all, output)?;
            }
        }
    }
    let differ = models.iter().filter(|model| !model.same).count();
    match arguments.exit_code && differ > 0 {
        true => Err(format!("{differ} of {} models differ (--exit-code)", models.len()).into()),
        false => Ok(()),
    }
}

/// Writes what differs between two packages.
fn sections(
    difference: &coreml_spec::Difference,
    all: bool,
    output: &mut impl Write,
) -> std::io::Result<()> {
    section("Interface", &difference.interface, all, output)?;
    section("Operations", &difference.operations, all, output)?;
    section("Weights", &difference.weights, all, output)
}

/// Writes the changes of one kind.
fn section(
    title: &str,
    changes: &[Change],
    all: bool,
    output: &mut impl Write,
) -> std::io::Result<()> {
    writeln!(output, "{title}{}", if changes.is_empty() { ": the same" } else { "" })?;
    let shown = if all { changes.len() } else { CHANGES_SHOWN };
    for change in changes.iter().take(shown) {
        let what = table::printable(&change.what);
        let text = |text: &Option<String>| table::printable(text.as_deref().unwrap_or_default());
        let (before, after) = (text(&change.before), text(&change.after));
        match (&change.before, &change.after) {
            (Some(_), Some(_)) => {
                writeln!(output, "  {} {what}: {before} → {after}", Style::Warn.paint("~"))?
            }
            (Some(_), None) => writeln!(output, "  {} {what}: {before}", Style::Error.paint("-"))?,
            (None, _) => writeln!(output, "  {} {what}: {after}", Style::Good.paint("+"))?,
        }
    }
    if changes.len() > shown {
        writeln!(output, "  … and {} more (--all shows them)", changes.len() - shown)?;
    }
    Ok(())
}
