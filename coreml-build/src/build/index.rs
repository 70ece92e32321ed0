//! The index: what the macro reads about the models of a manifest.
//!
//! Owns: what of a model stands in it.
//! Flow: `deliver.rs` and `skip.rs` → here → `output/materialize.rs` writes it.

use crate::manifest::{Manifest, Model};
use coreml_spec::{INDEX_VERSION, Index, IndexedModel, Interface, Metric, Models, Outcome};
use std::path::Path;

/// Returns the index of a manifest whose models are there.
pub(super) fn of_models(manifest: &Manifest, models: Vec<IndexedModel>) -> Index {
    Index {
        version: INDEX_VERSION,
        manifest: manifest.path.clone(),
        outcome: Outcome::Models(Models { single: manifest.single, models }),
    }
}

/// Returns the index's description of a model.
///
/// Parameters: `root` — the package of its manifest; `digest` — content digest of its package;
/// `package` and `samples` — names in the output folder.
pub(super) fn of_model(
    model: &Model,
    root: &Path,
    interface: Interface,
    digest: &str,
    package: String,
    samples: Vec<String>,
) -> IndexedModel {
    let conversion = &model.conversion;
    let metric = |(command, bound)| Metric { command, folder: root.to_owned(), bound };
    IndexedModel {
        bucket_of: model.bucket_of.clone(),
        description: conversion.metadata.description.clone().unwrap_or_default(),
        source: conversion.functions.sources(),
        digest: digest.to_owned(),
        package,
        samples,
        tolerance: model.tolerance,
        metric: model.metric.clone().map(metric),
        compute_units: model.settings.compute_units,
        allow: model.settings.allow.clone(),
        fittings: conversion.functions.fittings(),
        ..IndexedModel::new(&model.name, interface)
    }
}
