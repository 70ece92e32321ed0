//! Word error rate: the share of wrong words in a transcript.
//!
//! Owns: the normalisation of texts and the count of edits. Must not: know where texts come from.
//! Flow: `lib.rs` → here.

use std::ops::AddAssign;

/// The smallest number of edits that make a transcript of a reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Words that became another one.
    pub substitutions: usize,
    /// Words of the reference that are missing.
    pub deletions: usize,
    /// Words that are not in the reference.
    pub insertions: usize,
    /// Words of the reference.
    pub words: usize,
}

impl Edits {
    /// Counts the edits between two texts, after normalisation.
    pub fn between(reference: &str, hypothesis: &str) -> Self {
        let (reference, hypothesis) = (normalized(reference), normalized(hypothesis));
        let words = |text: &'_ str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        align(&words(&reference), &words(&hypothesis))
    }

    /// Returns the sum of all edits.
    pub fn total(self) -> usize {
        self.substitutions + self.deletions + self.insertions
    }

    /// Returns the edits for each word of the reference: 0.0 is perfect, and insertions may make it
    /// more than 1.0.
    ///
    /// Returns: 0.0 if neither text has a word, and infinity if only the transcript has one.
    pub fn rate(self) -> f64 {
        if self.total() == 0 { 0.0 } else { self.total() as f64 / self.words as f64 }
    }
}

impl AddAssign for Edits {
    fn add_assign(&mut self, other: Self) {
        self.substitutions += other.substitutions;
        self.deletions += other.deletions;
        self.insertions += other.insertions;
        self.words += other.words;
    }
}

/// Returns the edits of a whole corpus, whose `rate` is its word error rate: all edits over all
/// words, not a mean of rates.
///
/// Parameters: `pairs` — of each utterance the reference, then the transcript.
pub fn wer<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Edits {
    let mut all = Edits::default();
    for (reference, hypothesis) in pairs {
        all += Edits::between(reference, hypothesis);
    }
    all
}

/// Returns a text in lower case, without punctuation, with single spaces.
///
/// An apostrophe inside a word stays, because `it's` is a word; a hyphen is a space, because
/// `twenty-one` is two.
pub fn normalized(text: &str) -> String {
    let characters: Vec<char> = text.to_lowercase().replace('\u{2019}', "'").chars().collect();
    let letter = |at: Option<&char>| at.is_some_and(|character| character.is_alphanumeric());
    let mut clean = String::with_capacity(text.len());
    for (at, &character) in characters.iter().enumerate() {
        let inside = at > 0 && letter(characters.get(at - 1)) && letter(characters.get(at + 1));
        let keeps = character.is_alphanumeric() || (character == '\'' && inside);
        match character {
            _ if keeps => clean.push(character),
            '\'' => {}
            _ => clean.push(' '),
        }
    }
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Counts the edits between two rows of words.
///
/// Of several shortest ways it takes the one with the most substitutions, as the usual tools do.
fn align(reference: &[String], hypothesis: &[String]) -> Edits {
    let words = reference.len();
    // A row for each word of the reference so far: the cheapest edits to each prefix of the
    // hypothesis.
    let mut row: Vec<Edits> = (0..=hypothesis.len())
        .map(|insertions| Edits { insertions, words, ..Edits::default() })
        .collect();
    for (at, word) in reference.iter().enumerate() {
        let mut next = vec![Edits { deletions: at + 1, words, ..Edits::default() }];
        for (said, (diagonal, above)) in hypothesis.iter().zip(row.iter().zip(row.iter().skip(1))) {
            let left = next.last().copied().unwrap_or_default();
            let matched = Edits {
                substitutions: diagonal.substitutions + usize::from(word != said),
                ..*diagonal
            };
            let deleted = Edits { deletions: above.deletions + 1, ..*above };
            let inserted = Edits { insertions: left.insertions + 1, ..left };
            let cheaper =
                |one: Edits, other: Edits| if other.total() < one.total() { other } else { one };
            next.push(cheaper(cheaper(matched, deleted), inserted));
        }
        row = next;
    }
    row.last().copied().unwrap_or(Edits { words, ..Edits::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_without_case_and_punctuation() {
        assert_eq!(normalized("  Twenty-one,  it\u{2019}s 'fine'! "), "twenty one it's fine");
        assert_eq!(Edits::between("It's six, SEVEN.", "it's six seven").total(), 0);
    }

    #[test]
    fn each_kind_of_edit_is_counted() {
        let edits = |reference, hypothesis| {
            let edits = Edits::between(reference, hypothesis);
            (edits.substitutions, edits.deletions, edits.insertions, edits.words)
        };
        assert_eq!(edits("one two three", "one too three"), (1, 0, 0, 3));
        assert_eq!(edits("one two three", "one three"), (0, 1, 0, 3));
        assert_eq!(edits("one two three", "one two two three"), (0, 0, 1, 3));
        assert_eq!(edits("", "one"), (0, 0, 1, 0));
        assert_eq!(edits("one two", ""), (0, 2, 0, 2));
        assert_eq!(Edits::between("", "").rate(), 0.0);
        assert!(Edits::between("", "one").rate().is_infinite());
    }
}
