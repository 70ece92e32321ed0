//! Fetching models from the remote cache.
//!
//! Owns: which entry is asked for, and what of the remote's answer is refused.   Must not: fail a
//! build; every fault is one warning.
//! Flow: `build.rs` → [`fetch`] for what the local cache does not have → `remote/`,
//! `cache/archive.rs`, `cache/admit.rs`; `command/upkeep.rs` → [`fetch_one`].

use super::context::Context;
use super::fingerprint::Snapshot;
use super::job::{Found, Job, Jobs, Origin, not_cached};
use super::keys::HeldKeys;
use super::lookup::find;
use super::options::Policy;
use crate::cache::{Admission, Refusal, archive};
use crate::error::Error;
use crate::remote::record::{self, Record, SLOTS};
use crate::remote::{Fault, Part, Problem, Store};
use crate::status::Status;

/// Takes the keys of the open jobs, looks for each again, and asks the remote cache for those that
/// are still missing. Where nothing may be converted, it ends the others with an error.
///
/// Returns: the keys of the jobs that have to be converted.
pub(crate) fn fetch(
    context: &Context,
    jobs: &mut Jobs<'_>,
    status: &Status,
    warnings: &mut Vec<String>,
) -> HeldKeys {
    let mut held = HeldKeys::default();
    let converts = context.options.policy == Policy::Auto;
    for id in jobs.open() {
        if !converts && context.options.remote.is_none() {
            jobs.end(id, Err(not_cached()));
            continue;
        }
        let job = jobs.get(id);
        let primary = job.primary.clone();
        match take(context, job, &mut held, status, warnings) {
            Ok(Some(found)) => jobs.end(id, Ok(found)),
            Ok(None) if converts => {}
            Ok(None) => jobs.end(id, Err(not_cached())),
            Err(error) => jobs.end(id, Err(error.into())),
        }
        held.free(&primary, jobs);
    }
    held
}

/// Takes the key of a job, and looks for its model once more, here and in the remote cache.
fn take(
    context: &Context,
    job: &Job<'_>,
    held: &mut HeldKeys,
    status: &Status,
    warnings: &mut Vec<String>,
) -> Result<Option<Found>, Error> {
    held.take(context, job, status)?;
    // Another build may have made it while this one waited.
    let found = find(context, job, warnings)?;
    Ok(found.or_else(|| {
        if context.options.remote.is_some() {
            status.begin(&format!("looking for {} in the remote cache", job.name));
        }
        fetch_one(context, job, warnings)
    }))
}

/// Replaces models of the local cache that are made from the locked sources, but are not the locked
/// packages, by the locked ones, where the remote cache has them.
pub(crate) fn fetch_locked(context: &Context, jobs: &mut Jobs<'_>, warnings: &mut Vec<String>) {
    if context.options.remote.is_none() {
        return;
    }
    for job in jobs.iter_mut() {
        let Some(Ok(found)) = &job.result else { continue };
        if !found.is_cached() || !job.disagrees(&found.entry) {
            continue;
        }
        let Ok(_held) = context.cache.mutex(&job.primary).hold(|| {}) else { continue };
        let Ok(found) = find(context, job, warnings) else { continue };
        let found = found
            .filter(|found| !job.disagrees(&found.entry))
            .or_else(|| fetch_one(context, job, warnings));
        if let Some(found) = found {
            job.result = Some(Ok(found));
        }
    }
}

/// Brings the model of a job from the remote cache into the local one; its primary key is
/// held.
///
/// Returns: `None` when the remote has none, or none that can be used; `warnings` then say why.
pub(crate) fn fetch_one(
    context: &Context,
    job: &Job<'_>,
    warnings: &mut Vec<String>,
) -> Option<Found> {
    let (remote, store) = context.remote(warnings)?;
    let what = format!("model `{}`", job.name);
    let mut tried = Vec::new();
    let mut lists = context.cache.recorded_inputs(&job.primary);
    lists.extend(job.locked.map(|locked| locked.inputs.clone()));
    let mut slots = 0..SLOTS;
    loop {
        let list = match lists.pop() {
            Some(list) => list,
            None => match next_list(store, &job.primary, &mut slots) {
                Ok(list) => list?,
                Err(fault) => {
                    context.connection.blame(remote, fault.into(), &what, warnings);
                    return None;
                }
            },
        };
        if tried.contains(&list) {
            continue;
        }
        match fetch_by(context, store, job, &list) {
            Ok(Some(found)) => return Some(found),
            Ok(None) => {}
            Err(problem) => {
                context.connection.blame(remote, problem, &what, warnings);
                // One that is down is not asked again.
                context.remote(warnings)?;
            }
        }
        tried.push(list);
    }
}

/// Returns the list of files in the next slot of a primary key; `None` behind the last one.
fn next_list(
    store: &Store,
    primary: &str,
    slots: &mut std::ops::Range<u32>,
) -> Result<Option<Vec<String>>, Fault> {
    let Some(number) = slots.next() else { return Ok(None) };
    let content = store.record(&record::slot(primary, number))?;
    content.map(|content| record::parse_list(&content).map_err(Fault::Refused)).transpose()
}

/// Fetches the entry for the files of `inputs` as they are now.
fn fetch_by(
    context: &Context,
    store: &Store,
    job: &Job<'_>,
    inputs: &[String],
) -> Result<Option<Found>, Problem> {
    let cache = &context.cache;
    // A conversion reports a file that cannot be read.
    let Ok(snapshot) = Snapshot::take(job.root, inputs, &cache.digests) else {
        return Ok(None);
    };
    let fingerprint = snapshot.fingerprint(&job.primary);
    let Some(content) = store.record(&fingerprint)? else { return Ok(None) };
    let record = Record::parse(&content, &fingerprint).map_err(Fault::Refused)?;
    if let Some(locked) = job.locked
        && locked.fingerprint == fingerprint
        && locked.digest != record.digest
    {
        let why = format!(
            "has a package that is not the locked one ({} instead of {})",
            record.digest, locked.digest
        );
        return Err(Fault::Refused(why).into());
    }
    let temporary = cache.temporary()?;
    let folder = temporary.path().join("fetched");
    std::fs::create_dir(&folder)
        .map_err(|error| Error::storage("unpack an entry", &folder, error))?;
    let Some(source) = store.get(Part::Archives, &record.archive, record.size)? else {
        return Err(Fault::Refused("has a record, but not its archive".into()).into());
    };
    let draft = archive::unpack(source, &record.expected(), &folder).map_err(|why| {
        Fault::Refused(format!("has an archive that is not what it should be: {why}"))
    })?;
    let admission = Admission {
        fingerprint: &fingerprint,
        primary: &job.primary,
        inputs: Some(inputs),
        temporary: &temporary,
    };
    let replaced =
        |entry: &crate::cache::Entry| job.disagrees(entry) && entry.digest() != record.digest;
    let admitted = cache.admit(&draft, &admission, replaced).map_err(|refusal| match refusal {
        Refusal::Unusable(error) => {
            Fault::Refused(format!("has something that is no model package: {error}")).into()
        }
        Refusal::Storage(error) => Problem::Local(error),
    })?;
    Ok(Some(Found::admitted(admitted, inputs.to_vec(), Origin::Remote)))
}
