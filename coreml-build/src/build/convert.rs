//! Converting what no cache has.
//!
//! Owns: which models one run of Python converts, and its log.
//! Must not: admit or judge a model; that is `settle.rs`.
//! Flow: `build.rs` → [`convert`] → `python/provision.rs`, `python/driver.rs`; each reply goes to
//! `settle.rs` at once, so that a build that is stopped keeps what is done.

use super::context::Context;
use super::job::{JobId, Jobs};
use super::keys::HeldKeys;
use super::settle::Settling;
use super::share::share;
use crate::cache::Temporary;
use crate::error::Error;
use crate::python;
use crate::python::driver::{self, Run, RunModel};
use crate::status::Status;
use std::path::{Path, PathBuf};

/// Hexadecimal digits of the primary key in the name of a log.
const LOG_DIGITS: usize = 12;

/// Converts the open jobs.
///
/// Parameters: `held` — the keys of the open jobs.
pub(crate) fn convert(
    context: &Context,
    jobs: &mut Jobs<'_>,
    mut held: HeldKeys,
    status: &Status,
    warnings: &mut Vec<String>,
) {
    let mut open = jobs.open();
    if open.is_empty() {
        return;
    }
    // In the manifests' order.
    open.sort();
    // First of all, so that a cache that cannot be written is known before minutes are spent.
    let temporary = match context.cache.temporary() {
        Ok(temporary) => temporary,
        Err(error) => return fail(jobs, &open, &error),
    };
    let runs = Runs { context, temporary: &temporary, status };
    for (python, group) in runs.by_python(jobs, &open) {
        if let Err(error) = runs.run(jobs, &mut held, &python, &group) {
            fail(jobs, &group, &error);
        }
        runs.share(jobs, &group, warnings);
    }
}

/// Ends the jobs of `group` that are still open with `error`.
fn fail(jobs: &mut Jobs<'_>, group: &[JobId], error: &Error) {
    for id in group {
        if jobs.get(*id).result.is_none() {
            jobs.end(*id, Err(error.clone().into()));
        }
    }
}

/// What all runs of a build share.
struct Runs<'a> {
    /// Options and caches.
    context: &'a Context,
    /// Where the runs write.
    temporary: &'a Temporary,
    /// The status line.
    status: &'a Status,
}

impl Runs<'_> {
    /// Returns the jobs in groups that one Python can convert; those for which there is no Python
    /// are ended.
    fn by_python(&self, jobs: &mut Jobs<'_>, open: &[JobId]) -> Vec<(PathBuf, Vec<JobId>)> {
        let (options, cache) = (&self.context.options, &self.context.cache);
        let mut obtained = Vec::new();
        let mut groups: Vec<(PathBuf, Vec<JobId>)> = Vec::new();
        for id in open {
            let requirements = jobs.get(*id).requirements;
            let known = obtained.iter().find(|(known, _)| *known == requirements);
            let python = match known {
                Some((_, python)) => Result::clone(python),
                None => {
                    let python = python::obtain(&options.python, requirements, cache, self.status);
                    obtained.push((requirements, python.clone()));
                    python
                }
            };
            match python {
                Err(error) => jobs.end(*id, Err(error.into())),
                Ok(python) => match groups.iter_mut().find(|(other, _)| *other == python) {
                    Some((_, group)) => group.push(*id),
                    None => groups.push((python, vec![*id])),
                },
            }
        }
        groups
    }

    /// Runs the driver on a group; each job ends, and its key is freed, when the reply about it
    /// comes.
    fn run(
        &self,
        jobs: &mut Jobs<'_>,
        held: &mut HeldKeys,
        python: &Path,
        group: &[JobId],
    ) -> Result<(), Error> {
        let Self { context, temporary, status } = self;
        let folder = tempfile::tempdir_in(temporary.path())
            .map_err(|error| Error::storage("make a folder", temporary.path(), error))?;
        let (log, log_file) = context.cache.log(&log_name(jobs, group))?;
        let ids = unique_ids(jobs, group);
        let models = ids.iter().zip(group).map(|(id, job)| {
            let job = jobs.get(*job);
            RunModel {
                id: id.clone(),
                package_root: job.root,
                requirements: job.requirements.demanded(),
                table: job.conversion,
            }
        });
        let run = Run {
            python,
            jobs: driver::parallel_jobs(context.options.jobs, group.len()),
            offline: context.options.python.offline,
            models: models.collect(),
            folder: folder.path(),
            log: (&log, log_file),
        };
        let settling = Settling { context, temporary, log: &log };
        driver::run(run, status, &mut |replied, reply| {
            let position = ids.iter().position(|id| id == replied);
            if let Some(id) = position.and_then(|position| group.get(position)) {
                let result = settling.settle(jobs.get(*id), reply);
                jobs.end(*id, result);
                let primary = jobs.get(*id).primary.clone();
                held.free(&primary, jobs);
            }
        })
    }

    /// Gives what was converted to the remote cache, where it may be written.
    fn share(&self, jobs: &Jobs<'_>, group: &[JobId], warnings: &mut Vec<String>) {
        if !self.context.shares() {
            return;
        }
        for job in group.iter().map(|id| jobs.get(*id)) {
            if let Some(Ok(found)) = &job.result {
                self.status.begin(&format!("giving {} to the remote cache", job.name));
                share(self.context, job, found, warnings);
            }
        }
    }
}

/// Returns a name for each job by which the driver and the status line call it: the model's, made
/// unique.
fn unique_ids(jobs: &Jobs<'_>, group: &[JobId]) -> Vec<String> {
    let names: Vec<_> = group.iter().map(|id| jobs.get(*id).name).collect();
    let unique = names.iter().enumerate().map(|(position, name)| {
        let before = names[..position].iter().filter(|other| *other == name).count();
        // Brackets and blanks occur in no model's own name, so that the new one is unique too.
        if before == 0 { (*name).to_owned() } else { format!("{name} ({})", before + 1) }
    });
    unique.collect()
}

/// Returns the name of the log for a group.
fn log_name(jobs: &Jobs<'_>, group: &[JobId]) -> String {
    let Some((first, others)) = group.split_first() else { return String::new() };
    let first = jobs.get(*first);
    let digits = first.primary.get(..LOG_DIGITS).unwrap_or_default();
    match others {
        [] => format!("{}-{digits}", first.name),
        _ => format!("{}-and-{}-more-{digits}", first.name, others.len()),
    }
}
