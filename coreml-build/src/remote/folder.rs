//! A remote cache that is a folder: a network file system, or what a hosted CI keeps between runs.
//!
//! Owns: its files; each appears whole or not at all.   Must not: follow what is no regular file.
//! Flow: `store.rs` → here.

use super::fault::Fault;
use super::layout::Part;
use crate::files::{Existing, write_with};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;

/// A folder with a part in each subfolder.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Names a folder, which need not exist.
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Returns where `key` lies.
    fn path(&self, part: Part, key: &str) -> PathBuf {
        self.0.join(part.folder()).join(key)
    }

    /// Opens what is stored under `key`.
    pub(super) fn get(&self, part: Part, key: &str) -> Result<Option<Box<dyn Read>>, Fault> {
        let path = self.path(part, key);
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => {
                return Err(Fault::Refused(format!(
                    "has something at {} that is no file",
                    path.display()
                )));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Fault::Down(format!("cannot be read: {}: {error}", path.display())));
            }
        }
        match File::open(&path) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Fault::Down(format!("cannot be read: {}: {error}", path.display()))),
        }
    }

    /// Returns whether there is a file under `key`.
    pub(super) fn has(&self, part: Part, key: &str) -> bool {
        self.path(part, key).is_file()
    }

    /// Stores the content of `file` under `key`.
    ///
    /// Parameters: `replace` — also where there is something already.
    pub(super) fn put(
        &self,
        part: Part,
        key: &str,
        file: &File,
        replace: bool,
    ) -> Result<(), Fault> {
        let path = self.path(part, key);
        if !replace && path.exists() {
            return Ok(());
        }
        let existing = if replace { Existing::Replaced } else { Existing::Kept };
        write_with(&path, existing, |copy| {
            let mut file = file;
            file.rewind()?;
            io::copy(&mut file, copy)?;
            copy.sync_all()?;
            // Other users read it, too.
            #[cfg(unix)]
            copy.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
            Ok(())
        })
        .map_err(|error| Fault::Down(format!("cannot be written: {}: {error}", path.display())))
    }
}
