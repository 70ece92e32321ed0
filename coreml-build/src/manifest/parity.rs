//! Reading `parity`: when a result counts as equal to PyTorch's, and what is kept to compare with.
//!
//! Owns: the defaults by precision.
//! Flow: called by `model.rs`; tolerances and metrics go into the index, counts into the canonical
//! table.

use super::section::Item;
use coreml_spec::{Bound, Tolerance};

/// Samples kept per model: one seldom meets the range that breaks half precision, and each costs a
/// PyTorch run.
pub(super) const DEFAULT_SAMPLES: usize = 3;

/// Most samples that a manifest can ask for: each holds all inputs and outputs in full precision.
const MAX_SAMPLES: i64 = 64;

/// Predictions in a row that make a sample of a model with states: the third reads what two others
/// have written.
pub(super) const DEFAULT_STEPS: usize = 3;

/// Most predictions in a row: all of them are kept.
const MAX_STEPS: i64 = 256;

/// `parity` as far as it was written.
#[derive(Clone, Debug, Default)]
pub(super) struct Parity {
    /// When a result counts as equal.
    pub(super) tolerance: Option<Tolerance>,
    /// The command that judges all samples together, and what its figure must reach.
    pub(super) metric: Option<(String, Bound)>,
    /// How many samples to keep.
    pub(super) samples: Option<usize>,
    /// Predictions in a row of each.
    pub(super) steps: Option<usize>,
}

/// Reads `parity`.
pub(super) fn parity(item: &Item<'_>) -> Option<Parity> {
    let section = item.section()?;
    let number = |key| section.take(key).and_then(|item| Some((item.number()?.as_f64()?, item)));
    let (psnr, atol, rtol) = (number("psnr"), number("atol"), number("rtol"));
    let count = |key, least, most| {
        let count = section.take(key).and_then(|item| item.integer_within(least, most));
        count.and_then(|count| usize::try_from(count).ok())
    };
    let (samples, steps) = (count("samples", 0, MAX_SAMPLES), count("steps", 1, MAX_STEPS));
    let command = section.take("metric").and_then(|item| Some(item.text()?.to_owned()));
    let (least, most) = (number("at-least"), number("at-most"));
    section.finish();
    for (value, item) in [&psnr, &atol, &rtol].into_iter().flatten() {
        if *value < 0.0 {
            item.report("a tolerance is not negative");
            return None;
        }
    }
    let tolerance = match (psnr, atol, rtol) {
        (None, None, None) => None,
        (Some((psnr, _)), None, None) => Some(Tolerance::Psnr(psnr)),
        (None, atol, rtol) => Some(Tolerance::Absolute {
            atol: atol.map_or(0.0, |atol| atol.0),
            rtol: rtol.map_or(0.0, |rtol| rtol.0),
        }),
        _ => {
            item.report("`parity` has `psnr`, or `atol` and `rtol`, not both");
            return None;
        }
    };
    let metric = match (command, least, most) {
        (None, None, None) => None,
        (Some(command), Some((least, _)), None) => Some((command, Bound::AtLeast(least))),
        (Some(command), None, Some((most, _))) => Some((command, Bound::AtMost(most))),
        (Some(_), ..) => {
            item.report("a `metric` has one bound: `at-least` where more is better, or `at-most`");
            return None;
        }
        (None, ..) => {
            item.report(
                "`at-least` and `at-most` are bounds of a `metric`: the command that \
                prints the figure",
            );
            return None;
        }
    };
    if metric.is_some() && samples == Some(0) {
        item.report("a `metric` judges samples, and `samples = 0` keeps none");
        return None;
    }
    Some(Parity { tolerance, metric, samples, steps })
}
