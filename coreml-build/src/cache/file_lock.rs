//! Locks between builds that want to convert the same model at the same time.
//!
//! Owns: waiting for a lock file. A killed holder leaves no stale lock: the operating system frees
//! it.
//! Must not: be what correctness rests on. Where locks do not work (some network file systems), two
//! builds convert the same model twice, and the entry that is renamed into place first stays.
//! Flow: `session.rs` takes the locks of all misses in sorted order; `environment.rs` takes that of
//! an environment.

use crate::error::Error;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// A lock file, not yet held.
#[derive(Debug)]
pub(crate) struct Lock {
    /// The lock file.
    path: PathBuf,
}

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    /// The open lock file; closing it frees the lock.
    _file: File,
}

impl Lock {
    /// Names a lock file.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Waits for the lock.
    ///
    /// Parameters: `waiting` — called once when somebody else holds it.
    /// Errors: the lock file cannot be made; that locks do not work here is no error.
    pub(crate) fn hold(&self, waiting: impl FnOnce()) -> Result<Held, Error> {
        let failed = |error| Error::storage("lock the cache", &self.path, &error);
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.path)
            .map_err(failed)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            waiting();
            // An error here means that locks do not work, or a signal; see the module's comment.
            let _ = file.lock();
        }
        Ok(Held { _file: file })
    }
}

/// Returns whether locks work where `path` is, whose lock is held: somebody else must not get it.
///
/// Called by: `temporary.rs`, `garbage.rs`. On a network file system it can work between the
/// processes of one machine, and still not between machines; nobody can see that from here.
pub(super) fn works(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}
