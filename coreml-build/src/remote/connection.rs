//! The remote cache during one build.
//!
//! Owns: opening it at its first use, no longer asking one that is down, and the warnings about it.
//! Must not: fail a build.
//! Flow: `build/fetch.rs` and `build/share.rs` → here → `store.rs`.

use super::fault::Fault;
use super::location::Remote;
use super::store::Store;
use crate::error::Error;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The remote cache of a build.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// Opened at its first use.
    store: OnceLock<Option<Store>>,
    /// Whether it did not answer.
    down: AtomicBool,
}

/// Why something was not fetched or shared.
pub(crate) enum Problem {
    /// The remote's fault.
    Fault(Fault),
    /// This machine's.
    Local(Error),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Local(error)
    }
}

impl Connection {
    /// Returns the open remote; `None` when it is of no use.
    ///
    /// Parameters: `offline` — forbids the network.
    pub(crate) fn store(
        &self,
        remote: &Remote,
        offline: bool,
        warnings: &mut Vec<String>,
    ) -> Option<&Store> {
        let open = || {
            let opened = Store::open(remote, offline);
            opened.map_err(|why| warnings.push(format!("the remote cache {remote} {why}"))).ok()
        };
        let store = self.store.get_or_init(open).as_ref()?;
        (!self.down.load(Ordering::Relaxed)).then_some(store)
    }

    /// Turns a problem into a warning.
    ///
    /// Parameters: `what` — what was fetched or shared.
    pub(crate) fn blame(
        &self,
        remote: &Remote,
        problem: Problem,
        what: &str,
        warnings: &mut Vec<String>,
    ) {
        let text = match problem {
            Problem::Fault(Fault::Down(why)) => {
                self.down.store(true, Ordering::Relaxed);
                format!("the remote cache {remote} {why}; the build goes on without it")
            }
            Problem::Fault(Fault::Refused(why)) => {
                format!("{what}: the remote cache {remote} {why}; it is not used")
            }
            Problem::Local(error) => {
                format!("{what}: nothing is taken from the remote cache: {}", error.message())
            }
        };
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }
}
