//! A model of a manifest, as the rest of the build knows it.
//!
//! Owns: what a model is beside its canonical table, and where its keys stand.
//! Must not: read a manifest.
//! Flow: `completion.rs` makes it; `build/job.rs` looks for its conversion, `build/index.rs`
//! describes it in the index.

use super::classifier::Labels;
use super::keys::{Conversion, Settings};
use super::source::Source;
use crate::error::Place;
use coreml_spec::{Bound, Tolerance};
use std::collections::BTreeMap;

/// The key of a classifier's labels, inside a model.
pub(super) const LABELS: &str = "classifier.labels";

/// A model of a manifest, complete and valid.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// Its name: the table's, or the manifest's file stem for a single `[model]`.
    pub(crate) name: String,
    /// The model of which it is a bucket in a package of its own.
    pub(crate) bucket_of: Option<String>,
    /// What decides its conversion.
    pub(crate) conversion: Conversion,
    /// What concerns the Rust side alone.
    pub(crate) settings: Settings,
    /// When a sample counts as equal to PyTorch.
    pub(crate) tolerance: Tolerance,
    /// The command that judges all samples together, and what its figure must reach.
    pub(crate) metric: Option<(String, Bound)>,
    /// Where its table begins.
    pub(super) place: Place,
    /// Where its keys stand, by their path inside the model: `inputs.mel`.
    pub(super) places: BTreeMap<String, Place>,
}

impl Model {
    /// Returns where `key` stands, or the nearest key around it, or the model's table.
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
    pub(super) fn in_packages(self) -> Vec<Self> {
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

    /// Returns the files that the manifest names, each with its key.
    pub(crate) fn declared_files(&self) -> Vec<(String, &str)> {
        let labels = self.labels_file().map(|file| (LABELS.to_owned(), file));
        let ops = self.conversion.ops.as_deref().map(|file| ("ops".to_owned(), file));
        let mut files = self.sources(|source| source.is_local() && !source.is_folder());
        for (name, function) in self.conversion.functions.iter() {
            let table = name.map(|name| format!("functions.{name}.")).unwrap_or_default();
            files.extend(function.weights.as_deref().map(|file| (format!("{table}weights"), file)));
            for (input, sample) in function.samples() {
                let key = |key: &str| format!("{table}inputs.{input}.sample.{key}");
                files.extend(sample.files().into_iter().map(|(name, file)| (key(name), file)));
            }
        }
        files.into_iter().chain(labels).chain(ops).collect()
    }

    /// Returns the file with the labels of its classes.
    pub(super) fn labels_file(&self) -> Option<&str> {
        match &self.conversion.classifier.as_ref()?.labels {
            Some(Labels::File(file)) => Some(file),
            _ => None,
        }
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
