//! Why a program does not load or run.
//!
//! Owns: [`Error`] for callers and [`OpError`] for the rows of the operation table.
//! Must not: mix "your model or input is wrong" with "this crate or its engine cannot do that yet".

use crate::engine_kind::EngineKind;
use std::fmt;
use std::path::PathBuf;

/// Why a session could not be made or a prediction failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The model is fine, but this crate or the chosen engine lacks something that it needs.
    Unsupported(Unsupported),
    /// The model or an input is wrong; the text says which and what to do.
    Invalid(String),
    /// The options are wrong for this program or this build; the text says what to choose.
    Options(String),
    /// A file could not be written.
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The engine failed.
    Engine {
        /// Name and version of the engine.
        engine: String,
        /// What it said.
        message: String,
    },
}

impl Error {
    /// Returns an [`Error::Invalid`].
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(unsupported) => unsupported.fmt(f),
            Self::Invalid(message) | Self::Options(message) => f.write_str(message),
            Self::Io { path, source } => {
                write!(f, "{} cannot be written: {source}", path.display())
            }
            Self::Engine { engine, message } => write!(f, "the engine {engine} failed: {message}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<coreml_spec::Error> for Error {
    fn from(error: coreml_spec::Error) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// Everything in a program that is not supported, found in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// One entry per distinct problem, in the program's order; never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let things = if count == 1 { "one thing" } else { "several things" };
        write!(f, "the portable backend lacks {things} that this program needs:")?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        // One engine that has everything is the simplest way out.
        match self.problems.first().and_then(|problem| problem.alternative) {
            Some(engine)
                if self.problems.iter().all(|problem| problem.alternative == Some(engine)) =>
            {
                write!(
                    f,
                    "\nLoad the model with the engine {engine} (`{}`), or run it",
                    engine.name()
                )?;
            }
            _ => f.write_str("\nRun the model")?,
        }
        f.write_str(
            " with Core ML on an Apple system, or rewrite these operations in the PyTorch model.",
        )
    }
}

/// One thing that is not supported, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the MIL operation.
    pub operation: String,
    /// Opset of the program: `CoreML7`.
    pub opset: String,
    /// Name of the first output of the first such operation.
    pub output: String,
    /// How many operations of the program have the same problem.
    pub count: usize,
    /// What is missing.
    pub reason: String,
    /// Another engine than the chosen one, which supports it.
    pub alternative: Option<EngineKind>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) at `{}`: {}", self.operation, self.opset, self.output, self.reason)?;
        if self.count > 1 {
            write!(f, " ({} times)", self.count)?;
        }
        if let Some(engine) = self.alternative {
            write!(f, "; the engine {engine} supports it")?;
        }
        Ok(())
    }
}

/// Why a row cannot translate an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OpError {
    /// The operation is valid, but cannot be expressed yet.
    Unsupported(String),
    /// The operation breaks MIL's rules.
    Invalid(String),
}

impl OpError {
    /// Returns an [`OpError::Unsupported`].
    pub(crate) fn unsupported(reason: impl Into<String>) -> Self {
        Self::Unsupported(reason.into())
    }

    /// Returns an [`OpError::Invalid`].
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }
}
