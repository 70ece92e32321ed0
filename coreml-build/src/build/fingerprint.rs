//! What makes two conversions the same.
//!
//! Owns: the primary key (manifest and this crate) and the fingerprint (the primary key, and the
//! files that were read).
//! Flow: `job.rs` → [`primary`] → the lists of files that earlier conversions of that key read
//! (`cache/inputs.rs`) → [`Snapshot`] of each list → the cache entry of its fingerprint.

use crate::cache::Digests;
use crate::digest::{Hasher, is_digest};
use crate::manifest::Conversion;
use crate::python::Requirements;
use crate::python::embedded;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Version of the two keys and of what is stored under them: a change makes all older entries
/// misses.
const FORMAT_VERSION: &str = "1";

/// Returns the primary key of a conversion: canonical table, driver and Python packages.
///
/// Returns: 64 hexadecimal digits. Two models with the same key and the same files give the same
/// package.
pub(crate) fn primary(
    conversion: &Conversion,
    requirements: &Requirements,
) -> Result<String, serde_json::Error> {
    let mut hasher = Hasher::default();
    hasher.field("format", FORMAT_VERSION.as_bytes());
    hasher.field("table", &serde_json::to_vec(conversion)?);
    hasher.field("driver", embedded::driver_digest().as_bytes());
    requirements.hash(&mut hasher);
    Ok(hasher.finish())
}

/// Begins the name of a file of the hub among the files that a conversion reads, and comes before
/// its digest: `hub:REPOSITORY@COMMIT/FILE#sha256=DIGEST`. The hub's client keeps it in a place
/// that differs between machines, and a commit's files never change, so that the name is enough.
const PINNED: [&str; 2] = ["hub:", "#sha256="];

/// Returns the digest in the name of a file of the hub; `None` for any other input.
pub(crate) fn pinned(input: &str) -> Option<&str> {
    let (_, digest) = input.strip_prefix(PINNED[0])?.rsplit_once(PINNED[1])?;
    is_digest(digest).then_some(digest)
}

/// The files that a conversion reads, with their digests now; `None` for one that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<String, Option<String>>);

impl Snapshot {
    /// Takes the digests of `paths` as they are now.
    ///
    /// Parameters: `paths` — relative to `package_root` with `/`, or absolute.
    /// Errors: a file exists, but cannot be read.
    pub(crate) fn take<'a>(
        package_root: &Path,
        paths: impl IntoIterator<Item = &'a String>,
        digests: &Digests,
    ) -> io::Result<Self> {
        let digest = |path: &String| {
            let known = pinned(path).map(|digest| Ok(digest.to_owned()));
            match known.unwrap_or_else(|| digests.of_file(&package_root.join(path))) {
                Ok(digest) => Ok((path.clone(), Some(digest))),
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    ) =>
                {
                    Ok((path.clone(), None))
                }
                Err(error) => Err(io::Error::new(error.kind(), format!("{path}: {error}"))),
            }
        };
        Ok(Self(paths.into_iter().map(digest).collect::<io::Result<_>>()?))
    }

    /// Returns the fingerprint: 64 hexadecimal digits.
    pub(crate) fn fingerprint(&self, primary: &str) -> String {
        let mut hasher = Hasher::default();
        hasher.field("primary", primary.as_bytes());
        for (path, digest) in &self.0 {
            hasher.field("path", path.as_bytes());
            hasher.field("sha256", digest.as_deref().unwrap_or("missing").as_bytes());
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_follows_content_and_existence_but_not_order() {
        let folder = tempfile::tempdir().unwrap();
        let digests = Digests::new(folder.path().join("memos"));
        let of = |paths: [&str; 2]| {
            let paths = paths.map(str::to_owned);
            Snapshot::take(folder.path(), &paths, &digests).unwrap().fingerprint("key")
        };
        std::fs::write(folder.path().join("a"), "1").unwrap();
        let without_b = of(["a", "b"]);
        assert_eq!(without_b, of(["b", "a"]));
        std::fs::write(folder.path().join("b"), "").unwrap();
        let with_b = of(["a", "b"]);
        assert_ne!(without_b, with_b);
        std::fs::write(folder.path().join("a"), "2").unwrap();
        assert_ne!(with_b, of(["a", "b"]));
    }

    #[test]
    fn a_file_of_the_hub_is_known_by_its_name_alone() {
        let folder = tempfile::tempdir().unwrap();
        let digests = Digests::new(folder.path().join("memos"));
        let of = |input: &str| {
            Snapshot::take(folder.path(), &[input.to_owned()], &digests).unwrap().fingerprint("key")
        };
        let (zeros, ones) = ("0".repeat(64), "1".repeat(64));
        let input = format!("hub:owner/name@{}/model.safetensors#sha256={zeros}", "a".repeat(40));
        assert_eq!(pinned(&input), Some(zeros.as_str()));
        assert_ne!(of(&input), of(&input.replace(&zeros, &ones)));
        for other in ["hub:owner/name", "model.safetensors", "hub:a#sha256=12", "x/hub:a#sha256=12"]
        {
            assert_eq!(pinned(other), None, "{other}");
        }
    }
}
