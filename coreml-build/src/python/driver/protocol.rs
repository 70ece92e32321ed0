//! What the build and the driver say to each other.
//!
//! Owns: the JSON forms; the Python side of them is `coreml_driver/request.py` and
//! `coreml_driver/protocol.py`.
//! Flow: `driver.rs` writes a [`Request`] into a file; `conversation.rs` reads [`Event`]s, one a
//! line.

use super::kinds::kind_of;
use crate::error::{ErrorKind, PythonPlace};
use crate::manifest::Conversion;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Version of the protocol. The driver is part of this crate, so that both sides always have the
/// same.
pub(super) const VERSION: u32 = 1;

/// What the driver is asked to do.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a> {
    /// Always [`VERSION`].
    pub(super) version: u32,
    /// How many models to convert at the same time.
    pub(super) jobs: usize,
    /// The models.
    pub(super) models: Vec<RequestedModel<'a>>,
}

/// One model to convert.
#[derive(Debug, Serialize)]
pub(super) struct RequestedModel<'a> {
    /// What the replies call it; unique in the request.
    pub(super) id: &'a str,
    /// The package that the manifest's paths are relative to, absolute.
    pub(super) package_root: &'a Path,
    /// What the interpreter's packages must satisfy.
    pub(super) requirements: &'a [String],
    /// Its canonical table.
    pub(super) table: &'a Conversion,
    /// Where to write, absolute.
    pub(super) output: &'a Path,
}

/// What the driver says.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Event {
    /// The libraries are imported.
    Started {},
    /// A conversion goes on.
    Progress {
        /// Which model.
        model: String,
        /// What is being done: `import`, `load`, `trace`, …
        stage: String,
        /// What exactly, such as the name of a pass.
        #[serde(default)]
        detail: String,
    },
    /// A model is converted, and its output folder complete.
    Converted(Converted),
    /// A model cannot be converted.
    Failed(Box<Failed>),
    /// All models have been replied to.
    Finished {},
}

/// A model is converted.
#[derive(Debug, Deserialize)]
pub(crate) struct Converted {
    /// Which model.
    pub(super) model: String,
    /// Files that it was made from: relative to the package with `/`, or absolute.
    pub(crate) inputs: Vec<String>,
    /// What the user should know.
    #[serde(default)]
    pub(crate) warnings: Vec<String>,
    /// The time before which no file of the model was read, in seconds since 1970.
    #[serde(default)]
    began: Option<f64>,
}

impl Converted {
    /// Returns the time before which no file of the model was read; `None` when the driver does not
    /// say.
    pub(super) fn began(&self) -> Option<SystemTime> {
        let seconds = Duration::try_from_secs_f64(self.began?).ok()?;
        UNIX_EPOCH.checked_add(seconds)
    }
}

/// A model cannot be converted.
#[derive(Debug, Deserialize)]
pub(crate) struct Failed {
    /// Which model.
    pub(super) model: String,
    /// A word for what it is about, from the table in `kinds.rs`.
    kind: String,
    /// What is wrong.
    pub(crate) message: String,
    /// The user's line.
    #[serde(default)]
    pub(crate) python: Option<PythonPlace>,
    /// The manifest key, relative to the model.
    #[serde(default)]
    pub(crate) key: Option<String>,
    /// What to do.
    #[serde(default)]
    pub(crate) advice: Vec<String>,
    /// Python's traceback.
    #[serde(default)]
    pub(super) traceback: String,
    /// Files that were read so far.
    #[serde(default)]
    pub(crate) inputs: Vec<String>,
}

impl Failed {
    /// Returns what the failure is about.
    pub(crate) fn error_kind(&self) -> ErrorKind {
        kind_of(&self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_driver_says() {
        let event = |line: &str| serde_json::from_str::<Event>(line);
        assert!(matches!(
            event(r#"{"event":"started","versions":{"python":"3.11.7"}}"#),
            Ok(Event::Started {})
        ));
        assert!(matches!(event(r#"{"event":"finished"}"#), Ok(Event::Finished {})));
        let failed = r#"{"event":"failed","model":"m","kind":"wrong-manifest","message":"no",
            "python":null,"key":null,"advice":["a"],"traceback":"t","inputs":["x.py"]}"#;
        let Ok(Event::Failed(failed)) = event(failed) else { panic!("{failed}") };
        assert!(failed.python.is_none() && failed.inputs == ["x.py"]);
        assert_eq!(failed.error_kind(), ErrorKind::Manifest);
        let converted = r#"{"event":"converted","model":"m","inputs":[],"began":1.5}"#;
        let Ok(Event::Converted(converted)) = event(converted) else { panic!("{converted}") };
        assert_eq!(converted.began(), Some(UNIX_EPOCH + Duration::from_millis(1500)));
        assert!(event(r#"{"event":"unheard-of"}"#).is_err());
        assert!(event("Downloading: 100%").is_err());
    }
}
