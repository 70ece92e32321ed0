//! `Manifest.json` of a model package: which of its files is the specification.
//!
//! Owns: the JSON form. Must not: open the files it names.
//! Flow: read first by [`crate::Package::open`].

use crate::Error;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// File name of the manifest inside a package.
pub(crate) const FILE_NAME: &str = "Manifest.json";

/// Folder inside a package that item paths start from.
pub(crate) const DATA_FOLDER: &str = "Data";

/// Largest manifest that is read, in bytes; real ones have two items and less than a kilobyte.
pub(crate) const SIZE_LIMIT: u64 = 1 << 20;

/// The manifest, as far as it is needed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    /// Version of the JSON form.
    file_format_version: String,
    /// Files and folders of the package by identifier.
    item_info_entries: BTreeMap<String, Item>,
    /// Identifier of the specification.
    root_model_identifier: String,
}

/// A file or folder of the package.
#[derive(Deserialize)]
struct Item {
    /// Path below [`DATA_FOLDER`], `/`-separated.
    path: String,
}

/// Returns the path of the specification below [`DATA_FOLDER`], `/`-separated and without `..`.
///
/// Parameters: `json` — the manifest's content; `path` — the manifest, for messages.
/// Errors: [`Error::Damaged`] when it is not a manifest or names no specification inside the
/// package; [`Error::Unsupported`] when it is of a later version.
pub(crate) fn root_model(json: &[u8], path: &Path) -> Result<String, Error> {
    let manifest: Manifest = serde_json::from_slice(json)
        .map_err(|error| Error::damaged(path, format!("not a package manifest: {error}")))?;
    if !manifest.file_format_version.starts_with("1.") {
        let what = format!("the package format has version {:?}", manifest.file_format_version);
        return Err(Error::unsupported(path, what, "this crate reads version 1: update the crate"));
    }
    let identifier = &manifest.root_model_identifier;
    let item = manifest.item_info_entries.get(identifier).ok_or_else(|| {
        Error::damaged(
            path,
            format!("rootModelIdentifier {identifier:?} is not among itemInfoEntries"),
        )
    })?;
    if !is_inside(&item.path) {
        return Err(Error::damaged(
            path,
            format!("the path {:?} leads out of the package", item.path),
        ));
    }
    Ok(item.path.clone())
}

/// Returns whether a `/`-separated path stays below where it starts, on every platform.
fn is_inside(path: &str) -> bool {
    path.split('/')
        .all(|part| !matches!(part, "" | "." | "..") && !part.contains(['\\', ':', '\0']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_escape_are_told_from_those_that_do_not() {
        for path in ["com.apple.CoreML/model.mlmodel", "a", "a..b/c"] {
            assert!(is_inside(path), "{path}");
        }
        for path in
            ["", "/etc/passwd", "../a", "a/../b", "a//b", "a/", "./a", "C:\\a", "a\\..\\b", "a\0"]
        {
            assert!(!is_inside(path), "{path}");
        }
    }
}
