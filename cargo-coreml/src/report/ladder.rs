//! The ladder of weight compression that a report draws: the output of `cargo coreml quantize
//! --json`.
//!
//! Owns: reading it. Must not: convert or compare rungs; `quantize.rs` does.
//! Flow: `report.rs` → [`read`] → `charts.js`.

use crate::failure::Failure;
use crate::quantize::Rung;
use std::path::Path;

/// Reads a ladder.
pub(super) fn read(path: &Path) -> Result<Vec<Rung>, Failure> {
    let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| {
        let shown = path.display();
        format!("{shown} is not what `cargo coreml quantize --json` prints: {error}").into()
    })
}
