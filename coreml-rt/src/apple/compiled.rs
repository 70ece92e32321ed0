//! Compiled models, kept so that each package is compiled once.
//!
//! Owns: the names of compiled models, and which one is used. Must not: know Objective-C; compiler
//! and folder are parameters.
//! Flow: `loading.rs` → here at every load; only the first load of a package's content compiles.
//!
//! Compiling an `.mlpackage` is quick. But the system then specialises the `.mlmodelc` for its
//! processors, which is slow, and caches the result by the path. So the path must be the same at
//! every start: `DIGEST.mlmodelc` in one folder, or beside the package in an app that ships it
//! compiled.

use super::failure::CoreMlError;
use crate::search::Location;
use coreml_spec::{COMPILED_EXTENSION, digest_of_files, digest_of_folder};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Returns the compiled model of what was found, and compiles it if necessary.
///
/// Parameters: `root` — returns the folder of compiled models, created if missing; `compile` —
/// takes an `.mlpackage` and returns an `.mlmodelc` in a temporary place. Neither is called for a
/// model that was found compiled.
/// Errors: [`CoreMlError::File`], and those of `root` and `compile`.
pub(super) fn model(
    location: &Location,
    root: impl FnOnce() -> Result<PathBuf, CoreMlError>,
    compile: impl FnOnce(&Path) -> Result<PathBuf, CoreMlError>,
) -> Result<PathBuf, CoreMlError> {
    match location {
        Location::Compiled(model) => Ok(model.clone()),
        Location::Package(package) => {
            let digest =
                digest_of_folder(package).map_err(|error| file("read", package, &error))?;
            // An app may ship it. Its name is the digest of the content, so it is never stale.
            let shipped = package.with_file_name(&digest).with_extension(COMPILED_EXTENSION);
            if shipped.is_dir() {
                Ok(shipped)
            } else {
                kept(&root()?, &digest, || compile(package))
            }
        }
        Location::Embedded(files) => {
            let (root, digest) = (root()?, digest_of_files(files));
            kept(&root, &digest, || {
                let package = Temporary::of(&root, &digest, "mlpackage");
                unpack(files, &package.0)?;
                compile(&package.0)
            })
        }
    }
}

/// Returns the compiled model of a content, and compiles it if there is none.
fn kept(
    root: &Path,
    digest: &str,
    compile: impl FnOnce() -> Result<PathBuf, CoreMlError>,
) -> Result<PathBuf, CoreMlError> {
    let place = root.join(digest).with_extension(COMPILED_EXTENSION);
    if !place.is_dir() {
        fs::create_dir_all(root).map_err(|error| file("make the folder", root, &error))?;
        publish(&compile()?, root, digest, &place)?;
    }
    Ok(place)
}

/// Moves a compiled model to its place, whole or not at all.
///
/// Two programs may do this at the same time; one of them wins, and both have the same model.
fn publish(fresh: &Path, root: &Path, digest: &str, place: &Path) -> Result<(), CoreMlError> {
    let moved = fs::rename(fresh, place).or_else(|error| {
        if error.kind() != io::ErrorKind::CrossesDevices {
            return Err(error);
        }
        // The temporary folder is another volume: copy beside the place first, since only a move is
        // atomic.
        let near = Temporary::of(root, digest, "part");
        copy(fresh, &near.0)?;
        fs::rename(&near.0, place)
    });
    if moved.is_err() || fresh.exists() {
        // Nothing else uses it, and the system clears its temporary folder eventually.
        let _ = fs::remove_dir_all(fresh);
    }
    match moved {
        Err(error) if !place.is_dir() => Err(file("move the compiled model to", place, &error)),
        _ => Ok(()),
    }
}

/// A folder of this process, removed when dropped if it still exists.
struct Temporary(PathBuf);

impl Temporary {
    /// Names a folder that no other process or thread uses.
    fn of(root: &Path, digest: &str, extension: &str) -> Self {
        let (process, thread) = (std::process::id(), std::thread::current().id());
        Self(root.join(format!(".{digest}-{process}-{thread:?}.{extension}")))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // It is a copy, and a failure leaves no more than an unused folder behind.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes an embedded package to disk, where the compiler can read it.
fn unpack(files: &[(&str, &[u8])], package: &Path) -> Result<(), CoreMlError> {
    for (name, bytes) in files {
        let path = package.join(name);
        let folder = path.parent().unwrap_or(package);
        fs::create_dir_all(folder).map_err(|error| file("make the folder", folder, &error))?;
        fs::write(&path, bytes).map_err(|error| file("write", &path, &error))?;
    }
    Ok(())
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

/// Makes the error of a file.
fn file(action: &str, path: &Path, error: &io::Error) -> CoreMlError {
    CoreMlError::File { action: format!("{action} {}", path.display()), problem: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A package in the program.
    const FILES: &[(&str, &[u8])] =
        &[("Manifest.json", b"{}"), ("Data/com.apple.CoreML/model.mlmodel", b"model")];

    /// Calls [`super::model`] with a folder that is known.
    fn model(
        location: &Location,
        root: &Path,
        compile: impl FnOnce(&Path) -> Result<PathBuf, CoreMlError>,
    ) -> Result<PathBuf, CoreMlError> {
        super::model(location, || Ok(root.to_owned()), compile)
    }

    /// Finds a package in the program.
    fn embedded(files: &[(&'static str, &'static [u8])]) -> Location {
        Location::Embedded(files.to_vec())
    }

    #[test]
    fn a_content_is_compiled_once_wherever_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let (root, package) = (folder.path().join("compiled"), folder.path().join("x.mlpackage"));
        unpack(FILES, &package).unwrap();
        let runs = Cell::new(0);
        let compile = |package: &Path| {
            runs.set(runs.get() + 1);
            let fresh = folder.path().join("fresh.mlmodelc");
            fs::create_dir_all(&fresh).unwrap();
            fs::copy(package.join(FILES[1].0), fresh.join("compiled")).unwrap();
            Ok(fresh)
        };
        let first = model(&embedded(FILES), &root, compile).unwrap();
        assert_eq!(fs::read(first.join("compiled")).unwrap(), b"model");
        assert_eq!(model(&Location::Package(package.clone()), &root, compile).unwrap(), first);
        assert_eq!(runs.get(), 1);

        fs::write(package.join(FILES[1].0), b"other").unwrap();
        let second = model(&Location::Package(package.clone()), &root, compile).unwrap();
        assert_ne!(second, first);
        assert_eq!(fs::read(second.join("compiled")).unwrap(), b"other");
        assert_eq!(runs.get(), 2);
        // Nothing temporary is left.
        assert_eq!(fs::read_dir(&root).unwrap().count(), 2);
        assert!(!folder.path().join("fresh.mlmodelc").exists());
    }

    #[test]
    fn a_compiled_model_beside_its_package_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("x.mlpackage");
        unpack(FILES, &package).unwrap();
        let digest = digest_of_files(FILES);
        let shipped = folder.path().join(digest).with_extension(COMPILED_EXTENSION);
        fs::create_dir(&shipped).unwrap();
        let root = folder.path().join("compiled");
        let refuse = |_: &Path| Err(CoreMlError::Unexpected("not compiled here".to_owned()));
        assert_eq!(model(&Location::Package(package.clone()), &root, refuse).unwrap(), shipped);
        assert!(!root.exists());
        fs::write(package.join(FILES[1].0), b"other").unwrap();
        assert!(model(&Location::Package(package), &root, refuse).is_err());
    }

    #[test]
    fn a_compiled_model_alone_is_taken_as_it_is() {
        let refuse = |_: &Path| Err(CoreMlError::Unexpected("not compiled here".to_owned()));
        let none = || Err(CoreMlError::Unexpected("no folder is asked for".to_owned()));
        let path = PathBuf::from("/app/any name.mlmodelc");
        assert_eq!(super::model(&Location::Compiled(path.clone()), none, refuse).unwrap(), path);
        // Nor is one beside its package copied, wherever models are kept.
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("x.mlpackage");
        unpack(FILES, &package).unwrap();
        let shipped = folder.path().join(digest_of_files(FILES)).with_extension(COMPILED_EXTENSION);
        fs::create_dir(&shipped).unwrap();
        assert_eq!(super::model(&Location::Package(package), none, refuse).unwrap(), shipped);
    }

    #[test]
    fn the_second_of_two_programs_takes_the_model_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("compiled");
        let place = root.join(digest_of_files(FILES)).with_extension(COMPILED_EXTENSION);
        let fresh = folder.path().join("fresh.mlmodelc");
        let compile = |_: &Path| {
            fs::create_dir_all(&fresh).unwrap();
            // Meanwhile the other one is done.
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join("first"), b"").unwrap();
            Ok(fresh.clone())
        };
        assert_eq!(model(&embedded(FILES), &root, compile).unwrap(), place);
        assert!(place.join("first").exists() && !fresh.exists());
    }

    #[test]
    fn failures_leave_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("compiled");
        let refuse = |_: &Path| Err(CoreMlError::Unexpected("no".to_owned()));
        let error = model(&embedded(FILES), &root, refuse).unwrap_err();
        assert_eq!(error, CoreMlError::Unexpected("no".to_owned()));
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0);

        let missing = folder.path().join("missing.mlpackage");
        let error =
            model(&Location::Package(missing.clone()), &root, refuse).unwrap_err().to_string();
        assert!(
            error.contains("missing.mlpackage") && error.contains("check the permissions"),
            "{error}"
        );

        fs::remove_dir(&root).unwrap();
        fs::write(&root, b"a file").unwrap();
        let error = model(&embedded(FILES), &root, refuse).unwrap_err().to_string();
        assert!(error.starts_with("cannot make the folder"), "{error}");
    }
}
