//! Making locks: what `cargo coreml lock` does.
//!
//! Owns: what goes into a new lock. A model whose sources are still the locked ones keeps its lines
//! where the cache does not have it, so that a check needs no Python. Must not: run in a build.
//! Flow: the command line → [`Session::lock`] → `session.rs` finds or converts →
//! [`Locking::write`].

use crate::build::convert::Failure;
use crate::build::delivery::interface_of;
use crate::build::lookup::{Found, Wanted};
use crate::build::{Conversions, Session};
use crate::cache::write_whole;
use crate::error::{Error, ErrorKind};
use crate::lock::{Lock, LockedModel, LockedPackages, path};
use crate::manifest::{self, Manifest};
use crate::python::embedded;
use crate::python::{self, Requirements};
use crate::status::Status;
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
    /// What is odd, but no error.
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

impl Session {
    /// Makes the locks of `manifests`: finds or converts every model, and resolves the Python
    /// packages.
    ///
    /// Called by: `cargo coreml lock`.
    /// Returns: one for each manifest, in order. Nothing is written to the package.
    pub fn lock(&self, manifests: &[&str]) -> Vec<Locking> {
        let _used = self.cache.in_use();
        manifests.iter().map(|name| self.lock_one(name)).collect()
    }

    /// Makes the lock of one manifest.
    fn lock_one(&self, name: &str) -> Locking {
        let path = path(&manifest::path(&self.options.package_root, name));
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        let mut warnings = Vec::new();
        // A lock that cannot be read is made anew.
        let old = Lock::parse(&before).ok();
        let after = self.make(name, old.as_ref(), &mut warnings);
        Locking { manifest: name.to_owned(), path, before, after, warnings }
    }

    /// Returns the text of the lock of a manifest.
    fn make(
        &self,
        name: &str,
        old: Option<&Lock>,
        warnings: &mut Vec<String>,
    ) -> Result<String, Vec<Error>> {
        let root = &self.options.package_root;
        let read = Manifest::read(root, name)
            .and_then(|manifest| manifest.check_files(root).map(|()| manifest));
        let mut manifest = read.map_err(|rejected| rejected.errors)?;
        warnings.append(&mut manifest.warnings);
        let one = |error: Error| vec![error];
        manifest.requirements.pins = old.and_then(|old| old.pins(&manifest.requirements));
        if manifest.requirements.needs_pins() && self.options.python.interpreter.is_none() {
            let status = Status::new(&self.options);
            let pins =
                python::resolve(&self.options.python, &manifest.requirements, &self.cache, &status);
            manifest.requirements.pins = Some(pins.map_err(one)?);
        }
        let mut wanted = BTreeMap::new();
        let mut kept = BTreeMap::new();
        for model in &manifest.models {
            let new = Wanted::new(model, &manifest.requirements).map_err(one)?;
            let locked = old.and_then(|old| old.models.get(&model.name));
            let holds = locked.filter(|locked| {
                locked.holds(&self.options.package_root, &new.primary, &self.cache.digests)
                    == Some(true)
            });
            kept.insert(model.name.clone(), (new.primary.clone(), holds));
            wanted.entry(new.primary.clone()).or_insert(new.with_lock(locked));
        }
        let unneeded: Vec<_> = kept
            .values()
            .filter(|(_, holds)| holds.is_some())
            .map(|(primary, _)| primary.clone())
            .collect();
        let conversions = self.find_or_convert(wanted, &unneeded, warnings);
        let mut errors = Vec::new();
        let mut models = BTreeMap::new();
        for model in &manifest.models {
            let Some((primary, locked)) = kept.get(&model.name) else { continue };
            match locked_model(&conversions, primary, *locked) {
                Ok(locked) => {
                    if let Some(foreign) =
                        locked.inputs.iter().find(|input| Path::new(input).is_absolute())
                    {
                        warnings.push(format!(
                            "{name}: model `{}` reads {foreign}, which lies outside the package: \
                            on another machine the lock \
                             will seem out of date",
                            model.name
                        ));
                    }
                    models.insert(model.name.clone(), locked);
                }
                Err(failure) => {
                    errors.push(
                        failure.error.of_model(&model.name).at(model.place(failure.key.as_deref())),
                    );
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let lock = Lock { python: locked_packages(&manifest.requirements), models };
        lock.text().map_err(|problem| {
            one(Error::new(ErrorKind::Lock, format!("the lock has no text: {problem}")))
        })
    }
}

/// Returns the lines of one model.
fn locked_model(
    conversions: &Conversions,
    primary: &str,
    locked: Option<&LockedModel>,
) -> Result<LockedModel, Failure> {
    let found: &Found = match (conversions.get(primary), locked) {
        (Some(Ok(found)), _) => found,
        (_, Some(locked)) => return Ok(locked.clone()),
        (Some(Err(failure)), None) => return Err(failure.clone()),
        (None, None) => {
            return Err(Error::new(ErrorKind::Driver, "nothing is known of this model").into());
        }
    };
    let mut inputs = found.inputs.clone();
    inputs.sort();
    Ok(LockedModel {
        fingerprint: found.entry.fingerprint().to_owned(),
        digest: found.entry.digest().to_owned(),
        inputs,
        interface: interface_of(&found.entry)?,
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
