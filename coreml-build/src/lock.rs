//! The lock of a manifest: `digits.lock` beside `digits.toml`, committed with it.
//!
//! Owns: what a lock holds, and what a build makes of it. A package that is not the locked one is
//! refused; a lock that is older than the sources is only out of date.
//! Must not: be written by a build; only `cargo coreml lock` writes it.
//! Flow: `build/manifests.rs` reads it beside each manifest; `build/locked.rs` asks [`Lock::judge`]
//! about every model; `command/lock.rs` makes a new one, whose text is `lock/text.rs`'s.

#[cfg(test)]
mod tests;
mod text;

use crate::cache::Entry;
use crate::error::{Error, ErrorKind, Place};
use crate::python::Requirements;
use coreml_spec::Interface;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Ending of a lock's name, in place of the manifest's.
const ENDING: &str = "lock";

/// What a lock says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lock {
    /// The Python packages.
    pub(crate) python: LockedPackages,
    /// The models, by name.
    pub(crate) models: BTreeMap<String, LockedModel>,
}

/// The Python packages of a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LockedPackages {
    /// What the manifest and the defaults asked for.
    pub(crate) requirements: Vec<String>,
    /// All packages with their versions, and with their hashes unless [`lock`](Self::lock) has
    /// them; empty when they were not resolved.
    pub(crate) packages: Vec<String>,
    /// Digest of the lock inside coreml-build, when the defaults are used.
    pub(crate) lock: Option<String>,
}

/// One model of a lock.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LockedModel {
    /// The fingerprint: table, driver, packages and files.
    pub(crate) fingerprint: String,
    /// Content digest of the package.
    pub(crate) digest: String,
    /// The files that the conversion read.
    pub(crate) inputs: Vec<String>,
    /// The interface.
    pub(crate) interface: Interface,
    /// The files that belong to it: SHA-256 of each, by its path in the manifest.
    pub(crate) files: BTreeMap<String, String>,
}

/// Why a model is not what the lock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Disagreement {
    /// The sources are newer than the lock.
    Outdated(String),
    /// The sources are the locked ones, but the package is another: nothing may be made from it.
    Forged(Box<Error>),
}

/// Returns where the lock of the manifest at `manifest` lies.
pub(crate) fn path(manifest: &Path) -> PathBuf {
    manifest.with_extension(ENDING)
}

/// Returns the command that makes the lock of `manifest` anew.
pub(crate) fn command(manifest: &str) -> String {
    format!("cargo coreml lock {manifest}")
}

impl Lock {
    /// Reads the lock beside a manifest; `None` when there is none.
    ///
    /// Parameters: `path` — from [`path`]; `manifest` — as the user wrote it, for the message.
    /// Errors: it is no lock, or one of another version.
    pub(crate) fn read(path: &Path, manifest: &str) -> Result<Option<Self>, Error> {
        let content = match std::fs::read_to_string(path) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(path, manifest, error)),
        };
        Self::parse(&content).map(Some).map_err(|error| unreadable(path, manifest, error))
    }

    /// Returns the pinned packages to install for `requirements`, when the lock was made for the
    /// same.
    pub(crate) fn pins(&self, requirements: &Requirements) -> Option<Vec<String>> {
        let same = self.python.requirements == requirements.packages && self.python.lock.is_none();
        (same && !self.python.packages.is_empty()).then(|| self.python.packages.clone())
    }

    /// Compares a finished conversion with the lock.
    ///
    /// Parameters: `manifest` — as the user wrote it; `interface` — that of the package.
    pub(crate) fn judge(
        &self,
        manifest: &str,
        model: &str,
        entry: &Entry,
        interface: &Interface,
    ) -> Result<(), Disagreement> {
        let Some(locked) = self.models.get(model) else {
            return Err(Disagreement::Outdated(format!("it does not have the model `{model}`")));
        };
        if locked.fingerprint != entry.fingerprint() {
            return Err(Disagreement::Outdated(format!("the model `{model}` has changed since")));
        }
        if locked.digest != entry.digest() {
            return Err(Disagreement::Forged(Box::new(forged(
                manifest,
                &locked.digest,
                entry.digest(),
            ))));
        }
        if locked.interface != *interface {
            return Err(Disagreement::Outdated(format!(
                "it has another interface of the model `{model}`"
            )));
        }
        Ok(())
    }

    /// Returns in which way the files that belong to a model are not the locked ones.
    ///
    /// Parameters: `files` — as [`LockedModel::files`] has them.
    pub(crate) fn outdated_files(
        &self,
        model: &str,
        files: &BTreeMap<String, String>,
    ) -> Option<String> {
        let locked = &self.models.get(model)?.files;
        let mut paths = locked.keys().chain(files.keys());
        let other = paths.find(|path| locked.get(*path) != files.get(*path))?;
        Some(format!("the file {other} of the model `{model}` has changed since"))
    }

    /// Returns the locked models that `names` does not contain.
    pub(crate) fn others<'a>(&'a self, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        let names: Vec<_> = names.collect();
        self.models.keys().map(String::as_str).find(|name| !names.contains(name))
    }
}

/// Returns the text about a lock that is older than the sources.
pub(crate) fn outdated(manifest: &str, why: &str) -> String {
    let lock = path(Path::new(manifest));
    format!(
        "{} is out of date: {why}; `{}` brings it up to date",
        lock.display(),
        command(manifest)
    )
}

/// Returns the error for an artifact that is not the locked one.
fn forged(manifest: &str, locked: &str, found: &str) -> Error {
    let lock = path(Path::new(manifest));
    Error::new(
        ErrorKind::Lock,
        format!(
            "the converted package is not the one that {} names, so it was not used\n  locked: \
            {locked}\n  found:  {found}",
            lock.display()
        ),
    )
    .advise(
        "use a cache that has the locked package: set COREML_REMOTE, or copy the entry from \
        where it was locked",
    )
    .advise(format!("if the package is right, accept it: `{}`", command(manifest)))
}

/// Returns the error for a lock that cannot be read.
fn unreadable(
    path: &Path,
    manifest: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    let problem = error.to_string();
    let first = problem.lines().next().unwrap_or_default();
    Error::new(ErrorKind::Lock, format!("the lock {} cannot be read: {first}", path.display()))
        .at(Place { manifest: manifest.to_owned(), line: 1, column: 1 })
        .advise(format!("make it anew: `{}`", command(manifest)))
        .caused_by(error)
}
