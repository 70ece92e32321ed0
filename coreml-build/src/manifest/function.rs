//! Reading the keys that describe one function: where it comes from, how it is captured, what goes
//! in and out.
//!
//! Owns: those keys in a model of one function, in `functions.NAME` of a model of several, and in
//! `[defaults]`.
//! Must not: know what stands at the model: target, precision, compression, metadata, parity.
//! Flow: `model.rs` → [`FunctionKeys`] for each → [`Functions`], a part of the canonical table.

use super::agreement::{self, Features};
use super::conversion::{Capture, Function, Functions, Input, Named, Output, Several};
use super::feature;
use super::section::{Item, Section};
use super::source::{Source, source};
use super::state::{State, StatesMode, states};
use super::target::DeploymentTarget;

/// Keys of a function.
pub(super) const FUNCTION_KEYS: [&str; 6] =
    ["capture", "inputs", "outputs", "source", "states", "weights"];

/// Endings of a state dict that are loaded without running code from it.
const WEIGHTS_ENDINGS: [&str; 2] = [".safetensors", ".pt"];

/// The keys of a function, each present or not.
#[derive(Clone, Debug, Default)]
pub(super) struct FunctionKeys {
    /// `source`.
    pub(super) source: Option<Source>,
    /// Whether a `source` was written, right or wrong.
    pub(super) has_source: bool,
    /// The keys that were written, right or wrong, in the function's own table.
    pub(super) given: Vec<&'static str>,
    /// `weights`.
    weights: Option<String>,
    /// `capture`.
    capture: Option<Capture>,
    /// `inputs`.
    inputs: Named<Input>,
    /// Whether any input was written, right or wrong.
    has_inputs: bool,
    /// `outputs`.
    outputs: Named<Output>,
    /// `states`.
    states: Named<State>,
    /// `states.mode`.
    states_mode: Option<StatesMode>,
}

impl FunctionKeys {
    /// Reads the keys of a function from `section`, whose other keys are left.
    pub(super) fn read(section: &Section<'_>) -> Self {
        let given = FUNCTION_KEYS.into_iter().filter(|key| section.has(key)).collect();
        let mut keys = Self { given, ..Self::default() };
        if let Some(item) = section.take("source") {
            keys.has_source = true;
            keys.source = source(&item);
        }
        keys.weights = section.take("weights").and_then(|item| weights(&item));
        keys.capture = section.take("capture").and_then(|item| {
            item.choice(&[
                ("auto", Capture::Auto),
                ("trace", Capture::Trace),
                ("export", Capture::Export),
            ])
        });
        if let Some(item) = section.take("inputs") {
            keys.inputs = feature::inputs(&item).unwrap_or_default();
            keys.has_inputs = true;
        }
        keys.outputs =
            section.take("outputs").and_then(|item| feature::outputs(&item)).unwrap_or_default();
        (keys.states, keys.states_mode) =
            section.take("states").and_then(|item| states(&item)).unwrap_or_default();
        keys
    }

    /// Returns the source that counts: its own, else that of `defaults`.
    pub(super) fn source_beside<'a>(&'a self, defaults: &'a Self) -> Option<&'a Source> {
        if self.has_source { self.source.as_ref() } else { defaults.source.as_ref() }
    }

    /// Fills what is absent from `defaults`, as far as the source leaves a choice: `inputs`,
    /// `outputs` and `states` entry by entry, the others whole.
    pub(super) fn or(self, defaults: Self) -> Self {
        let source = self.source_beside(&defaults).cloned();
        let allowed =
            |key: &str| source.as_ref().is_none_or(|source| source.refuses(key).is_none());
        let filled = |key: &str, inputs| if allowed(key) { inputs } else { Named::default() };
        let outputs = if allowed("outputs") { defaults.outputs } else { Named::default() };
        let states = if allowed("states") { defaults.states } else { Named::default() };
        Self {
            has_source: self.has_source || defaults.has_source,
            given: self.given,
            weights: self.weights.or(defaults.weights.filter(|_| allowed("weights"))),
            capture: self.capture.or(defaults.capture.filter(|_| allowed("capture"))),
            inputs: merge(self.inputs, filled("inputs", defaults.inputs)),
            has_inputs: self.has_inputs || defaults.has_inputs,
            outputs: merge(self.outputs, outputs),
            states: merge(self.states, states),
            states_mode: self.states_mode.or(defaults.states_mode.filter(|_| allowed("states"))),
            source,
        }
    }

    /// Returns its features.
    fn features(&self) -> Features<'_> {
        Features { inputs: &self.inputs, outputs: &self.outputs, states: &self.states }
    }

    /// Makes the function.
    ///
    /// Parameters: `target` — the model's; `report` — takes (key inside the function, message).
    /// Returns: `None` when something needed is missing; it has been reported.
    pub(super) fn complete(
        self,
        target: DeploymentTarget,
        report: &impl Fn(&str, String),
    ) -> Option<Function> {
        if !self.has_source {
            let example = "`source = { file = \"python/model.py\", entry = \"model\" }`";
            report("", format!("`source` is missing: write for example {example}"));
        }
        if !self.has_inputs && self.source.as_ref().is_none_or(Source::declares_inputs) {
            report(
                "",
                "`inputs` is missing: write for example `inputs.image = { shape = [1, 3, \
                224, 224] }`"
                    .into(),
            );
        }
        agreement::check_features(self.features(), target, report);
        Some(Function {
            capture: self.capture.unwrap_or(Capture::Auto),
            inputs: self.inputs,
            outputs: self.outputs,
            source: self.source?,
            // Without states it would only make the same conversion another.
            states_mode: if self.states.is_empty() {
                StatesMode::default()
            } else {
                self.states_mode.unwrap_or_default()
            },
            states: self.states,
            weights: self.weights,
        })
    }
}

/// The tables of several functions.
#[derive(Clone, Debug, Default)]
pub(super) struct SeveralKeys {
    /// `functions`, in the manifest's order; `None` where there is no such key.
    pub(super) functions: Option<Vec<(String, FunctionKeys)>>,
    /// `default-function`.
    default: Option<String>,
}

impl SeveralKeys {
    /// Reads `functions` and `default-function` of `model`.
    pub(super) fn read(model: &Section<'_>) -> Self {
        let functions = model.take("functions").map(|item| functions(&item));
        let default = model.take("default-function").and_then(|item| {
            let name = item.text()?;
            match &functions {
                None => {
                    item.report("`default-function` names one of `functions`, and there are none")
                }
                Some(all) if !all.is_empty() && all.iter().all(|(other, _)| other != name) => item
                    .report(format!(
                        "`default-function` cannot be \"{name}\": the functions are {}",
                        all.iter()
                            .map(|(name, _)| format!("`{name}`"))
                            .collect::<Vec<_>>()
                            .join(", ")
                    )),
                Some(_) => {}
            }
            Some(name.to_owned())
        });
        Self { functions, default }
    }

    /// Makes the functions, each with `defaults`.
    ///
    /// Parameters: `report` — takes (key inside the model, message).
    pub(super) fn complete(
        self,
        defaults: &FunctionKeys,
        target: DeploymentTarget,
        report: &impl Fn(&str, String),
    ) -> Option<Functions> {
        let all = self.functions.unwrap_or_default();
        if self.default.is_none() && !all.is_empty() {
            let example = &all[0].0;
            report(
                "functions",
                format!(
                    "`default-function` is missing: write for example `default-function = \
                    \"{example}\"`"
                ),
            );
        }
        let complete = |(name, keys): (String, FunctionKeys)| {
            let report = |key: &str, message: String| {
                let dot = if key.is_empty() { "" } else { "." };
                report(&format!("functions.{name}{dot}{key}"), message);
            };
            if let Some(source) = keys.source_beside(defaults) {
                refuse_beside(source, &keys.given, &report);
            }
            let function = keys.or(defaults.clone()).complete(target, &report)?;
            if matches!(function.source, Source::Mil { .. } | Source::Package { .. }) {
                report(
                    function.source.path().0,
                    "a function of several is made of a Python function, a TorchScript file or an \
                    exported program"
                        .into(),
                );
            }
            Some((name, function))
        };
        let functions: Option<Vec<_>> = all.into_iter().map(complete).collect();
        Some(Functions::Several(Several {
            default_function: self.default?,
            functions: Named(functions?),
        }))
    }
}

/// Reports the keys among `given` that make no sense beside `source`.
pub(super) fn refuse_beside(
    source: &Source,
    given: &[&'static str],
    report: &impl Fn(&str, String),
) {
    for key in given.iter().filter(|key| **key != "source") {
        if let Some(reason) = source.refuses(key) {
            report(key, format!("`{key}` has no place beside `{}`: {reason}", source.path().0));
        }
    }
}

/// Reads the tables of `functions`, each of which becomes a Rust module.
fn functions(item: &Item<'_>) -> Vec<(String, FunctionKeys)> {
    let Some(section) = item.section() else { return Vec::new() };
    let all = section.take_all();
    if all.is_empty() {
        item.report(
            "`functions` is empty: add a table for each function, or give the model a \
            `source` itself",
        );
    }
    let mut functions = Vec::new();
    for (name, item) in all {
        let identifier = coreml_spec::rust_identifier(name);
        if identifier != name {
            item.report(format!(
                "`{name}` cannot name a function, because it becomes a Rust module: call it for \
                example `{identifier}`"
            ));
        }
        let Some(section) = item.section() else { continue };
        functions.push((name.to_owned(), FunctionKeys::read(&section)));
        section.finish();
    }
    functions
}

/// Adds the entries of `defaults` that `own` lacks; they come first, as they stand first in the
/// manifest.
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
