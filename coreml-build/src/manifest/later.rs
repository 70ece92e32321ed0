//! Keys that are understood but not acted upon by this version.
//!
//! Owns: their validation, and the refusal. A key moves from here to `model.rs` when its work is done: until then a
//! manifest that has it fails at its line, so that nothing is ignored.
//! Flow: called by `source.rs`; `feature.rs` refuses what it reads itself.

use super::section::Section;

/// Ways to give a model other than a Python function.
pub(super) const OTHER_SOURCES: [&str; 1] = ["transformers"];

/// Reads the keys of `source` that name another kind of source, and returns whether there was one.
pub(super) fn other_source(section: &Section<'_>) -> bool {
    let mut found = false;
    for kind in OTHER_SOURCES {
        if let Some(item) = section.take(kind) {
            found = true;
            if item.text().is_some() {
                item.report_later(&format!("`source = {{ {kind} = … }}`"));
            }
        }
    }
    found
}
