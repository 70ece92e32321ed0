//! Collecting garbage: unused entries and environments, and what killed processes left behind.
//!
//! Owns: what goes and what stays, and the use lock. Builds share it, a collection holds it
//! exclusively. An entry goes by renaming, so that a build without working locks sees it whole or
//! not at all.
//! Must not: touch anything while a build runs.
//! Flow: `build.rs` after a conversion, at most once a day; `command/upkeep.rs` when asked.

use super::entry::Entry;
use super::layout::{HALF_WRITTEN, READY};
use super::listing::folders_in;
use super::local::Cache;
use super::mutex;
use super::stamp::{DAY, USED_WITHIN, age, remove_old};
use super::temporary::{self, ABANDONED, Temporary};
use crate::config::Limits;
use crate::error::Error;
use crate::files::{bytes_below, write_whole};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often a collection runs by itself.
const EVERY: Duration = DAY;

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

/// The use lock, shared until this is dropped: no collection runs meanwhile.
#[derive(Debug)]
pub(crate) struct InUse {
    /// The open lock file; closing it frees the lock.
    _file: Option<File>,
}

impl Cache {
    /// Keeps collections away for as long as the result lives.
    ///
    /// Returns: in a read-only cache nothing is collected, and no lock is needed.
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
        std::fs::create_dir_all(self.layout.root())?;
        File::options().create(true).truncate(false).write(true).open(self.layout.use_lock())
    }

    /// Collects, unless that was done today or a build runs.
    ///
    /// What cannot be removed stays; nothing here is worth a failed build.
    pub(crate) fn collect_daily(&self, limits: Limits) {
        let stamp = self.layout.collected();
        let modified = std::fs::metadata(&stamp).and_then(|metadata| metadata.modified());
        let now = SystemTime::now();
        // A clock that was wrong once must not keep collections away for ever.
        if modified.is_ok_and(|time| age(time, now) < EVERY && age(now, time) < EVERY) {
            return;
        }
        let Ok(lock) = self.use_lock() else { return };
        if lock.try_lock().is_ok() && write_whole(&stamp, b"").is_ok() {
            // Where locks do not work a build may be using what was used lately.
            let _ = self.collect_alone(limits, 2 * USED_WITHIN);
        }
    }

    /// Collects now.
    ///
    /// Parameters: `waiting` — called once when builds run; their end is then waited for.
    pub(crate) fn collect(
        &self,
        limits: Limits,
        waiting: impl FnOnce(),
    ) -> Result<Collected, Error> {
        if !self.layout.root().exists() {
            return Ok(Collected::default());
        }
        let failed =
            |error: io::Error| Error::storage("collect garbage", self.layout.root(), error);
        let _lock = self.alone(waiting).map_err(failed)?;
        // Where locks do nothing a build may be using what was used lately.
        let protected =
            if mutex::works(&self.layout.use_lock()) { Duration::ZERO } else { 2 * USED_WITHIN };
        self.collect_alone(limits, protected).map_err(failed)
    }

    /// Removes entries now.
    ///
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
        let failed = |error: io::Error| Error::storage("remove models", self.layout.root(), error);
        let _lock = self.alone(waiting).map_err(failed)?;
        let grave = Temporary::new(&self.layout.temporary()).map_err(failed)?;
        for entry in entries {
            let name = entry.folder().file_name().unwrap_or_default();
            let bytes = bytes_below(entry.folder());
            match std::fs::rename(entry.folder(), grave.path().join(name)) {
                // Two models that are converted alike have one entry.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                result => result.map_err(failed)?,
            }
            let _ = std::fs::remove_file(self.layout.used().join(name));
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
        let folder = self.layout.temporary();
        collected.leftovers += temporary::sweep(&folder);
        let grave = Temporary::new(&folder)?;
        let bury = |path: &Path| {
            std::fs::rename(path, grave.path().join(path.file_name().unwrap_or_default()))
        };
        let mut entries = self.entry_folders();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.used));
        let mut total = 0_u64;
        for entry in entries {
            if age(now, entry.used) > USED_WITHIN {
                // A wrong clock wrote it; from now on it grows old like the others.
                let _ = write_whole(&self.layout.used().join(&entry.name), b"");
            }
            let unused = age(entry.used, now);
            total = total.saturating_add(entry.bytes);
            let goes = unused > protected && (unused > limits.age || total > limits.size);
            if goes && bury(&entry.path).is_ok() {
                let _ = std::fs::remove_file(self.layout.used().join(&entry.name));
                total = total.saturating_sub(entry.bytes);
                collected.entries += 1;
                collected.bytes += entry.bytes;
            } else {
                collected.kept += 1;
                collected.kept_bytes += entry.bytes;
            }
        }
        for environment in folders_in(&self.python_folder()) {
            let ready =
                std::fs::metadata(environment.join(READY)).and_then(|metadata| metadata.modified());
            if ready.is_ok_and(|time| age(time, now) > limits.age.max(protected))
                && bury(&environment).is_ok()
            {
                collected.environments += 1;
            } else {
                let current = std::fs::read_to_string(environment.join(READY)).unwrap_or_default();
                collected.leftovers += remove_abandoned(&environment, now, current.trim(), &bury);
            }
        }
        for folder in [
            self.layout.root().to_owned(),
            self.layout.inputs(),
            self.layout.used(),
            self.layout.digests(),
            self.layout.entries(),
        ] {
            collected.leftovers += remove_abandoned(&folder, now, "", &bury);
        }
        for folder in [self.layout.inputs(), self.layout.digests(), self.layout.locks()] {
            remove_old(&folder, limits.age.max(2 * USED_WITHIN));
        }
        for stamp in files_in(&self.layout.used()) {
            let name = stamp.file_name().unwrap_or_default();
            if !self.layout.entries().join(name).exists() {
                let _ = std::fs::remove_file(stamp);
            }
        }
        Ok(collected)
    }
}

/// Removes what was half written in `folder` long ago; returns how much.
fn remove_abandoned(
    folder: &Path,
    now: SystemTime,
    keep: &str,
    bury: &dyn Fn(&Path) -> io::Result<()>,
) -> usize {
    let mut removed = 0;
    for path in files_in(folder).into_iter().chain(folders_in(folder)) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let modified = std::fs::symlink_metadata(&path).and_then(|metadata| metadata.modified());
        let abandoned = modified.is_ok_and(|time| age(time, now) > ABANDONED);
        let half_written =
            HALF_WRITTEN.iter().any(|beginning| name.starts_with(beginning)) && name != keep;
        removed += usize::from(half_written && abandoned && bury(&path).is_ok());
    }
    removed
}

/// Returns what in a folder is no folder.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_dir()));
    files.map(|entry| entry.path()).collect()
}
