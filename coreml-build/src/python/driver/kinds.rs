//! The words by which the driver names failures, and what each is about.
//!
//! Owns: the table. A new word of the driver needs a row: a test compares the two.
//! Flow: `protocol.rs` → [`kind_of`] → [`ErrorKind`].

use crate::error::ErrorKind;

/// Each word with what a failure of that name is about, in alphabetical order.
const KINDS: &[(&str, ErrorKind)] = &[
    ("assigned-state", ErrorKind::Conversion),
    ("baked-shape", ErrorKind::Conversion),
    ("broken-environment", ErrorKind::Environment),
    ("bucket-output", ErrorKind::Conversion),
    ("capture-mismatch", ErrorKind::Conversion),
    ("changed-interface", ErrorKind::Conversion),
    ("clock", ErrorKind::Conversion),
    ("complex", ErrorKind::Conversion),
    ("crashed", ErrorKind::Driver),
    ("custom-code", ErrorKind::Source),
    ("damaged-source", ErrorKind::Source),
    ("damaged-weights", ErrorKind::Source),
    ("data-dependent", ErrorKind::Conversion),
    ("device", ErrorKind::Source),
    ("dropped-write", ErrorKind::Conversion),
    ("duplicate-output", ErrorKind::Conversion),
    ("half-precision", ErrorKind::Conversion),
    ("hub-gated", ErrorKind::Hub),
    ("hub-no-model", ErrorKind::Hub),
    ("hub-no-revision", ErrorKind::Hub),
    ("hub-not-found", ErrorKind::Hub),
    ("hub-offline", ErrorKind::Hub),
    ("hub-unpinned", ErrorKind::Manifest),
    ("hub-unreachable", ErrorKind::Hub),
    ("ignored-argument", ErrorKind::Conversion),
    ("ignored-input", ErrorKind::Conversion),
    ("lost-write", ErrorKind::Conversion),
    ("missing-entry", ErrorKind::Source),
    ("missing-file", ErrorKind::Source),
    ("missing-module", ErrorKind::Environment),
    ("missing-weights", ErrorKind::Source),
    ("no-inputs", ErrorKind::Source),
    ("not-a-function", ErrorKind::Source),
    ("not-a-module", ErrorKind::Source),
    ("not-a-program", ErrorKind::Source),
    ("not-constant", ErrorKind::Unsupported),
    ("not-supported", ErrorKind::Unsupported),
    ("nothing-compressed", ErrorKind::Manifest),
    ("nothing-registered", ErrorKind::Source),
    ("out-of-memory", ErrorKind::Driver),
    ("output-is-input", ErrorKind::Conversion),
    ("padding-leaks", ErrorKind::Conversion),
    ("pickled-weights", ErrorKind::Source),
    ("python-error", ErrorKind::Source),
    ("random", ErrorKind::Conversion),
    ("rank", ErrorKind::Conversion),
    ("registered-twice", ErrorKind::Source),
    ("rewrite-mismatch", ErrorKind::Conversion),
    ("sample-range", ErrorKind::Conversion),
    ("scalars", ErrorKind::Conversion),
    ("stale-state", ErrorKind::Conversion),
    ("state-is-output", ErrorKind::Conversion),
    ("syntax-error", ErrorKind::Source),
    ("tracer-warning", ErrorKind::Conversion),
    ("training-mode", ErrorKind::Conversion),
    ("unequal-shapes", ErrorKind::Conversion),
    ("unknown", ErrorKind::Conversion),
    ("unknown-rewrite", ErrorKind::Manifest),
    ("unsafe-weights", ErrorKind::Source),
    ("unsupported-dtype", ErrorKind::Conversion),
    ("unsupported-op", ErrorKind::Conversion),
    ("unwritten-state", ErrorKind::Conversion),
    ("wide-integer", ErrorKind::Conversion),
    ("written-buffer", ErrorKind::Conversion),
    ("wrong-arguments", ErrorKind::Source),
    ("wrong-compression", ErrorKind::Conversion),
    ("wrong-conversion", ErrorKind::Conversion),
    ("wrong-dtype", ErrorKind::Conversion),
    ("wrong-image", ErrorKind::Manifest),
    ("wrong-inputs", ErrorKind::Manifest),
    ("wrong-labels", ErrorKind::Manifest),
    ("wrong-manifest", ErrorKind::Manifest),
    ("wrong-name", ErrorKind::Manifest),
    ("wrong-op-selector", ErrorKind::Manifest),
    ("wrong-outputs", ErrorKind::Manifest),
    ("wrong-samples", ErrorKind::Manifest),
    ("wrong-shape", ErrorKind::Conversion),
    ("wrong-state", ErrorKind::Manifest),
    ("wrong-target", ErrorKind::Manifest),
    ("wrong-task", ErrorKind::Manifest),
    ("wrong-versions", ErrorKind::Environment),
    ("wrong-weights", ErrorKind::Source),
];

/// Returns what a failure called `word` is about.
pub(super) fn kind_of(word: &str) -> ErrorKind {
    let row = KINDS.binary_search_by_key(&word, |(known, _)| known);
    row.map_or(ErrorKind::Conversion, |row| KINDS[row].1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::python::embedded::DRIVER;
    use std::collections::BTreeSet;

    /// Returns the word that begins `text`, if it is quoted and made like a kind: `wrong-name`.
    fn quoted_word(text: &str) -> Option<&str> {
        let word = text.trim_start().strip_prefix('"')?.split('"').next()?;
        let is_kind = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
        word.split('-').all(is_kind).then_some(word)
    }

    /// Returns the words that a file of the driver gives to failures: those of `Failure("…"`, and
    /// the third argument of each rule of the ladder.
    fn words_in(source: &str) -> BTreeSet<&str> {
        let raised = source.split("Failure(").skip(1).filter_map(quoted_word);
        let rules = source.split("_rule(\n").skip(1).filter_map(|rule| {
            // Arguments stand on lines of their own, indented by eight; the first are the stages.
            let lines = rule.lines().skip(1).take_while(|line| !line.starts_with("    )"));
            let mut lines = lines.filter(|line| line.starts_with("        \""));
            lines.find_map(|line| {
                quoted_word(line)
                    .filter(|word| line.ends_with("\",") && { line.trim().len() == word.len() + 3 })
            })
        });
        raised.chain(rules).collect()
    }

    #[test]
    fn the_table_has_exactly_the_words_of_the_driver() {
        let used: BTreeSet<_> = DRIVER.iter().flat_map(|(_, source)| words_in(source)).collect();
        let known: BTreeSet<_> = KINDS.iter().map(|(word, _)| *word).collect();
        let missing: Vec<_> = used.difference(&known).collect();
        let unused: Vec<_> = known.difference(&used).collect();
        assert!(missing.is_empty(), "add rows to KINDS for {missing:?}");
        assert!(unused.is_empty(), "the driver does not use {unused:?} any more");
        assert!(KINDS.is_sorted_by_key(|(word, _)| word));
    }

    #[test]
    fn words_are_found_in_every_form() {
        let source = "raise Failure(\"a-b\", x)\nFailure(\n    \"c\",\n)\nFailure(kind, y)\n\
            _rule(\n        \"load\",\n        (\n            \"no\",\n        ),\n\
            \x20       \"d-e\",\n    )";
        assert_eq!(words_in(source), BTreeSet::from(["a-b", "c", "d-e"]));
    }

    #[test]
    fn words_have_their_kinds() {
        assert_eq!(kind_of("hub-offline"), ErrorKind::Hub);
        assert_eq!(kind_of("wrong-versions"), ErrorKind::Environment);
        assert_eq!(kind_of("of another version"), ErrorKind::Conversion);
    }
}
