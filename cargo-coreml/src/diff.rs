//! `cargo coreml diff`: the differences between two model packages, or between a crate's models at
//! two git revisions.
//!
//! Owns: the text and the JSON form of the answer. Must not: compare; `coreml_spec::difference`
//! does.
//! Flow: `main.rs` → [`run`] → [`coreml_spec::difference`], or `diff/revisions.rs`.

mod git;
mod revisions;

use crate::failure::Failure;
use crate::models::{self, ModelPackage, Models};
use crate::style::Style;
use crate::table;
use coreml_spec::{Change, Difference, Package, difference};
use revisions::{ModelDifference, presence};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
Features are matched by role and name, operations by the name of their first output, weights by
name and then by content: a weight that was only renamed counts as unchanged. Metadata and the
offsets of weights in their files are not compared.

A manifest stands for its models, which are compared by name; one model is compared with one model
whatever their names are.

An argument that is neither a package nor a manifest is a git revision. The models of the current
crate are then built at each revision, from its own sources, in a temporary folder; models in the
cache are not converted again. Parity with PyTorch is compared, too. A single revision is compared
with the working tree. Your repository is not changed.

Examples:
  cargo coreml diff old/Whisper.mlpackage new/Whisper.mlpackage
  cargo coreml diff old.mlpackage new.mlpackage --exit-code
  cargo coreml diff old.mlpackage new.mlpackage --json | jq .weights
  cargo coreml diff old.mlpackage digits.toml
  cargo coreml diff whisper.toml small.toml --model encoder
  cargo coreml diff main
  cargo coreml diff v1.0 v1.1 --manifest whisper.toml
  cargo coreml diff v1.0 v1.1 --locked

Exit codes:
  0  done
  1  a package cannot be read, or a revision cannot be built; with --exit-code also on a difference
  2  the arguments are wrong";

/// Most changes of one kind that the text shows.
const CHANGES_SHOWN: usize = 20;

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The old model package, a manifest whose models are in the cache, or a git revision
    #[arg(value_name = "BEFORE|REVISION")]
    before: PathBuf,
    /// The new one; default for a revision: the working tree
    #[arg(value_name = "AFTER|REVISION")]
    after: Option<PathBuf>,
    /// Compare only this model of the manifests
    #[arg(id = "name", long = "model", value_name = "NAME")]
    name: Option<String>,
    /// For revisions: compare only the models of this manifest; may be repeated
    #[arg(long, value_name = "MANIFEST.toml")]
    manifest: Vec<PathBuf>,
    /// For revisions: compare the interfaces and digests in the locks, and convert nothing
    #[arg(long)]
    locked: bool,
    /// Fail when something differs
    #[arg(long)]
    exit_code: bool,
    /// Show every change, not only the first ones of each kind
    #[arg(long)]
    all: bool,
    /// Print everything as JSON: {"same", "interface", "operations", "weights"}; for revisions and
    /// several models a list of these, with "model" and "parity"
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
    difference: Difference,
}

/// Compares packages, or two revisions.
///
/// Errors: a package cannot be read, or a revision cannot be built; with `--exit-code` also a
/// difference.
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
            "{shown} is not a revision: give a second package or manifest; --manifest and --locked \
             are for revisions, as in `cargo coreml diff REVISION --manifest MANIFEST.toml`"
        )
        .into());
    };
    let (before, after) = (side(&arguments.before, arguments)?, side(after, arguments)?);
    let ([was], [is]) = (&before.models[..], &after.models[..]) else {
        return report(&by_name(&before, &after)?, arguments, output);
    };
    let difference = of_packages(was, is)?;
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

/// Returns the models on one side: those of a manifest, or a package.
fn side(path: &Path, arguments: &Arguments) -> Result<Models, Failure> {
    // `--model` chooses from the manifest, where the other side is a package.
    let name = arguments.name.as_deref().filter(|_| models::is_manifest(path));
    models::named(path, name)
}

/// Compares two packages.
fn of_packages(was: &ModelPackage, is: &ModelPackage) -> Result<Difference, Failure> {
    Ok(difference(&Package::open(&was.package)?, &Package::open(&is.package)?)?)
}

/// Compares the models of two manifests by their names.
///
/// Errors: one side is a package, and the other has several models.
fn by_name(before: &Models, after: &Models) -> Result<Vec<ModelDifference>, Failure> {
    let sides = [before, after];
    let is_package = |side: &&Models| side.models.iter().any(|model| model.indexed.is_none());
    if sides.iter().any(is_package) {
        let several = sides.iter().flat_map(|side| &side.models);
        let names = several.filter(|model| model.indexed.is_some()).map(ModelPackage::name);
        let names = names.collect::<Vec<_>>().join(", ");
        return Err(format!("a package is compared with one model: give --model {names}").into());
    }
    let names: BTreeSet<&str> =
        sides.iter().flat_map(|side| &side.models).map(ModelPackage::name).collect();
    let mut all = Vec::new();
    for name in names {
        let [was, is] = sides.map(|side| side.models.iter().find(|model| model.name() == name));
        let mut difference = Difference::default();
        match (was, is) {
            (Some(was), Some(is)) => difference = of_packages(was, is)?,
            _ => difference.interface.push(presence(was.is_some(), is.is_some())),
        }
        let (model, same) = (name.to_owned(), difference.is_empty());
        all.push(ModelDifference { model, same, difference, parity: Vec::new() });
    }
    Ok(all)
}

/// Compares two revisions.
fn run_revisions(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let text = |path: &PathBuf| path.to_str().map(str::to_owned).ok_or("a revision must be text");
    let (before, after) =
        (text(&arguments.before)?, arguments.after.as_ref().map(text).transpose()?);
    let name = arguments.name.as_deref();
    let models =
        revisions::compare(&before, after.as_deref(), &arguments.manifest, name, arguments.locked)?;
    report(&models, arguments, output)
}

/// Writes what differs between several models.
///
/// Errors: with `--exit-code` a difference.
fn report(
    models: &[ModelDifference],
    arguments: &Arguments,
    output: &mut impl Write,
) -> Result<(), Failure> {
    if arguments.json {
        serde_json::to_writer_pretty(&mut *output, models).map_err(std::io::Error::from)?;
        writeln!(output)?;
    } else {
        for model in models {
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
fn sections(difference: &Difference, all: bool, output: &mut impl Write) -> std::io::Result<()> {
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
