//! Reading the keys that describe one function: where it comes from, how it is captured, what goes
//! in and out.
//!
//! Owns: those keys in a model of one function, in `functions.NAME` of a model of several, and in
//! `[defaults]`.
//! Must not: know what stands at the model: target, precision, compression, metadata, parity.
//! Flow: `keys.rs` gives it the sections → [`Functions`], a part of the canonical table.

use super::agreement::{self, Features};
use super::feature::{self, Form, INPUTS, Input, OUTPUTS, Output};
use super::image::Image;
use super::key::{Key, fill, read_section, rows, set};
use super::kind::{Absent, Kind, Row, Table};
use super::layers::Layers;
use super::named::Named;
use super::sample::Sample;
use super::section::{Item, Section};
use super::source::{self, SOURCE, Source, source};
use super::state::{STATES, State, StatesMode, states};
use super::target::DeploymentTarget;
use coreml_spec::{DataType, Fitting, InputFitting};
use serde::Serialize;
use std::path::Path;

/// The functions of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Functions {
    /// One, whose keys are the model's.
    One(Function),
    /// Several in one package.
    Several(Several),
}

impl Default for Functions {
    /// None: those of a model follow when its other keys are read.
    fn default() -> Self {
        Self::Several(Several::default())
    }
}

impl Functions {
    /// Returns all functions with their names; the only one of a model has none.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<&str>, &Function)> {
        let (one, several) = match self {
            Self::One(function) => (Some(function), None),
            Self::Several(several) => (None, Some(several)),
        };
        let named = several.into_iter().flat_map(|several| &several.functions.0);
        one.into_iter()
            .map(|function| (None, function))
            .chain(named.map(|(name, one)| (Some(name.as_str()), one)))
    }

    /// Puts files in the places of the patterns that mean them.
    pub(super) fn expand_samples(&mut self, root: &Path) {
        let functions: Vec<&mut Function> = match self {
            Self::One(function) => vec![function],
            Self::Several(several) => several.functions.0.iter_mut().map(|(_, one)| one).collect(),
        };
        for (_, input) in functions.into_iter().flat_map(|function| &mut function.inputs.0) {
            input.sample.iter_mut().for_each(|sample| sample.expand(root));
        }
    }

    /// Returns the folder of a ready package.
    pub(crate) fn package(&self) -> Option<&str> {
        self.iter().find_map(|(_, function)| function.source.package())
    }

    /// Returns what is done to inputs that do not fit.
    pub(crate) fn fittings(&self) -> Vec<InputFitting> {
        let of = |(name, function): (Option<&str>, &Function)| {
            let (function, fittings) = (name.map(str::to_owned), function.fittings());
            let fitting = |(input, fitting): (&str, Fitting)| InputFitting {
                function: function.clone(),
                input: input.to_owned(),
                fitting,
            };
            fittings.map(fitting).collect::<Vec<_>>()
        };
        self.iter().flat_map(of).collect()
    }

    /// Returns where they come from, for documentation.
    pub(crate) fn sources(&self) -> String {
        let mut sources: Vec<_> =
            self.iter().map(|(_, function)| function.source.to_string()).collect();
        sources.dedup();
        sources.join(", ")
    }
}

/// Several functions in one package, which share their weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Several {
    /// The one that runs unless the program chooses.
    pub(super) default_function: String,
    /// The functions, in the manifest's order.
    pub(super) functions: Named<Function>,
}

/// One function.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Function {
    /// How the graph is captured.
    capture: &'static str,
    /// Inputs, in the order of the module's arguments.
    pub(super) inputs: Named<Input>,
    /// Outputs, in the order of the module's results; empty when the manifest names none.
    pub(super) outputs: Named<Output>,
    /// Where it comes from.
    pub(crate) source: Source,
    /// What is kept between predictions.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub(super) states: Named<State>,
    /// What keeps them.
    #[serde(rename = "states-mode", skip_serializing_if = "StatesMode::is_default")]
    states_mode: StatesMode,
    /// State dict to load into the module, relative to the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) weights: Option<String>,
}

impl Function {
    /// Returns the inputs that are images, with their names.
    pub(super) fn images(&self) -> impl Iterator<Item = (&str, &Image)> {
        self.inputs.0.iter().filter_map(|(name, input)| match &input.form {
            Form::Image(image) => Some((name.as_str(), &**image)),
            _ => None,
        })
    }

    /// Returns the samples of inputs that have some of their own, with the inputs' names.
    pub(super) fn samples(&self) -> impl Iterator<Item = (&str, &Sample)> {
        let samples = self.inputs.0.iter();
        samples.filter_map(|(name, input)| Some((name.as_str(), input.sample.as_ref()?)))
    }

    /// Returns what is done to inputs that do not fit.
    fn fittings(&self) -> impl Iterator<Item = (&str, Fitting)> {
        self.inputs.0.iter().flat_map(|(name, input)| {
            input.fittings().into_iter().map(move |fitting| (name.as_str(), fitting))
        })
    }

    /// Returns whether an output is declared to be in half precision.
    pub(super) fn has_half_outputs(&self) -> bool {
        self.outputs.0.iter().any(|(_, output)| output.dtype == Some(DataType::Float16))
    }
}

/// Endings of a state dict that are loaded without running code from it.
const WEIGHTS_ENDINGS: [&str; 2] = [".safetensors", ".pt"];

/// The functions of a package.
pub(super) static FUNCTIONS: Table = Table {
    name: "functions",
    text: "Several functions in one package, by name.",
    rows: Vec::new,
    entries: Some(&FUNCTION),
};

/// A function of a package with several.
static FUNCTION: Table = Table {
    name: "function",
    text: "A function of a package with several.",
    rows: function_rows,
    entries: None,
};

/// Checks the keys of a function where no function might take them.
pub(super) fn check(section: &Section<'_>) {
    read_section(section, KEYS, &mut Keys::default());
}

/// Returns the rows of a function, which a model of one function has too.
pub(super) fn function_rows() -> Vec<Row> {
    rows(KEYS)
}

/// Keys of a function.
static KEYS: &[Key<Keys>] = &[
    Key {
        name: "source",
        kind: Kind::Table(&SOURCE),
        absent: Absent::Means("needed"),
        text: "Where the model comes from: a Python function, or [another \
            source](#other-sources).",
        read: |keys, item| fill(&mut keys.source, source(item)),
        ..Key::PLAIN
    },
    Key {
        name: "weights",
        absent: Absent::Means("what the function gave the module"),
        refused: source::WEIGHTS,
        text: "State dict that is loaded into the module: `.safetensors`, or `.pt` read without \
            running code from it (`weights_only`). Names must match exactly.",
        read: |keys, item| fill(&mut keys.weights, weights(item)),
        ..Key::PLAIN
    },
    Key {
        name: "capture",
        kind: Kind::Word(&["auto", "trace", "export"]),
        absent: Absent::Is("\"auto\""),
        refused: source::GRAPHS,
        text: "How the graph is captured: `torch.jit.trace`, `torch.export`, or trace, and export \
            when that fails.",
        read: |keys, item| set(&mut keys.capture, item.word()),
        ..Key::PLAIN
    },
    Key {
        name: "inputs",
        kind: Kind::Table(&INPUTS),
        absent: Absent::Means("at least one is needed"),
        refused: source::PROGRAMS,
        text: "[Inputs](#inputs) by name, in the order of `forward`'s arguments.",
        read: |keys, item| feature::inputs(item, &mut keys.inputs),
        ..Key::PLAIN
    },
    Key {
        name: "outputs",
        kind: Kind::Table(&OUTPUTS),
        absent: Absent::Means("names from a dict or named tuple, else `output`, `output_1`, …"),
        refused: source::PROGRAMS,
        text: "[Outputs](#outputs) by name, in the order of what `forward` returns.",
        read: |keys, item| feature::outputs(item, &mut keys.outputs),
        ..Key::PLAIN
    },
    Key {
        name: "states",
        kind: Kind::Table(&STATES),
        refused: source::PROGRAMS,
        text: "[States](#states) by name, and `mode`: how all of them are kept.",
        read: |keys, item| states(item, &mut keys.states, &mut keys.states_mode),
        ..Key::PLAIN
    },
];

/// The keys of a function as they were written.
#[derive(Default)]
struct Keys {
    /// `source`.
    source: Option<Source>,
    /// `weights`.
    weights: Option<String>,
    /// `capture`.
    capture: &'static str,
    /// `inputs`.
    inputs: Named<Input>,
    /// `outputs`.
    outputs: Named<Output>,
    /// `states`.
    states: Named<State>,
    /// `states.mode`.
    states_mode: StatesMode,
}

/// Reads a function.
///
/// Parameters: `target` — the model's; `report` — takes (key inside the function, message).
/// Returns: `None` when something needed is missing; it has been reported.
pub(super) fn function(
    layers: Layers<'_, '_>,
    target: DeploymentTarget,
    report: &impl Fn(&str, String),
) -> Option<Function> {
    let source = layers.source();
    let mut keys = Keys::default();
    layers.read(KEYS, source.as_ref(), &mut keys, report);
    if !layers.have("source") {
        let example = "`source = { file = \"python/model.py\", entry = \"model\" }`";
        report("", format!("`source` is missing: write for example {example}"));
    }
    if !layers.have("inputs") && source.as_ref().is_none_or(Source::declares_inputs) {
        report(
            "",
            "`inputs` is missing: write for example `inputs.image = { shape = [1, 3, 224, 224] }`"
                .into(),
        );
    }
    let Keys { weights, capture, inputs, outputs, states, states_mode, .. } = keys;
    let features = Features { inputs: &inputs, outputs: &outputs, states: &states };
    agreement::check_features(features, target, report);
    // Without states a mode would only make the same conversion another.
    let states_mode = if states.is_empty() { StatesMode::default() } else { states_mode };
    Some(Function { capture, inputs, outputs, source: source?, states, states_mode, weights })
}

/// Reads the tables of `functions`, each of which becomes a Rust module.
///
/// Parameters: `default_item` — the model's `default-function`; the others as of [`function`].
pub(super) fn functions(
    item: &Item<'_>,
    default_item: Option<&Item<'_>>,
    defaults: Option<&Section<'_>>,
    target: DeploymentTarget,
    report: &impl Fn(&str, String),
) -> Option<Functions> {
    let section = item.section()?;
    let names: Vec<_> = section.others(&[]).map(|(name, _)| name).collect();
    if names.is_empty() {
        item.report(
            "`functions` is empty: add a table for each function, or give the model a `source` \
            itself",
        );
    }
    let default_function = default_function(default_item, &names, report);
    let mut functions = Vec::new();
    for (name, item) in section.others(&[]) {
        let identifier = coreml_spec::rust_identifier(name);
        if identifier != name {
            item.report(format!(
                "`{name}` cannot name a function, because it becomes a Rust module: call it for \
                example `{identifier}`"
            ));
        }
        let Some(own) = item.section() else { continue };
        own.refuse_others(KEYS.iter().map(|key| key.name));
        let report = |key: &str, message: String| {
            let dot = if key.is_empty() { "" } else { "." };
            report(&format!("functions.{name}{dot}{key}"), message);
        };
        let function = function(Layers { defaults, own: &own }, target, &report);
        if let Some(source @ (Source::Mil { .. } | Source::Package { .. })) =
            function.as_ref().map(|function| &function.source)
        {
            report(
                source.path().0,
                "a function of several is made of a Python function, a TorchScript file or an \
                exported program"
                    .into(),
            );
        }
        functions.push(function.map(|function| (name.to_owned(), function)));
    }
    Some(Functions::Several(Several {
        default_function: default_function?,
        functions: Named(functions.into_iter().collect::<Option<_>>()?),
    }))
}

/// Reads `default-function`, one of `names`.
fn default_function(
    item: Option<&Item<'_>>,
    names: &[&str],
    report: &impl Fn(&str, String),
) -> Option<String> {
    let first = names.first()?;
    let Some(item) = item else {
        let example = format!("`default-function = \"{first}\"`");
        report("functions", format!("`default-function` is missing: write for example {example}"));
        return None;
    };
    let chosen = item.text()?;
    if !names.contains(&chosen) {
        let names = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        item.report(format!(
            "`default-function` cannot be \"{chosen}\": the functions are {names}"
        ));
    }
    Some(chosen.to_owned())
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
