//! How a model is loaded.
//!
//! Owns: [`LoadOptions`]. Must not: read the environment; `search.rs` does.
//! Flow: given by the application to a generated `load_with`, read by `model.rs`.

use coreml_spec::ComputeUnits;
use std::path::{Path, PathBuf};

/// Choices for loading a model; the default is what the manifest says.
///
/// ```
/// use coreml_rt::{ComputeUnits, LoadOptions};
///
/// let options = LoadOptions::new().path("/srv/models").threads(2).compute_units(ComputeUnits::CpuOnly);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// See [`path`](Self::path).
    path: Option<PathBuf>,
    /// See [`compute_units`](Self::compute_units).
    compute_units: Option<ComputeUnits>,
    /// See [`threads`](Self::threads).
    threads: Option<usize>,
}

impl LoadOptions {
    /// Returns the default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the model from `path` and from nowhere else: the `.mlpackage` itself, or a folder that holds it under its
    /// own name.
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Chooses the processors that Core ML may use, instead of the manifest's `compute-units`. The portable backend
    /// always runs on the CPU.
    pub fn compute_units(mut self, units: ComputeUnits) -> Self {
        self.compute_units = Some(units);
        self
    }

    /// Limits the portable backend to so many threads; by default it uses as many as the engine thinks right.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Chooses the manifest's compute units where the application chose none.
    ///
    /// Called by: [`crate::model::Model::load`].
    pub(crate) fn or_compute_units(mut self, units: ComputeUnits) -> Self {
        self.compute_units.get_or_insert(units);
        self
    }

    /// Returns the processors that Core ML may use.
    #[cfg(target_vendor = "apple")]
    pub(crate) fn chosen_compute_units(&self) -> ComputeUnits {
        self.compute_units.unwrap_or_default()
    }

    /// Returns the path to take the model from, if chosen.
    pub(crate) fn chosen_path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns the number of threads, if chosen.
    #[cfg(not(target_vendor = "apple"))]
    pub(crate) fn chosen_threads(&self) -> Option<usize> {
        self.threads
    }
}
