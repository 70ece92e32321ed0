//! The files that belong to a model: `files` of the manifest.
//!
//! Owns: their digests and names.   Must not: take part in a conversion: they change none.
//! Flow: `deliver.rs` → [`of`] → `locked.rs` compares them, `output/materialize.rs` copies them;
//! `command/lock.rs` writes their digests into a lock.

use crate::cache::Digests;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Model, file_name};
use coreml_spec::{IndexedFile, digest_of_files, files_folder};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file that belongs to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Companion {
    /// Its path in the manifest.
    pub(crate) path: String,
    /// Where it lies in the package.
    pub(crate) source: PathBuf,
    /// Its path in the output folder: `encoder.files/tokenizer.json`.
    pub(crate) output: PathBuf,
    /// SHA-256 of its content.
    pub(crate) sha256: String,
    /// Its size in bytes.
    pub(crate) size: u64,
}

impl Companion {
    /// Returns its name.
    pub(crate) fn name(&self) -> &str {
        file_name(&self.path)
    }

    /// Returns what the index says of it.
    ///
    /// Parameters: `folder` — the output folder, which has it.
    pub(crate) fn indexed(&self, folder: &Path) -> std::io::Result<IndexedFile> {
        let bytes = std::fs::read(folder.join(&self.output))?;
        let digest = Some(digest_of_files(&[(self.name(), &bytes)]));
        Ok(IndexedFile { name: self.name().to_owned(), digest, symbol: None })
    }
}

/// Returns the files of a model.
///
/// Errors: one cannot be read.
pub(crate) fn of(model: &Model, root: &Path, digests: &Digests) -> Result<Vec<Companion>, Error> {
    let folder = PathBuf::from(files_folder(model.manifest_name()));
    let companion = |path: &String| {
        let source = root.join(path);
        let read = digests.of_file(&source);
        let read = read.and_then(|sha256| Ok((sha256, std::fs::metadata(&source)?.len())));
        let (sha256, size) = read.map_err(|error| {
            let message = format!("`files`: {} cannot be read: {error}", source.display());
            let error = Error::new(ErrorKind::Storage, message).caused_by(error);
            error.advise("check its permissions").at(model.place(Some("files")))
        })?;
        let output = folder.join(file_name(path));
        Ok(Companion { path: path.clone(), source, output, sha256, size })
    };
    model.settings.files.iter().map(companion).collect()
}

/// Returns the digest of each file, as a lock has it.
pub(crate) fn locked(companions: &[Companion]) -> BTreeMap<String, String> {
    companions.iter().map(|file| (file.path.clone(), file.sha256.clone())).collect()
}

/// Returns what the index says of the files of a model that is not built: their names, and the
/// digests of those that are the locked ones.
pub(crate) fn unbuilt(
    model: &Model,
    root: &Path,
    locked: &BTreeMap<String, String>,
    digests: &Digests,
) -> Vec<IndexedFile> {
    let indexed = |path: &String| {
        let source = root.join(path);
        let name = file_name(path);
        let is_locked = digests.of_file(&source).ok().as_ref() == locked.get(path);
        let bytes = is_locked.then(|| std::fs::read(&source).ok()).flatten();
        let digest = bytes.map(|bytes| digest_of_files(&[(name, &bytes)]));
        IndexedFile { name: name.to_owned(), digest, symbol: None }
    };
    model.settings.files.iter().map(indexed).collect()
}
