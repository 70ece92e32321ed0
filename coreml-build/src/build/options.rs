//! What a build depends on besides the manifests.
//!
//! Flow: `cargo.rs` reads them from the environment, or a program makes them; `context.rs` holds
//! them.

use crate::config::Limits;
use crate::output::embed::Target;
use crate::python::PythonOptions;
use crate::remote::Remote;
use crate::status::Observer;
use std::path::PathBuf;

/// What a build depends on besides the manifests.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The package: manifests, and the paths in them, are relative to it. Absolute.
    pub package_root: PathBuf,
    /// Where products go (`OUT_DIR`). Absolute.
    pub out_dir: PathBuf,
    /// The cache folder. Absolute.
    pub cache_dir: PathBuf,
    /// What to do about models that are not in the cache.
    pub policy: Policy,
    /// Where to look for Python.
    pub python: PythonOptions,
    /// The cache that machines share.
    pub remote: Option<Remote>,
    /// What the cache keeps.
    pub limits: Limits,
    /// The user's config file, if there is one: another content means another build.
    pub config_file: Option<PathBuf>,
    /// How many models to convert at the same time; `None` lets processors and memory decide.
    pub jobs: Option<usize>,
    /// Whether to show a status line on the terminal.
    pub status: bool,
    /// Called with everything that the build does.
    pub observer: Option<Observer>,
    /// For which system the program is built; `None` refuses `embed = true`.
    pub target: Option<Target>,
}

impl Options {
    /// Makes options with everything else at its default.
    pub fn new(
        package_root: impl Into<PathBuf>,
        out_dir: impl Into<PathBuf>,
        cache_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            package_root: package_root.into(),
            out_dir: out_dir.into(),
            cache_dir: cache_dir.into(),
            policy: Policy::Auto,
            python: PythonOptions::default(),
            remote: None,
            limits: Limits::default(),
            config_file: None,
            jobs: None,
            status: false,
            observer: None,
            target: None,
        }
    }
}

/// What to do about models that are not in the cache (`COREML_BUILD`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Convert them.
    #[default]
    Auto,
    /// Fail, and never start Python.
    Cached,
    /// Take interfaces from a lock instead of models.
    Skip,
}
