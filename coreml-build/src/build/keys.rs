//! The primary keys that a build holds while it fetches or converts.
//!
//! Owns: one mutex for each key, freed as soon as no job needs it.
//! Flow: `fetch.rs` takes them, `convert.rs` frees them.

use super::context::Context;
use super::job::{Job, Jobs};
use crate::cache::Held;
use crate::error::Error;
use crate::status::Status;
use std::collections::BTreeMap;

/// Held primary keys.
#[derive(Debug, Default)]
pub(crate) struct HeldKeys(BTreeMap<String, Held>);

impl HeldKeys {
    /// Waits for the primary key of a job, unless it is held already.
    pub(crate) fn take(
        &mut self,
        context: &Context,
        job: &Job<'_>,
        status: &Status,
    ) -> Result<(), Error> {
        if !self.0.contains_key(&job.primary) {
            let waiting =
                || status.begin(&format!("waiting for another build that converts {}", job.name));
            let held = context.cache.mutex(&job.primary).hold(waiting)?;
            self.0.insert(job.primary.clone(), held);
        }
        Ok(())
    }

    /// Frees a primary key that no open job needs: other builds go on with what this one has made.
    pub(crate) fn free(&mut self, primary: &str, jobs: &Jobs<'_>) {
        if !jobs.needs(primary) {
            self.0.remove(primary);
        }
    }
}
