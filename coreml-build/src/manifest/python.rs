//! Reading `[python]`: the Python that converts.
//!
//! Owns: its keys. Must not: look for a Python.
//! Flow: `manifest.rs` reads it; the requirements decide the environment.

use super::key::{self, Key, fill, rows, set};
use super::kind::{Absent, Goes, Kind, Table};
use super::section::Item;
use crate::python::{Requirements, VersionRange};

/// The table.
pub(super) static PYTHON: Table =
    Table { name: "python", text: "The Python that converts.", rows: || rows(KEYS), entries: None };

/// Keys of `[python]`.
static KEYS: &[Key<Keys>] = &[
    Key {
        name: "requires-python",
        absent: Absent::Is("\">=3.10,<3.14\""),
        goes: Goes::Build,
        text: "Version bounds of the interpreter.",
        read: |keys, item| fill(&mut keys.range, range(item)),
        ..Key::PLAIN
    },
    Key {
        name: "dependencies",
        kind: Kind::List(&Kind::Text, 0, usize::MAX),
        absent: Absent::Means("`torch==2.7.0`, `coremltools==9.0`, `numpy<2.4`, `safetensors`"),
        goes: Goes::Build,
        text: "Requirements as pip takes them, beside the defaults, whose hashes are pinned. One \
            that names a package of the defaults takes its place.",
        read: |keys, item| set(&mut keys.dependencies, dependencies(item)),
        ..Key::PLAIN
    },
];

/// `[python]` as it was written.
#[derive(Default)]
struct Keys {
    /// `requires-python`.
    range: Option<VersionRange>,
    /// `dependencies`.
    dependencies: Vec<String>,
}

/// Reads `[python]`.
pub(super) fn python(item: &Item<'_>) -> Option<Requirements> {
    let mut keys = Keys::default();
    key::read(item, KEYS, &mut keys)?.right()?;
    Some(Requirements::default().with_range(keys.range?).extended(keys.dependencies))
}

/// Reads version bounds.
fn range(item: &Item<'_>) -> Option<VersionRange> {
    let range = VersionRange::parse(item.text()?);
    if range.is_none() {
        item.report("`requires-python` is a list of version bounds, such as \">=3.10,<3.14\"");
    }
    range
}

/// Reads requirements.
fn dependencies(item: &Item<'_>) -> Option<Vec<String>> {
    item.array()?.iter().map(|one| one.text().map(str::to_owned)).collect()
}
