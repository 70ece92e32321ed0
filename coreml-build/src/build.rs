//! One build of one or more manifests, from options to files in the output folder.
//!
//! Owns: the order of things, and what a failure of one model means for the others.
//! Must not: read the environment or print: that is `cargo.rs`; so it runs the same in a build
//! script, a test and the command line.
//! Flow: `lib.rs` → [`Session::build`] → `manifest.rs`, `lookup.rs`, on a miss `convert.rs`, then
//! `delivery.rs`.

pub(crate) mod convert;
pub(crate) mod delivery;
pub(crate) mod exchange;
pub(crate) mod fingerprint;
pub(crate) mod lookup;
mod ready;
mod skip;

use crate::cache::{Cache, bytes_below};
use crate::config::Limits;
use crate::error::{Error, ErrorKind, render};
use crate::lock::{self, Lock};
use crate::manifest::{self, Manifest, Model, Rejected};
use crate::output::embed::{Library, Target};
use crate::output::materialize;
use crate::python::PythonOptions;
use crate::remote::Remote;
use crate::status::Observer;
use convert::Failure;
use coreml_spec::{BuildError, INDEX_VERSION, Index, Outcome, index_folder};
use exchange::Connection;
use lookup::{Found, Wanted, find};
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
    /// The cache that machines share.
    pub remote: Option<Remote>,
    /// What the cache keeps.
    pub limits: Limits,
    /// The user's config file, when there is one: another content means another build.
    pub config_file: Option<PathBuf>,
    /// How many models to convert at the same time; `None` lets processors and memory decide.
    pub jobs: Option<usize>,
    /// Whether to show a status line on the terminal.
    pub status: bool,
    /// Who is told what the build does, besides.
    pub observer: Option<Observer>,
    /// For which system the program is built; `None` refuses `embed = true`.
    pub target: Option<Target>,
}

impl Options {
    /// Makes options with everything else at its default.
    pub fn new(
        package_root: impl Into<PathBuf>,
        out_dir: impl Into<PathBuf>,
        cache_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            package_root: package_root.into(),
            out_dir: out_dir.into(),
            cache_dir: cache_dir.into(),
            policy: Policy::Auto,
            python: PythonOptions::default(),
            remote: None,
            limits: Limits::default(),
            config_file: None,
            jobs: None,
            status: false,
            observer: None,
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
    /// The remote cache.
    pub(crate) connection: Connection,
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
    /// What Python said while it was converted, in the cache; not there for an entry that came from
    /// elsewhere.
    #[serde(skip)]
    pub log: PathBuf,
}

impl BuiltModel {
    /// Returns the bytes of its package.
    pub fn bytes(&self) -> u64 {
        bytes_below(&self.package)
    }
}

/// A manifest with the lock beside it.
#[derive(Debug)]
pub(crate) struct Source {
    /// The manifest; its requirements are those of the lock.
    pub(crate) manifest: Manifest,
    /// The lock, if there is one.
    pub(crate) lock: Option<Lock>,
}

/// What is known of each conversion, by primary key.
pub(crate) type Conversions = BTreeMap<String, Result<Found, Failure>>;

impl Session {
    /// Makes a session; nothing is read or written yet.
    pub fn new(options: Options) -> Self {
        let cache = Cache::new(&options.cache_dir);
        Self { options, cache, connection: Connection::default() }
    }

    /// Returns the options, to change them before the first build.
    pub fn options_mut(&mut self) -> &mut Options {
        &mut self.options
    }

    /// Builds all of `manifests`; what is not in the cache is converted by one Python process.
    ///
    /// Called by: [`crate::compile_all`], the command line.
    /// Returns: one build per manifest, in order. Products are in the output folder, for a failed
    /// one an index that says why. Models that could be converted are in the cache even if others
    /// of their manifest failed.
    pub fn build(&self, manifests: &[&str]) -> Vec<Build> {
        let read: Vec<_> = manifests.iter().map(|name| (*name, self.read(name))).collect();
        let mut warnings = Vec::new();
        let needs_cache = self.options.policy != Policy::Skip
            || read
                .iter()
                .filter_map(|(_, read)| read.as_ref().ok())
                .any(|source| self.is_ready(&source.manifest));
        let used = needs_cache.then(|| self.cache.in_use());
        let conversions =
            self.conversions(read.iter().filter_map(|(_, read)| read.as_ref().ok()), &mut warnings);
        let mut builds: Vec<_> =
            read.into_iter().map(|(name, read)| self.finish(name, read, &conversions)).collect();
        if let Some(first) = builds.first_mut() {
            first.warnings.extend(warnings);
        }
        drop(used);
        if conversions.values().flatten().any(|found| found.is_new) {
            self.cache.collect_daily(self.options.limits);
        }
        builds
    }

    /// Leaves `errors`, which concern no manifest in particular, for each of `manifests`.
    ///
    /// Called by: [`crate::compile_all`], for variables that make no sense.
    pub(crate) fn refuse(&self, manifests: &[&str], errors: &[Error]) -> Vec<Build> {
        let rejected = || Rejected { errors: errors.to_vec(), models: Vec::new() };
        manifests
            .iter()
            .map(|name| self.finish(name, Err(rejected()), &Conversions::new()))
            .collect()
    }

    /// Reads a manifest and the lock beside it.
    ///
    /// Called by: [`Session::build`], `upkeep.rs`.
    pub(crate) fn read(&self, name: &str) -> Result<Source, Rejected> {
        let mut manifest = Manifest::read(&self.options.package_root, name)?;
        if self.options.policy != Policy::Skip {
            manifest.check_files(&self.options.package_root)?;
        }
        let lock = Lock::read(&lock::path(&manifest.path), name)
            .map_err(|error| Rejected { errors: vec![error], models: manifest.module_names() })?;
        manifest.requirements.pins =
            lock.as_ref().and_then(|lock| lock.pins(&manifest.requirements));
        Ok(Source { manifest, lock })
    }

    /// Returns whether nothing has to be converted for a manifest: all its models are packages that
    /// are there.
    fn is_ready(&self, manifest: &Manifest) -> bool {
        let ready = |model: &Model| model.conversion.functions.package().is_some();
        manifest.models.iter().all(ready)
            && manifest.check_files(&self.options.package_root).is_ok()
    }

    /// Finds or converts all models of `sources`.
    fn conversions<'a>(
        &self,
        sources: impl Iterator<Item = &'a Source>,
        warnings: &mut Vec<String>,
    ) -> Conversions {
        let mut wanted: BTreeMap<String, Wanted<'_>> = BTreeMap::new();
        for Source { manifest, lock } in sources {
            if self.options.policy == Policy::Skip && !self.is_ready(manifest) {
                continue;
            }
            for model in &manifest.models {
                if let Ok(new) = Wanted::new(model, &manifest.requirements) {
                    let locked = lock.as_ref().and_then(|lock| lock.models.get(&model.name));
                    wanted.entry(new.primary.clone()).or_insert(new.with_lock(locked));
                }
            }
        }
        let mut conversions = self.find_or_convert(wanted.clone(), &[], warnings);
        for wanted in wanted.into_values() {
            let found = conversions.get(&wanted.primary).and_then(|found| found.as_ref().ok());
            if found.is_some_and(|found| found.cached && wanted.disagrees(&found.entry))
                && let Some(found) = self.fetch_locked(&wanted, warnings)
            {
                conversions.insert(wanted.primary, Ok(found));
            }
        }
        conversions
    }

    /// Finds or converts what is wanted.
    ///
    /// Called by: [`Session::build`], `lock/make.rs`.
    /// Parameters: `unneeded` — primary keys that are only looked for.
    pub(crate) fn find_or_convert(
        &self,
        mut wanted: BTreeMap<String, Wanted<'_>>,
        unneeded: &[String],
        warnings: &mut Vec<String>,
    ) -> Conversions {
        let mut conversions = Conversions::new();
        wanted.retain(|primary, wanted| {
            let Some(folder) = wanted.conversion.functions.package() else { return true };
            let found =
                ready::obtain(&self.options.package_root, folder, &self.cache, wanted, warnings);
            conversions.insert(primary.clone(), found);
            false
        });
        let mut misses = Vec::new();
        for (primary, wanted) in wanted {
            match find(&self.options.package_root, &self.cache, &wanted, warnings) {
                Ok(Some(found)) => {
                    conversions.insert(primary, Ok(found));
                }
                Ok(None) if unneeded.contains(&primary) => {}
                Ok(None)
                    if self.options.policy != Policy::Auto && self.options.remote.is_none() =>
                {
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
    fn finish(
        &self,
        name: &str,
        read: Result<Source, Rejected>,
        conversions: &Conversions,
    ) -> Build {
        let mut build = Build {
            manifest: name.to_owned(),
            folder: index_folder(&self.options.out_dir, name),
            outcome: Ok(Vec::new()),
            watched: vec![manifest::path(&self.options.package_root, name)],
            warnings: Vec::new(),
            library: None,
        };
        // A lock that is made later is noticed by `cargo coreml lock` itself: cargo would run for
        // ever for a missing file.
        let lock = lock::path(&build.watched[0]);
        build.watched.extend(lock.exists().then_some(lock));
        build.watched.extend(self.options.config_file.clone());
        let outcome = read.and_then(|Source { manifest, lock }| {
            let delivered = match self.options.policy {
                Policy::Skip if !self.is_ready(&manifest) => {
                    self.deliver_from_lock(&manifest, lock.as_ref(), &mut build)
                }
                _ => self.deliver(&manifest, lock.as_ref(), conversions, &mut build),
            };
            delivered.map_err(|errors| Rejected { errors, models: manifest.module_names() })
        });
        build.outcome = outcome.map_err(|rejected| self.write_errors(name, rejected));
        build
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

    /// Adds the files of `inputs` that exist to those that are watched: cargo would build again and
    /// again for others.
    ///
    /// Called by: [`Session::deliver`].
    pub(crate) fn watch(&self, inputs: &[String], build: &mut Build) {
        for input in inputs {
            let path = self.options.package_root.join(input);
            if path.exists() && !build.watched.contains(&path) {
                build.watched.push(path);
            }
        }
    }
}

/// Returns the error for a model that is not in the cache when nothing else is allowed.
///
/// Called by: [`Session::find_or_convert`], `convert.rs`.
pub(crate) fn not_cached() -> Error {
    Error::new(
        ErrorKind::Policy,
        "it is not in the cache, and COREML_BUILD=cached forbids converting it",
    )
    .advise("run `COREML_BUILD=auto cargo build` once where there is Python")
    .advise("or set COREML_CACHE_DIR or COREML_REMOTE to a cache that has it")
}
