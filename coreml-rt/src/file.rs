//! The files that belong to a model: `files` of the manifest.
//!
//! Owns: reading one where its model was found, and the proof that it is the file that the program
//! was built with. Must not: search: model and files lie together.
//! Flow: the generated `Model::files` → [`Files`] → [`ModelFile`].

use crate::error::Error;
use coreml_spec::digest_of_files;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// A file as the build left it.
#[derive(Debug)]
pub struct FileDescription {
    /// Its name: `tokenizer.json`.
    pub name: &'static str,
    /// The folder beside the package: `encoder.files`.
    pub folder: &'static str,
    /// The manifest, as the attribute names it.
    pub manifest: &'static str,
    /// [`digest_of_files`] of its name and content; `None` for a build that has not seen it.
    pub digest: Option<&'static str>,
    /// Returns its bytes, when the model is embedded.
    pub embedded: Option<fn() -> &'static [u8]>,
}

/// A file that belongs to a model, such as its tokenizer. It is the one that the program was built
/// with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// The manifest's name for the model, for errors.
    model: String,
    /// Its name.
    name: &'static str,
    /// Where it lies; `None` when it is in the program.
    path: Option<PathBuf>,
    /// Its content.
    bytes: Cow<'static, [u8]>,
}

impl ModelFile {
    /// Returns its name: `tokenizer.json`.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Returns its content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns its content as text.
    ///
    /// Errors: it is not UTF-8.
    pub fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(&self.bytes)
            .map_err(|error| problem(&self.model, self.name, format!("it is no text: {error}")))
    }

    /// Returns its content without a copy where it was read from the disk.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes.into_owned()
    }

    /// Returns where it lies, or `None` when it is embedded in the program.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl AsRef<[u8]> for ModelFile {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The files of a model that was found.
#[derive(Clone, Debug)]
pub struct Files {
    /// The manifest's name for the model, for errors.
    model: String,
    /// The package or the compiled model; `None` when it is embedded.
    package: Option<PathBuf>,
}

impl Files {
    /// Makes the files of a model.
    ///
    /// Parameters: `package` — where the model was found; `None` when it is embedded.
    pub(crate) fn new(model: &str, package: Option<&Path>) -> Self {
        Self { model: model.to_owned(), package: package.map(Path::to_owned) }
    }

    /// Reads a file.
    ///
    /// Errors: [`Error::File`] when it is not there, or is another one.
    pub fn open(&self, file: &FileDescription) -> Result<ModelFile, Error> {
        let (model, name) = (self.model.clone(), file.name);
        // What is embedded is the right one: on disk no other would be taken.
        if let Some(embedded) = file.embedded {
            return Ok(ModelFile { model, name, path: None, bytes: Cow::Borrowed(embedded()) });
        }
        let package = self.package.as_deref().unwrap_or(Path::new(""));
        let path = package.with_file_name(file.folder).join(name);
        let bytes = std::fs::read(&path).map_err(|error| {
            let (path, manifest) = (path.display(), file.manifest);
            let text = format!(
                "{path}: {error}\n  what to do: put it there, as `cargo coreml bundle {manifest} \
                 --beside PROGRAM` does: the files of a model lie beside its package"
            );
            problem(&model, name, text)
        })?;
        if file.digest.is_some_and(|digest| digest != digest_of_files(&[(name, &bytes)])) {
            let text = format!(
                "{} is not the file that the program was built with\n  what to do: rebuild the \
                 program, or replace the file with the one from its build",
                path.display()
            );
            return Err(problem(&model, name, text));
        }
        Ok(ModelFile { model, name, path: Some(path), bytes: Cow::Owned(bytes) })
    }
}

/// Makes the error.
fn problem(model: &str, file: &str, problem: String) -> Error {
    Error::File { model: model.to_owned(), file: file.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Describes a file with this content.
    fn description(digest: Option<String>) -> FileDescription {
        FileDescription {
            name: "words.txt",
            folder: "encoder.files",
            manifest: "whisper.toml",
            digest: digest.map(|digest| &*digest.leak()),
            embedded: None,
        }
    }

    #[test]
    fn a_file_is_read_beside_its_model_and_no_other_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new("encoder", Some(&folder.path().join("renamed.mlpackage")));
        let file = description(Some(digest_of_files(&[("words.txt", "größe".as_bytes())])));
        let path = folder.path().join("encoder.files/words.txt");
        let missing = files.open(&file).unwrap_err().to_string();
        assert!(
            missing.starts_with(&format!(
                "the file `words.txt` of the model `encoder` cannot be used: {}: ",
                path.display()
            )) && missing.contains("`cargo coreml bundle whisper.toml --beside PROGRAM` does"),
            "{missing}"
        );
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "größe").unwrap();
        let read = files.open(&file).unwrap();
        assert_eq!((read.text().unwrap(), read.path()), ("größe", Some(&*path)));
        assert_eq!((read.name(), read.bytes()), ("words.txt", "größe".as_bytes()));
        std::fs::write(&path, "grösse").unwrap();
        let changed = files.open(&file).unwrap_err().to_string();
        assert!(
            changed.contains("words.txt is not the file that the program was built with")
                && changed.contains("what to do: rebuild the program"),
            "{changed}"
        );
        let unseen = files.open(&description(None)).unwrap();
        assert_eq!(unseen.into_bytes(), b"gr\xc3\xb6sse");
    }

    #[test]
    fn an_embedded_file_needs_no_folder() {
        let file = FileDescription { embedded: Some(|| &[0xff]), ..description(None) };
        let read = Files::new("encoder", None).open(&file).unwrap();
        assert_eq!((read.bytes(), read.path()), (&[0xff][..], None));
        let error = read.text().unwrap_err().to_string();
        assert!(error.contains("it is no text: invalid utf-8"), "{error}");
    }
}
