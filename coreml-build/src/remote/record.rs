//! What the remote cache says about an entry, and about the files that a conversion reads.
//!
//! Owns: the JSON forms and what in them may be believed.   Must not: transfer anything.
//! Flow: `build/fetch.rs` and `build/share.rs` read and write them through `store.rs`.

use crate::cache::Entry;
use crate::cache::archive::{Expected, LARGEST_ENTRY, Packed};
use crate::digest::{Hasher, is_digest};
use serde::{Deserialize, Serialize};
use std::path::{Component, Path};

/// Version of the forms.
const VERSION: u32 = 1;

/// Slots for lists of files that each primary key has. Beyond them a conversion is not found by
/// others, only slower.
pub(crate) const SLOTS: u32 = 8;

/// Most files in a list.
const LONGEST_LIST: usize = 100_000;

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Always [`VERSION`].
    version: u32,
    /// The fingerprint.
    fingerprint: String,
    /// Content digest of the package.
    pub(crate) digest: String,
    /// Digest of the archive, which is its name.
    pub(crate) archive: String,
    /// Digest of the entry's description, which has those of the files.
    description: String,
    /// Bytes of the archive.
    pub(crate) size: u64,
    /// Bytes of all files.
    unpacked: u64,
}

/// A list of files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct List {
    /// Always [`VERSION`].
    version: u32,
    /// Paths relative to the package.
    inputs: Vec<String>,
}

impl Record {
    /// Makes the record of an entry that was packed.
    pub(crate) fn new(entry: &Entry, packed: Packed) -> Self {
        let Packed { archive, description, size, unpacked } = packed;
        Self {
            version: VERSION,
            fingerprint: entry.fingerprint().to_owned(),
            digest: entry.digest().to_owned(),
            archive,
            description,
            size,
            unpacked,
        }
    }

    /// Reads the record of `fingerprint`.
    ///
    /// Errors: the end of a sentence that begins with the remote.
    pub(crate) fn parse(content: &[u8], fingerprint: &str) -> Result<Self, String> {
        let record: Self = serde_json::from_slice(content).map_err(|_| {
            format!("answers with something that is no record{}", looks_like(content))
        })?;
        if record.version != VERSION {
            return Err(format!(
                "has a record of version {}, and version {VERSION} is known",
                record.version
            ));
        }
        if record.fingerprint != fingerprint {
            return Err("has the record of another entry under this name".into());
        }
        if ![&record.digest, &record.archive, &record.description]
            .into_iter()
            .all(|digest| is_digest(digest))
        {
            return Err("has a record whose digests are none".into());
        }
        if record.size > LARGEST_ENTRY || record.unpacked > LARGEST_ENTRY {
            return Err(format!(
                "announces more than the {} GiB that an entry may have",
                LARGEST_ENTRY >> 30
            ));
        }
        Ok(record)
    }

    /// Returns what the archive must be.
    pub(crate) fn expected(&self) -> Expected<'_> {
        Expected {
            fingerprint: &self.fingerprint,
            digest: &self.digest,
            description: &self.description,
            size: self.size,
            unpacked: self.unpacked,
        }
    }

    /// Returns the text.
    pub(crate) fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Returns the key of a slot.
pub(crate) fn slot(primary: &str, number: u32) -> String {
    let mut hasher = Hasher::default();
    hasher.field("slot", &number.to_le_bytes());
    hasher.field("primary", primary.as_bytes());
    hasher.finish()
}

/// Reads a list of files.
///
/// Errors: it is none, or leads out of the package: the remote cache must not choose which files
/// are read here.
pub(crate) fn parse_list(content: &[u8]) -> Result<Vec<String>, String> {
    let list: List = serde_json::from_slice(content).map_err(|_| {
        format!("answers with something that is no list of files{}", looks_like(content))
    })?;
    if list.version != VERSION || list.inputs.len() > LONGEST_LIST {
        return Err("has a list of files that is too long or of another version".into());
    }
    match list.inputs.iter().find(|input| !is_inside(input)) {
        Some(input) => Err(format!("has a list of files that leads out of the package: {input:?}")),
        None => Ok(list.inputs),
    }
}

/// Returns the text of a list of files.
pub(crate) fn list_text(inputs: &[String]) -> Vec<u8> {
    serde_json::to_vec(&List { version: VERSION, inputs: inputs.to_vec() }).unwrap_or_default()
}

/// Returns whether a path stays inside the package.
pub(crate) fn is_inside(input: &str) -> bool {
    !input.is_empty()
        && Path::new(input).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Returns a hint for an answer that is a web page.
fn looks_like(content: &[u8]) -> &'static str {
    let start = String::from_utf8_lossy(&content[..content.len().min(512)]).to_ascii_lowercase();
    if start.contains("<html") || start.contains("<!doctype") { ", but a web page" } else { "" }
}
