//! What all steps of a build share.
//!
//! Owns: opening the cache and the connection to the remote one, once.   Must not: do a step.
//! Flow: a build script (`lib.rs`) or the command line makes a [`Context`]; every step takes it.

use super::options::Options;
use crate::cache::Cache;
use crate::remote::{Connection, Remote, Store};
use crate::status::Status;

/// The options of a build, and the caches that it works with.
#[derive(Debug)]
pub struct Context {
    /// The options.
    pub(crate) options: Options,
    /// The local cache.
    pub(crate) cache: Cache,
    /// The remote cache.
    pub(crate) connection: Connection,
}

impl Context {
    /// Makes a context; nothing is read or written yet.
    pub fn new(options: Options) -> Self {
        let cache = Cache::new(&options.cache_dir);
        Self { options, cache, connection: Connection::default() }
    }

    /// Makes the status line.
    pub(crate) fn status(&self) -> Status {
        Status::new(self.options.status, self.options.observer.as_ref())
    }

    /// Returns the remote cache; `None` when there is none, or it is of no use.
    pub(crate) fn remote(&self, warnings: &mut Vec<String>) -> Option<(&Remote, &Store)> {
        let remote = self.options.remote.as_ref()?;
        let store = self.connection.store(remote, self.options.python.offline, warnings)?;
        Some((remote, store))
    }

    /// Returns whether converted models are given to the remote cache.
    pub(crate) fn shares(&self) -> bool {
        self.options.remote.as_ref().is_some_and(|remote| remote.write)
    }
}
