//! Collecting what nobody uses: old entries and environments, and what killed processes left
//! behind.
//!
//! Owns: what goes and what stays. Must not: touch anything while a build runs; every build holds
//! the use lock, and a collection has it alone. An entry goes by renaming, so that a build without
//! working locks sees it whole or not at all.
//! Flow: `cache.rs` after a conversion, at most once a day; the command line when it is asked.

use super::temporary::{self, Temporary};
use super::{Cache, Entry, USED_WITHIN, entry};
use crate::config::Limits;
use crate::error::Error;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often a collection runs by itself.
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// Age from which a half-written file is nobody's: no write takes so long.
pub(super) const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Beginnings of the names of half-written files.
const HALF_WRITTEN: [&str; 3] = [".writing-", ".tmp", "env-"];

/// What a collection removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// Entries that were removed.
    pub entries: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Python environments that were removed.
    pub environments: usize,
    /// Half-written files and folders that killed processes left behind.
    pub leftovers: usize,
    /// Entries that stay.
    pub kept: usize,
    /// Their bytes.
    pub kept_bytes: u64,
}

/// An entry as the cache has it on disk, whole or not.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// Its name, the fingerprint.
    pub(super) name: String,
    /// Its folder.
    pub(super) folder: PathBuf,
    /// Bytes of its files.
    pub(super) bytes: u64,
    /// When it was last used.
    pub(super) used: SystemTime,
}

/// The use lock, held until this is dropped: no collection runs meanwhile.
#[derive(Debug)]
pub(crate) struct InUse {
    /// The open lock file; closing it frees the lock.
    _file: Option<File>,
}

impl Cache {
    /// Keeps collections away for as long as the result lives.
    ///
    /// Called by: `session.rs`, around everything that it does with entries.
    /// Returns: in a cache that cannot be written nothing is collected either, and no lock is
    /// needed.
    pub(crate) fn in_use(&self) -> InUse {
        let file = self.use_lock().ok();
        if let Some(file) = &file {
            // Waits for a collection, which takes moments. An error means that locks do not work
            // here; then entries are protected by having been used lately.
            let _ = file.lock_shared();
        }
        InUse { _file: file }
    }

    /// Opens the lock file.
    fn use_lock(&self) -> io::Result<File> {
        std::fs::create_dir_all(&self.root)?;
        File::options().create(true).truncate(false).write(true).open(self.use_lock_path())
    }

    /// Returns where the lock file is.
    fn use_lock_path(&self) -> PathBuf {
        self.root.join("use.lock")
    }

    /// Collects, unless that was done today or a build runs.
    ///
    /// Called by: `session.rs`, after a build that added something. What cannot be removed stays;
    /// nothing here is worth a failed build.
    pub(crate) fn collect_daily(&self, limits: Limits) {
        let stamp = self.root.join("collected");
        let modified = std::fs::metadata(&stamp).and_then(|metadata| metadata.modified());
        let now = SystemTime::now();
        // A clock that was wrong once must not keep collections away for ever.
        if modified.is_ok_and(|time| age(time, now) < EVERY && age(now, time) < EVERY) {
            return;
        }
        let Ok(lock) = self.use_lock() else { return };
        if lock.try_lock().is_ok() && super::write_whole(&stamp, b"").is_ok() {
            // Where locks do not work a build may be using what was used lately.
            let _ = self.collect_alone(limits, 2 * USED_WITHIN);
        }
    }

    /// Collects now.
    ///
    /// Called by: the command line.
    /// Parameters: `waiting` — called once when builds run; their end is then waited for.
    pub(crate) fn collect(
        &self,
        limits: Limits,
        waiting: impl FnOnce(),
    ) -> Result<Collected, Error> {
        if !self.root.exists() {
            return Ok(Collected::default());
        }
        let failed = |error: io::Error| Error::storage("collect garbage", &self.root, &error);
        let _lock = self.alone(waiting).map_err(failed)?;
        // Where locks do nothing a build may be using what was used lately.
        let protected = if super::file_lock::works(&self.use_lock_path()) {
            Duration::ZERO
        } else {
            2 * USED_WITHIN
        };
        self.collect_alone(limits, protected).map_err(failed)
    }

    /// Removes entries now.
    ///
    /// Called by: the command line.
    /// Parameters: `waiting` — called once when builds run; their end is then waited for.
    pub(crate) fn remove(
        &self,
        entries: &[Entry],
        waiting: impl FnOnce(),
    ) -> Result<Collected, Error> {
        let mut collected = Collected::default();
        if entries.is_empty() {
            return Ok(collected);
        }
        let failed = |error: io::Error| Error::storage("remove models", &self.root, &error);
        let _lock = self.alone(waiting).map_err(failed)?;
        let grave = Temporary::new(&self.root.join("tmp")).map_err(failed)?;
        for entry in entries {
            let name = entry.folder().file_name().unwrap_or_default();
            let bytes = entry::bytes_below(entry.folder());
            match std::fs::rename(entry.folder(), grave.path().join(name)) {
                // Two models that are converted alike have one entry.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                result => result.map_err(failed)?,
            }
            let _ = std::fs::remove_file(self.root.join("used").join(name));
            collected.entries += 1;
            collected.bytes += bytes;
        }
        Ok(collected)
    }

    /// Waits until no build uses the cache, and keeps it so for as long as the result lives.
    fn alone(&self, waiting: impl FnOnce()) -> io::Result<File> {
        let lock = self.use_lock()?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            waiting();
            lock.lock()?;
        }
        Ok(lock)
    }

    /// Collects; the use lock is held.
    ///
    /// Parameters: `protected` — what was used so lately stays, whatever the limits.
    fn collect_alone(&self, limits: Limits, protected: Duration) -> io::Result<Collected> {
        let now = SystemTime::now();
        let mut collected = Collected::default();
        let folder = self.root.join("tmp");
        collected.leftovers += temporary::sweep(&folder);
        let grave = Temporary::new(&folder)?;
        let bury = |path: &Path| {
            std::fs::rename(path, grave.path().join(path.file_name().unwrap_or_default()))
        };
        let mut entries = self.stored();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.used));
        let mut total = 0_u64;
        for entry in entries {
            if age(now, entry.used) > USED_WITHIN {
                // A wrong clock wrote it; from now on it grows old like the others.
                let _ = super::write_whole(&self.root.join("used").join(&entry.name), b"");
            }
            let unused = age(entry.used, now);
            total = total.saturating_add(entry.bytes);
            let goes = unused > protected && (unused > limits.age || total > limits.size);
            if goes && bury(&entry.folder).is_ok() {
                let _ = std::fs::remove_file(self.root.join("used").join(&entry.name));
                total = total.saturating_sub(entry.bytes);
                collected.entries += 1;
                collected.bytes += entry.bytes;
            } else {
                collected.kept += 1;
                collected.kept_bytes += entry.bytes;
            }
        }
        for environment in folders(&self.python_folder()) {
            let ready = std::fs::metadata(environment.join("ready"))
                .and_then(|metadata| metadata.modified());
            if ready.is_ok_and(|time| age(time, now) > limits.age.max(protected))
                && bury(&environment).is_ok()
            {
                collected.environments += 1;
            } else {
                let current =
                    std::fs::read_to_string(environment.join("ready")).unwrap_or_default();
                collected.leftovers +=
                    self.remove_abandoned(&environment, now, current.trim(), &bury);
            }
        }
        for part in ["", "inputs", "used", "digests", "entries"] {
            collected.leftovers += self.remove_abandoned(&self.root.join(part), now, "", &bury);
        }
        for part in ["inputs", "digests", "locks"] {
            super::remove_old(&self.root.join(part), limits.age.max(2 * USED_WITHIN));
        }
        for stamp in files(&self.root.join("used")) {
            let name = stamp.file_name().unwrap_or_default();
            if !self.root.join("entries").join(name).exists() {
                let _ = std::fs::remove_file(stamp);
            }
        }
        Ok(collected)
    }

    /// Returns everything that stands where entries do.
    pub(super) fn stored(&self) -> Vec<Stored> {
        let stored = |folder: PathBuf| {
            let name = folder.file_name()?.to_str()?.to_owned();
            let stamp = std::fs::metadata(self.root.join("used").join(&name))
                .or_else(|_| std::fs::metadata(&folder));
            let used = stamp
                .and_then(|metadata| metadata.modified())
                .unwrap_or_else(|_| SystemTime::now());
            Some(Stored { bytes: entry::bytes_below(&folder), name, folder, used })
        };
        folders(&self.root.join("entries")).into_iter().filter_map(stored).collect()
    }

    /// Removes what was half written in `folder` long ago; returns how much.
    fn remove_abandoned(
        &self,
        folder: &Path,
        now: SystemTime,
        keep: &str,
        bury: &dyn Fn(&Path) -> io::Result<()>,
    ) -> usize {
        let mut removed = 0;
        for path in files(folder).into_iter().chain(folders(folder)) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let modified =
                std::fs::symlink_metadata(&path).and_then(|metadata| metadata.modified());
            let abandoned = modified.is_ok_and(|time| age(time, now) > ABANDONED);
            let half_written =
                HALF_WRITTEN.iter().any(|beginning| name.starts_with(beginning)) && name != keep;
            removed += usize::from(half_written && abandoned && bury(&path).is_ok());
        }
        removed
    }
}

/// Returns how long ago `time` was; nothing for a time in the future, which a wrong clock wrote.
pub(super) fn age(time: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(time).unwrap_or_default()
}

/// Returns the folders in a folder.
fn folders(folder: &Path) -> Vec<PathBuf> {
    list(folder, true)
}

/// Returns what in a folder is no folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    list(folder, false)
}

/// Returns what is in a folder.
fn list(folder: &Path, folders: bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let fitting =
        entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir() == folders));
    fitting.map(|entry| entry.path()).collect()
}
