//! Keys that are understood but not acted upon by this version.
//!
//! Owns: their validation, and the refusal. A key moves from here to `model.rs` when its work is done: until then a
//! manifest that has it fails at its line, so that nothing is ignored.
//! Flow: called by `model.rs`.

use super::section::Section;

/// Reads all keys of a model that later versions will act upon.
pub(super) fn keys(model: &Section<'_>) {
    refuse(model, "buckets", |section| {
        section.require("input", "input = \"ids\"").and_then(|item| item.text());
        section.require("axis", "axis = 1").and_then(|item| item.integer_within(0, 4));
        let sizes = section.require("sizes", "sizes = [64, 128]").and_then(|item| item.array());
        sizes.into_iter().flatten().for_each(|item| {
            item.integer_within(1, i64::from(i32::MAX));
        });
        section.take("pad").and_then(|item| item.number());
        section.take("mask").and_then(|item| item.text());
        section.take("share-weights").and_then(|item| item.boolean());
    });
}

/// Reads the table at `key` with `read`, then reports that it is not supported yet.
fn refuse(model: &Section<'_>, key: &'static str, read: impl Fn(&Section<'_>)) {
    let Some(item) = model.take(key) else { return };
    if let Some(section) = item.section() {
        read(&section);
        section.finish();
    }
    item.report_later(&format!("`{key}`"));
}
