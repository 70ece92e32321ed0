//! Bringing what was found or converted into the output folder, after a comparison with the lock.
//!
//! Owns: the order in which the files of a manifest are written, the index last.
//! Must not: find or convert anything.
//! Flow: `build.rs` → [`deliver`] → `locked.rs`, then `output/`.

use super::companions::{self, Companion};
use super::context::Context;
use super::index;
use super::job::{Failure, Found};
use super::locked;
use super::manifests::{Asked, LockedManifest};
use super::outcome::{Build, BuiltModel, Stored};
use super::skip;
use crate::error::{Error, ErrorKind, render};
use crate::lock;
use crate::manifest::{self, Model, Rejected};
use crate::output::compiler;
use crate::output::embed::{self, Embedding, Library, Target};
use crate::output::materialize::{self, BUILD_FILE, EMBEDDED_FOLDER, OutputNames};
use coreml_spec::{
    BuildError, INDEX_VERSION, Index, IndexedModel, Outcome, built_value, digest_of_folder,
};
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};

/// A model of a manifest, and what became of it.
pub(crate) type ModelResult<'a> = (&'a Model, Result<&'a Found, Failure>);

/// A model whose files are in the output folder.
struct Delivered<'a> {
    /// The model.
    model: &'a Model,
    /// Its entry.
    found: &'a Found,
    /// Names of its files.
    names: OutputNames,
    /// Its package.
    package: PathBuf,
    /// The files that belong to it.
    companions: Vec<Companion>,
}

/// Content of `build.json`.
#[derive(Debug, Serialize)]
struct BuildFile<'a> {
    /// The models.
    models: &'a [BuiltModel],
}

/// Brings the models of a manifest into its output folder, or the errors.
///
/// Parameters: `results` — of all its models, in its order; none when it cannot be read or is
/// skipped.
pub(crate) fn deliver(context: &Context, asked: &Asked, results: Vec<ModelResult<'_>>) -> Build {
    let mut build = Build {
        manifest: asked.name.clone(),
        folder: asked.folder.clone(),
        outcome: Ok(Vec::new()),
        built_value: None,
        watched: vec![manifest::path(&asked.root, &asked.name)],
        warnings: Vec::new(),
        library: None,
    };
    // A lock that is made later is noticed by `cargo coreml lock` itself: watching a missing file
    // makes cargo run the build script every time.
    let lock = lock::path(&build.watched[0]);
    build.watched.extend(lock.exists().then_some(lock));
    build.watched.extend(context.options.config_file.clone());
    let delivered = match &asked.read {
        Err(rejected) => Err(rejected.clone()),
        Ok(read) => {
            let delivered = if asked.skipped {
                skip::deliver(context, &asked.root, read, &mut build)
            } else {
                models(context, asked, read, results, &mut build)
            };
            delivered.map_err(|errors| Rejected { errors, models: read.manifest.module_names() })
        }
    };
    build.outcome = delivered.map_err(|rejected| write_errors(asked, rejected, &mut build));
    build
}

/// Writes the index of a manifest that cannot be built.
///
/// Returns: the errors, and what kept them from being written.
fn write_errors(asked: &Asked, rejected: Rejected, build: &mut Build) -> Vec<Error> {
    let Rejected { mut errors, models } = rejected;
    let index = Index {
        version: INDEX_VERSION,
        manifest: manifest::path(&asked.root, &asked.name),
        outcome: Outcome::Error(BuildError { message: render(&errors), models }),
    };
    match materialize::index(&build.folder, &index) {
        Ok(content) => build.built_value = Some(built_value(&build.manifest, &content)),
        Err(error) => {
            build.built_value = None;
            errors.push(Error::output("write the index", &build.folder, error));
        }
    }
    errors
}

/// Brings the models of a manifest into its output folder.
fn models(
    context: &Context,
    asked: &Asked,
    read: &LockedManifest,
    results: Vec<ModelResult<'_>>,
    build: &mut Build,
) -> Result<Vec<BuiltModel>, Vec<Error>> {
    build.warnings.extend(read.manifest.warnings.iter().cloned());
    let one = |error: Error| vec![error];
    let mut found = Vec::new();
    for (model, success) in successes(asked, results, build)? {
        watch(&asked.root, &model.settings.files, build);
        let companions = companions::of(model, &asked.root, &context.cache.digests);
        let companions = companions.map_err(|error| one(error.of_model(model.manifest_name())))?;
        found.push((model, success, companions));
    }
    if let Some(lock) = &read.lock {
        let policy = context.options.policy;
        locked::compare(lock, &asked.name, &found, policy, &mut build.warnings)?;
    }
    let folder = build.folder.clone();
    let output = |error: io::Error| one(Error::output("write the models", &folder, error));
    let delivered = place(context, &folder, found).map_err(output)?;
    let built: Vec<_> = delivered.iter().map(built).collect();
    let mut rows = Vec::new();
    for one_model in &delivered {
        rows.push(indexed(one_model, &asked.root, &folder).map_err(one)?);
    }
    build.library = library(context, &folder, &delivered).map_err(one)?;
    if context.options.target.as_ref().is_some_and(Target::is_apple) {
        build.warnings.extend(compile(&folder, &delivered, &mut rows).map_err(output)?);
    }
    let index = index::of_models(&read.manifest, rows);
    let content = write_last(&folder, &built, &index).map_err(output)?;
    build.built_value = Some(built_value(&build.manifest, &content));
    Ok(built)
}

/// Returns the models that were found, when all were; watches the files of all.
///
/// Errors: those of the other models, each at its place in the manifest.
fn successes<'a>(
    asked: &Asked,
    results: Vec<ModelResult<'a>>,
    build: &mut Build,
) -> Result<Vec<(&'a Model, &'a Found)>, Vec<Error>> {
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for (model, result) in results {
        match result {
            Ok(success) => {
                watch(&asked.root, &success.inputs, build);
                found.push((model, success));
            }
            Err(failure) => {
                watch(&asked.root, &failure.inputs, build);
                let place = model.place(failure.key.as_deref());
                errors.push(failure.error.of_model(&model.name).at(place));
            }
        }
    }
    warn(asked, &found, build);
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// Adds the warnings of the conversions; what several buckets of a model say is said once, of the
/// model.
fn warn(asked: &Asked, found: &[(&Model, &Found)], build: &mut Build) {
    for (model, success) in found {
        for text in &success.warnings {
            let is_shared = found.iter().any(|(other, success)| {
                other.name != model.name
                    && other.bucket_of.is_some()
                    && other.bucket_of == model.bucket_of
                    && success.warnings.contains(text)
            });
            let name = if is_shared { model.manifest_name() } else { &model.name };
            let warning = format!("{}: model `{name}`: {text}", asked.name);
            if !build.warnings.contains(&warning) {
                build.warnings.push(warning);
            }
        }
    }
}

/// Adds the files of `inputs` that exist to those that are watched: for a missing one cargo would
/// run the build script every time.
fn watch(root: &Path, inputs: &[String], build: &mut Build) {
    for input in inputs {
        let path = root.join(input);
        if path.exists() && !build.watched.contains(&path) {
            build.watched.push(path);
        }
    }
}

/// Puts the files of the models into `folder`.
fn place<'a>(
    context: &Context,
    folder: &Path,
    found: Vec<(&'a Model, &'a Found, Vec<Companion>)>,
) -> io::Result<Vec<Delivered<'a>>> {
    let delivered = found.into_iter().map(|(model, found, companions)| {
        let names = OutputNames::new(&model.name, &found.entry);
        let package = folder.join(&names.package);
        Delivered { model, found, names, package, companions }
    });
    let delivered: Vec<_> = delivered.collect();
    let files: Vec<_> = delivered.iter().map(|model| (&model.names, &model.found.entry)).collect();
    let copies: Vec<_> = delivered
        .iter()
        .flat_map(|model| &model.companions)
        .map(|file| (&*file.source, &*file.output, &*file.sha256))
        .collect();
    std::fs::create_dir_all(folder)?;
    materialize::models(folder, &files, &copies, &context.cache.digests)?;
    Ok(delivered)
}

/// Returns what is reported of a model.
fn built(delivered: &Delivered<'_>) -> BuiltModel {
    let entry = &delivered.found.entry;
    BuiltModel {
        name: delivered.model.name.clone(),
        cached: delivered.found.is_cached(),
        seconds: entry.seconds(),
        digest: entry.digest().to_owned(),
        package: delivered.package.clone(),
        log: entry.log(),
        stored: Some(Stored {
            package: entry.package(),
            samples: entry.samples().into_iter().map(|sample| sample.source).collect(),
            report: entry.report().map(|report| report.source),
            files: delivered.companions.iter().map(|file| file.source.clone()).collect(),
        }),
    }
}

/// Returns the row of a model in the index.
fn indexed(delivered: &Delivered<'_>, root: &Path, folder: &Path) -> Result<IndexedModel, Error> {
    let Delivered { model, found, names, companions, .. } = delivered;
    let (package, samples) = (names.package.clone(), names.samples.clone());
    let interface = found.interface()?.clone();
    let mut row = index::of_model(model, root, interface, found.entry.digest(), package, samples);
    for file in companions {
        let indexed = file.indexed(folder);
        row.files.push(indexed.map_err(|error| Error::output("read the files", folder, error))?);
    }
    if model.settings.embed {
        row.embedded = embed::symbols(&embedding(delivered));
        for (row, file) in row.files.iter_mut().zip(companions) {
            row.symbol = embed::symbols(&embedded_file(file, folder)).pop().map(|file| file.symbol);
        }
    }
    Ok(row)
}

/// Returns what is embedded of a file that belongs to a model: its copy in the output folder.
fn embedded_file<'a>(file: &'a Companion, folder: &Path) -> Embedding<'a> {
    let (name, copy) = (file.name().to_owned(), folder.join(&file.output));
    Embedding { digest: &file.sha256, files: vec![(name, copy, file.size)] }
}

/// Returns what is embedded of a model.
fn embedding<'a>(delivered: &'a Delivered<'_>) -> Embedding<'a> {
    let entry = &delivered.found.entry;
    let files = entry.package_files().into_iter();
    let files = files
        .map(|file| (file.path.to_owned(), delivered.package.join(file.path), file.size))
        .collect();
    Embedding { digest: entry.digest(), files }
}

/// Assembles the packages of the models that say `embed = true`.
fn library(
    context: &Context,
    folder: &Path,
    delivered: &[Delivered<'_>],
) -> Result<Option<Library>, Error> {
    let embedded = || delivered.iter().filter(|delivered| delivered.model.settings.embed);
    let Some(first) = embedded().next().map(|first| first.model) else { return Ok(None) };
    let place = |error: Error| error.of_model(&first.name).at(first.place(Some("embed")));
    let target = context.options.target.as_ref().ok_or_else(|| {
        place(Error::new(
            ErrorKind::Embedding,
            "`embed = true` needs a build script: the target is not known here",
        ))
    })?;
    let files = embedded().flat_map(|delivered| &delivered.companions);
    let mut packages: Vec<_> =
        embedded().map(embedding).chain(files.map(|file| embedded_file(file, folder))).collect();
    // Models with the same content have the same symbols.
    packages.sort_by_key(|package| package.digest);
    packages.dedup_by_key(|package| package.digest);
    embed::assemble(&packages, target, &folder.join(EMBEDDED_FOLDER)).map(Some).map_err(place)
}

/// Compiles the packages where Xcode is, and notes in `rows` which compiled model is whose.
///
/// Returns: warnings.
fn compile(
    folder: &Path,
    delivered: &[Delivered<'_>],
    rows: &mut [IndexedModel],
) -> io::Result<Vec<String>> {
    let mut packages: Vec<(PathBuf, String)> = Vec::new();
    for (row, delivered) in rows.iter_mut().zip(delivered) {
        let digest = digest_of_folder(&delivered.package)?;
        packages.push((delivered.package.clone(), digest.clone()));
        row.content_digest = Some(digest);
    }
    let (compiled, warnings) = compiler::compile_named(folder, &packages);
    compiler::remove_others(folder, &compiled);
    Ok(warnings)
}

/// Writes `build.json`, then the index.
///
/// Returns: the bytes of the index.
fn write_last(folder: &Path, built: &[BuiltModel], index: &Index) -> io::Result<Vec<u8>> {
    let text = serde_json::to_vec_pretty(&BuildFile { models: built })?;
    std::fs::write(folder.join(BUILD_FILE), text)?;
    materialize::index(folder, index)
}
