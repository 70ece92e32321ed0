//! Finding a conversion in the cache.
//!
//! Owns: going through the lists of files that earlier conversions read until one leads to an
//! entry.
//! Must not: convert, or wait for anybody.
//! Flow: `session.rs` → [`find`]; `convert.rs` looks again once it holds the locks.

use crate::build::fingerprint::{Snapshot, primary};
use crate::cache::{Cache, Entry, Lookup};
use crate::error::{Error, ErrorKind};
use crate::lock::LockedModel;
use crate::manifest::{Conversion, Model};
use crate::python::Requirements;
use std::path::Path;

/// A conversion that is needed.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    /// Its primary key.
    pub(crate) primary: String,
    /// Name of the first model that needs it.
    pub(crate) name: &'a str,
    /// Its canonical table.
    pub(crate) conversion: &'a Conversion,
    /// Files that the manifest names.
    pub(crate) declared: Vec<&'a str>,
    /// The Python packages.
    pub(crate) requirements: &'a Requirements,
    /// What the lock says of it.
    pub(crate) locked: Option<&'a LockedModel>,
}

impl<'a> Wanted<'a> {
    /// Makes it from a model.
    ///
    /// Errors: the canonical table has no JSON form, which its types rule out.
    pub(crate) fn new(model: &'a Model, requirements: &'a Requirements) -> Result<Self, Error> {
        let unhashable = |error| {
            Error::new(ErrorKind::Manifest, format!("the table cannot be written as JSON: {error}"))
                .of_model(&model.name)
        };
        Ok(Self {
            primary: primary(&model.conversion, requirements).map_err(unhashable)?,
            name: &model.name,
            conversion: &model.conversion,
            declared: model.declared_files().into_iter().map(|(_, file)| file).collect(),
            requirements,
            locked: None,
        })
    }

    /// Adds what the lock says.
    pub(crate) fn with_lock(self, locked: Option<&'a LockedModel>) -> Self {
        Self { locked, ..self }
    }

    /// Returns whether `entry` is made from the locked sources, but is not the locked package.
    pub(crate) fn disagrees(&self, entry: &Entry) -> bool {
        self.locked.is_some_and(|locked| {
            locked.fingerprint == entry.fingerprint() && locked.digest != entry.digest()
        })
    }
}

/// A conversion that is done.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Its entry.
    pub(crate) entry: Entry,
    /// The files that it was made from.
    pub(crate) inputs: Vec<String>,
    /// Whether it was in some cache before.
    pub(crate) cached: bool,
    /// Whether the local cache did not have it before.
    pub(crate) is_new: bool,
    /// What the conversion warned of; nothing on a hit.
    pub(crate) warnings: Vec<String>,
}

/// Returns the conversion, if the cache has it and its files are as they were.
///
/// Parameters: `warnings` — takes a word about every damaged entry.
/// Errors: a file that it was made from cannot be read.
pub(crate) fn find(
    package_root: &Path,
    cache: &Cache,
    wanted: &Wanted<'_>,
    warnings: &mut Vec<String>,
) -> Result<Option<Found>, Error> {
    let mut lists = cache.recorded_inputs(&wanted.primary);
    // The lock knows which files are read, even where the cache has only the entry.
    lists.extend(wanted.locked.map(|locked| locked.inputs.clone()));
    for inputs in lists {
        let snapshot = Snapshot::take(package_root, &inputs, &cache.digests).map_err(|error| {
            Error::new(
                ErrorKind::Storage,
                format!("a file that the model is made from cannot be read: {error}"),
            )
            .advise("check its permissions")
        })?;
        match cache.lookup(&snapshot.fingerprint(&wanted.primary)) {
            Lookup::Hit(entry) => {
                cache.stamp_inputs(&wanted.primary);
                return Ok(Some(Found {
                    entry,
                    inputs,
                    cached: true,
                    is_new: false,
                    warnings: Vec::new(),
                }));
            }
            Lookup::Damaged(damage) => {
                let warning = format!(
                    "model `{}`: its cache entry is damaged and not used: {damage}",
                    wanted.name
                );
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
            Lookup::Miss => {}
        }
    }
    Ok(None)
}
