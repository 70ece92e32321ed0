//! The shared library of ONNX Runtime: where it is, and whether it is new enough.
//!
//! Owns: the places that are searched, and the oldest version that is taken. Must not: keep it
//! loaded; the crate `ort` does.
//! Flow: `onnxruntime.rs`, before it makes the environment of the process.

use std::path::{Path, PathBuf};

/// Oldest version that passes all of this crate's cases: older ones compute averages of padded
/// pools, or reversed sequences, wrongly.
const OLDEST: Version = Version { major: 1, minor: 30, patch: Some(0) };

/// Variable with the path of the shared library; the one that `ort` itself reads.
pub(super) const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// Returns the path of the shared library: that of the variable, or that in the active Python
/// environment.
pub(super) fn find() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    let environments = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(std::env::var_os);
    environments
        .flat_map(|root| packages(Path::new(&root)))
        .find_map(|packages| in_packages(&packages))
}

/// Returns the folders of a Python environment in which packages can be.
fn packages(root: &Path) -> Vec<PathBuf> {
    let versions = std::fs::read_dir(root.join("lib")).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> =
        versions.map(|version| version.path().join("site-packages")).collect();
    folders.push(root.join("Lib").join("site-packages"));
    folders
}

/// Returns the library inside of the Python package.
fn in_packages(packages: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(packages.join("onnxruntime").join("capi")).ok()?.flatten();
    files.map(|file| file.path()).find(|path| {
        let name =
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // The version stands behind `.so`, and before `.dylib`.
        let right = name.starts_with("libonnxruntime.") || name == "onnxruntime.dll";
        right && (name.contains(".so") || name.ends_with(".dylib") || name.ends_with(".dll"))
    })
}

/// Refuses a library that is known to give wrong results.
///
/// Errors: its version is older than [`OLDEST`].
pub(super) fn refuse_old(path: &Path) -> Result<(), String> {
    refuse(path, version_of(path))?;
    // A name may be wrong.
    refuse(path, told(path))
}

/// Refuses a version that is known to be too old.
fn refuse(path: &Path, version: Option<Version>) -> Result<(), String> {
    let Some(version) = version.filter(|version| version.is_before(OLDEST)) else { return Ok(()) };
    Err(format!(
        "{} is version {version}, which computes some operations wrongly; install {OLDEST} or \
        later: \
         pip install 'onnxruntime>={OLDEST}'",
        path.display()
    ))
}

/// A version of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// The first number.
    major: u32,
    /// The second number.
    minor: u32,
    /// The last number, where it is known.
    patch: Option<u32>,
}

impl Version {
    /// Reads `1.32.0`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(str::parse);
        let (major, minor) = (parts.next()?.ok()?, parts.next()?.ok()?);
        let patch = Some(parts.next()?.ok()?);
        parts.next().is_none().then_some(Self { major, minor, patch })
    }

    /// Returns whether it is known to be before another one.
    fn is_before(self, other: Self) -> bool {
        let last = |version: Self| version.patch.unwrap_or(u32::MAX);
        (self.major, self.minor, last(self)) < (other.major, other.minor, last(other))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { major, minor, patch } = self;
        write!(f, "{major}.{minor}")?;
        patch.map_or(Ok(()), |patch| write!(f, ".{patch}"))
    }
}

/// Returns the version as well as it is known: from where the file is, or else from the library.
pub(super) fn version(path: &Path) -> Option<Version> {
    version_of(path).or_else(|| told(path))
}

/// Returns the version that the library itself tells, without its last number.
///
/// Returns: `None` when it cannot be loaded, which `ort` will explain, or is no version 1.
fn told(path: &Path) -> Option<Version> {
    let minor = ort::util::probe(path)?;
    Some(Version { major: 1, minor, patch: None })
}

/// Returns the version that the file's name tells, with links resolved, or else the Python package
/// that the file is in.
///
/// Returns: `None` for a library that tells neither way.
fn version_of(path: &Path) -> Option<Version> {
    let path = path.canonicalize().ok()?;
    let name = path.file_name()?.to_str()?;
    // `libonnxruntime.so.1.32.0` and `libonnxruntime.1.32.0.dylib`.
    let named = name.split_once(".so.").map(|(_, version)| version);
    let named = named.or_else(|| name.strip_suffix(".dylib")?.strip_prefix("libonnxruntime."));
    if let Some(version) = named.and_then(Version::parse) {
        return Some(version);
    }
    let packages = std::fs::read_dir(path.ancestors().nth(3)?).ok()?.flatten();
    let names = packages.filter_map(|package| package.file_name().into_string().ok());
    let mut versions = names.filter_map(|name| {
        Version::parse(name.strip_prefix("onnxruntime-")?.strip_suffix(".dist-info")?)
    });
    versions.next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use coreml_test_needs::needs;
    use std::fs;

    /// Makes an empty library below a folder, with the folders that it stands in.
    fn library_at(root: &Path, path: &str) -> PathBuf {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, []).unwrap();
        path
    }

    #[test]
    fn a_library_tells_its_version_by_its_name_or_its_python_package() {
        let folder = tempfile::tempdir().unwrap();
        let version = |path: &str| {
            version_of(&library_at(folder.path(), path)).map(|version| version.to_string())
        };
        assert_eq!(version("a/b/libonnxruntime.so.1.32.0").as_deref(), Some("1.32.0"));
        assert_eq!(version("a/b/libonnxruntime.1.9.10.dylib").as_deref(), Some("1.9.10"));
        assert_eq!(version("a/b/libonnxruntime.so"), None);
        fs::create_dir(folder.path().join("onnxruntime-1.30.1.dist-info")).unwrap();
        assert_eq!(version("onnxruntime/capi/onnxruntime.dll").as_deref(), Some("1.30.1"));
    }

    #[test]
    fn an_old_library_is_refused_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: &str| refuse_old(&library_at(folder.path(), path));
        let message = refused("a/b/libonnxruntime.so.1.22.1").unwrap_err();
        assert!(
            message.contains("version 1.22.1")
                && message.contains(&format!("onnxruntime>={OLDEST}")),
            "{message}"
        );
        assert_eq!(refused(&format!("a/b/libonnxruntime.so.{OLDEST}")), Ok(()));
        assert_eq!(refused("a/b/libonnxruntime.so.10.0.0"), Ok(()));
        // What cannot be loaded tells nothing; `ort` says why it cannot.
        assert_eq!(refused("a/b/libonnxruntime.so"), Ok(()));
    }

    #[test]
    fn a_version_that_the_library_tells_is_compared_without_its_last_number() {
        let refused =
            |minor: u32| refuse(Path::new("here"), Some(Version { major: 1, minor, patch: None }));
        assert!(refused(23).unwrap_err().starts_with("here is version 1.23, which computes"));
        assert!(refused(OLDEST.minor - 1).is_err());
        assert_eq!(refused(OLDEST.minor), Ok(()));
    }

    #[needs(onnxruntime)]
    #[test]
    fn a_library_that_lost_its_name_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let (real, nameless) = (find().unwrap(), folder.path().join("libonnxruntime.so"));
        fs::copy(&real, &nameless).unwrap();
        assert_eq!(version_of(&nameless), None);
        let (known, told) = (version(&real).unwrap(), version(&nameless).unwrap());
        assert_eq!((told.major, told.minor), (known.major, known.minor));
        assert_eq!(refuse_old(&nameless), Ok(()));
    }
}
