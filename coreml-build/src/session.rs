//! One build of one or more manifests, from options to files in the output folder.
//!
//! Owns: the order of things, and what a failure of one model means for the others.
//! Must not: read the environment or print: that is `cargo.rs`; so it runs the same in a build script, a test and the
//! command line.
//! Flow: `lib.rs` → [`Session::build`] → `manifest.rs`, `lookup.rs`, on a miss `convert.rs`, then `materialize.rs`.

use crate::cache::{Cache, Entry};
use crate::convert::Failure;
use crate::embed::{self, Library, Target};
use crate::error::{Error, ErrorKind, render};
use crate::lookup::{Found, Wanted, find};
use crate::manifest::{self, Manifest, Model, Rejected};
use crate::materialize::{self, BUILD_FILE, EMBEDDED_FOLDER, Products};
use crate::python::PythonOptions;
use coreml_spec::{BuildError, INDEX_VERSION, Index, IndexedModel, Models, Outcome, index_folder};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a build depends on besides the manifests.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The package: manifests, and the paths in them, are relative to it. Absolute.
    pub package_root: PathBuf,
    /// Where products go (`OUT_DIR`). Absolute.
    pub out_dir: PathBuf,
    /// The cache folder. Absolute.
    pub cache_dir: PathBuf,
    /// What to do about models that are not in the cache.
    pub policy: Policy,
    /// Where to look for Python.
    pub python: PythonOptions,
    /// How many models to convert at the same time; `None` lets processors and memory decide.
    pub jobs: Option<usize>,
    /// Whether to show a status line on the terminal.
    pub status: bool,
    /// For which system the program is built; `None` refuses `embed = true`.
    pub target: Option<Target>,
}

impl Options {
    /// Makes options with everything else at its default.
    pub fn new(package_root: impl Into<PathBuf>, out_dir: impl Into<PathBuf>, cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            package_root: package_root.into(),
            out_dir: out_dir.into(),
            cache_dir: cache_dir.into(),
            policy: Policy::Auto,
            python: PythonOptions::default(),
            jobs: None,
            status: false,
            target: None,
        }
    }
}

/// What to do about models that are not in the cache (`COREML_BUILD`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Convert them.
    #[default]
    Auto,
    /// Fail, and never start Python.
    Cached,
    /// Take interfaces from a lock instead of models.
    Skip,
}

/// A build with its options.
#[derive(Debug)]
pub struct Session {
    /// The options.
    pub(crate) options: Options,
    /// The cache.
    pub(crate) cache: Cache,
}

/// What became of one manifest.
#[derive(Debug)]
#[non_exhaustive]
pub struct Build {
    /// The manifest as it was asked for.
    pub manifest: String,
    /// Where its products lie.
    pub folder: PathBuf,
    /// Its models, or all that went wrong.
    pub outcome: Result<Vec<BuiltModel>, Vec<Error>>,
    /// The files that it was made from; another content means another build.
    pub watched: Vec<PathBuf>,
    /// What is odd, but no error.
    pub warnings: Vec<String>,
    /// What the program must be linked with.
    pub library: Option<Library>,
}

/// One model of a build.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BuiltModel {
    /// Its name.
    pub name: String,
    /// Whether it was in the cache.
    pub cached: bool,
    /// How long its conversion took, now or once, in seconds.
    pub seconds: f64,
    /// Content digest of its package.
    #[serde(skip)]
    pub digest: String,
    /// Its package in the output folder.
    #[serde(skip)]
    pub package: PathBuf,
}

/// Content of `build.json`.
#[derive(Debug, Serialize)]
struct BuildFile<'a> {
    /// The models.
    models: &'a [BuiltModel],
}

/// What is known of each conversion, by primary key.
pub(crate) type Conversions = BTreeMap<String, Result<Found, Failure>>;

impl Session {
    /// Makes a session; nothing is read or written yet.
    pub fn new(options: Options) -> Self {
        let cache = Cache::new(&options.cache_dir);
        Self { options, cache }
    }

    /// Returns the options, to change them before the first build.
    pub fn options_mut(&mut self) -> &mut Options {
        &mut self.options
    }

    /// Builds all of `manifests`; what is not in the cache is converted by one Python process.
    ///
    /// Called by: [`crate::compile_all`], the command line.
    /// Returns: one build per manifest, in order. Products are in the output folder, for a failed one an index that
    /// says why. Models that could be converted are in the cache even if others of their manifest failed.
    pub fn build(&self, manifests: &[&str]) -> Vec<Build> {
        let read: Vec<_> =
            manifests.iter().map(|name| (*name, Manifest::read(&self.options.package_root, name))).collect();
        let mut warnings = Vec::new();
        let conversions = self.conversions(read.iter().filter_map(|(_, read)| read.as_ref().ok()), &mut warnings);
        let mut builds: Vec<_> = read.into_iter().map(|(name, read)| self.finish(name, read, &conversions)).collect();
        if let Some(first) = builds.first_mut() {
            first.warnings.extend(warnings);
        }
        builds
    }

    /// Leaves `errors`, which concern no manifest in particular, for each of `manifests`.
    ///
    /// Called by: [`crate::compile_all`], for variables that make no sense.
    pub(crate) fn refuse(&self, manifests: &[&str], errors: &[Error]) -> Vec<Build> {
        let rejected = || Rejected { errors: errors.to_vec(), models: Vec::new() };
        manifests.iter().map(|name| self.finish(name, Err(rejected()), &Conversions::new())).collect()
    }

    /// Finds or converts all models of `manifests`.
    fn conversions<'a>(
        &self,
        manifests: impl Iterator<Item = &'a Manifest>,
        warnings: &mut Vec<String>,
    ) -> Conversions {
        let mut wanted: BTreeMap<String, Wanted<'_>> = BTreeMap::new();
        for manifest in manifests {
            for model in &manifest.models {
                if let Ok(new) = Wanted::new(model, &manifest.requirements) {
                    wanted.entry(new.primary.clone()).or_insert(new);
                }
            }
        }
        if self.options.policy == Policy::Skip {
            return wanted.into_keys().map(|primary| (primary, Err(skipped().into()))).collect();
        }
        let mut conversions = Conversions::new();
        let mut misses = Vec::new();
        for (primary, wanted) in wanted {
            match find(&self.options.package_root, &self.cache, &wanted, warnings) {
                Ok(Some(found)) => {
                    conversions.insert(primary, Ok(found));
                }
                Ok(None) if self.options.policy == Policy::Cached => {
                    conversions.insert(primary, Err(not_cached().into()));
                }
                Ok(None) => misses.push(wanted),
                Err(error) => {
                    conversions.insert(primary, Err(error.into()));
                }
            }
        }
        if !misses.is_empty() {
            self.convert(misses, &mut conversions, warnings);
        }
        conversions
    }

    /// Brings the models of a manifest into the output folder, or the errors.
    fn finish(&self, name: &str, read: Result<Manifest, Rejected>, conversions: &Conversions) -> Build {
        let mut build = Build {
            manifest: name.to_owned(),
            folder: index_folder(&self.options.out_dir, name),
            outcome: Ok(Vec::new()),
            watched: vec![manifest::path(&self.options.package_root, name)],
            warnings: Vec::new(),
            library: None,
        };
        let outcome = read.and_then(|manifest| {
            let delivered = self.deliver(&manifest, conversions, &mut build);
            delivered.map_err(|errors| Rejected { errors, models: manifest.module_names() })
        });
        build.outcome = outcome.map_err(|rejected| self.write_errors(name, rejected));
        build
    }

    /// Brings the models of a manifest into the output folder.
    fn deliver(
        &self,
        manifest: &Manifest,
        conversions: &Conversions,
        build: &mut Build,
    ) -> Result<Vec<BuiltModel>, Vec<Error>> {
        build.warnings.extend(manifest.warnings.iter().cloned());
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        for model in &manifest.models {
            let primary = match Wanted::new(model, &manifest.requirements) {
                Ok(wanted) => wanted.primary,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            match conversions.get(&primary) {
                Some(Ok(conversion)) => {
                    self.watch(&conversion.inputs, build);
                    let warning = |text: &String| format!("{}: model `{}`: {text}", build.manifest, model.name);
                    build.warnings.extend(conversion.warnings.iter().map(warning).collect::<Vec<_>>());
                    found.push((model, conversion));
                }
                Some(Err(failure)) => {
                    self.watch(&failure.inputs, build);
                    let place = model.place(failure.key.as_deref());
                    errors.push(failure.error.clone().of_model(&model.name).at(place));
                }
                None => {
                    errors.push(Error::new(ErrorKind::Driver, "nothing is known of this model").of_model(&model.name))
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let one = |error: Error| vec![error];
        let products: Vec<_> =
            found.iter().map(|(model, found)| (Products::new(&model.name, &found.entry), &found.entry)).collect();
        let output = |error: std::io::Error| one(Error::output("write the models", &build.folder, &error));
        std::fs::create_dir_all(&build.folder).map_err(output)?;
        materialize::models(&build.folder, &products, &self.cache.digests).map_err(output)?;
        let mut models = Vec::new();
        let mut built = Vec::new();
        let mut embedded = Vec::new();
        for ((model, found), (products, entry)) in found.iter().zip(products) {
            let package = build.folder.join(&products.package);
            built.push(BuiltModel {
                name: model.name.clone(),
                cached: found.cached,
                seconds: entry.seconds(),
                digest: entry.digest().to_owned(),
                package: package.clone(),
            });
            let mut indexed = indexed(model, entry, products).map_err(one)?;
            if model.embed {
                let files = entry.package_files().into_iter();
                let files = files.map(|file| (file.path.to_owned(), package.join(file.path), file.size)).collect();
                let package = embed::Package { digest: entry.digest(), files };
                indexed.embedded = embed::symbols(&package);
                embedded.push((package, *model));
            }
            models.push(indexed);
        }
        build.library = self.embed(embedded, build).map_err(one)?;
        let index = Index {
            version: INDEX_VERSION,
            manifest: manifest.path.clone(),
            outcome: Outcome::Models(Models { single: manifest.single, models }),
        };
        let text =
            serde_json::to_vec_pretty(&BuildFile { models: &built }).map_err(std::io::Error::from).map_err(output)?;
        std::fs::write(build.folder.join(BUILD_FILE), text).map_err(output)?;
        materialize::index(&build.folder, &index).map_err(output)?;
        Ok(built)
    }

    /// Assembles the packages of the models that say `embed = true`.
    fn embed(&self, models: Vec<(embed::Package<'_>, &Model)>, build: &Build) -> Result<Option<Library>, Error> {
        let Some((_, first)) = models.first() else { return Ok(None) };
        let place = |error: Error| error.of_model(&first.name).at(first.place(Some("embed")));
        let target = self.options.target.as_ref().ok_or_else(|| {
            place(Error::new(
                ErrorKind::Embedding,
                "`embed = true` needs a build script: the target is not \
                 known here",
            ))
        })?;
        let mut packages: Vec<_> = models.into_iter().map(|(package, _)| package).collect();
        // Models with the same content have the same symbols.
        packages.sort_by_key(|package| package.digest.to_owned());
        packages.dedup_by_key(|package| package.digest);
        embed::assemble(&packages, target, &build.folder.join(EMBEDDED_FOLDER)).map(Some).map_err(place)
    }

    /// Writes the index of a manifest that cannot be built.
    ///
    /// Returns: the errors, and what kept them from being written.
    fn write_errors(&self, name: &str, rejected: Rejected) -> Vec<Error> {
        let Rejected { mut errors, models } = rejected;
        let index = Index {
            version: INDEX_VERSION,
            manifest: manifest::path(&self.options.package_root, name),
            outcome: Outcome::Error(BuildError { message: render(&errors), models }),
        };
        let folder = index_folder(&self.options.out_dir, name);
        if let Err(error) = materialize::index(&folder, &index) {
            errors.push(Error::output("write the index", &folder, &error));
        }
        errors
    }

    /// Adds the files of `inputs` that exist to those that are watched: cargo would build again and again for others.
    fn watch(&self, inputs: &[String], build: &mut Build) {
        for input in inputs {
            let path = self.options.package_root.join(input);
            if path.exists() && !build.watched.contains(&path) {
                build.watched.push(path);
            }
        }
    }
}

/// Returns the index's description of a model.
fn indexed(model: &Model, entry: &Entry, products: Products) -> Result<IndexedModel, Error> {
    let package = entry.package();
    let interface = coreml_spec::Package::open(&package).and_then(|package| package.interface()).map_err(|error| {
        Error::new(ErrorKind::Driver, format!("the converted package {} cannot be read: {error}", package.display()))
            .of_model(&model.name)
    })?;
    let source = &model.conversion.source;
    Ok(IndexedModel {
        name: model.name.clone(),
        description: model.conversion.metadata.description.clone().unwrap_or_default(),
        source: format!("{}:{}", source.file, source.entry),
        interface,
        digest: entry.digest().to_owned(),
        package: products.package,
        samples: products.samples,
        tolerance: model.tolerance,
        compute_units: model.compute_units,
        embedded: Vec::new(),
    })
}

/// Returns the error for `COREML_BUILD=skip`.
fn skipped() -> Error {
    Error::new(
        ErrorKind::Policy,
        "COREML_BUILD=skip (or DOCS_RS) asks for interfaces from a lock: interfaces from a lock are not \
         supported yet",
    )
    .advise("unset COREML_BUILD to convert, or set COREML_BUILD=cached to use the cache only")
}

/// Returns the error for a model that is not in the cache when nothing else is allowed.
fn not_cached() -> Error {
    Error::new(ErrorKind::Policy, "it is not in the cache, and COREML_BUILD=cached forbids converting it")
        .advise("run `COREML_BUILD=auto cargo build` once where there is Python")
        .advise("or set COREML_CACHE_DIR to a cache that has it")
}
