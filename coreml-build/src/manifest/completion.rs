//! From the keys of a model to the model: what several keys make together.
//!
//! Owns: the order in which they are read and completed, and the places of a model's keys.
//! Must not: know what a key may be.
//! Flow: `manifest.rs` gives it the table of each model → a [`Model`], or one for each bucket.

use super::agreement;
use super::function::{self, FUNCTIONS, Function, Functions, function, function_rows, functions};
use super::keys::{KEYS, Keys, model_rows};
use super::kind::Kind;
use super::layers::Layers;
use super::model::Model;
use super::precision::Precision;
use super::section::{Reader, Section};
use crate::error::{Error, ErrorKind, Place};
use crate::python::Requirements;
use coreml_spec::Tolerance;
use std::collections::BTreeMap;

/// A model's table, to be read.
pub(super) struct Asked<'r, 'a> {
    /// The manifest.
    pub(super) reader: &'r Reader<'a>,
    /// The model's name.
    pub(super) name: &'r str,
    /// Where its table begins.
    pub(super) place: Place,
    /// Its table, and `[defaults]`.
    pub(super) layers: Layers<'r, 'a>,
    /// The Python packages of the manifest, if they are right.
    pub(super) requirements: Option<&'r Requirements>,
}

impl Asked<'_, '_> {
    /// Reads the model, or one for each bucket that is a package of its own.
    ///
    /// Returns: `None` when something needed is missing; it has been reported.
    pub(super) fn read(self) -> Option<Vec<Model>> {
        let Layers { own, defaults } = self.layers;
        own.refuse_others(model_rows().iter().map(|row| row.name));
        let report = |key: &str, message: String| self.report(key, message);
        let several = own.get("functions", &Kind::Table(&FUNCTIONS));
        let source = if several.is_some() { None } else { self.layers.source() };
        let mut keys = Keys::default();
        self.layers.read(KEYS, source.as_ref(), &mut keys, &report);
        let Keys { mut conversion, settings, parity, buckets } = keys;
        let target = conversion.minimum_deployment_target;
        agreement::check_compression(&conversion.compression, target, self.requirements, &report);
        let default_function = own.get("default-function", &Kind::Text);
        conversion.functions = match several {
            None => {
                if let Some(item) = default_function
                    && item.text().is_some()
                {
                    item.report("`default-function` names one of `functions`, and there are none");
                }
                function(self.layers, target, &report).map(Functions::One)
            }
            Some(several) => {
                function::check(own);
                for row in function_rows().iter().filter(|row| own.has(row.name)) {
                    let key = row.name;
                    report(
                        key,
                        format!(
                            "`{key}` belongs to each of `functions`: write it into their tables"
                        ),
                    );
                }
                agreement::check_functions(target, conversion.classifier.is_some(), &report);
                functions(&several, default_function.as_ref(), defaults, target, &report)
            }
        }?;
        for (name, function) in conversion.functions.iter() {
            let table = name.map(|name| format!("functions.{name}.")).unwrap_or_default();
            let (samples, has_states) = (function.samples(), !function.states.is_empty());
            agreement::check_samples(&table, samples, has_states, self.requirements, &report);
        }
        let any = |is: fn(&Function) -> bool| conversion.functions.iter().any(|(_, one)| is(one));
        agreement::check_transformers(
            any(|function| function.source.is_transformers()),
            conversion.classifier.as_ref(),
            self.requirements,
            &report,
        );
        let mut in_one_package = true;
        conversion.buckets = match (buckets, &conversion.functions) {
            (None, _) => None,
            (Some(buckets), Functions::One(function)) => {
                let has_classifier = conversion.classifier.is_some();
                let (buckets, shares) =
                    buckets.complete(function, target, has_classifier, &report)?;
                in_one_package = shares;
                Some(buckets)
            }
            (Some(_), Functions::Several(_)) => {
                let message = "`buckets` has no place beside `functions`: nothing says which of \
                    them has the lengths. Make that function a model of its own, \
                    `[models.NAME]`, in the same manifest";
                report("buckets", message.into());
                return None;
            }
        };
        let has_states = any(|function| !function.states.is_empty());
        if parity.has_steps && !has_states {
            report(
                "parity.steps",
                "`steps` counts predictions of a model with `states`, and this has none".into(),
            );
        }
        conversion.parity = parity.samples.of(has_states);
        let half = conversion.compute_precision != Precision::Float32
            || has_states
            || any(Function::has_half_outputs);
        let model = Model {
            name: self.name.to_owned(),
            bucket_of: None,
            conversion,
            settings,
            tolerance: parity.tolerance.unwrap_or_else(|| Tolerance::of_precision(half)),
            metric: parity.metric,
            places: self.places(),
            place: self.place,
        };
        Some(if in_one_package { vec![model] } else { model.in_packages() })
    }

    /// Reports an error at a key, by its path inside the model: its own, else that of `[defaults]`,
    /// else at the model's table.
    fn report(&self, key: &str, message: String) {
        let Layers { own, defaults } = self.layers;
        let place = [Some(own), defaults]
            .into_iter()
            .flatten()
            .find_map(|section| self.reader.place(&format!("{}.{key}", section.path)))
            .unwrap_or_else(|| self.place.clone());
        let error = Error::new(ErrorKind::Manifest, message);
        self.reader.report(error.at(place).of_model(self.name));
    }

    /// Returns the places of the model's keys by their path inside the model; those of `[defaults]`
    /// where it has none itself, and those of `[python]`.
    fn places(&self) -> BTreeMap<String, Place> {
        let all = self.reader.places();
        let inside = |section: &Section<'_>| {
            let prefix = format!("{}.", section.path);
            let entry = |(path, place): (&String, &Place)| {
                Some((path.strip_prefix(&prefix)?.to_owned(), place.clone()))
            };
            all.iter().filter_map(entry).collect::<Vec<_>>()
        };
        let shared = all.iter().filter(|(path, _)| path.starts_with("python"));
        let shared = shared.map(|(path, place)| (path.clone(), place.clone()));
        let defaults = self.layers.defaults.map(inside).unwrap_or_default();
        shared.chain(defaults).chain(inside(self.layers.own)).collect()
    }
}
