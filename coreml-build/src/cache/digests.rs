//! Digests of files, remembered for large ones.
//!
//! Owns: the rule when a remembered digest may be believed. The memory lies in the cache, so that a
//! warm build never reads gigabytes again.
//! Must not: decide what is hashed.
//! Flow: `build/fingerprint.rs`, `cache/entry.rs` and `output/materialize.rs` → here → `digest.rs`.

use crate::digest::{self, of_bytes};
use crate::files::{Existing, write_with};
use serde::{Deserialize, Serialize};
use std::fs::Metadata;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Files up to this many bytes are read each time: that costs less than looking the digest up.
const REMEMBERED_FROM: u64 = 1 << 20;

/// A digest is remembered only when the file was last written at least this long before: file
/// systems round times up to two seconds (FAT), so that a later change could leave size and time as
/// they are.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// Digests of files, with the memory for large ones.
#[derive(Debug)]
pub(crate) struct Digests {
    /// Folder of the memory; it need not exist.
    folder: PathBuf,
}

/// What is remembered of a file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Memo {
    /// Absolute path.
    path: PathBuf,
    /// What identified the file's content when it was hashed.
    stamp: Stamp,
    /// The digest.
    sha256: String,
}

/// What changes when a file's content does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    /// Size in bytes.
    size: u64,
    /// Last modification since 1970: seconds and nanoseconds.
    modified: (u64, u32),
    /// Inode number; 0 where there is none.
    inode: u64,
}

impl Digests {
    /// Remembers digests in `folder`.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Remembers nothing: every file is read.
    pub(crate) fn forgetful() -> Self {
        // No file can lie below the null device.
        Self { folder: PathBuf::from(if cfg!(windows) { "NUL\\none" } else { "/dev/null/none" }) }
    }

    /// Returns the digest of the file at `path`, which is read only when its digest is not
    /// remembered.
    ///
    /// Errors: the file cannot be read. A memory that cannot be read or written only costs time.
    pub(crate) fn of_file(&self, path: &Path) -> io::Result<String> {
        let stamp = Stamp::of(&std::fs::metadata(path)?);
        if let Some(stamp) = stamp.filter(|stamp| stamp.size > REMEMBERED_FROM)
            && let Some(sha256) = self.recall(path, stamp)
        {
            return Ok(sha256);
        }
        let started = SystemTime::now();
        let sha256 = digest::of_file(path)?;
        if stamp == Stamp::of(&std::fs::metadata(path)?) {
            self.remember_stamp(path, stamp, &sha256, started);
        }
        Ok(sha256)
    }

    /// Remembers that the file at `path`, which the caller wrote, has this digest.
    pub(crate) fn remember(&self, path: &Path, sha256: &str) {
        if let Ok(metadata) = std::fs::metadata(path) {
            self.remember_stamp(path, Stamp::of(&metadata), sha256, SystemTime::now());
        }
    }

    /// Writes a memo, when the file is large and was settled at the time `hashed`.
    fn remember_stamp(&self, path: &Path, stamp: Option<Stamp>, sha256: &str, hashed: SystemTime) {
        let Some(stamp) = stamp.filter(|stamp| stamp.size > REMEMBERED_FROM) else { return };
        let modified = UNIX_EPOCH + Duration::new(stamp.modified.0, stamp.modified.1);
        if !hashed.duration_since(modified).is_ok_and(|age| age > SETTLED_AFTER) {
            return;
        }
        let memo = Memo { path: path.to_owned(), stamp, sha256: sha256.to_owned() };
        // Without the memo the next build hashes again: slower, not wrong.
        let _ = write_with(&self.memo_path(path), Existing::Replaced, |file| {
            file.write_all(&serde_json::to_vec(&memo)?)
        });
    }

    /// Returns the remembered digest of `path`, if the file still has this stamp.
    fn recall(&self, path: &Path, stamp: Stamp) -> Option<String> {
        let memo: Memo = serde_json::from_slice(&std::fs::read(self.memo_path(path)).ok()?).ok()?;
        (memo.path == path && memo.stamp == stamp).then_some(memo.sha256)
    }

    /// Returns where the memo of `path` lies.
    fn memo_path(&self, path: &Path) -> PathBuf {
        self.folder.join(of_bytes(path.as_os_str().as_encoded_bytes())).with_extension("json")
    }
}

impl Stamp {
    /// Returns the stamp of a file, or `None` when it was last written before 1970 or its file
    /// system keeps no time.
    fn of(metadata: &Metadata) -> Option<Self> {
        let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self {
            size: metadata.len(),
            modified: (modified.as_secs(), modified.subsec_nanos()),
            inode: inode(metadata),
        })
    }
}

/// Returns the inode number.
#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

/// Returns 0: this system has no inode numbers.
#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    /// Gives the file at `path` the time `seconds` before now.
    fn set_age(path: &Path, seconds: u64) {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn a_settled_large_file_is_read_once_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (path, digests) =
            (folder.path().join("weights"), Digests::new(folder.path().join("memos")));
        std::fs::write(&path, vec![1; 3 << 20]).unwrap();
        set_age(&path, 60);
        let first = digests.of_file(&path).unwrap();
        // A memo that lies shows whether the file or the memory was read.
        let memo_path = digests.memo_path(&path);
        let memo = std::fs::read_to_string(&memo_path).unwrap();
        std::fs::write(&memo_path, memo.replace(&first, "remembered")).unwrap();
        assert_eq!(digests.of_file(&path).unwrap(), "remembered");
        set_age(&path, 59);
        assert_eq!(digests.of_file(&path).unwrap(), first);
    }

    #[test]
    fn a_file_that_is_small_or_just_written_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let (path, digests) =
            (folder.path().join("weights"), Digests::new(folder.path().join("memos")));
        std::fs::write(&path, vec![1; 3 << 20]).unwrap();
        digests.of_file(&path).unwrap();
        assert!(!digests.memo_path(&path).exists());
        std::fs::write(&path, b"small").unwrap();
        set_age(&path, 60);
        assert_eq!(digests.of_file(&path).unwrap(), of_bytes(b"small"));
        assert!(!digests.memo_path(&path).exists());
    }
}
