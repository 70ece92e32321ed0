//! What can go wrong in a build, as a person reads it: what, where, what to do.
//!
//! Owns: the text form of every error of this crate.   Must not: decide how an error is reported;
//! that is `cargo.rs`.
//! Flow: every module returns [`Error`]; `build/deliver.rs` renders them into the index, `cargo.rs`
//! into lines for cargo.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One problem with a manifest, a model, the Python environment or the cache.
///
/// `Display` gives the whole message in several lines, without colours:
/// ```text
/// whisper.toml:12:1: model `encoder`: what is wrong
///   python/whisper.py:42: x = torch.foo(y)
///   try: the first cure
///   try: another cure
///   log: /home/me/.cache/coreml/v1/logs/encoder-0123456789ab.log
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What a person reads.
    parts: Box<Parts>,
    /// The error behind it.
    source: Source,
}

/// The error behind an [`Error`]. Errors that read the same are equal, whatever is behind them.
#[derive(Clone, Debug, Default)]
struct Source(Option<Arc<dyn std::error::Error + Send + Sync>>);

impl PartialEq for Source {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Source {}

/// The parts of an [`Error`], apart so that a `Result` stays small.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    /// What it is about.
    kind: ErrorKind,
    /// What is wrong, one paragraph.
    message: String,
    /// The model that it concerns.
    model: Option<String>,
    /// The manifest line that it stands at.
    place: Option<Place>,
    /// The Python line that it stands at.
    python: Option<PythonPlace>,
    /// What to do, the likeliest cure first.
    advice: Vec<String>,
    /// The file with everything that Python printed.
    log: Option<PathBuf>,
}

/// What an [`Error`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The manifest is missing, is not TOML, or has a key or a value that is wrong.
    Manifest,
    /// The manifest asks for something that this version does not do yet.
    Unsupported,
    /// There is no Python, or its packages cannot be installed or do not fit.
    Environment,
    /// The model's code or weights cannot be loaded: a file is missing or damaged, or the code
    /// raises an exception.
    Source,
    /// A model hub does not answer, or does not give the model.
    Hub,
    /// PyTorch or coremltools refuse the model, or the result would be silently wrong.
    Conversion,
    /// The Python process died, or broke the protocol.
    Driver,
    /// The cache or the output folder cannot be read or written.
    Storage,
    /// `COREML_BUILD` forbids what would be needed.
    Policy,
    /// The lock cannot be read, or the package is not the locked one.
    Lock,
    /// The embedded package cannot be assembled for this target.
    Embedding,
    /// Not running inside a build script.
    Cargo,
}

/// A place in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The manifest as the user wrote it.
    pub manifest: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// A place in the user's Python code.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct PythonPlace {
    /// The file, relative to the package where it lies in it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The line itself.
    #[serde(default)]
    pub text: String,
}

impl Error {
    /// Makes an error with nothing but its text.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let parts = Parts {
            kind,
            message: message.into(),
            model: None,
            place: None,
            python: None,
            advice: Vec::new(),
            log: None,
        };
        Self { parts: Box::new(parts), source: Source::default() }
    }

    /// Keeps the error behind it, which [`source`](std::error::Error::source) returns.
    pub(crate) fn caused_by(
        mut self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        self.source = Source(Some(Arc::new(source)));
        self
    }

    /// Makes an error about a file or folder of the cache or of `OUT_DIR`.
    ///
    /// Parameters: `doing` — what was tried, as in "write the cache entry".
    pub(crate) fn storage(doing: &str, path: &Path, error: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let advice = match error.kind() {
            Io::StorageFull | Io::QuotaExceeded => {
                "free some space there, or set COREML_CACHE_DIR to a folder on another disk"
            }
            Io::ReadOnlyFilesystem | Io::PermissionDenied => {
                "make it writable, or set COREML_CACHE_DIR to a folder that is"
            }
            _ => "check the folder, or set COREML_CACHE_DIR to another one",
        };
        Self::new(ErrorKind::Storage, format!("cannot {doing} at {}: {error}", path.display()))
            .advise(advice)
            .caused_by(error)
    }

    /// Makes an error about a file or folder of `OUT_DIR`.
    ///
    /// Parameters: as for [`Self::storage`].
    pub(crate) fn output(doing: &str, path: &Path, error: std::io::Error) -> Self {
        Self::new(ErrorKind::Storage, format!("cannot {doing} at {}: {error}", path.display()))
            .advise(
                "check that the target folder is writable and has space, or set \
                CARGO_TARGET_DIR to another one",
            )
            .caused_by(error)
    }

    /// Adds a cure; the likeliest comes first.
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.parts.advice.push(advice.into());
        self
    }

    /// Names the model, unless it is named already.
    pub(crate) fn of_model(mut self, name: &str) -> Self {
        self.parts.model.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Puts the error at a manifest line, unless it stands at one already.
    pub(crate) fn at(mut self, place: Place) -> Self {
        self.parts.place.get_or_insert(place);
        self
    }

    /// Puts the error at a Python line.
    pub(crate) fn in_python(mut self, place: Option<PythonPlace>) -> Self {
        self.parts.python = place;
        self
    }

    /// Names the log.
    pub(crate) fn logged(mut self, log: &Path) -> Self {
        self.parts.log = Some(log.to_owned());
        self
    }

    /// Returns what it is about.
    pub fn kind(&self) -> ErrorKind {
        self.parts.kind
    }

    /// Returns what is wrong, without place and advice.
    pub fn message(&self) -> &str {
        &self.parts.message
    }

    /// Returns the manifest line, when there is one.
    pub fn place(&self) -> Option<&Place> {
        self.parts.place.as_ref()
    }

    /// Returns the Python line, when there is one.
    pub fn python(&self) -> Option<&PythonPlace> {
        self.parts.python.as_ref()
    }

    /// Returns what to do, the likeliest cure first.
    pub fn advice(&self) -> &[String] {
        &self.parts.advice
    }

    /// Returns the file with everything that Python printed, when Python ran.
    pub fn log(&self) -> Option<&Path> {
        self.parts.log.as_deref()
    }

    /// Returns the first line of the text form: place, model and message on one line, for a cargo
    /// warning.
    pub(crate) fn headline(&self) -> String {
        let mut line = String::new();
        if let Some(place) = &self.parts.place {
            line.push_str(&format!("{place}: "));
        }
        if let Some(model) = &self.parts.model {
            line.push_str(&format!("model `{model}`: "));
        }
        line + &self.parts.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        if let Some(python) = &self.parts.python {
            write!(f, "\n  {}:{}: {}", python.file, python.line, python.text.trim())?;
        }
        for advice in &self.parts.advice {
            write!(f, "\n  try: {advice}")?;
        }
        if let Some(log) = &self.parts.log {
            write!(f, "\n  log: {}", log.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.0.as_deref().map(|source| source as _)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.manifest, self.line, self.column)
    }
}

/// Returns the text of several errors, one after the other.
pub(crate) fn render(errors: &[Error]) -> String {
    errors.iter().map(Error::to_string).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_where_and_what_to_do() {
        let error = Error::new(ErrorKind::Conversion, "PyTorch op `foo` has no Core ML form")
            .of_model("encoder")
            .at(Place { manifest: "w.toml".into(), line: 12, column: 1 })
            .in_python(Some(PythonPlace {
                file: "python/w.py".into(),
                line: 42,
                text: "  x = torch.foo(y)".into(),
            }))
            .advise("write it with supported operations")
            .logged(Path::new("/cache/e.log"));
        assert_eq!(
            error.to_string(),
            "w.toml:12:1: model `encoder`: PyTorch op `foo` has no Core ML form\n  python/w.py:42: \
            x = \
             torch.foo(y)\n  \
             try: write it with supported operations\n  log: /cache/e.log"
        );
    }

    #[test]
    fn a_full_disk_names_the_variable_that_moves_the_cache() {
        let error = Error::storage(
            "write the cache entry",
            Path::new("/cache"),
            std::io::Error::from(std::io::ErrorKind::StorageFull),
        );
        assert!(error.to_string().contains("COREML_CACHE_DIR"), "{error}");
        let source = std::error::Error::source(&error).unwrap();
        let source = source.downcast_ref::<std::io::Error>().unwrap();
        assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
    }
}
