//! A remote cache that is a folder: a network file system, or what a hosted CI keeps between runs.
//!
//! Owns: its files; each appears whole or not at all. Must not: follow what is no regular file.
//! Flow: `store.rs` → here.

use super::store::{Fault, Part};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

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
            Ok(_) => return Err(Fault::Refused(format!("has something at {} that is no file", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::Down(format!("cannot be read: {}: {error}", path.display()))),
        }
        match File::open(&path) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Fault::Down(format!("cannot be read: {}: {error}", path.display()))),
        }
    }

    /// Stores the content of `file` under `key`.
    pub(super) fn put(&self, part: Part, key: &str, file: &File) -> Result<(), Fault> {
        let path = self.path(part, key);
        if path.exists() {
            return Ok(());
        }
        write(file, &path).map_err(|error| Fault::Down(format!("cannot be written: {}: {error}", path.display())))
    }
}

/// Copies `file` to a new file at `path`; one that is there already stays.
fn write(mut file: &File, path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut copy = tempfile::Builder::new().prefix(".writing-").tempfile_in(folder)?;
    file.rewind()?;
    io::copy(&mut file, &mut copy)?;
    copy.as_file().sync_all()?;
    // Others read it, too.
    #[cfg(unix)]
    copy.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    match copy.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}
