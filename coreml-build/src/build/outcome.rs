//! What a build gives: one [`Build`] for each manifest.
//!
//! Flow: `deliver.rs` makes it; `cargo.rs` and the command line report it.

use crate::error::Error;
use crate::files::bytes_below;
use crate::output::embed::Library;
use serde::Serialize;
use std::path::PathBuf;

/// What became of one manifest.
#[derive(Debug)]
#[non_exhaustive]
pub struct Build {
    /// The manifest as it was asked for.
    pub manifest: String,
    /// Where its products lie.
    pub folder: PathBuf,
    /// Its models, or everything that went wrong.
    pub outcome: Result<Vec<BuiltModel>, Vec<Error>>,
    /// What tells the macro that the index in the folder is this build's; without an index, the
    /// macro cannot show the errors.
    pub(crate) built_value: Option<String>,
    /// The files that it was made from; another content means another build.
    pub watched: Vec<PathBuf>,
    /// Warnings that do not fail the build.
    pub warnings: Vec<String>,
    /// What the program must be linked with.
    pub library: Option<Library>,
}

/// One model of a build.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BuiltModel {
    /// Its name.
    pub name: String,
    /// Whether it was in the cache.
    pub cached: bool,
    /// How long its conversion took, now or once, in seconds.
    pub seconds: f64,
    /// Content digest of its package.
    #[serde(skip)]
    pub digest: String,
    /// Its package in the output folder.
    #[serde(skip)]
    pub package: PathBuf,
    /// What Python printed while it was converted, in the cache; missing for an entry that came
    /// from a remote cache.
    #[serde(skip)]
    pub log: PathBuf,
    /// Where its files lie in the cache, which never change; missing for a build from the lock.
    #[serde(skip)]
    pub stored: Option<Stored>,
}

/// The files of a model in the cache.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stored {
    /// Its package.
    pub package: PathBuf,
    /// Its samples, in order.
    pub samples: Vec<PathBuf>,
    /// Its report.
    pub report: Option<PathBuf>,
    /// The files that belong to it: in the package of its manifest, not in the cache.
    pub files: Vec<PathBuf>,
}

impl BuiltModel {
    /// Returns the bytes of its package.
    pub fn bytes(&self) -> u64 {
        bytes_below(&self.package)
    }
}
