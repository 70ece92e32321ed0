//! Making locks: what `cargo coreml lock` does.
//!
//! Owns: what goes into a new lock. A model whose sources are still the locked ones keeps its lines
//! where the cache does not have it, so that a check needs no Python.
//! Must not: run in a build.
//! Flow: the command line → [`Context::lock`] → the steps of `build/` find or convert →
//! [`Locking::write`].

use crate::build::Context;
use crate::build::companions;
use crate::build::convert::convert;
use crate::build::fetch::fetch;
use crate::build::job::{Failure, Found, Job, JobId, Jobs};
use crate::build::locked::holds;
use crate::build::lookup::look;
use crate::error::{Error, ErrorKind};
use crate::files::write_whole;
use crate::lock::{Lock, LockedModel, LockedPackages, path};
use crate::manifest::{self, Manifest};
use crate::python::{self, Requirements, embedded};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What became of the lock of one manifest.
#[derive(Debug)]
#[non_exhaustive]
pub struct Locking {
    /// The manifest as it was asked for.
    pub manifest: String,
    /// Where the lock lies.
    pub path: PathBuf,
    /// The lock's text as it is, and empty when there is none.
    pub before: String,
    /// The lock's text as it should be, or all that went wrong.
    pub after: Result<String, Vec<Error>>,
    /// Warnings that do not keep the lock from being made.
    pub warnings: Vec<String>,
}

impl Locking {
    /// Returns whether the lock is as it should be.
    pub fn is_current(&self) -> bool {
        self.after.as_ref().is_ok_and(|after| *after == self.before)
    }

    /// Writes the lock, unless it is as it should be.
    ///
    /// Errors: the file cannot be written.
    pub fn write(&self) -> std::io::Result<()> {
        match &self.after {
            Ok(after) if *after != self.before => write_whole(&self.path, after.as_bytes()),
            _ => Ok(()),
        }
    }
}

impl Context {
    /// Returns where the lock of `manifest` should lie, when the manifest is there and the lock is
    /// not.
    pub fn missing_lock(&self, manifest: &str) -> Option<PathBuf> {
        let manifest = manifest::path(&self.options.package_root, manifest);
        let lock = path(&manifest);
        (manifest.is_file() && !lock.exists()).then_some(lock)
    }

    /// Makes the locks of `manifests`: finds or converts every model, and resolves the Python
    /// packages.
    ///
    /// Returns: one for each manifest, in order. Nothing is written to the package.
    pub fn lock(&self, manifests: &[&str]) -> Vec<Locking> {
        let _used = self.cache.in_use();
        manifests.iter().map(|name| locking(self, name)).collect()
    }
}

/// Makes the lock of one manifest.
fn locking(context: &Context, name: &str) -> Locking {
    let path = path(&manifest::path(&context.options.package_root, name));
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let mut warnings = Vec::new();
    // A lock that cannot be read is made anew.
    let old = Lock::parse(&before).ok();
    let after = text(context, name, old.as_ref(), &mut warnings);
    Locking { manifest: name.to_owned(), path, before, after, warnings }
}

/// Returns the text of the lock of a manifest.
fn text(
    context: &Context,
    name: &str,
    old: Option<&Lock>,
    warnings: &mut Vec<String>,
) -> Result<String, Vec<Error>> {
    let root = &context.options.package_root;
    let read = Manifest::read(root, name)
        .and_then(|manifest| manifest.check_files(root).map(|()| manifest));
    let mut manifest = read.map_err(|rejected| rejected.errors)?;
    warnings.append(&mut manifest.warnings);
    let one = |error: Error| vec![error];
    manifest.requirements.pins = pins(context, old, &manifest.requirements).map_err(one)?;
    let (mut jobs, mut needed) = (Jobs::default(), Vec::new());
    for model in &manifest.models {
        let locked = old.and_then(|old| old.models.get(&model.name));
        let mut job = Job::new(root, model, &manifest.requirements, locked).map_err(one)?;
        let kept = locked.filter(|locked| {
            holds(locked, root, &job.primary, &context.cache.digests) == Some(true)
        });
        job.optional = kept.is_some();
        needed.push((model, jobs.add(job), kept));
    }
    obtain(context, &mut jobs, warnings);
    let mut errors = Vec::new();
    let mut models = BTreeMap::new();
    for (model, job, kept) in needed {
        match locked_model(&jobs, job, kept) {
            Ok(mut locked) => {
                let files = companions::of(model, root, &context.cache.digests);
                let files = files.map_err(|error| one(error.of_model(&model.name)))?;
                locked.files = companions::locked(&files);
                warn_of_foreign_files(name, &model.name, &locked, warnings);
                models.insert(model.name.clone(), locked);
            }
            Err(failure) => {
                let place = model.place(failure.key.as_deref());
                errors.push(failure.error.of_model(&model.name).at(place));
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let lock = Lock { python: locked_packages(&manifest.requirements), models };
    lock.text().map_err(|error| {
        let message = format!("the lock cannot be written as TOML: {error}");
        one(Error::new(ErrorKind::Lock, message).caused_by(error))
    })
}

/// Returns the pinned packages: those of the old lock, or resolved now where nothing pins them.
fn pins(
    context: &Context,
    old: Option<&Lock>,
    requirements: &Requirements,
) -> Result<Option<Vec<String>>, Error> {
    let pins = old.and_then(|old| old.pins(requirements));
    let options = &context.options.python;
    if pins.is_some() || !requirements.needs_pins() || options.interpreter.is_some() {
        return Ok(pins);
    }
    python::resolve(options, requirements, &context.cache, &context.status()).map(Some)
}

/// Finds, fetches or converts what the jobs need.
fn obtain(context: &Context, jobs: &mut Jobs<'_>, warnings: &mut Vec<String>) {
    look(context, jobs, warnings);
    if !jobs.open().is_empty() {
        let status = context.status();
        let held = fetch(context, jobs, &status, warnings);
        convert(context, jobs, held, &status, warnings);
    }
}

/// Warns of files that the package does not have: on another machine they lie elsewhere.
fn warn_of_foreign_files(
    manifest: &str,
    model: &str,
    locked: &LockedModel,
    warnings: &mut Vec<String>,
) {
    if let Some(foreign) = locked.inputs.iter().find(|input| Path::new(input).is_absolute()) {
        warnings.push(format!(
            "{manifest}: model `{model}` reads {foreign}, which lies outside the package: on \
            another machine the lock will seem out of date"
        ));
    }
}

/// Returns the lines of one model, but for those of the files that belong to it.
///
/// Parameters: `kept` — its lines in the old lock, when its sources are still the locked ones.
fn locked_model(
    jobs: &Jobs<'_>,
    job: JobId,
    kept: Option<&LockedModel>,
) -> Result<LockedModel, Failure> {
    let found: &Found = match (jobs.result(job), kept) {
        (Ok(found), _) => found,
        (Err(_), Some(kept)) => return Ok(kept.clone()),
        (Err(failure), None) => return Err(failure),
    };
    let mut inputs = found.inputs.clone();
    inputs.sort();
    Ok(LockedModel {
        fingerprint: found.entry.fingerprint().to_owned(),
        digest: found.entry.digest().to_owned(),
        inputs,
        interface: found.interface()?.clone(),
        files: BTreeMap::new(),
    })
}

/// Returns what the lock says about the packages: those of the defaults with their versions, and
/// one digest for their hashes, which coreml-build carries.
fn locked_packages(requirements: &Requirements) -> LockedPackages {
    let (packages, lock) = match &requirements.pins {
        Some(pins) => (pins.clone(), None),
        None if requirements.locked => {
            let pins = python::pins(embedded::REQUIREMENTS_LOCK);
            let versions =
                pins.iter().map(|pin| pin.split(" --hash").next().unwrap_or_default().to_owned());
            (versions.collect(), Some(embedded::lock_digest().to_owned()))
        }
        None => (Vec::new(), None),
    };
    LockedPackages { requirements: requirements.packages.clone(), packages, lock }
}
