//! A key of the manifest, declared once.
//!
//! Owns: the row that says all of a key, and reading a table by its rows.
//! Must not: know which keys there are.
//! Flow: each table of the manifest is a list of rows beside the code that uses it; reading,
//! `[defaults]`, the schema, docs/manifest.md and the check of the driver's lists follow from it.

use super::kind::{Absent, Goes, Kind, Row};
use super::section::{Item, Reader, Section};
use super::text::Text;
use toml::de::DeTable;

/// A key that is read into a `K`.
pub(super) struct Key<K: 'static> {
    /// Its name.
    pub(super) name: &'static str,
    /// What its value looks like.
    pub(super) kind: Kind,
    /// What holds where the manifest is silent.
    pub(super) absent: Absent,
    /// Where its value goes.
    pub(super) goes: Goes,
    /// The sources beside which it is an error, by their keys in `source`.
    pub(super) refused: &'static [&'static str],
    /// Whether `[defaults]` may have it.
    pub(super) shared: bool,
    /// What it says of the model, in one line of Markdown.
    pub(super) text: &'static str,
    /// Reads its value into its place; `None` when it is wrong, which has been reported.
    pub(super) read: fn(&mut K, &Item<'_>) -> Option<()>,
}

impl<K> Key<K> {
    /// What most keys have in common.
    pub(super) const PLAIN: Self = Self {
        name: "",
        kind: Kind::Text,
        absent: Absent::Means("none"),
        goes: Goes::Conversion,
        refused: &[],
        shared: true,
        text: "",
        read: |_, _| Some(()),
    };
}

/// Returns rows without their readers.
pub(super) fn rows<K>(keys: &[Key<K>]) -> Vec<Row> {
    let row = |key: &Key<K>| Row {
        name: key.name,
        kind: key.kind,
        absent: key.absent,
        goes: key.goes,
        text: key.text,
    };
    keys.iter().map(row).collect()
}

/// Puts a value that was read into its place.
pub(super) fn set<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
}

/// Puts a value that was read into a place that may stay empty.
pub(super) fn fill<T>(place: &mut Option<T>, value: Option<T>) -> Option<()> {
    *place = Some(value?);
    Some(())
}

/// A table that was read.
#[derive(Debug)]
pub(super) struct Read<'a> {
    /// The table.
    section: Section<'a>,
    /// Whether every key was right, and every needed key there.
    is_right: bool,
}

impl Read<'_> {
    /// Returns whether the manifest itself has `key`, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.section.has(key)
    }

    /// Reports an error at the key with this path inside the table.
    pub(super) fn report(&self, path: &str, message: impl Into<String>) {
        self.section.report_at(path, message.into());
    }

    /// Reports an error at the table.
    pub(super) fn report_itself(&self, message: impl Into<String>) {
        self.section.report(message.into());
    }

    /// Returns `None` when a key was wrong or missing, which has been reported.
    pub(super) fn right(&self) -> Option<()> {
        self.is_right.then_some(())
    }
}

/// Reads a table: first the rows' defaults, then what it says itself.
pub(super) fn read<'a, K>(item: &Item<'a>, keys: &[Key<K>], into: &mut K) -> Option<Read<'a>> {
    let section = item.section()?;
    section.refuse_others(keys.iter().map(|key| key.name));
    read_defaults(keys, into);
    let is_right = read_section(&section, keys, into).is_some();
    Some(Read { section, is_right })
}

/// Reads the keys of a section, whose other keys are left.
///
/// Returns: `None` when one was wrong or missing, which has been reported.
pub(super) fn read_section<'k, K: 'static>(
    section: &Section<'_>,
    keys: impl IntoIterator<Item = &'k Key<K>>,
    into: &mut K,
) -> Option<()> {
    let mut right = Some(());
    for key in keys {
        let read = match (section.get(key.name, &key.kind), key.absent) {
            (Some(item), _) => (key.read)(into, &item),
            (None, Absent::Needed(example)) => {
                section.report_missing(key.name, example);
                None
            }
            (None, _) => Some(()),
        };
        right = right.and(read);
    }
    right
}

/// Reads the values that hold where a manifest is silent. They are TOML, as a manifest's are, so
/// that the documents, the driver and the reader have them from one place.
pub(super) fn read_defaults<K>(keys: &[Key<K>], into: &mut K) {
    let mut content = String::new();
    for key in keys {
        if let Absent::Is(value) = key.absent {
            content += &format!("{} = {value}\n", key.name);
        }
    }
    let text = Text { manifest: String::new(), content };
    let (document, _faults) = DeTable::parse_recoverable(&text.content);
    let reader = Reader::new(&text);
    let section = reader.root(document.get_ref());
    for key in keys {
        if let Some(item) = section.get(key.name, &key.kind) {
            (key.read)(into, &item);
        }
    }
    #[cfg(test)]
    assert!(_faults.is_empty() && reader.errors().is_empty(), "wrong defaults: {}", text.content);
}
