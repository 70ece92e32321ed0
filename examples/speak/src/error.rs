//! Errors between a text and its sound.
//!
//! Owns: [`Error`].
//! Flow: every other file returns it; `main.rs` prints it.

use std::fmt;

/// A failure, with what was worked on.
#[derive(Debug)]
pub enum Error {
    /// A model could not be loaded or run.
    Model(coreml_rt::Error),
    /// The text has words that the voice was not trained on, or no words; the message lists the
    /// known ones.
    Text(String),
    /// A phrase lasts longer than the decoder has steps for.
    TooLong {
        /// Frames that the encoder asks for.
        frames: usize,
        /// Frames that there are.
        most: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(error) => error.fmt(f),
            Self::Text(message) => f.write_str(message),
            Self::TooLong { frames, most } => {
                write!(
                    f,
                    "a phrase takes {frames} frames, and the decoder has {most}: cut it in two \
                     with a comma"
                )
            }
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
