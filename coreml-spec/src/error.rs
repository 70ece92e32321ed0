//! Errors of reading a model package.
//!
//! Owns: the messages about a package. Flow: made everywhere in this crate, shown by
//! the caller.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a model package could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file contradicts itself or the format: it is damaged, or no converter wrote it.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The package is sound, but holds something that this crate does not read.
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it holds.
        what: String,
        /// What to do instead.
        advice: &'static str,
    },
}

impl Error {
    /// Wraps the system's error about `path`.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// Reports damage.
    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }

    /// Reports a sound package that cannot be used, and what to do.
    pub(crate) fn unsupported(path: &Path, what: impl Into<String>, advice: &'static str) -> Self {
        Self::Unsupported { path: path.to_owned(), what: what.into(), advice }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => {
                write!(f, "{}: {source}", path.display())?;
                match source.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => f.write_str(
                        "; a model package is a folder NAME.mlpackage with Manifest.json and Data \
                        inside: check the path",
                    ),
                    io::ErrorKind::PermissionDenied => f.write_str(
                        "; give this user the right to \
                        read it",
                    ),
                    _ => Ok(()),
                }
            }
            Self::Damaged { path, what } => {
                write!(
                    f,
                    "{}: {what}; the package is damaged: convert or copy the model again",
                    path.display()
                )
            }
            Self::Unsupported { path, what, advice } => {
                write!(f, "{}: {what}; {advice}", path.display())
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Damaged { .. } | Self::Unsupported { .. } => None,
        }
    }
}
