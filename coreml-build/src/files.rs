//! Files and folders: writing one whole, and listing what is below a folder.
//!
//! Owns: the only atomic write and the only recursive lister of the crate.
//! Must not: know what a file means.
//! Flow: `cache/`, `remote/folder.rs`, `output/materialize.rs` and `command/` → here.

use std::fs::{File, FileType, ReadDir};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What the names of files begin with that are not written to their end.
pub(crate) const UNFINISHED: &str = ".writing-";

/// What happens to a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// The new one replaces it.
    Replaced,
    /// It stays, and the new one is dropped.
    Kept,
}

/// Writes a small file so that a reader sees it whole or not at all; makes its folder.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    write_with(path, Existing::Replaced, |file| {
        file.write_all(content)?;
        file.sync_all()
    })
}

/// Writes a file by `fill` so that a reader sees it whole or not at all; makes its folder.
///
/// Parameters: `fill` — gets the new file; permissions, times and syncing are its own.
pub(crate) fn write_with(
    path: &Path,
    existing: Existing,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut new = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
    fill(new.as_file_mut())?;
    // Closed before it gets its name: Windows does not rename what is open.
    let new = new.into_temp_path();
    match existing {
        Existing::Replaced => Ok(new.persist(path)?),
        Existing::Kept => match new.persist_noclobber(path) {
            Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
            _ => Ok(()),
        },
    }
}

/// Makes the names in `folder` durable. Windows has no such call, and does it by itself.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Something below a folder that is no folder itself.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its path: that of the folder that was walked, and what is below it.
    pub(crate) path: PathBuf,
    /// What it is. A link is a link, unless links are followed.
    pub(crate) kind: FileType,
}

impl Found {
    /// Returns its path relative to `folder`, with `/`.
    ///
    /// Errors: a name is not Unicode.
    pub(crate) fn name_below(&self, folder: &Path) -> io::Result<String> {
        let below = self.path.strip_prefix(folder).unwrap_or(&self.path);
        let text = below
            .to_str()
            .ok_or_else(|| io::Error::other(format!("{} is not Unicode", self.path.display())))?;
        Ok(text.replace(std::path::MAIN_SEPARATOR, "/"))
    }
}

/// Which links a walk goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// None: a link is listed as one.
    Listed,
    /// All: what a link leads to is listed in its place.
    Followed,
}

/// Lists everything below `folder`, in no particular order.
///
/// Parameters: `enter` — whether a folder below it is entered.
/// Returns: an error for each folder that cannot be read; the walk goes on behind it.
pub(crate) fn walk<'a>(
    folder: &Path,
    links: Links,
    enter: impl Fn(&Path) -> bool + 'a,
) -> impl Iterator<Item = io::Result<Found>> + 'a {
    Walk { folders: vec![folder.to_owned()], current: None, links, enter }
}

/// The iterator of [`walk`].
struct Walk<F> {
    /// Folders that are still to be read.
    folders: Vec<PathBuf>,
    /// The folder that is being read.
    current: Option<ReadDir>,
    /// Which links are gone through.
    links: Links,
    /// Whether a folder is entered.
    enter: F,
}

impl<F: Fn(&Path) -> bool> Iterator for Walk<F> {
    type Item = io::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(entry) = self.current.as_mut().and_then(Iterator::next) else {
                match std::fs::read_dir(self.folders.pop()?) {
                    Ok(entries) => self.current = Some(entries),
                    Err(error) => return Some(Err(error)),
                }
                continue;
            };
            let found = entry.and_then(|entry| {
                let path = entry.path();
                let kind = match self.links {
                    Links::Listed => entry.file_type()?,
                    Links::Followed => std::fs::metadata(&path)?.file_type(),
                };
                Ok(Found { path, kind })
            });
            match found {
                Ok(Found { path, kind }) if kind.is_dir() => {
                    if (self.enter)(&path) {
                        self.folders.push(path);
                    }
                }
                other => return Some(other),
            }
        }
    }
}

/// Returns the bytes of all files below `folder`, as far as they can be read.
pub(crate) fn bytes_below(folder: &Path) -> u64 {
    let files = walk(folder, Links::Listed, |_| true).flatten();
    files
        .filter_map(|file| std::fs::symlink_metadata(file.path).ok())
        .map(|metadata| metadata.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_appear_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        write_with(&path, Existing::Kept, |file| file.write_all(b"three")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        let failed =
            write_with(&path, Existing::Replaced, |_| Err(io::Error::other("interrupted")));
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_walk_lists_the_files_of_the_folders_that_it_enters() {
        let folder = tempfile::tempdir().unwrap();
        for (name, size) in [("a", 1), ("b/c", 2), ("b/d/e", 3), ("no/f", 4)] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![0; size]).unwrap();
        }
        let names = |enter: &dyn Fn(&Path) -> bool| {
            let found = walk(folder.path(), Links::Listed, enter);
            let mut names: Vec<_> =
                found.map(|found| found.unwrap().name_below(folder.path()).unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&|_| true), ["a", "b/c", "b/d/e", "no/f"]);
        assert_eq!(names(&|path| !path.ends_with("no")), ["a", "b/c", "b/d/e"]);
        assert_eq!(bytes_below(folder.path()), 10);
        assert!(
            walk(&folder.path().join("none"), Links::Listed, |_| true).next().unwrap().is_err()
        );
    }

    #[test]
    #[cfg(unix)]
    fn links_are_listed_or_followed() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(other.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink(other.path(), folder.path().join("link")).unwrap();
        let names = |links| -> Vec<_> {
            let found = walk(folder.path(), links, |_| true).map(Result::unwrap);
            found.map(|found| found.name_below(folder.path()).unwrap()).collect()
        };
        assert_eq!(names(Links::Listed), ["link"]);
        assert_eq!(names(Links::Followed), ["link/file"]);
    }
}
