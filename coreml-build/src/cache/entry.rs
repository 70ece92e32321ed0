//! One entry of the cache: a converted model with its samples and its report.
//!
//! Owns: `entry.json`, the making of an entry (files sealed: synced, read-only, pinned times) and
//! its verification.
//! Flow: the driver fills a folder; [`Draft::read`] checks and lists it; `cache.rs` publishes it;
//! [`Entry::open`] verifies it at each use.

use super::PINNED_TIME;
use crate::digest::{Digests, Hasher};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The file that describes an entry.
pub(super) const DESCRIPTION: &str = "entry.json";

/// What Python said during the conversion. Not verified: nothing is made from it.
const LOG: &str = "log.txt";

/// Folder of the package.
const PACKAGE: &str = "model.mlpackage";

/// Folder of the samples.
const SAMPLES: &str = "samples";

/// The report.
const REPORT: &str = "report.json";

/// Most bytes of the log that an entry keeps, from its end.
const LOG_KEPT: usize = 1 << 20;

/// Content of `entry.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Description {
    /// The fingerprint, so that an entry moved to another name is found out.
    fingerprint: String,
    /// Content digest of the package.
    digest: String,
    /// The model that was converted first, and where it came from: for people.
    #[serde(default)]
    model: String,
    /// How long the conversion took, in seconds.
    seconds: f64,
    /// All files but this one and the log, by path with `/`.
    files: BTreeMap<String, Stored>,
}

/// One file of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    /// Size in bytes.
    size: u64,
    /// Digest.
    sha256: String,
}

/// A published entry whose files were verified when it was opened.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Where it lies.
    folder: PathBuf,
    /// What it says about itself.
    description: Description,
}

/// Files that an entry gives to `OUT_DIR`.
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
    /// Errors: what is wrong with it, in words.
    pub(super) fn open(
        folder: &Path,
        fingerprint: &str,
        digests: &Digests,
    ) -> Result<Self, String> {
        let content = std::fs::read(folder.join(DESCRIPTION))
            .map_err(|error| format!("{DESCRIPTION}: {error}"))?;
        let description: Description =
            serde_json::from_slice(&content).map_err(|error| format!("{DESCRIPTION}: {error}"))?;
        if description.fingerprint != fingerprint {
            return Err(format!("{DESCRIPTION} names another fingerprint"));
        }
        if description.digest != content_digest(description.package_files()) {
            return Err(format!("{DESCRIPTION}: the content digest does not fit the files"));
        }
        let present = list(folder).map_err(|error| error.to_string())?;
        let expected: BTreeSet<_> = description.files.keys().cloned().collect();
        if let Some(path) = expected.symmetric_difference(&present).next() {
            let problem =
                if present.contains(path) { "does not belong there" } else { "is missing" };
            return Err(format!("{path} {problem}"));
        }
        for (path, stored) in &description.files {
            let file = folder.join(path);
            let size = std::fs::metadata(&file).map_err(|error| format!("{path}: {error}"))?.len();
            if size != stored.size {
                return Err(format!("{path} has {size} bytes instead of {}", stored.size));
            }
            if digests.of_file(&file).map_err(|error| format!("{path}: {error}"))? != stored.sha256
            {
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
        self.description.files.iter().map(|(path, stored)| (path.as_str(), stored.size))
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

    /// Returns where the log is, when there is one.
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
        let stored = self.description.files.get(key)?;
        Some(Content {
            path,
            source: self.folder.join(key),
            sha256: &stored.sha256,
            size: stored.size,
        })
    }
}

impl Description {
    /// Reads a description that nobody vouches for.
    ///
    /// Called by: `archive.rs`.
    /// Errors: it does not fit itself, or names files that no entry has.
    pub(super) fn received(content: &[u8], fingerprint: &str) -> Result<Self, String> {
        let description: Self =
            serde_json::from_slice(content).map_err(|error| format!("{DESCRIPTION}: {error}"))?;
        if description.fingerprint != fingerprint {
            return Err(format!("{DESCRIPTION} names another fingerprint"));
        }
        if description.digest != content_digest(description.package_files()) {
            return Err(format!("{DESCRIPTION}: the content digest does not fit the files"));
        }
        if let Some(path) =
            description.files.keys().find(|path| !is_allowed(path) || !is_plain(path))
        {
            return Err(format!("{DESCRIPTION} lists {path:?}, which belongs to no entry"));
        }
        let mut folded = BTreeSet::new();
        if let Some(path) =
            description.files.keys().find(|path| !folded.insert(path.to_lowercase()))
        {
            return Err(format!(
                "{DESCRIPTION} lists {path:?} twice, but for upper and lower case"
            ));
        }
        let manifest = format!("{PACKAGE}/Manifest.json");
        match [manifest.as_str(), REPORT]
            .into_iter()
            .find(|needed| !description.files.contains_key(*needed))
        {
            Some(needed) => Err(format!("{DESCRIPTION} lists no {needed}")),
            None => Ok(description),
        }
    }

    /// Returns the content digest.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns the bytes of all files, unless there is no such number.
    pub(super) fn size(&self) -> Option<u64> {
        self.files.values().try_fold(0_u64, |sum, stored| sum.checked_add(stored.size))
    }

    /// Returns size and digest of a file.
    pub(super) fn stored(&self, path: &str) -> Option<(u64, &str)> {
        self.files.get(path).map(|stored| (stored.size, stored.sha256.as_str()))
    }

    /// Returns the paths of all files.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Returns the entry in the making whose files lie in `folder`, verified.
    pub(super) fn into_draft(self, folder: &Path) -> Draft {
        Draft {
            folder: folder.to_owned(),
            files: self.files,
            seconds: self.seconds,
            model: self.model,
        }
    }

    /// Returns path inside the package, size and digest of each file of the package.
    fn package_files(&self) -> impl Iterator<Item = (&str, u64, &str)> {
        self.files.iter().filter_map(|(path, stored)| {
            let path = path.strip_prefix(PACKAGE)?.strip_prefix('/')?;
            Some((path, stored.size, stored.sha256.as_str()))
        })
    }
}

/// Returns the content digest of a package: over path, size and SHA-256 of each file, in the order
/// of the paths.
fn content_digest<'a>(files: impl Iterator<Item = (&'a str, u64, &'a str)>) -> String {
    let mut hasher = Hasher::default();
    for (path, size, sha256) in files {
        hasher.field("path", path.as_bytes());
        hasher.field("size", &size.to_le_bytes());
        hasher.field("sha256", sha256.as_bytes());
    }
    hasher.finish()
}

/// An entry in the making: what the driver left in its output folder.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Where it lies, on the cache's file system.
    folder: PathBuf,
    /// Its files with their digests.
    files: BTreeMap<String, Stored>,
    /// How long the conversion took, in seconds.
    seconds: f64,
    /// The model, for people.
    model: String,
}

impl Draft {
    /// Reads what the driver left in `folder` and hashes it.
    ///
    /// Errors: what is missing or should not be there.
    pub(crate) fn read(
        folder: &Path,
        model: &str,
        seconds: f64,
        digests: &Digests,
    ) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        for path in list(folder)? {
            if !is_allowed(&path) {
                return Err(io::Error::other(format!(
                    "the driver left a file that does not belong there: {path}"
                )));
            }
            let file = folder.join(&path);
            let stored =
                Stored { size: std::fs::metadata(&file)?.len(), sha256: digests.of_file(&file)? };
            files.insert(path, stored);
        }
        let manifest = format!("{PACKAGE}/Manifest.json");
        for needed in [manifest.as_str(), REPORT] {
            if !files.contains_key(needed) {
                return Err(io::Error::other(format!("the driver left no {needed}")));
            }
        }
        Ok(Self { folder: folder.to_owned(), files, seconds, model: model.to_owned() })
    }

    /// Returns the folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the folder of the package.
    pub(crate) fn package(&self) -> PathBuf {
        self.folder.join(PACKAGE)
    }

    /// Adds what Python said: the end of the log at `log`.
    pub(crate) fn add_log(&self, log: &Path) -> io::Result<()> {
        let content = std::fs::read(log)?;
        std::fs::write(self.folder.join(LOG), &content[content.len().saturating_sub(LOG_KEPT)..])
    }

    /// Returns path and digest of each file.
    pub(super) fn digests(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, stored)| (path.as_str(), stored.sha256.as_str()))
    }

    /// Writes the description, then makes all files read-only and durable, with pinned times.
    pub(super) fn seal(&self, fingerprint: &str) -> io::Result<()> {
        let mut description = Description {
            fingerprint: fingerprint.to_owned(),
            digest: String::new(),
            model: self.model.clone(),
            seconds: self.seconds,
            files: self.files.clone(),
        };
        description.digest = content_digest(description.package_files());
        std::fs::write(self.folder.join(DESCRIPTION), serde_json::to_vec_pretty(&description)?)?;
        seal_folder(&self.folder)
    }
}

/// Returns whether an entry may have a file at `path`.
fn is_allowed(path: &str) -> bool {
    path == REPORT || [PACKAGE, SAMPLES].iter().any(|part| path.starts_with(&format!("{part}/")))
}

/// Returns whether `path` stays where it is put, on every system.
fn is_plain(path: &str) -> bool {
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', ':', '\0']);
    path.split('/').all(plain)
}

/// Makes every file below `folder` read-only and durable, with pinned times.
fn seal_folder(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            seal_folder(&entry.path())?;
            continue;
        }
        let file = File::options().write(true).open(entry.path())?;
        let time = UNIX_EPOCH + PINNED_TIME;
        file.set_times(FileTimes::new().set_modified(time).set_accessed(time))?;
        file.sync_all()?;
        let mut permissions = file.metadata()?.permissions();
        permissions.set_readonly(true);
        file.set_permissions(permissions)?;
    }
    super::sync_folder(folder)
}

/// Returns model, content digest and seconds of the entry in `folder`, as it says itself.
pub(super) fn description_of(folder: &Path) -> Option<(String, String, f64)> {
    let description: Description =
        serde_json::from_slice(&std::fs::read(folder.join(DESCRIPTION)).ok()?).ok()?;
    Some((description.model, description.digest, description.seconds))
}

/// Returns the bytes of all files below `folder`, as far as they can be read.
pub(crate) fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

/// Returns the paths of all files below `folder` but description and log, with `/`.
///
/// Errors: there is something that is neither file nor folder.
fn list(folder: &Path) -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut folders = vec![String::new()];
    while let Some(prefix) = folders.pop() {
        for entry in std::fs::read_dir(folder.join(&prefix))? {
            let entry = entry?;
            let name = entry
                .file_name()
                .into_string()
                .map_err(|name| io::Error::other(format!("odd name {name:?}")))?;
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(path);
            } else if !kind.is_file() {
                return Err(io::Error::other(format!("{path} is neither a file nor a folder")));
            } else if path != DESCRIPTION && path != LOG {
                found.insert(path);
            }
        }
    }
    Ok(found)
}
