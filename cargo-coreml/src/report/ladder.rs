//! The ladder of weight compression that a report draws: what `cargo coreml quantize --json` has printed.
//!
//! Owns: reading it. Must not: walk the ladder; `quantize.rs` does.
//! Flow: `report.rs` → [`read`] → `charts.js`.

use crate::Failure;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A rung.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Rung {
    /// Its name.
    name: String,
    /// The lines of the manifest that apply it.
    line: String,
    /// Size of the package in bytes; `null` when it could not be converted.
    bytes: Option<u64>,
    /// Smallest signal-to-noise ratio of an output in decibels; `null` when all are exact.
    psnr: Option<f64>,
    /// Rows in which the largest element stands where PyTorch has it, in percent.
    agreement: Option<f64>,
    /// Whether the manifest's own tolerance is met.
    passed: bool,
    /// What the metric command printed last.
    metric: Option<String>,
    /// Why the rung could not be walked.
    error: Option<String>,
}

/// Reads a ladder.
pub(super) fn read(path: &Path) -> Result<Vec<Rung>, Failure> {
    let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| {
        let shown = path.display();
        format!("{shown} is not what `cargo coreml quantize --json` prints: {error}").into()
    })
}
