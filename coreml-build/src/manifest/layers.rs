//! Tables of the manifest one over another: `[defaults]`, and over them a model's or function's
//! own.
//!
//! Owns: the order in which they are read, and what a source leaves no choice of.
//! Must not: know which keys there are.
//! Flow: `keys.rs` and `function.rs` read their rows through it.

use super::key::{Key, read_defaults, read_section};
use super::kind::Kind;
use super::section::Section;
use super::source::{SOURCE, Source, source};

/// The sections that have the keys of a model or function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layers<'s, 'a> {
    /// `[defaults]`, where there is one.
    pub(super) defaults: Option<&'s Section<'a>>,
    /// The model's or function's own.
    pub(super) own: &'s Section<'a>,
}

impl Layers<'_, '_> {
    /// Returns whether either has `key`.
    pub(super) fn have(&self, key: &str) -> bool {
        self.defaults.is_some_and(|defaults| defaults.has(key)) || self.own.has(key)
    }

    /// Returns the source that counts, when it is right.
    pub(super) fn source(&self) -> Option<Source> {
        let section = if self.own.has("source") { self.own } else { self.defaults? };
        source(&section.get("source", &Kind::Table(&SOURCE))?)
    }

    /// Reads keys: first the rows' defaults, over them those of `[defaults]` that the source
    /// leaves a choice of, over these its own. Reports those of its own that the source refuses.
    ///
    /// Parameters: `report` — takes (key, message).
    pub(super) fn read<K>(
        &self,
        keys: &[Key<K>],
        source: Option<&Source>,
        into: &mut K,
        report: &impl Fn(&str, String),
    ) {
        let refused = |key: &&Key<K>| source.is_some_and(|source| source.refuses(key));
        read_defaults(keys, into);
        if let Some(defaults) = self.defaults {
            read_section(defaults, keys.iter().filter(|key| key.shared && !refused(key)), into);
        }
        read_section(self.own, keys, into);
        let Some(source) = source else { return };
        for key in keys.iter().filter(refused).filter(|key| self.own.has(key.name)) {
            let (name, beside, reason) = (key.name, source.path().0, source.reason());
            report(name, format!("`{name}` has no place beside `{beside}`: {reason}"));
        }
    }
}
