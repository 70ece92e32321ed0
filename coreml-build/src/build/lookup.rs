//! Finding models in the local cache.
//!
//! Owns: trying the lists of files that earlier conversions read until one leads to an entry.
//! Must not: convert, or wait.
//! Flow: `build.rs` → [`look`]; `fetch.rs` looks again once it holds the locks.

use super::context::Context;
use super::fingerprint::Snapshot;
use super::job::{Found, Job, Jobs};
use super::ready;
use crate::cache::Lookup;
use crate::error::{Error, ErrorKind};

/// Ends the jobs that the local cache has a model for, and those of packages that need no
/// conversion.
pub(crate) fn look(context: &Context, jobs: &mut Jobs<'_>, warnings: &mut Vec<String>) {
    for job in jobs.iter_mut() {
        job.result = match job.conversion.functions.package() {
            Some(folder) => Some(ready::obtain(context, folder, job, warnings)),
            None => find(context, job, warnings).map_err(Into::into).transpose(),
        };
    }
}

/// Returns the model of a job, if the cache has it and its files are unchanged.
///
/// Parameters: `warnings` — gets one for each damaged entry.
/// Errors: a file that it was made from cannot be read.
pub(crate) fn find(
    context: &Context,
    job: &Job<'_>,
    warnings: &mut Vec<String>,
) -> Result<Option<Found>, Error> {
    let cache = &context.cache;
    let mut lists = cache.recorded_inputs(&job.primary);
    // The lock knows which files are read, even where the cache has only the entry.
    lists.extend(job.locked.map(|locked| locked.inputs.clone()));
    for inputs in lists {
        let snapshot = Snapshot::take(job.root, &inputs, &cache.digests).map_err(|error| {
            Error::new(
                ErrorKind::Storage,
                format!("a file that the model is made from cannot be read: {error}"),
            )
            .advise("check its permissions")
            .caused_by(error)
        })?;
        match cache.lookup(&snapshot.fingerprint(&job.primary)) {
            Lookup::Hit(entry) => {
                cache.stamp_inputs(&job.primary);
                return Ok(Some(Found::local(entry, inputs)));
            }
            Lookup::Damaged(damage) => job.warn_of_damage(&damage, warnings),
            Lookup::Miss => {}
        }
    }
    Ok(None)
}
