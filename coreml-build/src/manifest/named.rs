//! Things under names of the user's choice, in the manifest's order.
//!
//! Owns: that order, merging entry by entry, and which names Core ML keeps.
//! Must not: know what is named.
//! Flow: `feature.rs`, `state.rs` and `function.rs` read their tables into a [`Named`], which the
//! canonical table has as an object.

use super::section::{Item, Section};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Named things whose order matters; an object in JSON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named<T>(pub(crate) Vec<(String, T)>);

impl<T> Named<T> {
    /// Returns whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an entry at the end, in place of another of that name.
    fn put(&mut self, name: &str, value: T) {
        self.0.retain(|(other, _)| other != name);
        self.0.push((name.to_owned(), value));
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Reads the entries of a table, each the name of a feature, over those that are there already.
///
/// Parameters: `keys` — the table's own, which name no feature.
/// Returns: `None` when an entry is wrong, which has been reported.
pub(super) fn features<T>(
    section: &Section<'_>,
    keys: &[&str],
    into: &mut Named<T>,
    read: impl Fn(&Item<'_>) -> Option<T>,
) -> Option<()> {
    let mut right = Some(());
    for (name, item) in section.others(keys) {
        let feature = if is_feature_name(name) {
            read(item)
        } else {
            item.report(format!(
                "`{name}` cannot name a feature: coremltools would rename it. Use letters, digits \
                and `_`, not starting with a digit"
            ));
            None
        };
        match feature {
            Some(feature) => into.put(name, feature),
            None => right = None,
        }
    }
    right
}

/// Returns whether coremltools keeps the name as it is.
pub(super) fn is_feature_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
