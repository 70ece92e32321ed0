//! `cargo coreml build`: converts what `cargo build` would convert, and shows the progress.
//!
//! Owns: the table, the JSON form and the bars. Must not: convert (`coreml-build` does), or touch
//! the crate's `target`.
//! Flow: `main.rs` → [`run`] → `coreml_build::Context::build` into a temporary output folder, which
//! `bars.rs` observes. The converted models stay in the cache, where `cargo build` finds them.

use crate::bars::Bars;
use crate::cache;
use crate::failure::Failure;
use crate::selection::{self, Scope};
use crate::table::{self, Align, bytes};
use coreml_build::{Build, BuiltModel, Context, Whereabouts};
use serde::Serialize;
use std::io::Write;
use std::num::NonZeroUsize;

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
Converted models go into the cache, where `cargo build` finds them. The variables COREML_BUILD,
COREML_CACHE_DIR, COREML_PYTHON and COREML_REMOTE work as in `cargo build`.

Examples:
  cargo coreml build
  cargo coreml build whisper.toml --jobs 1
  cargo coreml build -p speech
  cargo coreml build --workspace
  cargo coreml build --dry-run
  cargo coreml build --json | jq '.[].models[] | select(.cached | not) | .name'

Exit codes:
  0  every model is in the cache
  1  a model cannot be converted, or a manifest is wrong
  2  the arguments are wrong";

/// Hexadecimal digits of a digest that are shown.
const DIGITS: usize = 16;

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The manifests.
    #[command(flatten)]
    scope: Scope,
    /// Number of models to convert at the same time; by default as many as processors and memory
    /// allow
    #[arg(long, short, value_name = "COUNT")]
    jobs: Option<NonZeroUsize>,
    /// Only show which models are in the local cache
    #[arg(long, conflicts_with_all = ["jobs", "json"])]
    dry_run: bool,
    /// Print everything as JSON: [{"manifest", "models": [{"name", "cached", "seconds", "digest",
    /// "bytes"}], "errors", "warnings"}]
    #[arg(long)]
    json: bool,
}

/// The JSON form of a manifest.
#[derive(Serialize)]
struct Json<'a> {
    /// The manifest, relative to its package.
    manifest: &'a str,
    /// Its models; empty after an error.
    models: Vec<JsonModel<'a>>,
    /// What is wrong, each with its place.
    errors: Vec<String>,
    /// What is odd, but no error.
    warnings: &'a [String],
}

/// The JSON form of a model.
#[derive(Serialize)]
struct JsonModel<'a> {
    /// Name, whether it was in the cache, and how long its conversion took.
    #[serde(flatten)]
    model: &'a BuiltModel,
    /// Content digest of its package.
    digest: &'a str,
    /// Bytes of its package.
    bytes: u64,
}

/// Converts.
///
/// Errors: what could not be converted, after everything else was printed.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    if arguments.dry_run {
        let places = [Whereabouts::Local, Whereabouts::Nowhere];
        return cache::report(
            cache::each(&arguments.scope, |context, names| Ok(context.look(names)))?,
            &places,
            output,
        );
    }
    // Each package's products live until they were looked at.
    let (mut builds, mut folders) = (Vec::new(), Vec::new());
    for (mut options, packages) in selection::builds(&arguments.scope)? {
        let (bars, folder) = (Bars::new(), tempfile::tempdir()?);
        options.out_dir = folder.path().to_owned();
        options.status = false;
        options.observer = Some(bars.observer());
        options.jobs = arguments.jobs.map(NonZeroUsize::get).or(options.jobs);
        folders.push(folder);
        builds.extend(Context::new(options).build_packages(&packages));
    }
    let errors: Vec<_> =
        builds.iter().flat_map(|build| build.outcome.as_ref().err()).flatten().cloned().collect();
    if arguments.json {
        serde_json::to_writer_pretty(&mut *output, &builds.iter().map(json).collect::<Vec<_>>())
            .map_err(std::io::Error::from)?;
        writeln!(output)?;
    } else {
        builds.iter().for_each(|build| selection::warn(&build.warnings));
        text(&builds, output)?;
    }
    if errors.is_empty() { Ok(()) } else { Err(selection::together(&errors).into()) }
}

/// Returns the JSON form of what became of a manifest.
fn json(build: &Build) -> Json<'_> {
    let models = build.outcome.iter().flatten();
    let models =
        models.map(|model| JsonModel { model, digest: &model.digest, bytes: model.bytes() });
    let errors = build.outcome.as_ref().err().into_iter().flatten();
    Json {
        manifest: &build.manifest,
        models: models.collect(),
        errors: errors.map(ToString::to_string).collect(),
        warnings: &build.warnings,
    }
}

/// Writes a line for each model.
fn text(builds: &[Build], output: &mut impl Write) -> std::io::Result<()> {
    let mut rows = Vec::new();
    for build in builds {
        for model in build.outcome.iter().flatten() {
            let how = match model.cached {
                true => "in the cache".to_owned(),
                false if model.seconds > 0.0 => format!("converted in {:.1} s", model.seconds),
                // A package of the user's own takes no time.
                false => "a ready package".to_owned(),
            };
            let digest = model.digest.get(..DIGITS).unwrap_or(&model.digest);
            let size = bytes(model.bytes());
            rows.push(vec![
                build.manifest.clone(),
                model.name.clone(),
                size,
                how,
                digest.to_owned(),
            ]);
        }
    }
    table::write(output, &[Align::Left, Align::Left, Align::Right, Align::Left, Align::Left], &rows)
}
