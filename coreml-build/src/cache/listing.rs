//! Looking at all entries at once: what is there, and whether it is whole.
//!
//! Owns: what is told about an entry. Must not: change anything.
//! Flow: the command line → `upkeep.rs` → here.

use super::Cache;
use super::entry::{Entry, description_of};
use crate::digest::Digests;
use std::time::SystemTime;

/// An entry of the cache.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Listed {
    /// Its fingerprint.
    pub fingerprint: String,
    /// The model that was converted first; empty where that was not kept.
    pub model: String,
    /// Content digest of its package.
    pub digest: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// How long its conversion took, in seconds.
    pub seconds: f64,
    /// When it was last used, to a day.
    pub used: SystemTime,
}

/// An entry that is not what was published.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Its name, which is the fingerprint.
    pub fingerprint: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Cache {
    /// Lists the entries, the latest used first; their files are not read.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let mut stored = self.stored();
        stored.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.name.cmp(&b.name)));
        let listed = stored.into_iter().map(|stored| {
            let (model, digest, seconds) = description_of(&stored.folder).unwrap_or_default();
            Listed {
                fingerprint: stored.name,
                model,
                digest,
                bytes: stored.bytes,
                seconds,
                used: stored.used,
            }
        });
        listed.collect()
    }

    /// Reads every file of every entry; returns the damaged ones.
    pub(crate) fn verify(&self) -> Vec<Damage> {
        let digests = Digests::forgetful();
        let damage = |stored: super::garbage::Stored| {
            let problem = Entry::open(&stored.folder, &stored.name, &digests).err()?;
            Some(Damage { fingerprint: stored.name, problem })
        };
        self.stored().into_iter().filter_map(damage).collect()
    }
}
