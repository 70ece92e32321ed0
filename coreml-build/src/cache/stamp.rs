//! Time stamps: when something was last used, and how long ago that was.
//!
//! Owns: how exact a stamp is, and what a wrong clock means.
//! Flow: `local.rs` and `python/environment.rs` refresh stamps; `garbage.rs` reads them.

use crate::files::write_whole;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A day.
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How exact the time of last use is. Writing it at every build would be a disk write for nothing.
pub(super) const USED_WITHIN: Duration = DAY;

/// Returns how long ago `time` was; zero for a time in the future, which a wrong clock wrote.
pub(super) fn age(time: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(time).unwrap_or_default()
}

/// Makes a stamp, or brings one up to date that is not fresh or lies in the future. Skipped where
/// the cache is read-only.
pub(super) fn stamp(path: &Path) {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    let fresh = modified.is_ok_and(|time| {
        SystemTime::now().duration_since(time).is_ok_and(|age| age < USED_WITHIN)
    });
    if !fresh {
        let _ = write_whole(path, b"");
    }
}

/// Gives the file at `path` the present time, unless it is fresh or missing. Skipped where the
/// cache is read-only.
pub(crate) fn refresh(path: &Path) {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    if modified.is_ok_and(|time| age(time, SystemTime::now()) >= USED_WITHIN) {
        let opened = File::options().append(true).open(path);
        let _ = opened.and_then(|file| file.set_modified(SystemTime::now()));
    }
}

/// Removes files in `folder` that were not written for `limit`; what cannot be removed stays.
pub(super) fn remove_old(folder: &Path, limit: Duration) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        if modified.is_ok_and(|time| age(time, SystemTime::now()) > limit) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
