//! Errors and exceptions of Core ML, as values.
//!
//! Owns: [`CoreMlError`], its wording, its kind as an error of the runtime (`translate`), and
//! `guard`, which encloses every call into Objective-C.
//! Flow: `backend.rs` turns it into a [`crate::Error`], which keeps it as its source.
#![cfg_attr(target_vendor = "apple", allow(unsafe_code, reason = "reads errors of Objective-C"))]

/// What Core ML, or the system under it, said.
///
/// The source of a [`crate::Error`] on Apple's systems:
/// ```ignore
/// let source = std::error::Error::source(&error);
/// let cause = source.and_then(|source| source.downcast_ref::<coreml_rt::CoreMlError>());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoreMlError {
    /// An `NSError`.
    Framework {
        /// Its domain; Core ML's own is `com.apple.CoreML`.
        domain: String,
        /// Its code; in Core ML's domain a constant of `MLModelError`.
        code: isize,
        /// Its description, and those of the errors under it.
        message: String,
    },
    /// An Objective-C exception. In a program built with `panic = "abort"` it ends the program
    /// instead.
    Exception {
        /// Its name: `NSInvalidArgumentException`.
        name: String,
        /// Its reason.
        reason: String,
    },
    /// The running system is too old.
    Unavailable {
        /// What it lacks.
        api: &'static str,
        /// The first systems that have it.
        since: &'static str,
    },
    /// A file of the compiled model cannot be read or written.
    File {
        /// What was tried, and with which file.
        action: String,
        /// What the system said.
        problem: String,
    },
    /// Core ML returned something that the interface of the model does not allow.
    Unexpected(String),
}

impl std::fmt::Display for CoreMlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Framework { domain, code, message } => write!(f, "{message} ({domain} {code})"),
            Self::Exception { name, reason } => write!(f, "Core ML raised {name}: {reason}"),
            Self::Unavailable { api, since } => {
                write!(f, "{api} needs {since}: update the system, or choose another option")
            }
            Self::File { action, problem } => {
                write!(
                    f,
                    "cannot {action}: {problem}; check the permissions and the free space there"
                )
            }
            Self::Unexpected(what) => {
                write!(
                    f,
                    "{what}: rebuild the program, because the package may not be the one it was \
                     built for"
                )
            }
        }
    }
}

impl std::error::Error for CoreMlError {}

#[cfg(target_vendor = "apple")]
mod objective_c {
    //! Errors and exceptions of Objective-C.

    use super::CoreMlError;
    use crate::error::Error;
    use objc2::rc::{Retained, autoreleasepool};
    use objc2_core_ml::MLModelErrorDomain;
    use objc2_foundation::{NSError, NSException, NSUnderlyingErrorKey};
    use std::panic::AssertUnwindSafe;

    /// `MLModelErrorFeatureType`: the model got an input of a wrong kind or shape.
    const FEATURE_TYPE_ERROR: isize = 1;

    /// How many errors of a chain the message shows.
    const CHAIN_SHOWN: usize = 4;

    /// Runs `work` in an autorelease pool of its own and turns an exception into an error.
    ///
    /// Every entry into this backend uses it. Without the pool, objects that Core ML autoreleases
    /// on a Rust thread would live as long as the thread.
    pub(in crate::apple) fn guard<R>(work: impl FnOnce() -> R) -> Result<R, CoreMlError> {
        autoreleasepool(|_| {
            // Unwinding leaves behind only what `work` owns, which is dropped, and the scratch of a
            // session, which the next prediction overwrites.
            objc2::exception::catch(AssertUnwindSafe(work)).map_err(|exception| {
                let exception = exception.map(NSException::from_exception);
                let (name, reason) = match &exception {
                    Some(Ok(exception)) => (Some(exception.name().to_string()), exception.reason()),
                    _ => (None, None),
                };
                CoreMlError::Exception {
                    name: name.unwrap_or_else(|| "an object that is not an NSException".to_owned()),
                    reason: reason
                        .map_or_else(|| "no reason given".to_owned(), |reason| reason.to_string()),
                }
            })
        })
    }

    /// Keeps "not on this system", "wrong" and "failed" apart.
    pub(in crate::apple) fn translate(model: &str, error: CoreMlError) -> Error {
        let model = model.to_owned();
        // SAFETY: a constant of Core ML, initialised when the framework is loaded and never written
        // again.
        let core_ml = unsafe { MLModelErrorDomain };
        match &error {
            CoreMlError::Unavailable { .. } => Error::Unsupported { model, source: error.into() },
            CoreMlError::Unexpected(_) => Error::Invalid { model, source: error.into() },
            CoreMlError::Framework { domain, code: FEATURE_TYPE_ERROR, .. }
                if *domain == core_ml.to_string() =>
            {
                Error::Invalid { model, source: error.into() }
            }
            _ => Error::Engine { model, source: error.into() },
        }
    }

    impl From<Retained<NSError>> for CoreMlError {
        fn from(error: Retained<NSError>) -> Self {
            let (domain, code) = (error.domain().to_string(), error.code());
            let mut message = error.localizedDescription().to_string();
            let mut innermost = error;
            for _ in 0..CHAIN_SHOWN {
                // SAFETY: a constant of Foundation, initialised when the framework is loaded and
                // never written again.
                let key = unsafe { NSUnderlyingErrorKey };
                let under = innermost.userInfo().objectForKey(key);
                let Some(Ok(under)) = under.map(|under| under.downcast::<NSError>()) else { break };
                message.push_str(": ");
                message.push_str(&under.localizedDescription().to_string());
                innermost = under;
            }
            Self::Framework { domain, code, message }
        }
    }
}

#[cfg(target_vendor = "apple")]
pub(super) use objective_c::{guard, translate};

#[cfg(test)]
mod tests {
    use super::CoreMlError;

    #[test]
    fn messages_say_what_and_what_to_do() {
        let old = CoreMlError::Unavailable {
            api: "ComputeUnits::CpuAndNeuralEngine",
            since: "macOS 13 or iOS 16",
        };
        assert_eq!(
            old.to_string(),
            "ComputeUnits::CpuAndNeuralEngine needs macOS 13 or iOS 16: update the system, or \
             choose another option"
        );
        let framework = CoreMlError::Framework {
            domain: "com.apple.CoreML".to_owned(),
            code: 3,
            message: "no file".to_owned(),
        };
        assert_eq!(framework.to_string(), "no file (com.apple.CoreML 3)");
    }
}
