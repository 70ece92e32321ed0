//! Reading `classifier`: how the last tensor of a network becomes a label.
//!
//! Owns: the forms of labels, and the names that coremltools gives a classifier's outputs.
//! Flow: `keys.rs` reads it; the driver gives it to coremltools.

use super::key::{self, Key, fill, rows, set};
use super::kind::{Absent, Kind, Table};
use super::section::Item;
use serde::Serialize;
use std::collections::BTreeMap;

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
        let labels: Vec<&str> = elements.iter().map(Item::string).collect::<Option<_>>()?;
        check(&labels, &elements, |label| format!("\"{label}\""))?;
        Some(Labels::Strings(labels.into_iter().map(str::to_owned).collect()))
    } else {
        let labels: Vec<i64> = elements.iter().map(Item::integer).collect::<Option<_>>()?;
        check(&labels, &elements, i64::to_string)?;
        Some(Labels::Integers(labels))
    }
}

/// Reports each label of an array that is empty or that an earlier class has.
///
/// Returns: `None` when there is one.
fn check<T: Ord + IsEmpty>(
    labels: &[T],
    elements: &[Item<'_>],
    show: impl Fn(&T) -> String,
) -> Option<()> {
    let mut right = Some(());
    for (class, earlier) in faults(labels) {
        let Some((label, element)) = labels.get(class).zip(elements.get(class)) else { continue };
        right = None;
        element.report(match earlier.and_then(|earlier| elements.get(earlier)) {
            None => format!("the label of class {class} is empty"),
            Some(earlier) => format!(
                "the label {} is that of two classes, and predictions could not tell them apart: \
                 it stands in line {}, too",
                show(label),
                earlier.place().line
            ),
        });
    }
    right
}

/// Returns what is wrong with the first wrong label of a file, and how many more are wrong.
///
/// Parameters: `content` — of the file, one label to a line.
pub(super) fn wrong_line(content: &str) -> Option<String> {
    // As Python reads lines.
    let content = content.replace("\r\n", "\n").replace('\r', "\n");
    let labels: Vec<&str> = content.trim_end_matches('\n').split('\n').collect();
    let mut faults = faults(&labels);
    let (class, earlier) = faults.next()?;
    let line = class + 1;
    let more = match faults.count() {
        0 => String::new(),
        more => format!(" ({more} more lines are wrong)"),
    };
    Some(match earlier {
        None => format!("line {line} is empty, and each line is a label{more}"),
        Some(earlier) => format!(
            "the label `{}` of line {line} stands in line {}, too, and predictions could not tell \
             them apart{more}",
            labels.get(class)?,
            earlier + 1
        ),
    })
}

/// A label that may be missing.
trait IsEmpty {
    /// Returns whether it says nothing.
    fn is_empty(&self) -> bool;
}

impl IsEmpty for &str {
    fn is_empty(&self) -> bool {
        str::is_empty(self)
    }
}

impl IsEmpty for i64 {
    fn is_empty(&self) -> bool {
        false
    }
}

/// Returns the classes whose labels are empty or those of an earlier class, which comes with them.
fn faults<T: Ord + IsEmpty>(labels: &[T]) -> impl Iterator<Item = (usize, Option<usize>)> {
    let mut first: BTreeMap<&T, usize> = BTreeMap::new();
    labels.iter().enumerate().filter_map(move |(class, label)| {
        if label.is_empty() {
            return Some((class, None));
        }
        let earlier = *first.entry(label).or_insert(class);
        (earlier != class).then_some((class, Some(earlier)))
    })
}

#[cfg(test)]
mod tests {
    use super::wrong_line;

    #[test]
    fn the_lines_of_a_file_are_labels_of_their_own() {
        for right in ["cat\ndog\n", "cat\r\ndog\r\n\r\n", "cat", " \n0\n00"] {
            assert_eq!(wrong_line(right), None, "{right:?}");
        }
        let wrong = |content: &str| wrong_line(content).unwrap_or_default();
        assert_eq!(
            wrong("cat\ndog\ncat\n"),
            "the label `cat` of line 3 stands in line 1, too, and predictions could not tell them \
             apart"
        );
        assert_eq!(
            wrong("cat\r\n\r\ncat\r\ncat\r\n"),
            "line 2 is empty, and each line is a label (2 more lines are wrong)"
        );
        assert_eq!(wrong(""), "line 1 is empty, and each line is a label");
    }
}
