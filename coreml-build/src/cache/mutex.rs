//! A mutex between processes: builds that want to convert the same model at the same time.
//!
//! Owns: waiting for a lock file. A killed holder leaves no stale lock: the operating system frees
//! it.
//! Must not: be needed for correctness. Where file locks do not work (some network file systems),
//! two builds convert the same model twice, and the entry that is renamed into place first stays.
//! Flow: `build/keys.rs` takes those of all misses in sorted order; `python/environment.rs` takes
//! that of an environment.

use crate::error::Error;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// A mutex that is a lock file, not yet held.
#[derive(Debug)]
pub(crate) struct FileMutex {
    /// The lock file.
    path: PathBuf,
}

/// A mutex that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    /// The open lock file; closing it frees the mutex.
    _file: File,
}

impl FileMutex {
    /// Makes the mutex of a lock file.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Waits for the mutex.
    ///
    /// Parameters: `waiting` — called once when another process holds it.
    /// Errors: the lock file cannot be made; that file locks do not work here is no error.
    pub(crate) fn hold(&self, waiting: impl FnOnce()) -> Result<Held, Error> {
        let failed = |error| Error::storage("lock the cache", &self.path, error);
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
            // An error here means that locks do not work, or a signal: see `Must not` above.
            let _ = file.lock();
        }
        Ok(Held { _file: file })
    }
}

/// Returns whether locks work where `path` is, whose lock is held: a second one must be refused.
///
/// A network file system may refuse it to processes of this machine, and still grant it to those of
/// another; that cannot be seen from here.
pub(super) fn works(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_waited_for_and_freed_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let mutex = || FileMutex::new(folder.path().join("locks/key.lock"));
        let held = mutex().hold(|| panic!("nobody holds it")).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let waiting = sender.clone();
                let _held = mutex().hold(|| waiting.send("waiting").unwrap()).unwrap();
                sender.send("held").unwrap();
            });
            assert_eq!(receiver.recv().unwrap(), "waiting");
            assert!(receiver.recv_timeout(Duration::from_millis(100)).is_err());
            drop(held);
            assert_eq!(receiver.recv().unwrap(), "held");
        });
    }
}
