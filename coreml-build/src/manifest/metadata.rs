//! Reading `metadata`: what the package says of itself.
//!
//! Owns: its keys, and its form in the canonical table.
//! Flow: `keys.rs` reads it; the driver writes it into the package.

use super::key::{self, Key, fill, rows};
use super::kind::Table;
use super::section::Item;
use serde::Serialize;

/// What the package says about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Metadata {
    /// Who made the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// Its licence.
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

/// The table of metadata.
pub(super) static METADATA: Table =
    Table { name: "metadata", text: "Texts in the package.", rows: || rows(KEYS), entries: None };

/// Keys of `metadata`.
static KEYS: &[Key<Metadata>] = &[
    Key {
        name: "author",
        text: "Who made the model.",
        read: |metadata, item| fill(&mut metadata.author, string(item)),
        ..Key::PLAIN
    },
    Key {
        name: "license",
        text: "Its licence.",
        read: |metadata, item| fill(&mut metadata.license, string(item)),
        ..Key::PLAIN
    },
    Key {
        name: "description",
        text: "What the model does. It also documents the Rust module.",
        read: |metadata, item| fill(&mut metadata.description, string(item)),
        ..Key::PLAIN
    },
    Key {
        name: "version",
        text: "Its version.",
        read: |metadata, item| fill(&mut metadata.version, string(item)),
        ..Key::PLAIN
    },
];

/// Reads `metadata` over what is there already.
pub(super) fn metadata(item: &Item<'_>, into: &mut Metadata) -> Option<()> {
    key::read(item, KEYS, into)?.right()
}

/// Reads a string, which may be empty.
fn string(item: &Item<'_>) -> Option<String> {
    item.string().map(str::to_owned)
}
