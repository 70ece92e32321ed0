//! Reading `quantize`, `palettize` and `prune`: smaller weights.
//!
//! Owns: their keys, their defaults, and what goes together.
//! Flow: called by `model.rs`; the driver hands them to `coremltools.optimize.coreml` after the
//! conversion.

use super::section::{Item, Section};
use super::target::Release;
use serde::Serialize;
use serde_json::Number;

/// Weights with fewer elements stay as they are, unless the manifest says otherwise: coremltools'
/// own bound.
const DEFAULT_WEIGHT_THRESHOLD: i64 = 2048;

/// Elements that share a scale, coremltools' own default.
const DEFAULT_BLOCK_SIZE: i64 = 32;

/// Channels that share a look-up table, coremltools' own default.
const DEFAULT_GROUP_SIZE: i64 = 32;

/// Share of zeros below which thresholding leaves a weight dense, coremltools' own default.
const DEFAULT_SPARSITY_PERCENTILE: f64 = 0.5;

/// Numbers of bits that a look-up table can have.
const PALETTE_BITS: [i64; 6] = [1, 2, 3, 4, 6, 8];

/// How the weights of a model are made smaller; all three may be given.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Compression {
    /// Fewer bits per weight, on a linear scale.
    pub(super) quantize: Option<Quantize>,
    /// A look-up table of few values.
    pub(super) palettize: Option<Palettize>,
    /// Small weights become zero.
    pub(super) prune: Option<Prune>,
}

/// Linear quantization (`OpLinearQuantizerConfig`).
#[derive(Clone, Debug, PartialEq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    /// Reads all three keys of `model`.
    pub(super) fn read(model: &Section<'_>) -> Self {
        let key = |key| model.take(key);
        Self {
            quantize: key("quantize").and_then(|item| quantize(&item)),
            palettize: key("palettize").and_then(|item| palettize(&item)),
            prune: key("prune").and_then(|item| prune(&item)),
        }
    }

    /// Fills what is absent from `defaults`.
    pub(super) fn or(self, defaults: Self) -> Self {
        Self {
            quantize: self.quantize.or(defaults.quantize),
            palettize: self.palettize.or(defaults.palettize),
            prune: self.prune.or(defaults.prune),
        }
    }

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
fn quantize(item: &Item<'_>) -> Option<Quantize> {
    let section = item.section()?;
    let weights = section.require("weights", "weights = \"int8\"");
    let weights = weights.and_then(|item| word(&item, &["int8", "uint8", "int4", "uint4"]));
    let mode = word_or(&section, "mode", &["linear-symmetric", "linear"]);
    let per = word_or(&section, "per", &["channel", "tensor", "block"]);
    let block_size = size_of(&section, "block-size", per, "block", DEFAULT_BLOCK_SIZE);
    let weight_threshold = weight_threshold(&section);
    section.finish();
    Some(Quantize {
        block_size: block_size?,
        mode: mode?,
        per: per?,
        weight_threshold: weight_threshold?,
        weights: weights?,
    })
}

/// Reads `palettize`.
fn palettize(item: &Item<'_>) -> Option<Palettize> {
    let section = item.section()?;
    let bits = section.require("bits", "bits = 6").and_then(|item| {
        let bits = item.integer()?;
        if !PALETTE_BITS.contains(&bits) {
            item.report(format!("`bits` is {bits}, but must be one of 1, 2, 3, 4, 6, 8"));
            return None;
        }
        Some(bits)
    });
    let mode = word_or(&section, "mode", &["kmeans", "uniform"]);
    let per = word_or(&section, "per", &["tensor", "grouped-channel"]);
    let group_size = size_of(&section, "group-size", per, "grouped-channel", DEFAULT_GROUP_SIZE);
    let weight_threshold = weight_threshold(&section);
    section.finish();
    Some(Palettize {
        bits: bits?,
        group_size: group_size?,
        mode: mode?,
        per: per?,
        weight_threshold: weight_threshold?,
    })
}

/// Reads `prune`.
fn prune(item: &Item<'_>) -> Option<Prune> {
    let section = item.section()?;
    let mode = word_or(&section, "mode", &["magnitude", "threshold"]);
    let share = |key| section.take(key).map(|item| (share(&item), item));
    let (sparsity, percentile) = (share("target-sparsity"), share("minimum-sparsity-percentile"));
    let threshold = section.take("threshold").map(|item| (positive(&item), item));
    let weight_threshold = weight_threshold(&section);
    section.finish();
    let (mode, weight_threshold) = (mode?, weight_threshold?);
    let (needed, example, foreign) = match mode {
        "magnitude" => (&sparsity, "target-sparsity = 0.5", [&threshold, &percentile]),
        _ => (&threshold, "threshold = 0.001", [&sparsity, &sparsity]),
    };
    if let Some((_, place)) = foreign.into_iter().flatten().next() {
        place.report(format!("this is no key of `mode = \"{mode}\"`"));
        return None;
    }
    if needed.is_none() {
        item.report(format!("`prune` with `mode = \"{mode}\"` needs for example `{example}`"));
        return None;
    }
    let given = |value: Option<(Option<Number>, Item<'_>)>| match value {
        None => Some(None),
        Some((value, _)) => value.map(Some),
    };
    let default =
        (mode == "threshold").then(|| Number::from_f64(DEFAULT_SPARSITY_PERCENTILE)).flatten();
    Some(Prune {
        minimum_sparsity_percentile: given(percentile)?.or(default),
        mode,
        target_sparsity: given(sparsity)?,
        threshold: given(threshold)?,
        weight_threshold,
    })
}

/// Reads one of `words`.
fn word(item: &Item<'_>, words: &[&'static str]) -> Option<&'static str> {
    let choices: Vec<_> = words.iter().map(|word| (*word, *word)).collect();
    item.choice(&choices)
}

/// Reads one of `words` at `key`; the first is the default.
fn word_or(
    section: &Section<'_>,
    key: &'static str,
    words: &[&'static str],
) -> Option<&'static str> {
    match section.take(key) {
        Some(item) => word(&item, words),
        None => words.first().copied(),
    }
}

/// Reads the size at `key`, which only goes with `per = wanted`.
fn size_of(
    section: &Section<'_>,
    key: &'static str,
    per: Option<&str>,
    wanted: &str,
    default: i64,
) -> Option<Option<i64>> {
    let item = section.take(key);
    match (item, per == Some(wanted)) {
        (Some(item), true) => item.integer_within(1, i64::from(i32::MAX)).map(Some),
        (Some(item), false) => {
            item.report(format!("`{key}` goes with `per = \"{wanted}\"`"));
            None
        }
        (None, true) => Some(Some(default)),
        (None, false) => Some(None),
    }
}

/// Reads the key that all three share: tensors with fewer elements stay as they are.
fn weight_threshold(section: &Section<'_>) -> Option<i64> {
    match section.take("weight-threshold") {
        Some(item) => item.integer_within(0, i64::MAX),
        None => Some(DEFAULT_WEIGHT_THRESHOLD),
    }
}

/// Reads a share between 0 and 1.
fn share(item: &Item<'_>) -> Option<Number> {
    let number = item.number()?;
    if !number.as_f64().is_some_and(|value| value > 0.0 && value < 1.0) {
        item.report("this is a share, between 0 and 1");
        return None;
    }
    Some(number)
}

/// Reads a positive number.
fn positive(item: &Item<'_>) -> Option<Number> {
    let number = item.number()?;
    if !number.as_f64().is_some_and(|value| value > 0.0) {
        item.report("this must be greater than 0");
        return None;
    }
    Some(number)
}
