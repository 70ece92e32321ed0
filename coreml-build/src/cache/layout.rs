//! Where everything lies in the cache, and what is in an entry.
//!
//! Owns: every name of a file or folder below the cache folder.   Must not: read or write any.
//! Flow: every file of `cache/` → here.
//!
//! ```text
//! v1/entries/FINGERPRINT/    a published entry, never changed: entry.json, model.mlpackage/,
//!                            samples/, report.json, log.txt
//! v1/inputs/PRIMARY.json     which files earlier conversions of a primary key read
//! v1/used/FINGERPRINT        its time says when the entry was last used
//! v1/locks/PRIMARY.lock      held while a key is converted
//! v1/use.lock                shared by builds, exclusive for a collection
//! v1/collected               its time says when garbage was last collected
//! v1/digests/                digests of large files
//! v1/python/KEY/             Python environments; KEY.lock beside it is held while one is made
//! v1/logs/                   what Python printed
//! v1/tmp/                    work in progress, each with a held lock file
//! v1/CACHEDIR.TAG            keeps backups away
//! ```

use crate::files::UNFINISHED;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Version of the layout; another version is another cache.
const VERSION: &str = "v1";

/// The file that describes an entry.
pub(super) const DESCRIPTION: &str = "entry.json";

/// What Python printed during the conversion. Not verified: nothing is made from it.
pub(super) const LOG: &str = "log.txt";

/// Folder of the package in an entry.
pub(crate) const PACKAGE: &str = "model.mlpackage";

/// Folder of the samples in an entry.
pub(super) const SAMPLES: &str = "samples";

/// The report in an entry.
pub(crate) const REPORT: &str = "report.json";

/// Files without which an entry is none.
pub(super) const NEEDED: [&str; 2] = ["model.mlpackage/Manifest.json", REPORT];

/// Marks a Python environment as complete: it names the attempt that succeeded.
pub(crate) const READY: &str = "ready";

/// What the folder of an attempt to make a Python environment begins with.
pub(crate) const ATTEMPT: &str = "env-";

/// What names of unfinished files and folders begin with; `.tmp` is what earlier versions wrote.
pub(super) const HALF_WRITTEN: [&str; 3] = [UNFINISHED, ".tmp", ATTEMPT];

/// Modification time of every file of an entry: 2020-01-01. Being the same wherever an entry is
/// linked or copied to, it keeps cargo from seeing a change where there is none.
pub(crate) const PINNED_TIME: Duration = Duration::from_secs(1_577_836_800);

/// The paths below a cache folder.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The folder with the layout's version.
    root: PathBuf,
}

impl Layout {
    /// Returns the layout of the cache in `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Self { root: folder.join(VERSION) }
    }

    /// Returns the folder with everything.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder of the entries.
    pub(super) fn entries(&self) -> PathBuf {
        self.root.join("entries")
    }

    /// Returns the folder of an entry.
    pub(super) fn entry(&self, fingerprint: &str) -> PathBuf {
        self.entries().join(fingerprint)
    }

    /// Returns the folder of the lists of inputs.
    pub(super) fn inputs(&self) -> PathBuf {
        self.root.join("inputs")
    }

    /// Returns the lists of inputs of a primary key.
    pub(super) fn inputs_of(&self, primary: &str) -> PathBuf {
        self.inputs().join(format!("{primary}.json"))
    }

    /// Returns the folder of the stamps that say when entries were used.
    pub(super) fn used(&self) -> PathBuf {
        self.root.join("used")
    }

    /// Returns the folder of the locks of primary keys.
    pub(super) fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    /// Returns the lock file of a primary key.
    pub(super) fn lock(&self, primary: &str) -> PathBuf {
        self.locks().join(format!("{primary}.lock"))
    }

    /// Returns the lock file of the cache as a whole.
    pub(super) fn use_lock(&self) -> PathBuf {
        self.root.join("use.lock")
    }

    /// Returns the stamp of the last collection.
    pub(super) fn collected(&self) -> PathBuf {
        self.root.join("collected")
    }

    /// Returns the folder of the remembered digests.
    pub(super) fn digests(&self) -> PathBuf {
        self.root.join("digests")
    }

    /// Returns the folder of the Python environments.
    pub(super) fn python(&self) -> PathBuf {
        self.root.join("python")
    }

    /// Returns the folder of the logs.
    pub(super) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Returns the folder of work in progress.
    pub(super) fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Returns the file that marks the folder as a cache.
    pub(super) fn tag(&self) -> PathBuf {
        self.root.join("CACHEDIR.TAG")
    }
}

/// Returns where the entries of the cache in `folder` lie.
pub(crate) fn entries_folder(folder: &Path) -> PathBuf {
    Layout::new(folder).entries()
}

/// Returns whether `path` inside an entry is one of the driver's.
pub(super) fn is_allowed(path: &str) -> bool {
    let folders = [PACKAGE, SAMPLES];
    path == REPORT
        || folders
            .iter()
            .any(|folder| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
}
