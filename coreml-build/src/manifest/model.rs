//! Reading the keys of one model, from its own table and from `[defaults]`.
//!
//! Owns: which keys a model has, what each may be, and the value of each when the manifest is silent.
//! Flow: `manifest.rs` reads `[defaults]` and every model into [`Keys`], merges them, and completes them to a
//! [`Model`].

use super::agreement::{self, Features};
use super::classifier::classifier;
use super::compression::Compression;
use super::conversion::{
    self, Capture, Classifier, Conversion, Format, Input, Labels, Metadata, MixedPrecision, Named, Output, Precision,
};
use super::parity::{DEFAULT_SAMPLES, DEFAULT_STEPS, Parity, parity};
use super::section::{Item, Section};
use super::source::{Source, source};
use super::state::{State, states};
use super::target::DeploymentTarget;
use super::{feature, later};
use crate::error::Place;
use crate::python::Requirements;
use coreml_spec::{ComputeUnits, DataType, Tolerance};
use std::collections::BTreeMap;

/// Keys that decide what a conversion gives; some sources leave no choice.
const CONVERSION_KEYS: [&str; 16] = [
    "capture",
    "classifier",
    "compute-precision",
    "format",
    "inputs",
    "metadata",
    "minimum-deployment-target",
    "ops",
    "outputs",
    "palettize",
    "parity",
    "prune",
    "quantize",
    "rewrite",
    "states",
    "weights",
];

/// Endings of a state dict that are loaded without running code from it.
const WEIGHTS_ENDINGS: [&str; 2] = [".safetensors", ".pt"];

/// A model of a manifest, complete and valid.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// Its name: the table's, or the manifest's file stem for a single `[model]`.
    pub(crate) name: String,
    /// What decides its conversion.
    pub(crate) conversion: Conversion,
    /// Compute units to ask of Core ML.
    pub(crate) compute_units: ComputeUnits,
    /// When a sample counts as equal to PyTorch.
    pub(crate) tolerance: Tolerance,
    /// Whether the package is linked into the program.
    pub(crate) embed: bool,
    /// Where its table begins.
    place: Place,
    /// Where its keys stand, by their path inside the model: `inputs.mel`.
    places: BTreeMap<String, Place>,
}

impl Model {
    /// Returns where `key` stands, or the nearest key around it, or the model's table.
    ///
    /// Called by: `delivery.rs`, for an error that the driver reports at a key.
    pub(crate) fn place(&self, key: Option<&str>) -> Place {
        let mut path = key.unwrap_or_default();
        loop {
            if let Some(place) = self.places.get(path) {
                return place.clone();
            }
            match path.rsplit_once('.') {
                Some((parent, _)) => path = parent,
                None => return self.place.clone(),
            }
        }
    }

    /// Returns the files that the manifest names, each with its key; a ready package is a folder.
    pub(crate) fn declared_files(&self) -> Vec<(&'static str, &str)> {
        let labels = self.conversion.classifier.as_ref().and_then(|classifier| match &classifier.labels {
            Labels::File(file) => Some(("classifier.labels", file.as_str())),
            _ => None,
        });
        let weights = self.conversion.weights.as_deref().map(|file| ("weights", file));
        let ops = self.conversion.ops.as_deref().map(|file| ("ops", file));
        [self.conversion.source.path()].into_iter().chain(weights).chain(labels).chain(ops).collect()
    }
}

/// The keys of a model or of `[defaults]`, each present or not.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    /// `source`.
    source: Option<Source>,
    /// Whether a `source` was written, right or wrong.
    has_source: bool,
    /// The conversion's keys that were written in the model's own table.
    given: Vec<&'static str>,
    /// `ops`.
    ops: Option<String>,
    /// `weights`.
    weights: Option<String>,
    /// `capture`.
    capture: Option<Capture>,
    /// `minimum-deployment-target`.
    target: Option<DeploymentTarget>,
    /// `compute-precision`.
    precision: Option<Precision>,
    /// `compute-units`.
    compute_units: Option<ComputeUnits>,
    /// `inputs`.
    inputs: Named<Input>,
    /// Whether any input was written, right or wrong.
    has_inputs: bool,
    /// `outputs`.
    outputs: Named<Output>,
    /// `states`.
    states: Named<State>,
    /// `metadata`.
    metadata: Metadata,
    /// `classifier`.
    classifier: Option<Classifier>,
    /// `quantize`, `palettize` and `prune`.
    compression: Compression,
    /// `parity`.
    parity: Option<Parity>,
    /// `embed`.
    embed: Option<bool>,
}

impl Keys {
    /// Reads all keys of `model`.
    pub(super) fn read(model: Section<'_>) -> Self {
        let given = CONVERSION_KEYS.into_iter().filter(|key| model.has(key)).collect();
        let mut keys = Self { given, ..Self::default() };
        if let Some(item) = model.take("source") {
            keys.has_source = true;
            keys.source = source(&item);
        }
        keys.ops = model.take("ops").and_then(|item| item.text()).map(str::to_owned);
        keys.weights = model.take("weights").and_then(|item| weights(&item));
        keys.capture = model.take("capture").and_then(|item| {
            item.choice(&[("auto", Capture::Auto), ("trace", Capture::Trace), ("export", Capture::Export)])
        });
        keys.target = model.take("minimum-deployment-target").and_then(|item| DeploymentTarget::read(&item));
        model.take("format").and_then(|item| item.choice(&[("mlprogram", ())]));
        keys.precision = model.take("compute-precision").and_then(|item| precision(&item));
        keys.compute_units = model.take("compute-units").and_then(|item| {
            item.choice(&[
                ("all", ComputeUnits::All),
                ("cpu-only", ComputeUnits::CpuOnly),
                ("cpu-and-gpu", ComputeUnits::CpuAndGpu),
                ("cpu-and-ne", ComputeUnits::CpuAndNeuralEngine),
            ])
        });
        if let Some(item) = model.take("inputs") {
            keys.inputs = feature::inputs(&item).unwrap_or_default();
            keys.has_inputs = true;
        }
        keys.outputs = model.take("outputs").and_then(|item| feature::outputs(&item)).unwrap_or_default();
        keys.states = model.take("states").and_then(|item| states(&item)).unwrap_or_default();
        keys.metadata = model.take("metadata").and_then(|item| metadata(&item)).unwrap_or_default();
        keys.classifier = model.take("classifier").and_then(|item| classifier(&item));
        keys.compression = Compression::read(&model);
        keys.parity = model.take("parity").and_then(|item| parity(&item));
        keys.embed = model.take("embed").and_then(|item| item.boolean());
        later::keys(&model);
        model.finish();
        keys
    }

    /// Fills what is absent from `defaults`: `metadata`, `inputs`, `outputs` and `states` entry by entry, the others whole.
    fn or(self, defaults: Self) -> Self {
        Self {
            source: if self.has_source { self.source } else { defaults.source },
            has_source: self.has_source || defaults.has_source,
            given: self.given,
            ops: self.ops.or(defaults.ops),
            weights: self.weights.or(defaults.weights),
            capture: self.capture.or(defaults.capture),
            target: self.target.or(defaults.target),
            precision: self.precision.or(defaults.precision),
            compute_units: self.compute_units.or(defaults.compute_units),
            inputs: merge(self.inputs, defaults.inputs),
            has_inputs: self.has_inputs || defaults.has_inputs,
            outputs: merge(self.outputs, defaults.outputs),
            states: merge(self.states, defaults.states),
            metadata: Metadata {
                author: self.metadata.author.or(defaults.metadata.author),
                description: self.metadata.description.or(defaults.metadata.description),
                license: self.metadata.license.or(defaults.metadata.license),
                version: self.metadata.version.or(defaults.metadata.version),
            },
            classifier: self.classifier.or(defaults.classifier),
            compression: self.compression.or(defaults.compression),
            parity: self.parity.or(defaults.parity),
            embed: self.embed.or(defaults.embed),
        }
    }

    /// Fills what is absent from `defaults`, as far as the source leaves a choice, and reports keys that it does not.
    fn beside_its_source(self, defaults: Self, report: &impl Fn(&str, String)) -> Self {
        let source = if self.has_source { self.source.clone() } else { defaults.source.clone() };
        let Some(source) = source else { return self.or(defaults) };
        for key in &self.given {
            if let Some(reason) = source.refuses(key) {
                report(key, format!("`{key}` has no place beside `{}`: {reason}", source.path().0));
            }
        }
        let allowed = |key: &str| source.refuses(key).is_none();
        let defaults = Self {
            weights: defaults.weights.filter(|_| allowed("weights")),
            capture: defaults.capture.filter(|_| allowed("capture")),
            ops: defaults.ops.filter(|_| allowed("ops")),
            target: defaults.target.filter(|_| allowed("minimum-deployment-target")),
            precision: defaults.precision.filter(|_| allowed("compute-precision")),
            inputs: if allowed("inputs") { defaults.inputs } else { Named::default() },
            outputs: if allowed("outputs") { defaults.outputs } else { Named::default() },
            states: if allowed("states") { defaults.states } else { Named::default() },
            classifier: defaults.classifier.filter(|_| allowed("classifier")),
            compression: if allowed("quantize") { defaults.compression } else { Compression::default() },
            ..defaults
        };
        self.or(defaults)
    }

    /// Makes the model of `name` whose own table is at `place`, and `path` the table's path in the manifest.
    ///
    /// Parameters: `places` — all keys of the manifest by path; `requirements` — of the manifest, if they are right;
    /// `report` — takes (key inside the model, message).
    /// Returns: `None` when something needed is missing; it has been reported.
    pub(super) fn complete(
        self,
        defaults: Self,
        name: &str,
        place: Place,
        places: BTreeMap<String, Place>,
        requirements: Option<&Requirements>,
        report: impl Fn(&str, String),
    ) -> Option<Model> {
        let keys = self.beside_its_source(defaults, &report);
        if !keys.has_source {
            report(
                "",
                "`source` is missing: write for example `source = { file = \"python/model.py\", entry = \"model\" }`"
                    .into(),
            );
        }
        if !keys.has_inputs && keys.source.as_ref().is_none_or(Source::declares_inputs) {
            report("", "`inputs` is missing: write for example `inputs.image = { shape = [1, 3, 224, 224] }`".into());
        }
        let target = keys.target.unwrap_or_default();
        let features = Features { inputs: &keys.inputs, outputs: &keys.outputs, states: &keys.states };
        agreement::check(features, &keys.compression, target, requirements, &report);
        let parity = keys.parity.unwrap_or_default();
        if parity.steps.is_some() && keys.states.is_empty() {
            report("parity.steps", "`steps` counts predictions of a model with `states`, and this has none".into());
        }
        let half_outputs = keys.outputs.0.iter().any(|(_, output)| output.dtype == Some(DataType::Float16));
        let precision = keys.precision.unwrap_or(Precision::Float16);
        let half = precision != Precision::Float32 || half_outputs || !keys.states.is_empty();
        Some(Model {
            name: name.to_owned(),
            conversion: Conversion {
                capture: keys.capture.unwrap_or(Capture::Auto),
                classifier: keys.classifier,
                compute_precision: precision,
                format: Format::MlProgram,
                inputs: keys.inputs,
                metadata: keys.metadata,
                minimum_deployment_target: target.to_string(),
                ops: keys.ops,
                outputs: keys.outputs,
                parity: conversion::Parity {
                    samples: parity.samples.unwrap_or(DEFAULT_SAMPLES),
                    steps: (!keys.states.is_empty()).then(|| parity.steps.unwrap_or(DEFAULT_STEPS)),
                },
                palettize: keys.compression.palettize,
                prune: keys.compression.prune,
                quantize: keys.compression.quantize,
                source: keys.source?,
                states: keys.states,
                weights: keys.weights,
            },
            compute_units: keys.compute_units.unwrap_or_default(),
            tolerance: parity.tolerance.unwrap_or_else(|| Tolerance::of_precision(half)),
            embed: keys.embed.unwrap_or(false),
            place,
            places,
        })
    }
}

/// Adds the entries of `defaults` that `own` lacks; they come first, as they stand first in the manifest.
fn merge<T>(own: Named<T>, defaults: Named<T>) -> Named<T> {
    let lacking = |(name, _): &(String, T)| own.0.iter().all(|(other, _)| other != name);
    let mut merged: Vec<_> = defaults.0.into_iter().filter(lacking).collect();
    merged.extend(own.0);
    Named(merged)
}

/// Reads `weights`.
fn weights(item: &Item<'_>) -> Option<String> {
    let file = item.text()?;
    if !WEIGHTS_ENDINGS.iter().any(|ending| file.ends_with(ending)) {
        item.report(format!(
            "`weights` cannot be \"{file}\": it is a state dict that ends in {}",
            WEIGHTS_ENDINGS.join(" or ")
        ));
        return None;
    }
    Some(file.to_owned())
}

/// Reads `compute-precision`.
fn precision(item: &Item<'_>) -> Option<Precision> {
    if !item.is_table() {
        return item.choice(&[("float16", Precision::Float16), ("float32", Precision::Float32)]);
    }
    let section = item.section()?;
    let words = |key| -> Option<Vec<String>> {
        let Some(item) = section.take(key) else { return Some(Vec::new()) };
        item.array()?.iter().map(|word| word.text().map(str::to_owned)).collect()
    };
    let (float32_ops, float32_outputs) = (words("float32-ops"), words("float32-outputs"));
    section.finish();
    let mixed = MixedPrecision { float32_ops: float32_ops?, float32_outputs: float32_outputs? };
    if mixed.float32_ops.is_empty() && mixed.float32_outputs.is_empty() {
        item.report(
            "`compute-precision` keeps nothing in single precision: name operations in `float32-ops` or \
             `float32-outputs`",
        );
        return None;
    }
    Some(Precision::Mixed(mixed))
}

/// Reads `metadata`.
fn metadata(item: &Item<'_>) -> Option<Metadata> {
    let section = item.section()?;
    let text = |key| section.take(key).and_then(|item| item.string()).map(str::to_owned);
    let metadata = Metadata {
        author: text("author"),
        description: text("description"),
        license: text("license"),
        version: text("version"),
    };
    section.finish();
    Some(metadata)
}
