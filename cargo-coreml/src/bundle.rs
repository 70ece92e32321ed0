//! `cargo coreml bundle`: copies models to where a shipped program looks for them.
//!
//! Owns: the folders of an app and of an installed program. Must not: convert; a model that is not
//! in the cache is an error.
//! Flow: `main.rs` → [`run`] → `models.rs`, [`coreml_build::compile_packages`].

use crate::failure::Failure;
use crate::models::{self, ModelPackage};
use crate::selection::warn;
use crate::table::printable;
use clap::ArgGroup;
use coreml_spec::files_folder;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::slice;

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
A program looks for its models beside itself and in the Resources of its app; see docs/shipping.md.
On a Mac with Xcode, --compile makes the first start faster and doubles the size; --compiled-only
makes it faster at the same size.

Examples:
  cargo coreml bundle whisper.toml --app target/Whisper.app
  cargo coreml bundle whisper.toml --beside ~/.cargo/bin/whisper
  cargo coreml bundle whisper.toml --app target/Whisper.app --compile
  cargo coreml bundle whisper.toml --app target/Whisper.app --compiled-only";

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, group(ArgGroup::new("place").required(true)))]
pub(crate) struct Arguments {
    /// Manifests (NAME.toml) whose models are in the cache, or model packages (NAME.mlpackage)
    #[arg(value_name = "MODEL|MANIFEST", required = true)]
    models: Vec<PathBuf>,
    /// Copy into this app, a folder NAME.app (for macOS into its Resources)
    #[arg(long, value_name = "NAME.app", group = "place")]
    app: Option<PathBuf>,
    /// Copy beside this program
    #[arg(long, value_name = "PROGRAM", group = "place")]
    beside: Option<PathBuf>,
    /// Also add the compiled models; needs Xcode
    #[arg(long)]
    compile: bool,
    /// Add only the compiled models, for a program that was built for this system with these
    /// models; needs Xcode
    #[arg(long, conflicts_with = "compile")]
    compiled_only: bool,
}

/// Copies the models.
///
/// Errors: a model is not in the cache; the app or program does not exist; a file cannot be
/// written.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let folder = folder(arguments)?;
    fs::create_dir_all(&folder)?;
    let mut bundled = Vec::new();
    for path in &arguments.models {
        for model in models::find(path)?.models {
            let title = printable(&model.title);
            if model.indexed.as_ref().is_some_and(|indexed| !indexed.embedded.is_empty()) {
                writeln!(output, "{title}: embedded in the program, nothing to do")?;
                continue;
            }
            let name = model
                .package
                .file_name()
                .ok_or_else(|| format!("{title}: the path has no name"))?;
            let place = folder.join(name);
            bundle_files(&model, &folder, output)?;
            let failed = |error: io::Error| format!("{}: {error}", place.display());
            if arguments.compiled_only {
                if place.canonicalize().ok() == model.package.canonicalize().ok() {
                    let place = place.display();
                    return Err(format!(
                        "{place} would be replaced by its own compiled model: move it elsewhere \
                         first"
                    )
                    .into());
                }
                compile(&folder, slice::from_ref(&model.package), "--compiled-only", output)?;
                // One of an earlier run would be preferred to the compiled model, and may be of
                // another content.
                if place.is_dir() {
                    fs::remove_dir_all(&place).map_err(failed)?;
                }
                continue;
            }
            replace(&model.package, &folder, &place).map_err(failed)?;
            writeln!(output, "{title}: {}", printable(&place.display().to_string()))?;
            bundled.push(place);
        }
    }
    if arguments.compile { compile(&folder, &bundled, "--compile", output) } else { Ok(()) }
}

/// Copies the files that belong to a model, if it has any.
fn bundle_files(
    model: &ModelPackage,
    folder: &Path,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let Some(indexed) = model.indexed.as_ref().filter(|indexed| !indexed.files.is_empty()) else {
        return Ok(());
    };
    let name = files_folder(indexed.bucket_of.as_ref().unwrap_or(&indexed.name));
    let place = folder.join(&name);
    let failed = |error: io::Error| format!("{}: {error}", place.display());
    replace(&model.package.with_file_name(&name), folder, &place).map_err(failed)?;
    let place = place.display().to_string();
    writeln!(output, "{}: {}", printable(&model.title), printable(&place))?;
    Ok(())
}

/// Compiles packages into the folder.
///
/// Parameters: `option` — which of the command line's options asked for it, for the error.
fn compile(
    folder: &Path,
    packages: &[PathBuf],
    option: &str,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let (compiled, warnings) = coreml_build::compile_packages(folder, packages);
    warn(&warnings);
    if compiled.len() < packages.len() {
        let cause = "not every model was compiled: this needs Xcode (`xcrun coremlcompiler`)";
        return Err(format!("{cause}; omit {option}").into());
    }
    for compiled in &compiled {
        writeln!(output, "compiled: {}", printable(&compiled.display().to_string()))?;
    }
    Ok(())
}

/// Returns the folder that a program of the chosen kind looks into.
fn folder(arguments: &Arguments) -> Result<PathBuf, Failure> {
    if let Some(app) = &arguments.app {
        if !app.is_dir() || app.extension().is_none_or(|extension| extension != "app") {
            return Err(format!("{} is not an app: give a folder NAME.app", app.display()).into());
        }
        // Apps of iOS have no Contents.
        let contents = app.join("Contents");
        return Ok(if contents.is_dir() { contents.join("Resources") } else { app.clone() });
    }
    let program = arguments.beside.clone().unwrap_or_default();
    if !program.is_file() {
        return Err(format!(
            "there is no program at {}: build or install it first",
            program.display()
        )
        .into());
    }
    // A link in a folder of links is not where the program is.
    Ok(program.canonicalize()?.parent().map(Path::to_owned).unwrap_or_default())
}

/// Puts a copy of a package at `place`, whole or not at all.
fn replace(package: &Path, folder: &Path, place: &Path) -> io::Result<()> {
    let fresh = tempfile::Builder::new().prefix(".bundling-").tempdir_in(folder)?;
    copy(package, &fresh.path().join("new"))?;
    if place.exists() {
        fs::rename(place, fresh.path().join("old"))?;
    }
    fs::rename(fresh.path().join("new"), place)
}

/// Copies a folder. Files of the cache are read-only, their copies are not.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to)?;
        } else {
            io::copy(&mut fs::File::open(from)?, &mut fs::File::create(to)?)?;
        }
    }
    Ok(())
}
