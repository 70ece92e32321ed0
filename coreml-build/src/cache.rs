//! The cache of finished conversions, keyed by fingerprint.
//!
//! Owns: the layout below the cache folder, who may write what when, and what counts as undamaged.
//! Must not: start Python, read the environment, know manifests.
//! Flow: `session.rs` looks up here, locks what is missing, and publishes what the driver made.
//!
//! ```text
//! v1/entries/FINGERPRINT/        a published entry, never changed: entry.json, model.mlpackage/, samples/, report.json, log.txt
//! v1/inputs/PRIMARY.json         which files earlier conversions of a primary key read
//! v1/used/FINGERPRINT            its time says when the entry was last used
//! v1/locks/PRIMARY.lock          held while a key is converted
//! v1/use.lock                    shared by builds, and alone by a collection
//! v1/collected                   its time says when garbage was last collected
//! v1/digests/                    digests of large files
//! v1/python/KEY/                 Python environments
//! v1/logs/                       what Python said
//! v1/tmp/                        work in progress, each with a held lock file
//! v1/CACHEDIR.TAG                keeps backups away
//! ```

pub(crate) mod archive;
mod entry;
mod file_lock;
mod garbage;
mod inputs;
mod listing;
mod temporary;

pub(crate) use entry::{Draft, Entry, bytes_below};
pub(crate) use file_lock::Lock;
pub use garbage::Collected;
pub use listing::{Damage, Listed};
pub(crate) use temporary::Temporary;

use crate::digest::Digests;
use crate::error::Error;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Version of the layout; another version is another cache.
const LAYOUT: &str = "v1";

/// How exact the time of last use is. Writing it at every build would be a disk write for nothing.
const USED_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);

/// Logs older than this are removed when a new one is written.
const LOGS_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Content of `CACHEDIR.TAG`, by the convention of that name.
const CACHE_TAG: &[u8] =
    b"Signature: 8a477f597d28d172789f06886806bc55\n# Models converted by coreml-build. It \
     is safe to remove this folder.\n";

/// Modification time of every file of an entry: 2020-01-01. Being the same wherever an entry is
/// linked or copied to, it keeps cargo from seeing a change where there is none.
pub(crate) const PINNED_TIME: Duration = Duration::from_secs(1_577_836_800);

/// Returns where the entries of the cache in `folder` lie.
///
/// Called by: `doctor.rs`.
pub(crate) fn entries_folder(folder: &Path) -> PathBuf {
    folder.join(LAYOUT).join("entries")
}

/// A cache folder.
#[derive(Debug)]
pub(crate) struct Cache {
    /// The folder with the layout's version.
    root: PathBuf,
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
    /// Opens the cache in `folder`, which need not exist: a cache that cannot be written still
    /// gives hits.
    pub(crate) fn new(folder: &Path) -> Self {
        let root = folder.join(LAYOUT);
        Self { digests: Digests::new(root.join("digests")), root }
    }

    /// Returns the entry of `fingerprint`, every file of it verified.
    ///
    /// Called by: `session.rs`.
    pub(crate) fn lookup(&self, fingerprint: &str) -> Lookup {
        let folder = self.entry_folder(fingerprint);
        match Entry::open(&folder, fingerprint, &self.digests) {
            Ok(entry) => {
                self.stamp_use(fingerprint);
                Lookup::Hit(entry)
            }
            Err(_) if !folder.exists() => Lookup::Miss,
            Err(damage) => Lookup::Damaged(damage),
        }
    }

    /// Moves an entry out of the way that is damaged, or not the locked one.
    ///
    /// Parameters: `temporary` — takes it, and removes it with itself.
    pub(crate) fn discard(&self, fingerprint: &str, temporary: &Temporary) -> Result<(), Error> {
        let folder = self.entry_folder(fingerprint);
        match std::fs::rename(&folder, temporary.path().join(format!("damaged-{fingerprint}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::storage("move a cache entry aside", &folder, &error))
            }
            _ => Ok(()),
        }
    }

    /// Publishes `draft` under `fingerprint`, all of it at once.
    ///
    /// Called by: `convert.rs`, under the lock of the primary key.
    /// Returns: the published entry; somebody else's when there is one already.
    pub(crate) fn publish(&self, draft: &Draft, fingerprint: &str) -> Result<Entry, Error> {
        let folder = self.entry_folder(fingerprint);
        let failed = |error: io::Error| Error::storage("write the cache entry", &folder, &error);
        draft.seal(fingerprint).map_err(failed)?;
        std::fs::create_dir_all(self.root.join("entries")).map_err(failed)?;
        if let Err(error) = std::fs::rename(draft.folder(), &folder) {
            return match self.lookup(fingerprint) {
                Lookup::Hit(entry) => Ok(entry),
                _ => Err(failed(error)),
            };
        }
        sync_folder(&self.root.join("entries")).map_err(failed)?;
        for (path, sha256) in draft.digests() {
            self.digests.remember(&folder.join(path), sha256);
        }
        self.stamp_use(fingerprint);
        Entry::open(&folder, fingerprint, &self.digests)
            .map_err(|damage| failed(io::Error::other(damage)))
    }

    /// Returns the lists of files that earlier conversions of `primary` read, the latest first.
    pub(crate) fn recorded_inputs(&self, primary: &str) -> Vec<Vec<String>> {
        inputs::read(&self.inputs_path(primary))
    }

    /// Adds a list of files that a conversion of `primary` read.
    pub(crate) fn record_inputs(&self, primary: &str, paths: Vec<String>) -> Result<(), Error> {
        let path = self.inputs_path(primary);
        inputs::add(&path, paths)
            .map_err(|error| Error::storage("write the list of inputs", &path, &error))
    }

    /// Returns the lock of a primary key, not yet held.
    pub(crate) fn lock(&self, primary: &str) -> Lock {
        Lock::new(self.root.join("locks").join(format!("{primary}.lock")))
    }

    /// Makes a temporary folder on the cache's file system, and removes those that dead processes
    /// left behind.
    pub(crate) fn temporary(&self) -> Result<Temporary, Error> {
        let folder = self.root.join("tmp");
        self.mark_as_cache();
        Temporary::new(&folder)
            .map_err(|error| Error::storage("make a temporary folder", &folder, &error))
    }

    /// Marks the folder as a cache for backup programs, and for the driver, which takes no file in
    /// it for the user's own.
    fn mark_as_cache(&self) {
        let tag = self.root.join("CACHEDIR.TAG");
        if !tag.exists() {
            // A folder that cannot be written shows at the next step.
            let _ = write_whole(&tag, CACHE_TAG);
        }
    }

    /// Makes the log file `name`, and removes old logs.
    ///
    /// Returns: its path, and the file open for writing.
    pub(crate) fn log(&self, name: &str) -> Result<(PathBuf, File), Error> {
        let folder = self.root.join("logs");
        let path = folder.join(format!("{name}.log"));
        remove_old(&folder, LOGS_KEPT);
        let file = std::fs::create_dir_all(&folder).and_then(|()| File::create(&path));
        Ok((path.clone(), file.map_err(|error| Error::storage("write the log", &path, &error))?))
    }

    /// Returns the folder of the Python environments.
    pub(crate) fn python_folder(&self) -> PathBuf {
        self.root.join("python")
    }

    /// Returns where the entry of `fingerprint` lies.
    fn entry_folder(&self, fingerprint: &str) -> PathBuf {
        self.root.join("entries").join(fingerprint)
    }

    /// Returns where the lists of inputs of `primary` lie.
    fn inputs_path(&self, primary: &str) -> PathBuf {
        self.root.join("inputs").join(format!("{primary}.json"))
    }

    /// Notes that the lists of inputs of `primary` were used today.
    pub(crate) fn stamp_inputs(&self, primary: &str) {
        refresh(&self.inputs_path(primary));
    }

    /// Notes that an entry was used today. A cache that cannot be written does without.
    fn stamp_use(&self, fingerprint: &str) {
        let path = self.root.join("used").join(fingerprint);
        let age = std::fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
        let fresh = age
            .and_then(|time| SystemTime::now().duration_since(time).ok())
            .is_some_and(|age| age < USED_WITHIN);
        if !fresh {
            let _ = write_whole(&path, b"");
        }
    }
}

/// Gives the file at `path` the present time, unless it is fresh. One that cannot be written does
/// without.
pub(crate) fn refresh(path: &Path) {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    if modified.is_ok_and(|time| {
        SystemTime::now().duration_since(time).is_ok_and(|age| age >= USED_WITHIN)
    }) {
        let opened = File::options().append(true).open(path);
        let _ = opened.and_then(|file| file.set_modified(SystemTime::now()));
    }
}

/// Writes a small file so that a reader sees it whole or not at all; makes its folder.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".writing-").tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Makes the names in `folder` durable. Windows has no such call, and does it by itself.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Removes files in `folder` that were not written for `age`; what cannot be removed stays.
fn remove_old(folder: &Path, age: Duration) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
        if modified
            .and_then(|time| SystemTime::now().duration_since(time).ok())
            .is_some_and(|old| old > age)
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests;
