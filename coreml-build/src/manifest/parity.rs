//! Reading `parity`: when a result counts as equal to PyTorch's, and what is kept to compare with.
//!
//! Owns: its keys, and what of them goes into the canonical table.
//! Flow: `keys.rs` reads it; tolerances and metrics go into the index, the rest to the driver's
//! `parity.py`.

use super::key::{self, Key, Read, fill, rows, set};
use super::kind::{Absent, Goes, Kind, Table};
use super::section::Item;
use coreml_spec::{Bound, Tolerance};
use serde::Serialize;

/// Most samples that a manifest can ask for: each holds all inputs and outputs in full precision.
const MAX_SAMPLES: i64 = 64;

/// Most predictions in a row: all of them are kept.
const MAX_STEPS: i64 = 256;

/// `parity`.
#[derive(Clone, Debug, Default)]
pub(super) struct Parity {
    /// When a result counts as equal; `None`: what the precision asks for.
    pub(super) tolerance: Option<Tolerance>,
    /// The command that judges all samples together, and what its figure must reach.
    pub(super) metric: Option<(String, Bound)>,
    /// What is kept.
    pub(super) samples: Samples,
    /// Whether the manifest has `steps`.
    pub(super) has_steps: bool,
}

/// What is kept to compare with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Samples {
    /// Number of samples.
    samples: usize,
    /// Which random values they have; the table leaves 0 out.
    #[serde(skip_serializing_if = "is_zero")]
    seed: usize,
    /// Predictions in a row that make a sample of a model with states.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<usize>,
}

impl Samples {
    /// Returns what is kept of a model: without states a sample is one prediction.
    pub(super) fn of(self, has_states: bool) -> Self {
        Self { steps: self.steps.filter(|_| has_states), ..self }
    }
}

/// The table of `parity`.
pub(super) static PARITY: Table = Table {
    name: "parity",
    text: "When a result counts as equal to PyTorch's, and what is kept to compare with.",
    rows: || rows(KEYS),
    entries: None,
};

/// Keys of `parity`.
static KEYS: &[Key<Keys>] = &[
    Key {
        name: "psnr",
        kind: Kind::Tolerance,
        absent: Absent::Means("35; 80 for a float32 program without states"),
        goes: Goes::Index,
        text: "The least peak signal-to-noise ratio of each output, in decibels.",
        read: |keys, item| fill(&mut keys.psnr, number(item)),
        ..Key::PLAIN
    },
    Key {
        name: "atol",
        kind: Kind::Tolerance,
        absent: Absent::Means("none, or 0 with `rtol`"),
        goes: Goes::Index,
        text: "Absolute tolerance of each element, instead of `psnr`.",
        read: |keys, item| fill(&mut keys.atol, number(item)),
        ..Key::PLAIN
    },
    Key {
        name: "rtol",
        kind: Kind::Tolerance,
        absent: Absent::Means("none, or 0 with `atol`"),
        goes: Goes::Index,
        text: "Relative tolerance of each element, instead of `psnr`.",
        read: |keys, item| fill(&mut keys.rtol, number(item)),
        ..Key::PLAIN
    },
    Key {
        name: "samples",
        kind: Kind::Integer(0, MAX_SAMPLES),
        // One seldom meets the range that breaks half precision, and each costs a PyTorch run.
        absent: Absent::Is("3"),
        text: "Samples to keep.",
        read: |keys, item| set(&mut keys.samples.samples, item.count()),
        ..Key::PLAIN
    },
    Key {
        name: "steps",
        kind: Kind::Integer(1, MAX_STEPS),
        // The third reads what two others have written.
        absent: Absent::Is("3"),
        text: "Predictions in a row that make a sample of a model with states.",
        read: |keys, item| fill(&mut keys.samples.steps, item.count()),
        ..Key::PLAIN
    },
    Key {
        name: "seed",
        kind: Kind::Integer(0, u32::MAX as i64),
        absent: Absent::Is("0"),
        text: "Which random values the samples have: another number draws others.",
        read: |keys, item| set(&mut keys.samples.seed, item.count()),
        ..Key::PLAIN
    },
    Key {
        name: "metric",
        goes: Goes::Index,
        text: "A command that judges all samples together: [a task's own \
            metric](#a-tasks-own-metric).",
        read: |keys, item| fill(&mut keys.metric, item.text().map(str::to_owned)),
        ..Key::PLAIN
    },
    Key {
        name: "at-least",
        kind: Kind::Number,
        absent: Absent::Means("one bound is needed with `metric`"),
        goes: Goes::Index,
        text: "What the metric's figure must reach, where more is better.",
        read: |keys, item| fill(&mut keys.at_least, number(item)),
        ..Key::PLAIN
    },
    Key {
        name: "at-most",
        kind: Kind::Number,
        goes: Goes::Index,
        text: "What the metric's figure must not exceed, where less is better.",
        read: |keys, item| fill(&mut keys.at_most, number(item)),
        ..Key::PLAIN
    },
];

/// `parity` as it was written.
#[derive(Default)]
struct Keys {
    /// `samples` and `steps`.
    samples: Samples,
    /// `psnr`.
    psnr: Option<f64>,
    /// `atol`.
    atol: Option<f64>,
    /// `rtol`.
    rtol: Option<f64>,
    /// `metric`.
    metric: Option<String>,
    /// `at-least`.
    at_least: Option<f64>,
    /// `at-most`.
    at_most: Option<f64>,
}

/// Reads `parity`.
pub(super) fn parity(item: &Item<'_>) -> Option<Parity> {
    let mut keys = Keys::default();
    let table = key::read(item, KEYS, &mut keys)?;
    if table.has("psnr") && (table.has("atol") || table.has("rtol")) {
        table.report_itself("`parity` has `psnr`, or `atol` and `rtol`, not both");
        return None;
    }
    let samples = keys.samples;
    let tolerance = match (keys.psnr, keys.atol, keys.rtol) {
        (None, None, None) => None,
        (Some(psnr), ..) => Some(Tolerance::Psnr(psnr)),
        (None, atol, rtol) => Some(Tolerance::Absolute {
            atol: atol.unwrap_or_default(),
            rtol: rtol.unwrap_or_default(),
        }),
    };
    table.right()?;
    let metric = metric(&table, keys)?;
    if metric.is_some() && samples.samples == 0 {
        table.report_itself("a `metric` judges samples, and `samples = 0` keeps none");
        return None;
    }
    Some(Parity { tolerance, metric, samples, has_steps: table.has("steps") })
}

/// Returns the metric with its bound, if there is one.
fn metric(table: &Read<'_>, keys: Keys) -> Option<Option<(String, Bound)>> {
    match (keys.metric, keys.at_least, keys.at_most) {
        (None, None, None) => Some(None),
        (Some(command), Some(least), None) => Some(Some((command, Bound::AtLeast(least)))),
        (Some(command), None, Some(most)) => Some(Some((command, Bound::AtMost(most)))),
        (Some(_), ..) => {
            table.report_itself(
                "a `metric` has one bound: `at-least` where more is better, or `at-most`",
            );
            None
        }
        (None, ..) => {
            table.report_itself(
                "`at-least` and `at-most` are bounds of a `metric`: the command that prints the \
                figure",
            );
            None
        }
    }
}

/// Reads a number.
fn number(item: &Item<'_>) -> Option<f64> {
    item.number()?.as_f64()
}

/// Returns whether a number is 0.
fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use crate::manifest::tests::{refused, table};
    use serde_json::json;

    #[test]
    fn a_seed_is_in_the_table_unless_it_is_zero() {
        assert_eq!(table("parity.seed = 7")["parity"], json!({ "samples": 3, "seed": 7 }));
        assert_eq!(table("parity.seed = 0")["parity"], json!({ "samples": 3 }));
        refused(
            "parity.seed = -1",
            "m.toml:4:1: `seed` is -1, but must lie between 0 and 4294967295",
        );
    }
}
