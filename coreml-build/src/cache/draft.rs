//! An entry in the making: files in a temporary folder that are not admitted yet.
//!
//! Owns: checking and hashing what the driver left, and sealing it (synced, read-only, pinned
//! times).
//! Flow: the driver, `archive.rs` or `build/ready.rs` fills a folder → [`Draft`] → `admit.rs`.

use super::description::{Description, EntryFile};
use super::digests::Digests;
use super::entry::files_of;
use super::layout::{DESCRIPTION, LOG, NEEDED, PACKAGE, PINNED_TIME, is_allowed};
use crate::files::{Links, sync_folder, walk};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Most bytes of the log that an entry keeps, from its end.
const LOG_KEPT: usize = 1 << 20;

/// An entry in the making.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Where it lies, on the cache's file system.
    folder: PathBuf,
    /// Its files with their digests.
    files: BTreeMap<String, EntryFile>,
    /// How long the conversion took, in seconds.
    seconds: f64,
    /// The model, for people.
    model: String,
}

impl Draft {
    /// Reads what the driver left in `folder` and hashes it.
    ///
    /// Errors: a file is missing, or does not belong there.
    pub(crate) fn read(
        folder: &Path,
        model: &str,
        seconds: f64,
        digests: &Digests,
    ) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        for path in files_of(folder)? {
            if !is_allowed(&path) {
                return Err(io::Error::other(format!(
                    "the driver left a file that does not belong there: {path}"
                )));
            }
            let file = folder.join(&path);
            let (size, sha256) = (std::fs::metadata(&file)?.len(), digests.of_file(&file)?);
            files.insert(path, EntryFile { size, sha256 });
        }
        if let Some(needed) = NEEDED.into_iter().find(|needed| !files.contains_key(*needed)) {
            return Err(io::Error::other(format!("the driver left no {needed}")));
        }
        Ok(Self { folder: folder.to_owned(), files, seconds, model: model.to_owned() })
    }

    /// Makes the draft of an entry whose files lie in `folder` and were verified against its
    /// description.
    pub(super) fn verified(description: Description, folder: &Path) -> Self {
        let Description { files, seconds, model, .. } = description;
        Self { folder: folder.to_owned(), files, seconds, model }
    }

    /// Returns the folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the folder of the package.
    pub(super) fn package(&self) -> PathBuf {
        self.folder.join(PACKAGE)
    }

    /// Adds what Python printed: the end of the log at `log`.
    pub(crate) fn add_log(&self, log: &Path) -> io::Result<()> {
        let content = std::fs::read(log)?;
        std::fs::write(self.folder.join(LOG), &content[content.len().saturating_sub(LOG_KEPT)..])
    }

    /// Returns path and digest of each file.
    pub(super) fn digests(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, file)| (path.as_str(), file.sha256.as_str()))
    }

    /// Writes the description, then makes all files read-only and durable, with pinned times.
    pub(super) fn seal(&self, fingerprint: &str) -> io::Result<()> {
        let description =
            Description::new(fingerprint, &self.model, self.seconds, self.files.clone());
        std::fs::write(self.folder.join(DESCRIPTION), serde_json::to_vec_pretty(&description)?)?;
        let mut folders = BTreeSet::from([self.folder.clone()]);
        for found in walk(&self.folder, Links::Listed, |_| true) {
            let path = found?.path;
            seal_file(&path)?;
            let above = path.ancestors().skip(1).take_while(|above| *above != self.folder);
            folders.extend(above.map(Path::to_owned));
        }
        // The deepest first: a folder is durable when what it names is.
        folders.iter().rev().try_for_each(|folder| sync_folder(folder))
    }
}

/// Makes a file read-only and durable, with pinned times.
fn seal_file(path: &Path) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    let time = UNIX_EPOCH + PINNED_TIME;
    file.set_times(FileTimes::new().set_modified(time).set_accessed(time))?;
    file.sync_all()?;
    let mut permissions = file.metadata()?.permissions();
    permissions.set_readonly(true);
    file.set_permissions(permissions)
}
