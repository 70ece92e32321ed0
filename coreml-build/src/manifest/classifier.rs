//! Reading `classifier`: how the last tensor of a network becomes a label.
//!
//! Owns: the forms of labels, and the names that coremltools gives a classifier's outputs.
//! Flow: `keys.rs` reads it; the driver gives it to coremltools.

use super::key::{self, Key, fill, rows, set};
use super::kind::{Absent, Kind, Table};
use super::section::Item;
use serde::Serialize;

/// The classifier at the end of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Classifier {
    /// The classes, in the order of the network's output; `None`: those of the source's own
    /// configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) labels: Option<Labels>,
    /// Name of the output that holds the label.
    predicted_feature_name: String,
    /// Name of the output that holds the probabilities.
    predicted_probabilities_output: String,
}

/// Class labels as the manifest gives them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Labels {
    /// A text file with one label to a line, relative to the package.
    File(String),
    /// Text labels.
    Strings(Vec<String>),
    /// Number labels.
    Integers(Vec<i64>),
}

/// The table of a classifier.
pub(super) static CLASSIFIER: Table = Table {
    name: "classifier",
    text: "A classifier: the network's only output is one probability or score for each class.",
    rows: || rows(KEYS),
    entries: None,
};

/// Keys of a classifier.
static KEYS: &[Key<Classifier>] = &[
    Key {
        name: "labels",
        kind: Kind::Either(&[
            Kind::Text,
            Kind::List(&Kind::Text, 1, usize::MAX),
            Kind::List(&Kind::Integer(i64::MIN, i64::MAX), 1, usize::MAX),
        ]),
        absent: Absent::Means("needed, except with `transformers`"),
        text: "A file with one label to a line, or the labels, in the order of the network's \
            output.",
        read: |classifier, item| fill(&mut classifier.labels, labels(item)),
        ..Key::PLAIN
    },
    Key {
        name: "predicted-feature-name",
        absent: Absent::Is("\"classLabel\""),
        text: "Name of the output that holds the label.",
        read: |classifier, item| set(&mut classifier.predicted_feature_name, name(item)),
        ..Key::PLAIN
    },
    Key {
        name: "predicted-probabilities-output",
        absent: Absent::Is("\"classLabel_probs\""),
        text: "Name of the output that holds the probabilities.",
        read: |classifier, item| set(&mut classifier.predicted_probabilities_output, name(item)),
        ..Key::PLAIN
    },
];

/// Reads `classifier`.
pub(super) fn classifier(item: &Item<'_>) -> Option<Classifier> {
    let mut classifier = Classifier::default();
    key::read(item, KEYS, &mut classifier)?.right()?;
    Some(classifier)
}

/// Reads the name of an output.
fn name(item: &Item<'_>) -> Option<String> {
    item.text().map(str::to_owned)
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
        let label = |label: &Item<'_>| label.string().map(str::to_owned);
        Some(Labels::Strings(elements.iter().map(label).collect::<Option<_>>()?))
    } else {
        Some(Labels::Integers(elements.iter().map(Item::integer).collect::<Option<_>>()?))
    }
}
