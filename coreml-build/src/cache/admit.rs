//! The only door into the cache: a draft becomes an entry, all of it at once.
//!
//! Owns: what is checked before an entry is published, and what happens to one that is in the way.
//! Must not: know where a draft comes from.
//! Flow: `build/settle.rs` (converted), `build/fetch.rs` (from the remote cache) and
//! `build/ready.rs` (a package of the user's) → [`Cache::admit`].

use super::draft::Draft;
use super::entry::Entry;
use super::inputs;
use super::local::{Cache, Lookup};
use super::temporary::Temporary;
use crate::error::Error;
use crate::files::sync_folder;
use coreml_spec::Interface;
use std::io;

/// How a draft is admitted.
pub(crate) struct Admission<'a> {
    /// What it is published under.
    pub(crate) fingerprint: &'a str,
    /// The primary key whose lists of inputs get `inputs`; the caller holds its lock.
    pub(crate) primary: &'a str,
    /// The files that it was made from; `None` where they are always known.
    pub(crate) inputs: Option<&'a [String]>,
    /// Takes an entry that is in the way, and removes it with itself.
    pub(crate) temporary: &'a Temporary,
}

/// Why a draft is not admitted.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Its package cannot be read.
    Unusable(coreml_spec::Error),
    /// The cache cannot be written.
    Storage(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Storage(error)
    }
}

impl Cache {
    /// Publishes `draft`.
    ///
    /// Parameters: `replaced` — whether an undamaged entry that is there already is replaced; a
    /// damaged one always is.
    /// Returns: the published entry with the interface of its package; that of another process when
    /// it was first.
    pub(crate) fn admit(
        &self,
        draft: &Draft,
        admission: &Admission<'_>,
        replaced: impl Fn(&Entry) -> bool,
    ) -> Result<(Entry, Interface), Refusal> {
        let interface = coreml_spec::Package::open(draft.package())
            .and_then(|package| package.interface())
            .map_err(Refusal::Unusable)?;
        let in_the_way = match self.lookup(admission.fingerprint) {
            Lookup::Damaged(_) => true,
            Lookup::Hit(entry) => replaced(&entry),
            Lookup::Miss => false,
        };
        if in_the_way {
            self.discard(admission)?;
        }
        // Before the entry: a list that leads nowhere is harmless, an entry without a list is lost.
        if let Some(list) = admission.inputs {
            let path = self.layout.inputs_of(admission.primary);
            inputs::add(&path, list.to_vec())
                .map_err(|error| Error::storage("write the list of inputs", &path, error))?;
        }
        Ok((self.publish(draft, admission.fingerprint)?, interface))
    }

    /// Moves an entry out of the way that is damaged, or not the locked one.
    fn discard(&self, admission: &Admission<'_>) -> Result<(), Error> {
        let folder = self.layout.entry(admission.fingerprint);
        let aside = admission.temporary.path().join(format!("replaced-{}", admission.fingerprint));
        match std::fs::rename(&folder, aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::storage("move a cache entry aside", &folder, error))
            }
            _ => Ok(()),
        }
    }

    /// Seals `draft` and renames it into place.
    ///
    /// Returns: the entry that is there now.
    fn publish(&self, draft: &Draft, fingerprint: &str) -> Result<Entry, Error> {
        let (entries, folder) = (self.layout.entries(), self.layout.entry(fingerprint));
        let failed = |error: io::Error| Error::storage("write the cache entry", &folder, error);
        draft.seal(fingerprint).map_err(failed)?;
        std::fs::create_dir_all(&entries).map_err(failed)?;
        if let Err(error) = std::fs::rename(draft.folder(), &folder) {
            return match self.lookup(fingerprint) {
                Lookup::Hit(entry) => Ok(entry),
                _ => Err(failed(error)),
            };
        }
        sync_folder(&entries).map_err(failed)?;
        for (path, sha256) in draft.digests() {
            self.digests.remember(&folder.join(path), sha256);
        }
        self.stamp_use(fingerprint);
        Entry::open(&folder, fingerprint, &self.digests)
            .map_err(|damage| failed(io::Error::other(damage)))
    }
}
