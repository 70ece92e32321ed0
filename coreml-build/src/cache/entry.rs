//! One entry of the cache: a converted model with its samples and its report.
//!
//! Owns: the verification of an entry at each use.   Must not: write.
//! Flow: `local.rs` → [`Entry::open`]; `output/materialize.rs` links its files.

use super::description::Description;
use super::digests::Digests;
use super::layout::{DESCRIPTION, LOG, PACKAGE, REPORT, SAMPLES};
use crate::files::{Links, walk};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// A published entry whose files were verified when it was opened.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Where it lies.
    folder: PathBuf,
    /// What it says about itself.
    description: Description,
}

/// A file that an entry gives to `OUT_DIR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content<'a> {
    /// Path inside the entry, with `/`.
    pub(crate) path: &'a str,
    /// Absolute path.
    pub(crate) source: PathBuf,
    /// Digest.
    pub(crate) sha256: &'a str,
    /// Size in bytes.
    pub(crate) size: u64,
}

impl Entry {
    /// Opens the entry in `folder` and verifies every file.
    ///
    /// Errors: what is wrong with it, in words for a person.
    pub(super) fn open(
        folder: &Path,
        fingerprint: &str,
        digests: &Digests,
    ) -> Result<Self, String> {
        let description = Description::read(folder)?;
        description.check(fingerprint)?;
        let present = files_of(folder).map_err(|error| error.to_string())?;
        let expected: BTreeSet<_> = description.files.keys().cloned().collect();
        if let Some(path) = expected.symmetric_difference(&present).next() {
            let problem =
                if present.contains(path) { "does not belong there" } else { "is missing" };
            return Err(format!("{path} {problem}"));
        }
        for (path, expected) in &description.files {
            let file = folder.join(path);
            let size = std::fs::metadata(&file).map_err(|error| format!("{path}: {error}"))?.len();
            if size != expected.size {
                return Err(format!("{path} has {size} bytes instead of {}", expected.size));
            }
            let sha256 = digests.of_file(&file).map_err(|error| format!("{path}: {error}"))?;
            if sha256 != expected.sha256 {
                return Err(format!("{path} was altered"));
            }
        }
        Ok(Self { folder: folder.to_owned(), description })
    }

    /// Returns the folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns path and size of every file that the description lists.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.description.files.iter().map(|(path, file)| (path.as_str(), file.size))
    }

    /// Returns the fingerprint.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.description.fingerprint
    }

    /// Returns the content digest of the package.
    pub(crate) fn digest(&self) -> &str {
        &self.description.digest
    }

    /// Returns how long the conversion took, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.description.seconds
    }

    /// Returns the folder of the package.
    pub(crate) fn package(&self) -> PathBuf {
        self.folder.join(PACKAGE)
    }

    /// Returns where the log lies, if the entry has one.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join(LOG)
    }

    /// Returns the files of the package: their paths are relative to the package.
    pub(crate) fn package_files(&self) -> Vec<Content<'_>> {
        self.files_below(PACKAGE)
    }

    /// Returns the samples in their order: their paths are relative to the folder of samples.
    pub(crate) fn samples(&self) -> Vec<Content<'_>> {
        let mut samples = self.files_below(SAMPLES);
        // `10.safetensors` comes after `9.safetensors`.
        samples.sort_by_key(|sample| (sample.path.len(), sample.path));
        samples
    }

    /// Returns the report.
    pub(crate) fn report(&self) -> Option<Content<'_>> {
        self.content(REPORT, REPORT)
    }

    /// Returns the files below `folder` of the entry, with paths relative to it.
    fn files_below(&self, folder: &str) -> Vec<Content<'_>> {
        let prefix = format!("{folder}/");
        let files = self.description.files.keys();
        files.filter_map(|key| self.content(key, key.strip_prefix(&prefix)?)).collect()
    }

    /// Returns the file at `key` of the description, called `path`.
    fn content<'a>(&'a self, key: &str, path: &'a str) -> Option<Content<'a>> {
        let file = self.description.files.get(key)?;
        let source = self.folder.join(key);
        Some(Content { path, source, sha256: &file.sha256, size: file.size })
    }
}

/// Returns the paths of all files below `folder` but description and log, with `/`.
///
/// Errors: there is something that is neither a file nor a folder.
pub(super) fn files_of(folder: &Path) -> io::Result<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    for found in walk(folder, Links::Listed, |_| true) {
        let found = found?;
        let path = found.name_below(folder)?;
        if !found.kind.is_file() {
            return Err(io::Error::other(format!("{path} is neither a file nor a folder")));
        }
        if path != DESCRIPTION && path != LOG {
            files.insert(path);
        }
    }
    Ok(files)
}
