//! Reading `compute-precision`: what computes in half precision.
//!
//! Owns: its words, its table, and its form in the canonical table.
//! Flow: `keys.rs` reads it; the driver gives it to coremltools.

use super::key::{self, Key, rows, set};
use super::kind::{Kind, Table, words};
use super::section::Item;
use serde::Serialize;

/// In which precision the program computes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Precision {
    /// Half precision.
    #[default]
    Float16,
    /// Single precision.
    Float32,
    /// Half precision, except for some operations.
    #[serde(untagged)]
    Mixed(MixedPrecision),
}

/// Which operations stay in single precision.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct MixedPrecision {
    /// MIL operation types.
    float32_ops: Vec<String>,
    /// Names of operations' results.
    float32_outputs: Vec<String>,
}

/// The precisions that have a word.
const WORDS: [(&str, Precision); 2] =
    [("float16", Precision::Float16), ("float32", Precision::Float32)];

/// What `compute-precision` looks like.
pub(super) const PRECISION: Kind = Kind::Either(&[Kind::Word(&words(&WORDS)), Kind::Table(&MIXED)]);

/// Mixed precision.
pub(super) static MIXED: Table = Table {
    name: "mixed-precision",
    text: "Half precision, except for these.",
    rows: || rows(KEYS),
    entries: None,
};

/// Keys of mixed precision.
static KEYS: &[Key<MixedPrecision>] = &[
    Key {
        name: "float32-ops",
        kind: Kind::List(&Kind::Text, 0, usize::MAX),
        text: "MIL operation types that stay in single precision: `[\"softmax\"]`.",
        read: |mixed, item| set(&mut mixed.float32_ops, strings(item)),
        ..Key::PLAIN
    },
    Key {
        name: "float32-outputs",
        kind: Kind::List(&Kind::Text, 0, usize::MAX),
        text: "Results of operations that stay in single precision, by name; `cargo coreml \
            precision` finds them.",
        read: |mixed, item| set(&mut mixed.float32_outputs, strings(item)),
        ..Key::PLAIN
    },
];

/// Reads `compute-precision`.
pub(super) fn precision(item: &Item<'_>) -> Option<Precision> {
    if !item.is_table() {
        return item.choice(&WORDS);
    }
    let mut mixed = MixedPrecision::default();
    key::read(item, KEYS, &mut mixed)?.right()?;
    if mixed.float32_ops.is_empty() && mixed.float32_outputs.is_empty() {
        item.report(
            "`compute-precision` keeps nothing in single precision: name operations in \
            `float32-ops` or `float32-outputs`",
        );
        return None;
    }
    Some(Precision::Mixed(mixed))
}

/// Reads an array of strings.
fn strings(item: &Item<'_>) -> Option<Vec<String>> {
    item.array()?.iter().map(|word| word.text().map(str::to_owned)).collect()
}
