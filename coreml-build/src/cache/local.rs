//! The local cache: looking entries up, and the folders and files beside them.
//!
//! Owns: what a look-up gives, logs, lists of inputs.
//! Must not: start Python, read the environment, know manifests.
//! Flow: the steps of `build/` → here; what is new comes in through `admit.rs` alone.

use super::digests::Digests;
use super::entry::Entry;
use super::inputs;
use super::layout::Layout;
use super::mutex::FileMutex;
use super::stamp::{self, DAY};
use super::temporary::Temporary;
use crate::error::Error;
use crate::files::write_whole;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Age from which a log is removed when a new one is written.
const LOGS_KEPT: Duration = DAY.saturating_mul(30);

/// Content of `CACHEDIR.TAG`, by the convention of that name.
const CACHE_TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n\
    # Models converted by coreml-build. It is safe to remove this folder.\n";

/// The local cache.
#[derive(Debug)]
pub(crate) struct Cache {
    /// Where everything is.
    pub(super) layout: Layout,
    /// Digests of large files.
    pub(crate) digests: Digests,
}

/// What a look-up found.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// An undamaged entry.
    Hit(Entry),
    /// Nothing.
    Miss,
    /// An entry that is not what was published, and why; it must be replaced.
    Damaged(String),
}

impl Cache {
    /// Opens the cache in `folder`, which need not exist: a read-only cache still has hits.
    pub(crate) fn new(folder: &Path) -> Self {
        let layout = Layout::new(folder);
        Self { digests: Digests::new(layout.digests()), layout }
    }

    /// Returns the entry of `fingerprint`, every file of it verified.
    pub(crate) fn lookup(&self, fingerprint: &str) -> Lookup {
        let folder = self.layout.entry(fingerprint);
        match Entry::open(&folder, fingerprint, &self.digests) {
            Ok(entry) => {
                self.stamp_use(fingerprint);
                Lookup::Hit(entry)
            }
            Err(_) if !folder.exists() => Lookup::Miss,
            Err(damage) => Lookup::Damaged(damage),
        }
    }

    /// Returns the lists of files that earlier conversions of `primary` read, the latest first.
    pub(crate) fn recorded_inputs(&self, primary: &str) -> Vec<Vec<String>> {
        inputs::read(&self.layout.inputs_of(primary))
    }

    /// Notes that the lists of inputs of `primary` were used today.
    pub(crate) fn stamp_inputs(&self, primary: &str) {
        stamp::refresh(&self.layout.inputs_of(primary));
    }

    /// Notes that an entry was used today.
    pub(super) fn stamp_use(&self, fingerprint: &str) {
        stamp::stamp(&self.layout.used().join(fingerprint));
    }

    /// Returns the mutex of a primary key, not yet held.
    pub(crate) fn mutex(&self, primary: &str) -> FileMutex {
        FileMutex::new(self.layout.lock(primary))
    }

    /// Makes a temporary folder on the cache's file system, and removes those that dead processes
    /// left behind.
    pub(crate) fn temporary(&self) -> Result<Temporary, Error> {
        let folder = self.layout.temporary();
        self.mark_as_cache();
        Temporary::new(&folder)
            .map_err(|error| Error::storage("make a temporary folder", &folder, error))
    }

    /// Marks the folder as a cache: backup programs leave it out, and the driver does not take its
    /// files for the user's own.
    fn mark_as_cache(&self) {
        let tag = self.layout.tag();
        if !tag.exists() {
            // A folder that cannot be written shows at the next step.
            let _ = write_whole(&tag, CACHE_TAG);
        }
    }

    /// Makes the log file `name`, and removes old logs.
    ///
    /// Returns: its path, and the file open for writing.
    pub(crate) fn log(&self, name: &str) -> Result<(PathBuf, File), Error> {
        let folder = self.layout.logs();
        let path = folder.join(format!("{name}.log"));
        stamp::remove_old(&folder, LOGS_KEPT);
        match std::fs::create_dir_all(&folder).and_then(|()| File::create(&path)) {
            Ok(file) => Ok((path, file)),
            Err(error) => Err(Error::storage("write the log", &path, error)),
        }
    }

    /// Returns the folder of the Python environments.
    pub(crate) fn python_folder(&self) -> PathBuf {
        self.layout.python()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn old_logs_go_when_a_new_one_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let (old, file) = cache.log("old").unwrap();
        file.set_modified(SystemTime::now() - 2 * LOGS_KEPT).unwrap();
        let (recent, _) = cache.log("recent").unwrap();
        assert!(!old.exists() && recent.exists());
        cache.log("new").unwrap();
        assert!(recent.exists());
    }

    #[test]
    fn a_look_up_in_a_cache_that_does_not_exist_is_a_miss_and_makes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(&folder.path().join("cache"));
        assert!(matches!(cache.lookup("0123"), Lookup::Miss));
        assert!(cache.recorded_inputs("0123").is_empty());
        assert!(!folder.path().join("cache").exists());
    }

    #[test]
    fn the_cache_is_marked_for_backups() {
        let folder = tempfile::tempdir().unwrap();
        let _temporary = Cache::new(folder.path()).temporary().unwrap();
        let tag = std::fs::read_to_string(folder.path().join("v1/CACHEDIR.TAG")).unwrap();
        assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
    }
}
