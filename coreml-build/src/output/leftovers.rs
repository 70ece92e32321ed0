//! Products of manifests that the build script no longer builds.
//!
//! Owns: which manifests this process built, and removing what earlier runs made of others.
//! Must not: be what keeps the macro from stale products; the variables that `cargo.rs` prints are.
//! Flow: `lib.rs` → [`keep`] before each build; the rest happens when the build script ends.
//!
//! A build script may call `compile` several times, and no call knows whether it is the last. So
//! the destructor of a thread-local value does it, which runs when `main` has returned. Where the
//! system does not run it, the products stay, and waste space.

use coreml_spec::{INDEX_FILE, index_folder};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Folders of the manifests that this process was asked to build.
static KEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

thread_local! {
    /// Lives as long as the thread that builds.
    static END: End = const { End };
}

/// Removes the products of other manifests when it is dropped.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        // A build script that panics may not have come to all of its manifests.
        if !std::thread::panicking() {
            remove_others(&KEPT.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// Notes that the products of `manifests` are those of this run.
pub(crate) fn keep(out_dir: &Path, manifests: &[&str]) {
    let folders = manifests.iter().map(|manifest| index_folder(out_dir, manifest));
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).extend(folders);
    END.with(|_| ());
}

/// Removes the folders with an index beside those in `kept`.
fn remove_others(kept: &BTreeSet<PathBuf>) {
    let parents: BTreeSet<&Path> = kept.iter().filter_map(|folder| folder.parent()).collect();
    let folders = parents.iter().filter_map(|parent| std::fs::read_dir(parent).ok());
    for folder in folders.flatten().flatten().map(|entry| entry.path()) {
        if !kept.contains(&folder) && folder.join(INDEX_FILE).is_file() {
            // A folder that cannot be removed wastes space only.
            drop(std::fs::remove_dir_all(folder));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_products_of_other_manifests_are_removed() {
        let out_dir = tempfile::tempdir().unwrap();
        let folder = |manifest: &str| index_folder(out_dir.path(), manifest);
        for manifest in ["kept.toml", "m/old.toml", "foreign"] {
            std::fs::create_dir_all(folder(manifest).join("net.mlpackage")).unwrap();
        }
        for manifest in ["kept.toml", "m/old.toml"] {
            std::fs::write(folder(manifest).join(INDEX_FILE), "{}").unwrap();
        }
        remove_others(&BTreeSet::from([folder("./kept.toml")]));
        let exist = ["kept.toml", "m/old.toml", "foreign"].map(|name| folder(name).exists());
        assert_eq!(exist, [true, false, true]);
    }
}
