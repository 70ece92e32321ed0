//! Reading `quantize`, `palettize` and `prune`: smaller weights.
//!
//! Owns: their keys, their defaults, and what goes together.
//! Flow: `keys.rs` reads them; the driver hands them to `coremltools.optimize.coreml` after the
//! conversion.

use super::key::{self, Key, Read, fill, rows, set};
use super::kind::{Absent, Kind, Table};
use super::section::Item;
use super::target::Release;
use serde::Serialize;
use serde_json::Number;

/// Elements of a block or channels of a group.
const SIZE: Kind = Kind::Integer(1, i32::MAX as i64);

/// Elements of a weight.
const ELEMENTS: Kind = Kind::Integer(0, i64::MAX);

/// What is said of `weight-threshold` in all three tables.
const THRESHOLD_TEXT: &str = "Weights of fewer elements stay as they are.";

/// coremltools' own bound below which weights stay as they are.
const THRESHOLD: Absent = Absent::Is("2048");

/// Quantization.
pub(super) static QUANTIZE: Table = Table {
    name: "quantize",
    text: "Weights get fewer bits, on a linear scale.",
    rows: || rows(QUANTIZE_KEYS),
    entries: None,
};

/// Palettization.
pub(super) static PALETTIZE: Table = Table {
    name: "palettize",
    text: "Weights become positions in look-up tables.",
    rows: || rows(PALETTIZE_KEYS),
    entries: None,
};

/// Pruning.
pub(super) static PRUNE: Table = Table {
    name: "prune",
    text: "Small weights become zero, and zeros are not stored.",
    rows: || rows(PRUNE_KEYS),
    entries: None,
};

/// Keys of `quantize`; the defaults are coremltools' own.
static QUANTIZE_KEYS: &[Key<Quantize>] = &[
    Key {
        name: "weights",
        kind: Kind::Word(&["int8", "uint8", "int4", "uint4"]),
        absent: Absent::Needed("weights = \"int8\""),
        text: "Their element type. Four bits need iOS18.",
        read: |quantize, item| set(&mut quantize.weights, item.word()),
        ..Key::PLAIN
    },
    Key {
        name: "mode",
        kind: Kind::Word(&["linear-symmetric", "linear"]),
        absent: Absent::Is("\"linear-symmetric\""),
        text: "`\"linear\"` has zero points.",
        read: |quantize, item| set(&mut quantize.mode, item.word()),
        ..Key::PLAIN
    },
    Key {
        name: "per",
        kind: Kind::Word(&["channel", "tensor", "block"]),
        absent: Absent::Is("\"channel\""),
        text: "What shares a scale. `\"block\"` needs iOS18.",
        read: |quantize, item| set(&mut quantize.per, item.word()),
        ..Key::PLAIN
    },
    Key {
        name: "block-size",
        kind: SIZE,
        absent: Absent::Is("32"),
        text: "Elements of a block, for `per = \"block\"`. It must divide a row.",
        read: |quantize, item| fill(&mut quantize.block_size, item.integer()),
        ..Key::PLAIN
    },
    Key {
        name: "weight-threshold",
        kind: ELEMENTS,
        absent: THRESHOLD,
        text: THRESHOLD_TEXT,
        read: |quantize, item| set(&mut quantize.weight_threshold, item.integer()),
        ..Key::PLAIN
    },
];

/// Keys of `palettize`; the defaults are coremltools' own.
static PALETTIZE_KEYS: &[Key<Palettize>] = &[
    Key {
        name: "bits",
        kind: Kind::Integers(&[1, 2, 3, 4, 6, 8]),
        absent: Absent::Needed("bits = 6"),
        text: "Bits for each weight. Three bits need iOS18.",
        read: |palettize, item| set(&mut palettize.bits, item.integer()),
        ..Key::PLAIN
    },
    Key {
        name: "mode",
        kind: Kind::Word(&["kmeans", "uniform"]),
        absent: Absent::Is("\"kmeans\""),
        text: "How the values are chosen. `\"kmeans\"` needs `dependencies = \
            [\"scikit-learn\"]` in `[python]`.",
        read: |palettize, item| set(&mut palettize.mode, item.word()),
        ..Key::PLAIN
    },
    Key {
        name: "per",
        kind: Kind::Word(&["tensor", "grouped-channel"]),
        absent: Absent::Is("\"tensor\""),
        text: "What shares a look-up table. `\"grouped-channel\"` needs iOS18.",
        read: |palettize, item| set(&mut palettize.per, item.word()),
        ..Key::PLAIN
    },
    Key {
        name: "group-size",
        kind: SIZE,
        absent: Absent::Is("32"),
        text: "Channels of a group, for `per = \"grouped-channel\"`.",
        read: |palettize, item| fill(&mut palettize.group_size, item.integer()),
        ..Key::PLAIN
    },
    Key {
        name: "weight-threshold",
        kind: ELEMENTS,
        absent: THRESHOLD,
        text: THRESHOLD_TEXT,
        read: |palettize, item| set(&mut palettize.weight_threshold, item.integer()),
        ..Key::PLAIN
    },
];

/// Keys of `prune`; the defaults are coremltools' own.
static PRUNE_KEYS: &[Key<Prune>] = &[
    Key {
        name: "mode",
        kind: Kind::Word(&["magnitude", "threshold"]),
        absent: Absent::Is("\"magnitude\""),
        text: "`\"magnitude\"`: the smallest weights become zero. `\"threshold\"`: those up to \
            a size.",
        read: |prune, item| set(&mut prune.mode, item.word()),
        ..Key::PLAIN
    },
    Key {
        name: "target-sparsity",
        kind: Kind::Share,
        absent: Absent::Means("needed for `\"magnitude\"`"),
        text: "Share of zeros, for `\"magnitude\"`.",
        read: |prune, item| fill(&mut prune.target_sparsity, item.number()),
        ..Key::PLAIN
    },
    Key {
        name: "threshold",
        kind: Kind::Positive,
        absent: Absent::Means("needed for `\"threshold\"`"),
        text: "The largest weight that becomes zero, for `\"threshold\"`.",
        read: |prune, item| fill(&mut prune.threshold, item.number()),
        ..Key::PLAIN
    },
    Key {
        name: "minimum-sparsity-percentile",
        kind: Kind::Share,
        absent: Absent::Is("0.5"),
        text: "Share of zeros below which a weight stays dense, for `\"threshold\"`.",
        read: |prune, item| fill(&mut prune.minimum_sparsity_percentile, item.number()),
        ..Key::PLAIN
    },
    Key {
        name: "weight-threshold",
        kind: ELEMENTS,
        absent: THRESHOLD,
        text: THRESHOLD_TEXT,
        read: |prune, item| set(&mut prune.weight_threshold, item.integer()),
        ..Key::PLAIN
    },
];

/// How the weights of a model are made smaller; all three may be given.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Compression {
    /// A look-up table of few values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) palettize: Option<Palettize>,
    /// Small weights become zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prune: Option<Prune>,
    /// Fewer bits per weight, on a linear scale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quantize: Option<Quantize>,
}

/// Linear quantization (`OpLinearQuantizerConfig`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Quantize {
    /// Elements that share a scale, for `per = "block"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    block_size: Option<i64>,
    /// `linear` or `linear-symmetric`.
    mode: &'static str,
    /// What shares a scale: `tensor`, `channel` or `block`.
    per: &'static str,
    /// Fewer elements stay as they are.
    weight_threshold: i64,
    /// Element type of the weights.
    weights: &'static str,
}

/// Palettization (`OpPalettizerConfig`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Palettize {
    /// Bits per weight.
    bits: i64,
    /// Channels that share a table, for `per = "grouped-channel"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_size: Option<i64>,
    /// `kmeans` or `uniform`.
    mode: &'static str,
    /// What shares a table: `tensor` or `grouped-channel`.
    per: &'static str,
    /// Fewer elements stay as they are.
    weight_threshold: i64,
}

/// Pruning (`OpMagnitudePrunerConfig`, `OpThresholdPrunerConfig`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Prune {
    /// Share of zeros below which a weight stays dense, for `mode = "threshold"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum_sparsity_percentile: Option<Number>,
    /// `magnitude` or `threshold`.
    mode: &'static str,
    /// Share of zeros, for `mode = "magnitude"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    target_sparsity: Option<Number>,
    /// Weights up to this size become zero, for `mode = "threshold"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<Number>,
    /// Fewer elements stay as they are.
    weight_threshold: i64,
}

impl Compression {
    /// Returns what it needs of Core ML: key, words, release.
    pub(super) fn needs(&self) -> Vec<(&'static str, &'static str, Release)> {
        let mut needs = Vec::new();
        if let Some(quantize) = &self.quantize {
            needs.push(("quantize", "quantized weights", Release::Ios16));
            if quantize.weights.ends_with('4') {
                needs.push(("quantize.weights", "weights of 4 bits", Release::Ios18));
            }
            if quantize.per == "block" {
                needs.push(("quantize.per", "blocks of weights", Release::Ios18));
            }
        }
        if let Some(palettize) = &self.palettize {
            needs.push(("palettize", "palettized weights", Release::Ios16));
            if palettize.bits == 3 {
                needs.push(("palettize.bits", "palettes of 3 bits", Release::Ios18));
            }
            if palettize.per == "grouped-channel" {
                needs.push(("palettize.per", "palettes of grouped channels", Release::Ios18));
            }
        }
        if self.prune.is_some() {
            needs.push(("prune", "pruned weights", Release::Ios16));
        }
        let kinds = [self.quantize.is_some(), self.palettize.is_some(), self.prune.is_some()];
        if kinds.iter().filter(|given| **given).count() > 1 {
            let key = if self.quantize.is_some() { "quantize" } else { "palettize" };
            needs.push((key, "weights that are compressed in several ways", Release::Ios18));
        }
        needs
    }

    /// Returns what is wrong with the combination: key and message.
    pub(super) fn conflict(&self) -> Option<(&'static str, &'static str)> {
        let quantize = self.quantize.as_ref()?;
        self.palettize.as_ref()?;
        (quantize.per != "tensor").then_some((
            "quantize",
            "with `palettize` it is the look-up tables that are quantized: write `per = \
            \"tensor\"`",
        ))
    }

    /// Returns whether the driver needs scikit-learn.
    pub(super) fn clusters(&self) -> bool {
        self.palettize.as_ref().is_some_and(|palettize| palettize.mode == "kmeans")
    }
}

/// Reads `quantize`.
pub(super) fn quantize(item: &Item<'_>) -> Option<Quantize> {
    let mut quantize = Quantize::default();
    let table = key::read(item, QUANTIZE_KEYS, &mut quantize)?;
    if quantize.per != "block" {
        refuse_size(&table, "block-size", "block")?;
        quantize.block_size = None;
    }
    table.right().map(|()| quantize)
}

/// Reads `palettize`.
pub(super) fn palettize(item: &Item<'_>) -> Option<Palettize> {
    let mut palettize = Palettize::default();
    let table = key::read(item, PALETTIZE_KEYS, &mut palettize)?;
    if palettize.per != "grouped-channel" {
        refuse_size(&table, "group-size", "grouped-channel")?;
        palettize.group_size = None;
    }
    table.right().map(|()| palettize)
}

/// Reads `prune`.
pub(super) fn prune(item: &Item<'_>) -> Option<Prune> {
    let mut prune = Prune::default();
    let table = key::read(item, PRUNE_KEYS, &mut prune)?;
    let mode = prune.mode;
    let (needed, example, foreign) = match mode {
        "magnitude" => (
            "target-sparsity",
            "target-sparsity = 0.5",
            ["threshold", "minimum-sparsity-percentile"].as_slice(),
        ),
        _ => ("threshold", "threshold = 0.001", ["target-sparsity"].as_slice()),
    };
    if let Some(key) = foreign.iter().find(|key| table.has(key)) {
        table.report(key, format!("this is no key of `mode = \"{mode}\"`"));
        return None;
    }
    if !table.has(needed) {
        item.report(format!("`prune` with `mode = \"{mode}\"` needs for example `{example}`"));
        return None;
    }
    if mode == "magnitude" {
        prune.minimum_sparsity_percentile = None;
    }
    table.right().map(|()| prune)
}

/// Reports a size that `per` does not ask for.
fn refuse_size(table: &Read<'_>, key: &str, per: &str) -> Option<()> {
    if table.has(key) {
        table.report(key, format!("`{key}` goes with `per = \"{per}\"`"));
        return None;
    }
    Some(())
}
