//! Comparing a package's interface with the one that the types were generated from.
//!
//! Owns: what counts as a difference, and its wording. Must not: compare what no type depends on
//! (descriptions, version).
//! Flow: `opened.rs` → here, at every load.

use coreml_spec::{
    Buckets, Classifier, Feature, FeatureKind, Flexibility, Function, Labels, Shape, Symbol,
};

/// Returns one sentence for each difference; none when the types fit the package.
///
/// Parameters: `types` — from the index; `package` — from the package at run time.
pub(crate) fn differences(types: &Function, package: &Function) -> Vec<String> {
    let mut differences = Vec::new();
    compare_features("input", &types.inputs, &package.inputs, &mut differences);
    compare_features("output", &types.outputs, &package.outputs, &mut differences);
    compare_features("state", &types.states, &package.states, &mut differences);
    compare_symbols(&types.symbols, &package.symbols, &mut differences);
    compare_classifiers(types.classifier.as_ref(), package.classifier.as_ref(), &mut differences);
    differences
}

/// Returns how the two differ in padding inputs and trimming outputs.
pub(crate) fn difference_of_buckets(
    types: Option<&Buckets>,
    package: Option<&Buckets>,
) -> Option<String> {
    let text =
        |buckets: Option<&Buckets>| buckets.map_or_else(|| "none".to_owned(), Buckets::to_string);
    let differs = types != package;
    differs.then(|| {
        format!("buckets: the types say {}, the package says {}", text(types), text(package))
    })
}

/// Compares the features of one role.
fn compare_features(
    role: &str,
    types: &[Feature],
    package: &[Feature],
    differences: &mut Vec<String>,
) {
    for expected in types {
        let name = &expected.name;
        let Some(found) = package.iter().find(|feature| feature.name == *name) else {
            differences.push(format!("{role} `{name}` is missing in the package"));
            continue;
        };
        let (expected, found) = (describe(expected), describe(found));
        if expected != found {
            differences.push(format!(
                "{role} `{name}`: the types say {expected}, the package says {found}"
            ));
        }
    }
    for found in package {
        if !types.iter().any(|feature| feature.name == found.name) {
            differences.push(format!(
                "{role} `{}` ({}) is missing in the types",
                found.name,
                describe(found)
            ));
        }
    }
    let names = |features: &[Feature]| {
        features.iter().map(|feature| feature.name.clone()).collect::<Vec<_>>()
    };
    let (expected, found) = (names(types), names(package));
    if differences.is_empty() && expected != found {
        differences.push(format!(
            "the {role}s have a different order: the types say {}, the package says {}",
            expected.join(", "),
            found.join(", ")
        ));
    }
}

/// Compares which dimensions have one size: a program that was built for equal ones may pass no
/// others.
fn compare_symbols(types: &[Symbol], package: &[Symbol], differences: &mut Vec<String>) {
    let text = |symbols: &[Symbol]| match symbols {
        [] => "none".to_owned(),
        symbols => symbols.iter().map(Symbol::to_string).collect::<Vec<_>>().join(" | "),
    };
    if types != package {
        differences.push(format!(
            "equal sizes: the types say {}, the package says {}",
            text(types),
            text(package)
        ));
    }
}

/// Compares the classes of a classifier.
fn compare_classifiers(
    types: Option<&Classifier>,
    package: Option<&Classifier>,
    differences: &mut Vec<String>,
) {
    match (types, package) {
        (None, None) => {}
        (Some(_), None) => differences.push("the package is not a classifier".to_owned()),
        (None, Some(_)) => {
            differences.push("the package is a classifier, but the types are not".to_owned())
        }
        (Some(expected), Some(found)) => {
            let (expected, found) = (texts(&expected.labels), texts(&found.labels));
            if expected.len() != found.len() {
                let (expected, found) = (expected.len(), found.len());
                differences
                    .push(format!("the types have {expected} labels, the package has {found}"));
            } else if let Some(at) = (0..expected.len()).find(|&at| expected[at] != found[at]) {
                differences.push(format!(
                    "label {at}: the types say {}, the package says {}; there may be more",
                    expected[at], found[at]
                ));
            }
        }
    }
}

/// Returns each label in the form that messages show: text in backquotes, numbers without.
fn texts(labels: &Labels) -> Vec<String> {
    match labels {
        Labels::Strings(labels) => labels.iter().map(|label| format!("`{label}`")).collect(),
        Labels::Int64s(labels) => labels.iter().map(i64::to_string).collect(),
    }
}

/// Returns what a feature holds in the form that messages show: `float16 [1, 80, 3000]`.
fn describe(feature: &Feature) -> String {
    let mut text = match &feature.kind {
        FeatureKind::MultiArray { data_type, shape } => {
            format!("{data_type} {}", describe_shape(shape))
        }
        FeatureKind::Image { size, color_space } => {
            let mut text =
                format!("{color_space:?} image of {}x{} pixels", size.width, size.height);
            if let Some(ranges) = size.ranges {
                text.push_str(&format!(", ranges {ranges:?}"));
            }
            if !size.enumerated.is_empty() {
                text.push_str(&format!(", one of {:?}", size.enumerated));
            }
            text
        }
        FeatureKind::StringLabel => "text label".to_owned(),
        FeatureKind::Int64Label => "number label".to_owned(),
        FeatureKind::Probabilities => "probabilities".to_owned(),
    };
    if let Some(default) = feature.default {
        text.push_str(&format!(", optional, default {default}"));
    }
    text
}

/// Returns a shape in the form that messages show.
fn describe_shape(shape: &Shape) -> String {
    match &shape.flexibility {
        Flexibility::Fixed => format!("{:?}", shape.default),
        Flexibility::Enumerated(shapes) => format!("one of {shapes:?}"),
        Flexibility::Ranges(ranges) => {
            let ranges: Vec<String> = ranges
                .iter()
                .map(|range| match range.max {
                    Some(max) if max == range.min => max.to_string(),
                    Some(max) => format!("{}..={max}", range.min),
                    None => format!("{}..", range.min),
                })
                .collect();
            format!("[{}]", ranges.join(", "))
        }
    }
}

#[cfg(test)]
#[path = "difference/tests.rs"]
mod tests;
