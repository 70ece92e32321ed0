//! What the features of one model must agree on, with each other and with the deployment target.
//!
//! Owns: the rules that need more than one key.
//! Flow: `keys.rs` and `function.rs` ask it when all keys are read.

use super::classifier::Classifier;
use super::compression::Compression;
use super::feature::{Form, Input, Output};
use super::image::Color;
use super::named::Named;
use super::sample::Sample;
use super::shape::{Dimension, Range};
use super::state::State;
use super::target::{DeploymentTarget, Release};
use crate::python::Requirements;
use coreml_spec::DataType;
use std::collections::BTreeMap;

/// The features of a model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Features<'a> {
    /// `inputs`.
    pub(super) inputs: &'a Named<Input>,
    /// `outputs`.
    pub(super) outputs: &'a Named<Output>,
    /// `states`.
    pub(super) states: &'a Named<State>,
}

/// Reports compressions that do not go together, with the target or with the Python packages.
///
/// Parameters: `requirements` — of the manifest, if they are right; `report` — takes (key inside
/// the model, message).
pub(super) fn check_compression(
    compression: &Compression,
    target: DeploymentTarget,
    requirements: Option<&Requirements>,
    report: &impl Fn(&str, String),
) {
    for (key, what, release) in compression.needs() {
        check_target(target, key, what, release, report);
    }
    if let Some((key, message)) = compression.conflict() {
        report(key, message.into());
    }
    if compression.clusters()
        && requirements.is_some_and(|requirements| !requirements.names("scikit-learn"))
    {
        let message = "k-means needs scikit-learn: add `dependencies = [\"scikit-learn\"]` to \
            `[python]`, or write `mode = \"uniform\"`";
        report("palettize", message.into());
    }
}

/// Reports a model of transformers without that library, and a classifier that nobody gives labels.
///
/// Parameters: `from_transformers` — whether a source of the model is; `requirements` — of the
/// manifest, if they are right.
pub(super) fn check_transformers(
    from_transformers: bool,
    classifier: Option<&Classifier>,
    requirements: Option<&Requirements>,
    report: &impl Fn(&str, String),
) {
    if from_transformers
        && requirements.is_some_and(|requirements| !requirements.names("transformers"))
    {
        let message = "a model of transformers needs that library: add `dependencies = \
            [\"transformers>=5\"]` to `[python]`";
        report("source.transformers", message.into());
    }
    if !from_transformers && classifier.is_some_and(|classifier| classifier.labels.is_none()) {
        report(
            "classifier",
            "`labels` is missing in `classifier`: write for example `labels = \"labels.txt\"`"
                .into(),
        );
    }
}

/// Reports samples of files without the library that reads them.
///
/// Parameters: `table` — begins the keys of the function; `requirements` — of the manifest, if they
/// are right.
pub(super) fn check_samples<'a>(
    table: &str,
    samples: impl Iterator<Item = (&'a str, &'a Sample)>,
    has_states: bool,
    requirements: Option<&Requirements>,
    report: &impl Fn(&str, String),
) {
    for (input, sample) in samples {
        let key = format!("{table}inputs.{input}.sample");
        if has_states && sample.is_read() {
            let message = "samples from files have one prediction each, and those of a model with \
                `states` several in a row: write `range` or `start`";
            report(&key, message.into());
        }
        let Some((name, library)) = sample.needs() else { continue };
        if requirements.is_some_and(|requirements| !has(requirements, library)) {
            report(
                &format!("{key}.{name}"),
                format!(
                    "`{name}` are read by the library {library}: add `dependencies = \
                     [\"{library}\"]` to `[python]`"
                ),
            );
        }
    }
}

/// Returns whether Python packages have a library: tokenizers comes with transformers.
fn has(requirements: &Requirements, library: &str) -> bool {
    requirements.names(library) || (library == "tokenizers" && requirements.names("transformers"))
}

/// Reports what several functions in one package do not go with.
pub(super) fn check_functions(
    target: DeploymentTarget,
    has_classifier: bool,
    report: &impl Fn(&str, String),
) {
    check_target(target, "functions", "several functions in one package", Release::Ios18, report);
    if has_classifier {
        report(
            "classifier",
            "`classifier` has no place beside `functions`: make the classifier a model of its own"
                .into(),
        );
    }
}

/// Reports what the features of a function must agree on.
///
/// Parameters: `report` — takes (key inside the function, message).
pub(super) fn check_features(
    features: Features<'_>,
    target: DeploymentTarget,
    report: &impl Fn(&str, String),
) {
    let Features { inputs, outputs, states } = features;
    for (key, what, release) in needs(features) {
        check_target(target, &key, &what, release, report);
    }
    for (name, _) in &states.0 {
        if inputs.0.iter().any(|(other, _)| other == name)
            || outputs.0.iter().any(|(other, _)| other == name)
        {
            report(
                &format!("states.{name}"),
                format!("`{name}` names a state and an input or output: rename one"),
            );
        }
    }
    check_symbols(inputs, report);
    check_enumerations(inputs, report);
}

/// Reports that `what` needs a newer system than the target.
fn check_target(
    target: DeploymentTarget,
    key: &str,
    what: &str,
    release: Release,
    report: &impl Fn(&str, String),
) {
    if let Some(needed) = target.older_than(release) {
        report(
            key,
            format!(
                "{what} need `minimum-deployment-target = \"{needed}\"`, here it is \"{target}\""
            ),
        );
    }
}

/// Returns what the features need of Core ML: key, words, release.
fn needs(features: Features<'_>) -> Vec<(String, String, Release)> {
    let Features { inputs, outputs, states } = features;
    let mut needs = Vec::new();
    let typed = inputs.0.iter().map(|(name, input)| (format!("inputs.{name}"), input.dtype));
    let typed = typed
        .chain(outputs.0.iter().map(|(name, output)| (format!("outputs.{name}"), output.dtype)));
    for (key, dtype) in typed {
        match dtype {
            Some(DataType::Float16) => {
                needs.push((key, "`float16` inputs and outputs".into(), Release::Ios16))
            }
            Some(DataType::Int8) => {
                needs.push((key, "`int8` inputs and outputs".into(), Release::Ios26))
            }
            _ => {}
        }
    }
    let color = |form: &Form| if let Form::Image(image) = form { Some(image.color) } else { None };
    let colors =
        inputs.0.iter().map(|(name, input)| (format!("inputs.{name}"), color(&input.form)));
    let outputs = outputs
        .0
        .iter()
        .map(|(name, output)| (format!("outputs.{name}"), output.image.map(|image| image.color)));
    for (key, color) in colors.chain(outputs) {
        if color == Some(Color::GrayscaleFloat16) {
            needs.push((key, "`grayscale-float16` images".into(), Release::Ios16));
        }
    }
    needs.extend(
        states
            .0
            .iter()
            .map(|(name, _)| (format!("states.{name}"), "states".into(), Release::Ios18)),
    );
    if let Some((name, _)) = enumerated(inputs).nth(1) {
        needs.push((
            format!("inputs.{name}"),
            "several inputs with `shapes`".into(),
            Release::Ios18,
        ));
    }
    needs
}

/// Reports dimensions that share a symbol, but not their bounds.
fn check_symbols(inputs: &Named<Input>, report: &impl Fn(&str, String)) {
    let mut symbols: BTreeMap<&str, (&str, &Range)> = BTreeMap::new();
    for (name, input) in &inputs.0 {
        let dimensions: Vec<&Dimension> = match &input.form {
            Form::Shape(dimensions) => dimensions.iter().collect(),
            Form::Image(image) => vec![&image.height, &image.width],
            Form::Shapes(_) => continue,
        };
        for dimension in dimensions {
            let Dimension::Range(range @ Range { symbol: Some(symbol), .. }) = dimension else {
                continue;
            };
            let (first, other) = *symbols.entry(symbol).or_insert((name, range));
            if other.longer != range.longer {
                report(
                    &format!("inputs.{name}"),
                    format!(
                        "the symbol `{symbol}` has another `longer` in `{first}`: equal sizes are \
                        cut alike"
                    ),
                );
            } else if other != range {
                report(
                    &format!("inputs.{name}"),
                    format!(
                        "the symbol `{symbol}` has other bounds in `{first}`: equal sizes have \
                        equal bounds"
                    ),
                );
            }
        }
    }
}

/// Reports several enumerated inputs whose shapes do not pair.
fn check_enumerations(inputs: &Named<Input>, report: &impl Fn(&str, String)) {
    let mut all = enumerated(inputs);
    let Some((first, shapes)) = all.next() else { return };
    for (name, others) in all {
        if others.len() != shapes.len() {
            report(
                &format!("inputs.{name}"),
                format!(
                    "`{first}` has {} `shapes`, `{name}` has {}: enumerated shapes of several \
                    inputs pair by position",
                    shapes.len(),
                    others.len()
                ),
            );
        }
    }
}

/// Returns the inputs with enumerated shapes.
fn enumerated(inputs: &Named<Input>) -> impl Iterator<Item = (&str, &Vec<Vec<usize>>)> {
    inputs.0.iter().filter_map(|(name, input)| match &input.form {
        Form::Shapes(shapes) => Some((name.as_str(), shapes)),
        _ => None,
    })
}
