//! `entry.json`: what an entry says about itself.
//!
//! Owns: its form, and what in one from elsewhere may be believed.   Must not: read the files that
//! it lists.
//! Flow: `draft.rs` writes it, `entry.rs` and `archive.rs` check it.

use super::layout::{DESCRIPTION, NEEDED, PACKAGE, is_allowed};
use crate::digest::Hasher;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Content of `entry.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Description {
    /// The fingerprint, so that an entry that was moved to another name is found out.
    pub(super) fingerprint: String,
    /// Content digest of the package.
    pub(super) digest: String,
    /// The model that was converted first: for people.
    #[serde(default)]
    pub(super) model: String,
    /// How long the conversion took, in seconds.
    pub(super) seconds: f64,
    /// All files but this one and the log, by path with `/`.
    pub(super) files: BTreeMap<String, EntryFile>,
}

/// One file of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EntryFile {
    /// Size in bytes.
    pub(super) size: u64,
    /// Digest.
    pub(super) sha256: String,
}

impl Description {
    /// Makes the description of an entry, with the content digest of its package.
    pub(super) fn new(
        fingerprint: &str,
        model: &str,
        seconds: f64,
        files: BTreeMap<String, EntryFile>,
    ) -> Self {
        let digest = content_digest(&files);
        let (fingerprint, model) = (fingerprint.to_owned(), model.to_owned());
        Self { fingerprint, digest, model, seconds, files }
    }

    /// Reads the description in `folder` without checking it against anything.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let content = std::fs::read(folder.join(DESCRIPTION))
            .map_err(|error| format!("{DESCRIPTION}: {error}"))?;
        Self::parse(&content)
    }

    /// Reads a description.
    fn parse(content: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(content).map_err(|error| format!("{DESCRIPTION}: {error}"))
    }

    /// Reads a description that comes from an untrusted place.
    ///
    /// Errors: it contradicts itself, or names files that no entry has.
    pub(super) fn received(content: &[u8], fingerprint: &str) -> Result<Self, String> {
        let description = Self::parse(content)?;
        description.check(fingerprint)?;
        let paths = || description.files.keys();
        if let Some(path) = paths().find(|path| !is_allowed(path) || !is_plain(path)) {
            return Err(format!("{DESCRIPTION} lists {path:?}, which belongs to no entry"));
        }
        let mut folded = BTreeSet::new();
        if let Some(path) = paths().find(|path| !folded.insert(path.to_lowercase())) {
            return Err(format!(
                "{DESCRIPTION} lists {path:?} twice, but for upper and lower case"
            ));
        }
        match NEEDED.into_iter().find(|needed| !description.files.contains_key(*needed)) {
            Some(needed) => Err(format!("{DESCRIPTION} lists no {needed}")),
            None => Ok(description),
        }
    }

    /// Checks that it is the description of `fingerprint`, and that its content digest is that of
    /// its files.
    pub(super) fn check(&self, fingerprint: &str) -> Result<(), String> {
        if self.fingerprint != fingerprint {
            return Err(format!("{DESCRIPTION} names another fingerprint"));
        }
        if self.digest != content_digest(&self.files) {
            return Err(format!("{DESCRIPTION}: the content digest does not fit the files"));
        }
        Ok(())
    }

    /// Returns the bytes of all files; `None` when there is no such number.
    pub(super) fn size(&self) -> Option<u64> {
        self.files.values().try_fold(0_u64, |sum, file| sum.checked_add(file.size))
    }
}

/// Returns the content digest of the package among `files`: over path, size and SHA-256 of each
/// file of it, in the order of the paths.
fn content_digest(files: &BTreeMap<String, EntryFile>) -> String {
    let mut hasher = Hasher::default();
    for (path, file) in files {
        let Some(path) = path.strip_prefix(PACKAGE).and_then(|path| path.strip_prefix('/')) else {
            continue;
        };
        hasher.field("path", path.as_bytes());
        hasher.field("size", &file.size.to_le_bytes());
        hasher.field("sha256", file.sha256.as_bytes());
    }
    hasher.finish()
}

/// Returns whether `path` stays where it is put, on every system.
fn is_plain(path: &str) -> bool {
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', ':', '\0']);
    path.split('/').all(plain)
}
