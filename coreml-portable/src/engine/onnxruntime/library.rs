//! The shared library of ONNX Runtime: where it is, and whether it is new enough.
//!
//! Owns: the places that are searched, and the oldest version that is taken. Must not: load it.
//! Flow: `onnxruntime.rs`, before it makes the environment of the process.

use std::path::{Path, PathBuf};

/// Oldest version that passes all of this crate's cases: older ones compute averages of padded
/// pools, or reversed sequences, wrongly.
const OLDEST: Version = Version([1, 30, 0]);

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
/// Errors: its version, where it tells one, is older than [`OLDEST`].
pub(super) fn refuse_old(path: &Path) -> Result<(), String> {
    let Some(version) = version_of(path).filter(|version| *version < OLDEST) else { return Ok(()) };
    Err(format!(
        "{} is version {version}, which computes some operations wrongly; install {OLDEST} or \
        later: \
         pip install 'onnxruntime>={OLDEST}'",
        path.display()
    ))
}

/// A version of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version([u32; 3]);

impl Version {
    /// Reads `1.32.0`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(str::parse);
        let version = [parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?];
        parts.next().is_none().then_some(Self(version))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// Returns the version that the file's name tells, with links resolved, or else the Python package
/// that the file is in.
///
/// Returns: `None` for a library that tells neither way, which is then taken for new enough.
pub(super) fn version_of(path: &Path) -> Option<Version> {
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
    fn an_old_library_is_refused_and_one_that_tells_nothing_is_not() {
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
        assert_eq!(refused("a/b/libonnxruntime.so"), Ok(()));
    }
}
