//! Errors between a file and its text.
//!
//! Owns: [`Error`].
//! Flow: every other file returns it; `main.rs` prints it.

use std::fmt;
use std::path::Path;

/// A failure, with what was worked on.
#[derive(Debug)]
pub enum Error {
    /// A model could not be loaded or run.
    Model(coreml_rt::Error),
    /// A file of sound or words could not be read or written; the text names the file and the
    /// reason.
    File(String),
    /// The caller asked for something that there is not.
    Options(String),
}

impl Error {
    /// Returns an error about a file.
    pub(crate) fn file(path: &Path, cause: impl fmt::Display) -> Self {
        Self::File(format!("{}: {cause}", path.display()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(error) => error.fmt(f),
            Self::File(text) | Self::Options(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl From<coreml_rt::Error> for Error {
    fn from(error: coreml_rt::Error) -> Self {
        Self::Model(error)
    }
}

impl From<coreml_rt::ShapeError> for Error {
    fn from(error: coreml_rt::ShapeError) -> Self {
        Self::Model(error.into())
    }
}
