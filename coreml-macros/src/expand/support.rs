//! What generated code cannot express yet.
//!
//! Owns: the list, and the message. Generated code must be right for everything that passes here.
//! Flow: `expand.rs` → here, before anything is generated.

use super::names::{NamedModel, NamedPackage};
use coreml_spec::{DataType, FeatureKind, Flexibility, Function, Labels};
use std::collections::HashSet;

/// The greatest rank of a `coreml_rt::Shape`.
const LARGEST_RANK: usize = 6;

/// Checks that every model can have types.
///
/// Errors: one line per problem, of all models.
pub(super) fn check(manifest: &str, packages: &[NamedPackage<'_>]) -> Result<(), String> {
    let problems: Vec<String> = packages
        .iter()
        .flat_map(|package| &package.functions)
        .flat_map(|model| {
            problems(model).into_iter().map(|problem| format!("\n  {}: {problem}", model.key))
        })
        .collect();
    match problems.len() {
        0 => Ok(()),
        _ => {
            Err(format!("#[coreml_model] cannot make types for `{manifest}`:{}", problems.concat()))
        }
    }
}

/// Returns what is wrong with one model.
fn problems(model: &NamedModel<'_>) -> Vec<String> {
    let function = &model.function;
    let mut problems = Vec::new();
    if function.inputs.is_empty() {
        problems.push("a model without inputs is not supported: give it at least one".to_owned());
    }
    let inputs = function.inputs.iter().map(|feature| ("input", feature));
    let outputs = function.outputs.iter().map(|feature| ("output", feature));
    let states = function.states.iter().map(|feature| ("state", feature));
    for (role, feature) in inputs.chain(outputs).chain(states) {
        if let Some(problem) = feature_problem(role, &feature.kind, function) {
            problems.push(format!("{role} `{}`: {problem}", feature.name));
        }
    }
    problems.extend(
        function.classifier.iter().filter_map(|classifier| label_problem(&classifier.labels)),
    );
    problems
}

/// Returns what is wrong with a feature.
fn feature_problem(role: &str, kind: &FeatureKind, function: &Function) -> Option<String> {
    match kind {
        FeatureKind::MultiArray { data_type, shape } => {
            use DataType::{Float16, Float32, Float64, Int8, Int32};
            let rank = shape.default.len();
            if !matches!(data_type, Float16 | Float32 | Float64 | Int8 | Int32) {
                Some(format!("type {data_type} is not supported: use float16, float32 or int32"))
            } else if rank > LARGEST_RANK {
                Some(format!("{rank} dimensions are not supported: use at most {LARGEST_RANK}"))
            } else if role == "state" && shape.flexibility != Flexibility::Fixed {
                Some("a state has fixed sizes: convert again".to_owned())
            } else {
                None
            }
        }
        FeatureKind::Image { .. } => {
            (role == "state").then(|| "a state is a tensor: convert again".to_owned())
        }
        FeatureKind::StringLabel | FeatureKind::Int64Label | FeatureKind::Probabilities => {
            (role != "output" || function.classifier.is_none()).then(|| {
                "only the output of a classifier can be a label or probabilities: convert again"
                    .to_owned()
            })
        }
    }
}

/// Returns what is wrong with the labels of a classifier. Core ML treats equal labels as one class,
/// and its results would lack the others.
fn label_problem(labels: &Labels) -> Option<String> {
    /// Returns the first element that occurred before.
    fn repeated<T: std::hash::Hash + Eq>(labels: &[T]) -> Option<&T> {
        let mut seen = HashSet::new();
        labels.iter().find(|label| !seen.insert(*label))
    }
    let repeated = match labels {
        Labels::Strings(labels) => repeated(labels).map(|label| format!("`{label}`")),
        Labels::Int64s(labels) => repeated(labels).map(i64::to_string),
    };
    match repeated {
        Some(label) => Some(format!(
            "the label {label} occurs twice: make the labels of the classifier distinct"
        )),
        None if labels.is_empty() => Some("the classifier has no labels: add some".to_owned()),
        None => None,
    }
}
