//! An opened model package.
//!
//! Owns: the layout of an `.mlpackage` (manifest, specification, weight files) and the limits that
//! keep a hostile package from harm. Must not: interpret the program.
//! Flow: [`Package::open`] → `manifest.rs` → `proto.rs`. What can be asked of a package stands in
//! the file that answers: `describe.rs`, `constant.rs`, `weight.rs`, `summary.rs`.

use crate::blob::WeightFile;
use crate::error::Error;
use crate::{manifest, proto};
use prost::Message;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest specification that is read, in bytes. Converters move large tensors of numbers into
/// weight files: what stays is about a kilobyte per operation, and truth-value masks of a byte per
/// element. A decoded specification takes at most 80 times its size, in messages of two bytes each.
const SPECIFICATION_LIMIT: u64 = 64 << 20;

/// What to do about a larger one.
const MOVE_TENSORS: &str = "an ML Program keeps its tensors in weight files: convert the model \
    with convert_to=\"mlprogram\", and compute large masks in the model instead of storing them";

/// What to do about a manifest beyond its limit.
const NOT_A_MANIFEST: &str = "a package's manifest is a kilobyte: check the path";

/// What to do about too many files.
const NOT_WEIGHTS: &str = "the specification's folder holds weight files only: check the path";

/// Deepest folder below the specification's own where weight files are looked for. Converters use
/// one level.
const FOLDER_DEPTH_LIMIT: usize = 4;

/// Most files that are listed. Converters write one weight file, or one per 2 GB chunk.
const FILE_COUNT_LIMIT: usize = 10_000;

/// Path of a package in memory, for messages.
const IN_MEMORY: &str = "embedded.mlpackage";

/// How blob references begin: the folder of the specification.
const MODEL_PATH: &str = "@model_path/";

/// What to do about a model of another type.
const CONVERT_TO_PROGRAM: &str =
    "only ML Programs are read: convert the model with convert_to=\"mlprogram\"";

/// An opened `.mlpackage`: the specification is decoded once, weight files are mapped when first
/// used.
#[derive(Debug)]
pub struct Package {
    /// The package as given; [`IN_MEMORY`] when it is in memory.
    root: PathBuf,
    /// The specification file, for messages.
    specification: PathBuf,
    /// The decoded specification.
    model: proto::Model,
    /// Size of the specification, in bytes.
    specification_size: u64,
    /// Weight files by their path from the specification's folder, `/`-separated.
    weights: BTreeMap<String, Arc<WeightFile>>,
}

impl Package {
    /// Opens a package on disk.
    ///
    /// Weight files must not be changed while the package is open or a session made from it is in
    /// use: they are mapped into memory.
    /// Errors: [`Error::Io`] when something is missing; [`Error::Damaged`] when manifest or
    /// specification cannot be decoded or exceed their limits. Weights are checked when they are
    /// read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let root = path.as_ref();
        let manifest_path = root.join(manifest::FILE_NAME);
        let manifest = read_limited(&manifest_path, manifest::SIZE_LIMIT, NOT_A_MANIFEST)?;
        let item = manifest::root_model(&manifest, &manifest_path)?;
        let specification = root.join(manifest::DATA_FOLDER).join(item);
        let bytes = read_limited(&specification, SPECIFICATION_LIMIT, MOVE_TENSORS)?;
        let model = decode(&bytes, &specification)?;
        let mut weights = BTreeMap::new();
        if let Some(folder) = specification.parent() {
            list_files(folder, "", FOLDER_DEPTH_LIMIT, &mut weights)?;
        }
        weights.retain(|_, file: &mut Arc<WeightFile>| file.path() != specification);
        let specification_size = bytes.len() as u64;
        Ok(Self { root: root.to_owned(), specification, model, specification_size, weights })
    }

    /// Opens a package that is part of the executable.
    ///
    /// Called by: code generated for `embed = true`.
    /// Parameters: `files` — every file of the package as its `/`-separated path inside it and its
    /// content; no alignment is assumed.
    /// Errors: as [`Package::open`].
    pub fn from_embedded(files: &[(&'static str, &'static [u8])]) -> Result<Self, Error> {
        Self::from_files(
            files.iter().map(|(path, bytes)| ((*path).to_owned(), Cow::Borrowed(*bytes))),
        )
    }

    /// Opens a package that is in memory: unpacked from an archive, decrypted, or part of the
    /// executable.
    ///
    /// Parameters: `files` — as for [`Package::from_embedded`]; of equal paths the last counts.
    /// Errors: as [`Package::open`].
    pub fn from_files(
        files: impl IntoIterator<Item = (String, Cow<'static, [u8]>)>,
    ) -> Result<Self, Error> {
        let root = PathBuf::from(IN_MEMORY);
        let mut files: BTreeMap<String, Cow<'static, [u8]>> = files.into_iter().collect();
        let missing = |path: &Path| Error::damaged(path, "the file is missing in memory");
        let manifest_path = root.join(manifest::FILE_NAME);
        let manifest = files.get(manifest::FILE_NAME).ok_or_else(|| missing(&manifest_path))?;
        let item = format!(
            "{}/{}",
            manifest::DATA_FOLDER,
            manifest::root_model(manifest, &manifest_path)?
        );
        let specification = root.join(&item);
        let bytes = files.remove(&item).ok_or_else(|| missing(&specification))?;
        let model = decode(&bytes, &specification)?;
        let folder = item.rfind('/').map_or("", |end| &item[..=end]);
        let weights = files
            .into_iter()
            .filter_map(|(path, bytes)| {
                let name = path.strip_prefix(folder)?.to_owned();
                Some((name, Arc::new(WeightFile::in_memory(root.join(path), bytes))))
            })
            .collect();
        Ok(Self { root, specification, model, specification_size: bytes.len() as u64, weights })
    }

    /// Returns where the package is; `embedded.mlpackage` when it is in memory.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Returns the decoded specification.
    pub fn model(&self) -> &proto::Model {
        &self.model
    }

    /// Returns the ML Program.
    ///
    /// Errors: [`Error::Unsupported`] when the model is of another type.
    pub fn program(&self) -> Result<&proto::Program, Error> {
        let missing = || self.unsupported("the model is not an ML Program", CONVERT_TO_PROGRAM);
        self.model.ml_program.as_ref().ok_or_else(missing)
    }

    /// Returns the files that hold the model, specification first, with their sizes in bytes.
    ///
    /// Paths are `/`-separated and start from the specification's folder.
    pub fn files(&self) -> Result<Vec<(String, u64)>, Error> {
        let name =
            self.specification.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut files = vec![(name, self.specification_size)];
        for (name, file) in &self.weights {
            files.push((name.clone(), file.size()?));
        }
        Ok(files)
    }

    /// Returns the weight files, shared so that they may outlive the package.
    pub fn weight_files(&self) -> Vec<Arc<WeightFile>> {
        self.weights.values().map(Arc::clone).collect()
    }

    /// Returns where the specification is.
    pub(crate) fn specification(&self) -> &Path {
        &self.specification
    }

    /// Returns the weight file that a blob reference names.
    pub(crate) fn weight_file(&self, reference: &str) -> Result<&WeightFile, Error> {
        // Only files found below the specification's folder can be named, so that no reference
        // escapes the package.
        let file = reference.strip_prefix(MODEL_PATH).and_then(|name| self.weights.get(name));
        file.map(Arc::as_ref).ok_or_else(|| {
            self.damaged(format!(
                "refers to the weight file {reference:?}, which is not in the package"
            ))
        })
    }

    /// Reports that the specification is damaged.
    pub(crate) fn damaged(&self, what: impl Into<String>) -> Error {
        Error::damaged(&self.specification, what)
    }

    /// Reports that the specification holds something that is not read.
    pub(crate) fn unsupported(&self, what: impl Into<String>, advice: &'static str) -> Error {
        Error::unsupported(&self.specification, what, advice)
    }
}

/// Reads a whole file of at most `limit` bytes.
///
/// Parameters: `advice` — what to do about a larger one.
fn read_limited(path: &Path, limit: u64, advice: &'static str) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(|error| Error::io(path, error))?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file at the limit from a longer one.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| Error::io(path, error))?;
    if bytes.len() as u64 > limit {
        return Err(Error::unsupported(
            path,
            format!("the file is larger than {} MiB", limit >> 20),
            advice,
        ));
    }
    Ok(bytes)
}

/// Decodes a specification. The decoder refuses messages nested deeper than 100, as Core ML's own
/// does.
fn decode(bytes: &[u8], path: &Path) -> Result<proto::Model, Error> {
    proto::Model::decode(bytes)
        .map_err(|error| Error::damaged(path, format!("cannot be decoded: {error}")))
}

/// Lists the files below a folder as they can be named by blob references.
///
/// Links to files are followed, since build systems link their inputs into place; links to folders
/// are not.
/// Parameters: `prefix` — path of `folder` from the specification's folder, with `/` at its end;
/// `depth` — levels left.
fn list_files(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut BTreeMap<String, Arc<WeightFile>>,
) -> Result<(), Error> {
    let entries = fs::read_dir(folder).map_err(|error| Error::io(folder, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| Error::io(folder, error))?;
        // A blob reference is text: a file whose name is not cannot be meant.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let name = format!("{prefix}{name}");
        let path = entry.path();
        let is_folder = entry.file_type().map_err(|error| Error::io(&path, error))?.is_dir();
        if is_folder && depth > 0 {
            list_files(&path, &format!("{name}/"), depth - 1, files)?;
        } else if path.is_file() {
            if files.len() == FILE_COUNT_LIMIT {
                let what = format!("more than {FILE_COUNT_LIMIT} files");
                return Err(Error::unsupported(folder, what, NOT_WEIGHTS));
            }
            files.insert(name, Arc::new(WeightFile::on_disk(path)));
        }
    }
    Ok(())
}
