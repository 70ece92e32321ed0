//! Errors at run time.
//!
//! Owns: [`Error`] and its wording. Every message says what is wrong, where, and what to do.
//! Flow: generated `load` and `predict` return it, and so does [`crate::parity`].

use crate::shape::ShapeError;

/// An error of another crate, kept as the cause.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error of loading or running a model.
///
/// Its `Debug` form is the message too, so that `fn main() -> Result<(), coreml_rt::Error>` prints
/// something readable.
#[non_exhaustive]
pub enum Error {
    /// The model package is nowhere.
    NotFound {
        /// The manifest's name for the model.
        model: String,
        /// Every place looked at, with the reason, in order.
        places: Vec<String>,
        /// What to do about it.
        advice: String,
    },
    /// The package cannot be read.
    Package {
        /// The manifest's name for the model.
        model: String,
        /// What is wrong with it, where, and what to do.
        source: Cause,
    },
    /// The package that was found is not the one that the types were generated from.
    Interface {
        /// The manifest's name for the model.
        model: String,
        /// Path of the package.
        location: String,
        /// One sentence per differing feature.
        differences: Vec<String>,
    },
    /// A file that belongs to the model is not there, or is not the one that the program was built
    /// with.
    File {
        /// The manifest's name for the model.
        model: String,
        /// Its name.
        file: String,
        /// What is wrong, where, and what to do.
        problem: String,
    },
    /// The backend cannot run this model yet; nothing is wrong with the model.
    Unsupported {
        /// The manifest's name for the model.
        model: String,
        /// Everything that is missing.
        source: Cause,
    },
    /// The model or an input of it is wrong.
    Invalid {
        /// The manifest's name for the model.
        model: String,
        /// What is wrong.
        source: Cause,
    },
    /// The [`LoadOptions`](crate::LoadOptions), or the environment, ask for what this model or this
    /// build does not have.
    Options {
        /// The manifest's name for the model.
        model: String,
        /// What is wrong, and what to choose.
        source: Cause,
    },
    /// The engine under the backend failed.
    Engine {
        /// The manifest's name for the model.
        model: String,
        /// What it said.
        source: Cause,
    },
    /// A tensor does not fit its shape.
    Shape(ShapeError),
    /// A parity sample cannot be used.
    Sample {
        /// The sample's file.
        sample: String,
        /// What is wrong, and what to do.
        problem: String,
    },
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound { model, places, advice } => {
                write!(f, "the model `{model}` was not found\n  looked at:")?;
                for place in places {
                    write!(f, "\n    {place}")?;
                }
                write!(f, "\n  what to do: {advice}")
            }
            Self::Package { model, source } => {
                write!(f, "the model `{model}` cannot be read: {source}")
            }
            Self::Interface { model, location, differences } => {
                write!(
                    f,
                    "the model `{model}` at {location} is not the one that the program was built \
                     for:"
                )?;
                for difference in differences {
                    write!(f, "\n    {difference}")?;
                }
                f.write_str(
                    "\n  \
                     what to do: rebuild the program, or replace the package with the one from its \
                     build",
                )
            }
            Self::File { model, file, problem } => {
                write!(f, "the file `{file}` of the model `{model}` cannot be used: {problem}")
            }
            Self::Unsupported { model, source } => {
                write!(f, "the backend cannot run the model `{model}` yet: {source}")
            }
            Self::Invalid { model, source } => {
                write!(f, "the model `{model}` or its input is wrong: {source}")
            }
            Self::Options { model, source } => {
                write!(f, "the model `{model}` cannot be loaded with these options: {source}")
            }
            Self::Engine { model, source } => {
                write!(f, "running the model `{model}` failed: {source}")
            }
            Self::Shape(error) => error.fmt(f),
            Self::Sample { sample, problem } => {
                write!(f, "the parity sample {sample} cannot be used: {problem}")
            }
        }
    }
}

impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Package { source, .. }
            | Self::Unsupported { source, .. }
            | Self::Invalid { source, .. }
            | Self::Options { source, .. }
            | Self::Engine { source, .. } => Some(source.as_ref()),
            Self::NotFound { .. }
            | Self::Interface { .. }
            | Self::File { .. }
            | Self::Shape(_)
            | Self::Sample { .. } => None,
        }
    }
}

/// `?` behind a conversion that cannot fail, or that does not exist: rustc then says the latter
/// only.
impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl From<ShapeError> for Error {
    fn from(error: ShapeError) -> Self {
        Self::Shape(error)
    }
}
