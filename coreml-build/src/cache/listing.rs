//! Looking at all entries at once: what is there, and whether it is undamaged.
//!
//! Owns: what is reported about an entry.   Must not: change anything.
//! Flow: `command/upkeep.rs` and `garbage.rs` → here.

use super::description::Description;
use super::digests::Digests;
use super::entry::Entry;
use super::local::Cache;
use crate::files::bytes_below;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// An entry of the cache.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Listed {
    /// Its fingerprint.
    pub fingerprint: String,
    /// The model that was converted first; empty where that was not kept.
    pub model: String,
    /// Content digest of its package.
    pub digest: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// How long its conversion took, in seconds.
    pub seconds: f64,
    /// When it was last used, to a day.
    pub used: SystemTime,
}

/// An entry that is not what was published.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Its name, which is the fingerprint.
    pub fingerprint: String,
    /// What is wrong with it.
    pub problem: String,
}

/// A folder where entries stand, whole or not.
#[derive(Clone, Debug)]
pub(super) struct EntryFolder {
    /// Its name, the fingerprint.
    pub(super) name: String,
    /// Its path.
    pub(super) path: PathBuf,
    /// Bytes of its files.
    pub(super) bytes: u64,
    /// When the entry was last used.
    pub(super) used: SystemTime,
}

impl Cache {
    /// Lists the entries, the latest used first; their files are not read.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let mut folders = self.entry_folders();
        folders.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.name.cmp(&b.name)));
        let listed = folders.into_iter().map(|folder| {
            let described = Description::read(&folder.path).ok();
            let (model, digest, seconds) = described
                .map(|described| (described.model, described.digest, described.seconds))
                .unwrap_or_default();
            let EntryFolder { name: fingerprint, bytes, used, .. } = folder;
            Listed { fingerprint, model, digest, bytes, seconds, used }
        });
        listed.collect()
    }

    /// Reads every file of every entry; returns the damaged ones.
    pub(crate) fn verify(&self) -> Vec<Damage> {
        let digests = Digests::forgetful();
        let damage = |folder: EntryFolder| {
            let problem = Entry::open(&folder.path, &folder.name, &digests).err()?;
            Some(Damage { fingerprint: folder.name, problem })
        };
        self.entry_folders().into_iter().filter_map(damage).collect()
    }

    /// Returns every folder that stands where entries do.
    pub(super) fn entry_folders(&self) -> Vec<EntryFolder> {
        let described = |path: PathBuf| {
            let name = path.file_name()?.to_str()?.to_owned();
            let stamp = std::fs::metadata(self.layout.used().join(&name))
                .or_else(|_| std::fs::metadata(&path));
            let used = stamp
                .and_then(|metadata| metadata.modified())
                .unwrap_or_else(|_| SystemTime::now());
            Some(EntryFolder { bytes: bytes_below(&path), name, path, used })
        };
        folders_in(&self.layout.entries()).into_iter().filter_map(described).collect()
    }
}

/// Returns the folders in a folder.
pub(super) fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}
