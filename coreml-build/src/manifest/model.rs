//! Reading the keys of one model, from its own table and from `[defaults]`.
//!
//! Owns: which keys a model has, what each may be, and the value of each when the manifest is
//! silent.
//! Flow: `manifest.rs` reads `[defaults]` and every model into [`Keys`], merges them, and completes
//! them to a [`Model`].

use super::agreement;
use super::buckets::{BucketKeys, buckets};
use super::classifier::classifier;
use super::compression::Compression;
use super::conversion::{
    self, Classifier, Conversion, Format, Functions, Labels, Metadata, MixedPrecision, Output,
    Precision, Rewrite,
};
use super::function::{FunctionKeys, SeveralKeys, refuse_beside};
use super::parity::{DEFAULT_SAMPLES, DEFAULT_STEPS, Parity, parity};
use super::section::{Item, Section};
use super::source::Source;
use super::target::DeploymentTarget;
use crate::error::Place;
use crate::python::Requirements;
use coreml_spec::{Bound, ComputeUnits, DataType, Tolerance};
use std::collections::BTreeMap;

/// Keys of the model as a whole that decide what a conversion gives; some sources leave no choice.
const CONVERSION_KEYS: [&str; 15] = [
    "buckets",
    "classifier",
    "compute-precision",
    "default-function",
    "format",
    "functions",
    "metadata",
    "minimum-deployment-target",
    "ops",
    "palettize",
    "parity",
    "proof",
    "prune",
    "quantize",
    "rewrite",
];

/// A model of a manifest, complete and valid.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// Its name: the table's, or the manifest's file stem for a single `[model]`.
    pub(crate) name: String,
    /// The model of which it is a bucket in a package of its own.
    pub(crate) bucket_of: Option<String>,
    /// What decides its conversion.
    pub(crate) conversion: Conversion,
    /// Compute units to ask of Core ML.
    pub(crate) compute_units: ComputeUnits,
    /// When a sample counts as equal to PyTorch.
    pub(crate) tolerance: Tolerance,
    /// The command that judges all samples together, and what its figure must reach.
    pub(crate) metric: Option<(String, Bound)>,
    /// Whether the package is linked into the program.
    pub(crate) embed: bool,
    /// Rules of `cargo coreml lint` whose findings are not wanted.
    pub(crate) allow: Vec<String>,
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

    /// Returns a model for each bucket, to be a package of its own.
    fn in_packages(self) -> Vec<Self> {
        let sizes = self
            .conversion
            .buckets
            .iter()
            .flat_map(|buckets| buckets.sizes.clone())
            .collect::<Vec<_>>();
        let package = |size: usize| {
            let mut model = self.clone();
            model.name = format!("{}_{size}", self.name);
            model.bucket_of = Some(self.name.clone());
            model.conversion.buckets.iter_mut().for_each(|buckets| buckets.sizes = vec![size]);
            model
        };
        sizes.into_iter().map(package).collect()
    }

    /// Returns the manifest's name for it, which a package of one bucket does not have.
    pub(crate) fn manifest_name(&self) -> &str {
        self.bucket_of.as_deref().unwrap_or(&self.name)
    }

    /// Returns where its table begins.
    pub(super) fn table(&self) -> &Place {
        &self.place
    }

    /// Returns the files that the manifest names, each with its key.
    pub(crate) fn declared_files(&self) -> Vec<(String, &str)> {
        let labels =
            self.conversion.classifier.as_ref().and_then(|classifier| match &classifier.labels {
                Some(Labels::File(file)) => Some(("classifier.labels".to_owned(), file.as_str())),
                _ => None,
            });
        let ops = self.conversion.ops.as_deref().map(|file| ("ops".to_owned(), file));
        let mut files = self.sources(|source| source.is_local() && !source.is_folder());
        for (name, function) in self.conversion.functions.iter() {
            let table = name.map(|name| format!("functions.{name}.")).unwrap_or_default();
            files.extend(function.weights.as_deref().map(|file| (format!("{table}weights"), file)));
        }
        files.into_iter().chain(labels).chain(ops).collect()
    }

    /// Returns the folders that the manifest names, each with its key.
    pub(crate) fn declared_folders(&self) -> Vec<(String, &str)> {
        self.sources(Source::is_folder)
    }

    /// Returns the sources that are `wanted`, each with its key.
    fn sources(&self, wanted: impl Fn(&Source) -> bool) -> Vec<(String, &str)> {
        let mut sources = Vec::new();
        for (name, function) in
            self.conversion.functions.iter().filter(|(_, function)| wanted(&function.source))
        {
            let table = name.map(|name| format!("functions.{name}.")).unwrap_or_default();
            let (key, path) = function.source.path();
            sources.push((format!("{table}{key}"), path));
        }
        sources
    }
}

/// The keys of a model or of `[defaults]`, each present or not.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    /// The keys of its function, or those that its functions share.
    function: FunctionKeys,
    /// `functions` and `default-function`.
    several: SeveralKeys,
    /// The conversion's other keys that were written in the model's own table.
    given: Vec<&'static str>,
    /// `ops`.
    ops: Option<String>,
    /// `minimum-deployment-target`.
    target: Option<DeploymentTarget>,
    /// `compute-precision`.
    precision: Option<Precision>,
    /// `compute-units`.
    compute_units: Option<ComputeUnits>,
    /// `metadata`.
    metadata: Metadata,
    /// `classifier`.
    classifier: Option<Classifier>,
    /// `quantize`, `palettize` and `prune`.
    compression: Compression,
    /// `buckets`.
    buckets: Option<BucketKeys>,
    /// `rewrite`.
    rewrite: Option<Vec<Rewrite>>,
    /// `parity`.
    parity: Option<Parity>,
    /// `proof`.
    proof: Option<bool>,
    /// `embed`.
    embed: Option<bool>,
    /// `allow`.
    allow: Option<Vec<String>>,
}

impl Keys {
    /// Reads `[defaults]`: all keys of a model but its functions and buckets.
    pub(super) fn defaults(section: Section<'_>) -> Self {
        for key in ["functions", "default-function", "buckets"] {
            if section.has(key) {
                section
                    .take(key)
                    .into_iter()
                    .for_each(|item| item.report(format!("`{key}` belongs to one model")));
            }
        }
        Self::read(section)
    }

    /// Reads all keys of `model`.
    pub(super) fn read(model: Section<'_>) -> Self {
        let given = CONVERSION_KEYS.into_iter().filter(|key| model.has(key)).collect();
        let mut keys = Self { given, function: FunctionKeys::read(&model), ..Self::default() };
        keys.several = SeveralKeys::read(&model);
        keys.ops = model.take("ops").and_then(|item| item.text()).map(str::to_owned);
        keys.target =
            model.take("minimum-deployment-target").and_then(|item| DeploymentTarget::read(&item));
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
        keys.metadata = model.take("metadata").and_then(|item| metadata(&item)).unwrap_or_default();
        keys.classifier = model.take("classifier").and_then(|item| classifier(&item));
        keys.compression = Compression::read(&model);
        keys.rewrite = model.take("rewrite").and_then(|item| rewrite(&item));
        keys.buckets = model.take("buckets").and_then(|item| buckets(&item));
        keys.parity = model.take("parity").and_then(|item| parity(&item));
        keys.proof = model.take("proof").and_then(|item| item.boolean());
        keys.embed = model.take("embed").and_then(|item| item.boolean());
        keys.allow = model.take("allow").and_then(|item| allow(&item));
        model.finish();
        keys
    }

    /// Fills what is absent from `defaults`, but for the keys of functions: `metadata` entry by
    /// entry, the others whole.
    fn or(self, defaults: Self) -> Self {
        Self {
            function: self.function,
            several: self.several,
            given: self.given,
            ops: self.ops.or(defaults.ops),
            target: self.target.or(defaults.target),
            precision: self.precision.or(defaults.precision),
            compute_units: self.compute_units.or(defaults.compute_units),
            metadata: Metadata {
                author: self.metadata.author.or(defaults.metadata.author),
                description: self.metadata.description.or(defaults.metadata.description),
                license: self.metadata.license.or(defaults.metadata.license),
                version: self.metadata.version.or(defaults.metadata.version),
            },
            classifier: self.classifier.or(defaults.classifier),
            compression: self.compression.or(defaults.compression),
            buckets: self.buckets,
            rewrite: self.rewrite.or(defaults.rewrite),
            parity: self.parity.or(defaults.parity),
            proof: self.proof.or(defaults.proof),
            embed: self.embed.or(defaults.embed),
            allow: self.allow.or(defaults.allow),
        }
    }

    /// Fills what is absent from `defaults`, as far as the source leaves a choice, and reports keys
    /// that it does not.
    fn beside_its_source(self, mut defaults: Self, report: &impl Fn(&str, String)) -> Self {
        let shared = std::mem::take(&mut defaults.function);
        if self.several.functions.is_some() {
            for key in &self.function.given {
                report(
                    key,
                    format!("`{key}` belongs to each of `functions`: write it into their tables"),
                );
            }
            return Self { function: shared, ..self.or(defaults) };
        }
        let Some(source) = self.function.source_beside(&shared).cloned() else {
            let function = self.function.clone().or(shared);
            return Self { function, ..self.or(defaults) };
        };
        refuse_beside(&source, &self.function.given, report);
        refuse_beside(&source, &self.given, report);
        let allowed = |key: &str| source.refuses(key).is_none();
        let defaults = Self {
            ops: defaults.ops.filter(|_| allowed("ops")),
            rewrite: defaults.rewrite.filter(|_| allowed("rewrite")),
            proof: defaults.proof.filter(|_| allowed("proof")),
            target: defaults.target.filter(|_| allowed("minimum-deployment-target")),
            precision: defaults.precision.filter(|_| allowed("compute-precision")),
            classifier: defaults.classifier.filter(|_| allowed("classifier")),
            compression: if allowed("quantize") {
                defaults.compression
            } else {
                Compression::default()
            },
            ..defaults
        };
        let function = self.function.clone().or(shared);
        Self { function, ..self.or(defaults) }
    }

    /// Makes the model of `name`, or one for each bucket that is a package of its own, whose own
    /// table is at `place`, and `path` the table's path in the manifest.
    ///
    /// Parameters: `places` — all keys of the manifest by path; `requirements` — of the manifest,
    /// if they are right; `report` — takes (key inside the model, message).
    /// Returns: `None` when something needed is missing; it has been reported.
    pub(super) fn complete(
        self,
        defaults: Self,
        name: &str,
        place: Place,
        places: BTreeMap<String, Place>,
        requirements: Option<&Requirements>,
        report: impl Fn(&str, String),
    ) -> Option<Vec<Model>> {
        let keys = self.beside_its_source(defaults, &report);
        let target = keys.target.unwrap_or_default();
        agreement::check_compression(&keys.compression, target, requirements, &report);
        let functions = if keys.several.functions.is_some() {
            agreement::check_functions(target, keys.classifier.is_some(), &report);
            keys.several.complete(&keys.function, target, &report)
        } else {
            keys.function.complete(target, &report).map(Functions::One)
        }?;
        let from_transformers =
            functions.iter().any(|(_, function)| function.source.is_transformers());
        agreement::check_transformers(
            from_transformers,
            keys.classifier.as_ref(),
            requirements,
            &report,
        );
        let (buckets, in_one_package) = match (keys.buckets, &functions) {
            (None, _) => (None, true),
            (Some(keys_of_buckets), Functions::One(function)) => {
                let has_classifier = keys.classifier.is_some();
                let (buckets, shares) =
                    keys_of_buckets.complete(function, target, has_classifier, &report)?;
                (Some(buckets), shares)
            }
            (Some(_), Functions::Several(_)) => {
                let message = "`buckets` has no place beside `functions`: nothing says which of \
                    them has the lengths. Make \
                               that function a model of its own, `[models.NAME]`, in the same \
                               manifest";
                report("buckets", message.into());
                return None;
            }
        };
        let parity = keys.parity.unwrap_or_default();
        let has_states = functions.iter().any(|(_, function)| !function.states.is_empty());
        if parity.steps.is_some() && !has_states {
            report(
                "parity.steps",
                "`steps` counts predictions of a model with `states`, and this has none".into(),
            );
        }
        let half = |(_, output): &(String, Output)| output.dtype == Some(DataType::Float16);
        let half_outputs =
            functions.iter().any(|(_, function)| function.outputs.0.iter().any(half));
        let precision = keys.precision.unwrap_or(Precision::Float16);
        let half = precision != Precision::Float32 || half_outputs || has_states;
        let model = Model {
            name: name.to_owned(),
            bucket_of: None,
            conversion: Conversion {
                buckets,
                classifier: keys.classifier,
                compute_precision: precision,
                format: Format::MlProgram,
                functions,
                metadata: keys.metadata,
                minimum_deployment_target: target.to_string(),
                ops: keys.ops,
                parity: conversion::Parity {
                    samples: parity.samples.unwrap_or(DEFAULT_SAMPLES),
                    steps: has_states.then(|| parity.steps.unwrap_or(DEFAULT_STEPS)),
                },
                palettize: keys.compression.palettize,
                proof: keys.proof.unwrap_or(true),
                prune: keys.compression.prune,
                quantize: keys.compression.quantize,
                rewrite: keys.rewrite.unwrap_or_default(),
            },
            compute_units: keys.compute_units.unwrap_or_default(),
            tolerance: parity.tolerance.unwrap_or_else(|| Tolerance::of_precision(half)),
            metric: parity.metric,
            embed: keys.embed.unwrap_or(false),
            allow: keys.allow.unwrap_or_default(),
            place,
            places,
        };
        Some(if in_one_package { vec![model] } else { model.in_packages() })
    }
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
            "`compute-precision` keeps nothing in single precision: name operations in \
            `float32-ops` or \
             `float32-outputs`",
        );
        return None;
    }
    Some(Precision::Mixed(mixed))
}

/// Reads `rewrite`.
fn rewrite(item: &Item<'_>) -> Option<Vec<Rewrite>> {
    let mut found: Vec<_> = item
        .array()?
        .iter()
        .map(|item| item.choice(&[("ane", Rewrite::Ane)]))
        .collect::<Option<_>>()?;
    found.dedup();
    Some(found)
}

/// Reads `allow`. Which rules there are, only `cargo coreml lint` knows.
fn allow(item: &Item<'_>) -> Option<Vec<String>> {
    let rule = |item: &Item<'_>| -> Option<String> {
        let text = item.text()?;
        let digits = text.strip_prefix("ANE");
        if digits.is_none_or(|digits| {
            digits.len() != 3 || digits.bytes().any(|byte| !byte.is_ascii_digit())
        }) {
            item.report(format!(
                "`{text}` is no rule: `cargo coreml lint --rules` lists them, such as \"ANE030\""
            ));
            return None;
        }
        Some(text.to_owned())
    };
    let mut rules: Vec<_> = item.array()?.iter().map(rule).collect::<Option<_>>()?;
    rules.sort_unstable();
    rules.dedup();
    Some(rules)
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
