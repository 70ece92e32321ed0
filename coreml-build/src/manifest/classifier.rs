//! Reading `classifier`: how the last tensor of a network becomes a label.
//!
//! Owns: the forms of labels, and the names that coremltools gives a classifier's outputs.
//! Flow: called by `model.rs`.

use super::conversion::{Classifier, Labels};
use super::section::Item;

/// Reads `classifier`.
pub(super) fn classifier(item: &Item<'_>) -> Option<Classifier> {
    let section = item.section()?;
    let labels = match section.take("labels") {
        Some(item) => Some(labels(&item)?),
        None => None,
    };
    let name = |key, default: &str| match section.take(key) {
        Some(item) => item.text().map(str::to_owned),
        None => Some(default.to_owned()),
    };
    let label = name("predicted-feature-name", "classLabel");
    let probabilities = name("predicted-probabilities-output", "classLabel_probs");
    section.finish();
    Some(Classifier {
        labels,
        predicted_feature_name: label?,
        predicted_probabilities_output: probabilities?,
    })
}

/// Reads the labels of a classifier.
fn labels(item: &Item<'_>) -> Option<Labels> {
    if item.is_string() {
        return Some(Labels::File(item.text()?.to_owned()));
    }
    if !item.is_array() {
        item.report_type("a file with one label to a line, or an array of strings or integers");
        return None;
    }
    let elements = item.array()?;
    let Some(first) = elements.first() else {
        item.report("`labels` is empty");
        return None;
    };
    if first.is_string() {
        Some(Labels::Strings(
            elements
                .iter()
                .map(|label| label.string().map(str::to_owned))
                .collect::<Option<_>>()?,
        ))
    } else {
        Some(Labels::Integers(elements.iter().map(Item::integer).collect::<Option<_>>()?))
    }
}
