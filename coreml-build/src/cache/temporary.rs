//! Temporary folders on the cache's file system; what a killed build leaves is swept later.
//!
//! Owns: making them, and sweeping those whose maker is dead. Each folder `NAME` has a lock file
//! `NAME.lock` that its maker holds; a folder whose lock is free belongs to no process. On network
//! file systems locks may do nothing, between machines or altogether: what another machine made
//! (its name says so), and everything where locks do nothing, stays for a day.
//! Flow: the driver writes into one, `admit.rs` renames entries out of it.

use super::mutex;
use super::stamp::{DAY, age};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Age from which unfinished work is abandoned: no write takes so long.
pub(super) const ABANDONED: Duration = DAY;

/// Ending of lock files.
const LOCK_ENDING: &str = "lock";

/// Identifies the machine since its last start, on Linux. Other systems have no such file: all of
/// them count as one machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Digits of it that are kept.
const BOOT_DIGITS: usize = 8;

/// Attempts to make a folder: each fails only if a sweep takes the new lock file in the instant
/// before it is locked.
const ATTEMPTS: usize = 16;

/// A temporary folder, removed when dropped.
#[derive(Debug)]
pub(crate) struct Temporary {
    /// The folder.
    path: PathBuf,
    /// The lock file, removed after the folder and before the lock is freed, as fields drop in
    /// order.
    _lock_path: tempfile::TempPath,
    /// The lock, held open.
    _lock: File,
}

impl Temporary {
    /// Makes a temporary folder in `folder`, after sweeping it.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        sweep(folder);
        for _ in 0..ATTEMPTS {
            let (lock, lock_path) = tempfile::Builder::new()
                .prefix(&this_boot())
                .suffix(&format!(".{LOCK_ENDING}"))
                .tempfile_in(folder)?
                .into_parts();
            // Where locks do not work nothing is swept early either.
            let _ = lock.try_lock();
            if !lock_path.exists() {
                continue;
            }
            let path = lock_path.with_extension("");
            std::fs::create_dir(&path)?;
            return Ok(Self { path, _lock_path: lock_path, _lock: lock });
        }
        Err(io::Error::other("another process removes lock files that were just made"))
    }

    /// Returns the folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed now is swept later: its lock is free from here on.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Removes the temporary folders whose maker is dead; returns how many. What cannot be removed
/// stays for the next sweep.
pub(super) fn sweep(folder: &Path) -> usize {
    let mut swept = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let lock_path = entry.path();
        if lock_path.extension().is_none_or(|ending| ending != LOCK_ENDING) {
            continue;
        }
        let Ok(lock) = File::open(&lock_path) else { continue };
        let is_own = entry.file_name().as_encoded_bytes().starts_with(this_boot().as_bytes());
        let is_free = match lock.try_lock() {
            Ok(()) => is_own && mutex::works(&lock_path) || is_old(&lock),
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(_)) => is_old(&lock),
        };
        if is_free {
            remove(&lock_path);
            swept += 1;
        }
    }
    swept
}

/// Returns whether no process can still be at work in a folder.
fn is_old(lock: &File) -> bool {
    let made = lock.metadata().and_then(|metadata| metadata.modified());
    made.is_ok_and(|time| age(time, SystemTime::now()) > ABANDONED)
}

/// Returns what the names begin with that this machine makes until its next start.
fn this_boot() -> String {
    let id = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
    id.get(..BOOT_DIGITS).map_or_else(String::new, |digits| format!("{digits}-"))
}

/// Removes a folder and, when that worked, its lock file.
fn remove(lock_path: &PathBuf) {
    let gone = match std::fs::remove_dir_all(lock_path.with_extension("")) {
        Err(error) => error.kind() == io::ErrorKind::NotFound,
        Ok(()) => true,
    };
    if gone {
        let _ = std::fs::remove_file(lock_path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_removes_abandoned_folders_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let living = Temporary::new(folder.path()).unwrap();
        std::fs::write(living.path().join("work"), "x").unwrap();
        let dead = folder.path().join(format!("{}dead", this_boot()));
        std::fs::create_dir(&dead).unwrap();
        std::fs::write(dead.join("half-written"), "x").unwrap();
        std::fs::write(dead.with_extension("lock"), "").unwrap();
        let other = Temporary::new(folder.path()).unwrap();
        assert!(living.path().join("work").exists() && other.path().exists());
        assert!(!dead.exists() && !dead.with_extension("lock").exists());
        drop((living, other));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_another_machine_made_is_left_alone_for_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let (work, lock) = (folder.path().join("other"), folder.path().join("other.lock"));
        std::fs::create_dir(&work).unwrap();
        // Its lock seems free, as on a network file system that keeps locks on each machine.
        std::fs::write(&lock, "").unwrap();
        assert_eq!((sweep(folder.path()), work.exists()), (0, true));
        File::options()
            .append(true)
            .open(&lock)
            .unwrap()
            .set_modified(SystemTime::now() - 2 * ABANDONED)
            .unwrap();
        assert_eq!((sweep(folder.path()), work.exists()), (1, false));
    }
}
