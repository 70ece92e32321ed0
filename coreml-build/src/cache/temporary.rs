//! Temporary folders on the cache's file system, which a killed build does not leave behind for ever.
//!
//! Owns: making them, and sweeping those whose maker is dead. Each folder `NAME` has a lock file `NAME.lock` that its
//! maker holds; a folder whose lock is free belongs to nobody.
//! Flow: the driver writes into one, `cache.rs` renames entries out of it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Ending of lock files.
const LOCK_ENDING: &str = "lock";

/// Attempts to make a folder: each fails only if a sweep takes the new lock file in the instant before it is locked.
const ATTEMPTS: usize = 16;

/// A temporary folder, removed when dropped.
#[derive(Debug)]
pub(crate) struct Temporary {
    /// The folder.
    path: PathBuf,
    /// The lock file, removed after the folder and before the lock is freed, as fields drop in order.
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
                .prefix("")
                .suffix(&format!(".{LOCK_ENDING}"))
                .tempfile_in(folder)?
                .into_parts();
            // Where locks do not work nothing is ever swept either, because sweeping needs the lock.
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

/// Removes the temporary folders whose maker is dead; returns how many. What cannot be removed stays for the next sweep.
pub(super) fn sweep(folder: &Path) -> usize {
    let mut swept = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let lock_path = entry.path();
        if lock_path.extension().is_none_or(|ending| ending != LOCK_ENDING) {
            continue;
        }
        let Ok(lock) = File::open(&lock_path) else { continue };
        match lock.try_lock() {
            Ok(()) => {
                remove(&lock_path);
                swept += 1;
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
    swept
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
    fn a_sweep_removes_what_nobody_holds_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let living = Temporary::new(folder.path()).unwrap();
        std::fs::write(living.path().join("work"), "x").unwrap();
        std::fs::create_dir(folder.path().join("dead")).unwrap();
        std::fs::write(folder.path().join("dead/half-written"), "x").unwrap();
        std::fs::write(folder.path().join("dead.lock"), "").unwrap();
        let other = Temporary::new(folder.path()).unwrap();
        assert!(living.path().join("work").exists() && other.path().exists());
        assert!(!folder.path().join("dead").exists() && !folder.path().join("dead.lock").exists());
        drop((living, other));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
