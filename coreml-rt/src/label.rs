//! Class labels of a classifier.
//!
//! Owns: [`ClassLabel`], which every generated `Label` implements, and parsing a label.
//! Flow: generated code implements it; `slot.rs` reads a prediction's label through it,
//! `probabilities.rs` orders by it.

/// The classes of one classifier: a generated `enum Label`.
pub trait ClassLabel:
    Copy + Eq + std::fmt::Debug + std::fmt::Display + Send + Sync + 'static
{
    /// Every label, in the order of the network's output.
    const ALL: &'static [Self];

    /// Returns the position in [`ALL`](Self::ALL).
    fn index(self) -> usize;

    /// Returns the label at `index` of [`ALL`](Self::ALL), or `None` when there are fewer.
    fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }
}

/// A text that is not a label of the classifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLabel {
    /// The text.
    text: String,
    /// Some labels that exist, for the message.
    known: Vec<String>,
    /// How many labels there are.
    count: usize,
}

/// How many labels the message of [`UnknownLabel`] shows.
const LABELS_SHOWN: usize = 10;

impl std::fmt::Display for UnknownLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` is not one of the {} labels: {}",
            self.text,
            self.count,
            self.known.join(", ")
        )?;
        if self.count > self.known.len() { f.write_str(", …") } else { Ok(()) }
    }
}

impl std::error::Error for UnknownLabel {}

/// Returns the label that prints as `text`.
///
/// Called by: the `FromStr` of a generated `Label`.
pub fn parse<L: ClassLabel>(text: &str) -> Result<L, UnknownLabel> {
    L::ALL.iter().copied().find(|label| label.to_string() == text).ok_or_else(|| UnknownLabel {
        text: text.to_owned(),
        known: L::ALL.iter().take(LABELS_SHOWN).map(L::to_string).collect(),
        count: L::ALL.len(),
    })
}
