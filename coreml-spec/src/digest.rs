//! Names for the content of packages.
//!
//! Owns: the digest that compiled models are named by, the same for a package on disk and in the
//! program. Must not: serve as a proof: it tells contents apart, but an attacker can make two
//! with the same digest.
//! Flow: `coreml-build` names what Xcode compiled, and tells it the macro through the index;
//! `coreml-rt` looks for it.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// Ending of a compiled model's folder, which has the digest of its package as its name.
pub const COMPILED_EXTENSION: &str = "mlmodelc";

/// How much of a file is read at once, in bytes.
const READ_SIZE: usize = 1 << 20;

/// How deep folders may be nested; a package has three levels.
const DEPTH_LIMIT: usize = 16;

/// Returns the digest of a package on disk: of each file's path, length and bytes, in the order of
/// the paths.
///
/// Errors: a file cannot be read; the path is in the error.
pub fn digest_of_folder(package: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    list(package, "", DEPTH_LIMIT, &mut files)?;
    files.sort();
    let mut hasher = Xxh3::new();
    for (name, path) in files {
        enter_file(&mut hasher, &name, &path).map_err(|error| named(&path, &error))?;
    }
    Ok(format!("{:032x}", hasher.digest128()))
}

/// Returns the digest of a package in memory.
///
/// Parameters: `files` — path inside the package, and bytes, in any order.
pub fn digest_of_files(files: &[(&str, &[u8])]) -> String {
    let mut files = files.to_vec();
    files.sort_unstable();
    let mut hasher = Xxh3::new();
    for (name, bytes) in files {
        enter_name(&mut hasher, name, bytes.len() as u64);
        hasher.update(bytes);
    }
    format!("{:032x}", hasher.digest128())
}

/// Adds what stands before a file's bytes: lengths, so that no two packages run together to the
/// same text.
fn enter_name(hasher: &mut Xxh3, name: &str, len: u64) {
    hasher.update(&(name.len() as u64).to_le_bytes());
    hasher.update(name.as_bytes());
    hasher.update(&len.to_le_bytes());
}

/// Adds a file on disk, without holding it in memory.
fn enter_file(hasher: &mut Xxh3, name: &str, path: &Path) -> io::Result<()> {
    let content = File::open(path)?;
    enter_name(hasher, name, content.metadata()?.len());
    let mut content = BufReader::with_capacity(READ_SIZE, content);
    loop {
        let bytes = content.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        hasher.update(bytes);
        let len = bytes.len();
        content.consume(len);
    }
}

/// Lists the files below a folder: `/`-separated path inside it, and path.
fn list(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut Vec<(String, PathBuf)>,
) -> io::Result<()> {
    for entry in std::fs::read_dir(folder).map_err(|error| named(folder, &error))? {
        let entry = entry?;
        let (name, path) =
            (format!("{prefix}{}", entry.file_name().to_string_lossy()), entry.path());
        if !path.is_dir() {
            files.push((name, path));
        } else if depth > 0 {
            list(&path, &format!("{name}/"), depth - 1, files)?;
        }
    }
    Ok(())
}

/// Returns `error` with the path that it is about.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_has_the_same_digest_on_disk_and_in_the_program() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("Data")).unwrap();
        std::fs::write(folder.path().join("Manifest.json"), "{}").unwrap();
        std::fs::write(folder.path().join("Data/weight.bin"), [7; 3000]).unwrap();
        let files: [(&str, &[u8]); 2] = [("Manifest.json", b"{}"), ("Data/weight.bin", &[7; 3000])];
        assert_eq!(digest_of_folder(folder.path()).unwrap(), digest_of_files(&files));
        // A name of compiled models must not change from version to version, or they are compiled
        // again.
        assert_eq!(digest_of_files(&[]), "99aa06d3014798d86001c324468d497f");
        let missing = digest_of_folder(&folder.path().join("missing")).unwrap_err().to_string();
        assert!(missing.contains("missing: "), "{missing}");
    }

    #[test]
    fn names_and_bytes_do_not_run_together() {
        let digests = [
            digest_of_files(&[("ab", b"c")]),
            digest_of_files(&[("a", b"bc")]),
            digest_of_files(&[("a", b"b"), ("c", b"")]),
        ];
        assert!(digests[0] != digests[1] && digests[1] != digests[2]);
    }
}
