//! Compute plans of packages that no types were generated from.
//!
//! Owns: [`of_package`]. Must not: hold a plan's data; `compute_plan.rs` does.
//! Flow: `cargo coreml profile` → here → `model.rs`.

use crate::error::Error;
use crate::model::Model;
use crate::options::LoadOptions;
use std::path::Path;

pub use crate::compute_plan::{ComputePlan, Device, PlannedOperation, Share};

/// Asks Core ML for the plan of a package.
///
/// Called by: `cargo coreml profile`.
/// Parameters: `function` — of a multifunction package; `None` for its default.
/// Errors: [`Error::Unsupported`] without Core ML, and before macOS 14.4 and iOS 17.4.
pub fn of_package(
    package: &Path,
    function: Option<&str>,
    options: &LoadOptions,
) -> Result<ComputePlan, Error> {
    Model::open(package, function, options)?.compute_plan()
}
