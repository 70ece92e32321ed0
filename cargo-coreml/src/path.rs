//! `cargo coreml path`: where the packages, samples and reports of models lie.
//!
//! Owns: the table, the bare paths and the JSON form. Must not: convert; a model that is not in the
//! cache is an error.
//! Flow: `main.rs` → [`run`] → `coreml_build::Context::build`, whose products are not kept.

use crate::failure::Failure;
use crate::selection::{self, Scope};
use crate::table::{self, Align, printable};
use coreml_build::{Context, Policy, Stored};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
The files lie in the cache: read them, or copy them, but do not change them. They stay until the
model is unused for long (`cargo coreml cache gc`). `file` lines are `files` of the manifest, which
lie in the package.

Examples:
  cargo coreml path
  cargo coreml path whisper.toml --model encoder
  open \"$(cargo coreml path whisper.toml --model encoder --only package)\"
  cargo coreml path -p speech --json | jq -r '.[].samples[]'

Exit codes:
  0  done
  1  a model is not in the cache, or a manifest is wrong
  2  the arguments are wrong";

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The manifests.
    #[command(flatten)]
    scope: Scope,
    /// One model of the manifests
    #[arg(id = "name", long = "model", value_name = "NAME")]
    name: Option<String>,
    /// Print bare paths of this kind, one to a line
    #[arg(long, value_name = "KIND", conflicts_with = "json")]
    only: Option<Only>,
    /// Print everything as JSON: [{"manifest", "model", "package", "samples", "report", "files"}]
    #[arg(long)]
    json: bool,
}

/// What `--only` takes.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Only {
    /// Model packages.
    Package,
    /// Inputs with PyTorch's outputs.
    Samples,
    /// What the conversion reports.
    Report,
    /// Files that belong to the model.
    Files,
}

/// The files of a model: its JSON form.
#[derive(Serialize)]
struct Row {
    /// The manifest, relative to its package.
    manifest: String,
    /// The model.
    model: String,
    /// Its package.
    package: PathBuf,
    /// Its samples.
    samples: Vec<PathBuf>,
    /// Its report.
    report: Option<PathBuf>,
    /// The files that belong to it.
    files: Vec<PathBuf>,
}

impl Row {
    /// Returns its paths, each with what it is.
    fn paths(&self) -> impl Iterator<Item = (Only, &'static str, &Path)> {
        let package = (Only::Package, "package", &*self.package);
        let samples = self.samples.iter().map(|sample| (Only::Samples, "sample", &**sample));
        let report = self.report.iter().map(|report| (Only::Report, "report", &**report));
        let files = self.files.iter().map(|file| (Only::Files, "file", &**file));
        std::iter::once(package).chain(samples).chain(report).chain(files)
    }
}

/// Prints the paths.
///
/// Errors: a model is not in the cache, a manifest is wrong, or no model has the name.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let mut rows = rows(&arguments.scope)?;
    if let Some(name) = &arguments.name {
        let names = rows.iter().map(|row| row.model.as_str()).collect::<Vec<_>>().join(", ");
        rows.retain(|row| row.model == *name);
        if rows.is_empty() {
            return Err(format!("give --model one of: {names}").into());
        }
    }
    if arguments.json {
        serde_json::to_writer_pretty(&mut *output, &rows).map_err(std::io::Error::from)?;
        writeln!(output)?;
        return Ok(());
    }
    let mut lines = Vec::new();
    for row in &rows {
        for (kind, what, path) in row.paths() {
            let path = path.display().to_string();
            if arguments.only == Some(kind) {
                writeln!(output, "{}", printable(&path))?;
            } else if arguments.only.is_none() {
                lines.push(vec![row.manifest.clone(), row.model.clone(), what.to_owned(), path]);
            }
        }
    }
    table::write(output, &[Align::Left; 4], &lines)?;
    Ok(())
}

/// Finds the models.
fn rows(scope: &Scope) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for (mut options, packages) in selection::builds(scope)? {
        let products = tempfile::tempdir()?;
        options.out_dir = products.path().to_owned();
        options.policy = Policy::Cached;
        options.status = false;
        for build in Context::new(options).build_packages(&packages) {
            let built = build.outcome.map_err(|errors| {
                let errors = selection::together(&errors);
                format!("{errors}\nhelp: `cargo coreml build` converts what is not in the cache")
            })?;
            for model in built {
                let Some(Stored { package, samples, report, files, .. }) = model.stored else {
                    continue;
                };
                let (manifest, model) = (build.manifest.clone(), model.name);
                rows.push(Row { manifest, model, package, samples, report, files });
            }
        }
    }
    Ok(rows)
}
