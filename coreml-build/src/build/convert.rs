//! Converting what the cache does not have.
//!
//! Owns: the locks around a conversion, the one Python process for all of them, and what becomes of
//! its output.
//! Flow: `session.rs` → here → `python.rs`, `driver.rs`, then `cache.rs` publishes.

use crate::build::fingerprint::{Snapshot, pinned};
use crate::build::lookup::{Found, Wanted, find};
use crate::build::{Conversions, Policy, Session, not_cached};
use crate::cache::{Cache, Draft, Lookup, Temporary};
use crate::error::{Error, ErrorKind};
use crate::python;
use crate::python::driver::{self, Failed, Reply};
use crate::status::Status;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

/// Hexadecimal digits of the primary key in the name of a log.
const LOG_DIGITS: usize = 12;

/// Why a conversion failed, before it is known which models wanted it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The error, without a place.
    pub(crate) error: Error,
    /// The manifest key that it stands at, relative to the model.
    pub(crate) key: Option<String>,
    /// The files that were read so far.
    pub(crate) inputs: Vec<String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, key: None, inputs: Vec::new() }
    }
}

impl Session {
    /// Converts `misses`, or finds them after all when somebody else has just converted them.
    ///
    /// Called by: [`Session::build`].
    /// Parameters: `conversions` — takes a result for every miss.
    pub(crate) fn convert(
        &self,
        misses: Vec<Wanted<'_>>,
        conversions: &mut Conversions,
        warnings: &mut Vec<String>,
    ) {
        let status = Status::new(&self.options);
        // Sorted by key, as the misses are, two builds that want several locks cannot wait for each
        // other.
        let mut locks = Vec::new();
        let mut left = Vec::new();
        for wanted in misses {
            let waiting = || {
                status.begin(&format!("waiting for another build that converts {}", wanted.name))
            };
            let found = self.cache.lock(&wanted.primary).hold(waiting).and_then(|lock| {
                locks.push(lock);
                let found = find(&self.options.package_root, &self.cache, &wanted, warnings)?;
                Ok(found.or_else(|| {
                    if self.options.remote.is_some() {
                        status.begin(&format!("looking for {} in the remote cache", wanted.name));
                    }
                    self.fetch(&wanted, warnings)
                }))
            });
            match found {
                Ok(Some(found)) => {
                    conversions.insert(wanted.primary, Ok(found));
                }
                Ok(None) if self.options.policy != Policy::Auto => {
                    conversions.insert(wanted.primary, Err(not_cached().into()));
                }
                Ok(None) => left.push(wanted),
                Err(error) => {
                    conversions.insert(wanted.primary, Err(error.into()));
                }
            }
        }
        for group in by_requirements(left) {
            self.convert_group(&group, &status, conversions);
            self.share_group(&group, &status, conversions, warnings);
        }
    }

    /// Gives what was converted to the remote cache, where that is wanted.
    fn share_group(
        &self,
        group: &[Wanted<'_>],
        status: &Status,
        conversions: &Conversions,
        warnings: &mut Vec<String>,
    ) {
        if self.options.remote.as_ref().is_some_and(|remote| remote.write) {
            for wanted in group {
                if let Some(Ok(found)) = conversions.get(&wanted.primary) {
                    status.begin(&format!("giving {} to the remote cache", wanted.name));
                    self.share(wanted.name, &wanted.primary, found, warnings);
                }
            }
        }
    }

    /// Converts `group`, whose members need the same Python packages, in one process.
    fn convert_group(&self, group: &[Wanted<'_>], status: &Status, conversions: &mut Conversions) {
        match self.run_driver(group, status) {
            Ok(results) => conversions.extend(results),
            Err(error) => {
                conversions.extend(
                    group.iter().map(|wanted| (wanted.primary.clone(), Err(error.clone().into()))),
                );
            }
        }
    }

    /// Runs the driver on `group`, and publishes what it converts.
    fn run_driver(&self, group: &[Wanted<'_>], status: &Status) -> Result<Conversions, Error> {
        let Some(first) = group.first() else { return Ok(Conversions::new()) };
        // First of all, so that a cache that cannot be written is known before minutes are spent.
        let temporary = self.cache.temporary()?;
        let python = python::obtain(&self.options.python, first.requirements, &self.cache, status)?;
        let (log, log_file) = self.cache.log(&log_name(group))?;
        let ids = unique_ids(group);
        let started = SystemTime::now();
        let job = driver::Job {
            python: &python,
            package_root: &self.options.package_root,
            requirements: &first.requirements.demanded(),
            offline: self.options.python.offline,
            jobs: driver::parallel_jobs(self.options.jobs, group.len()),
            models: ids.iter().cloned().zip(group.iter().map(|wanted| wanted.conversion)).collect(),
            folder: temporary.path(),
            log: (&log, log_file),
        };
        let mut replies = driver::run(job, status)?;
        status.begin("keeping the models in the cache");
        let publishing = Publishing { session: self, temporary: &temporary, log: &log, started };
        let results = ids.iter().zip(group).map(|(id, wanted)| {
            let result = match replies.remove(id) {
                Some(reply) => publishing.settle(wanted, reply),
                None => Err(Error::new(ErrorKind::Driver, "the driver did not reply")
                    .logged(&log)
                    .into()),
            };
            (wanted.primary.clone(), result)
        });
        Ok(results.collect())
    }
}

/// What all conversions of a process share when they are published.
#[derive(Debug)]
struct Publishing<'a> {
    /// Package and cache.
    session: &'a Session,
    /// Where damaged entries go.
    temporary: &'a Temporary,
    /// What Python said.
    log: &'a Path,
    /// When the process was started.
    started: SystemTime,
}

impl Publishing<'_> {
    /// Turns the driver's reply into a cache entry or an error.
    fn settle(&self, wanted: &Wanted<'_>, reply: Reply) -> Result<Found, Failure> {
        match reply {
            Reply::Lost(error) => Err(error.into()),
            Reply::Failed(failed) => Err(self.failure(*failed)),
            Reply::Converted { reply, output, seconds } => {
                let mut inputs: BTreeSet<String> = reply.inputs.into_iter().collect();
                inputs.extend(wanted.declared.iter().map(|file| (*file).to_owned()));
                let inputs: Vec<_> = inputs.into_iter().collect();
                let published = self.publish(wanted, &output, seconds, &inputs);
                match published {
                    Ok(entry) => Ok(Found {
                        entry,
                        inputs,
                        cached: false,
                        is_new: true,
                        warnings: reply.warnings,
                    }),
                    Err(error) => Err(Failure { error: error.logged(self.log), key: None, inputs }),
                }
            }
        }
    }

    /// Publishes the driver's output.
    fn publish(
        &self,
        wanted: &Wanted<'_>,
        output: &Path,
        seconds: f64,
        inputs: &[String],
    ) -> Result<crate::cache::Entry, Error> {
        let cache: &Cache = &self.session.cache;
        let root = &self.session.options.package_root;
        let unusable = |problem: String| {
            Error::new(
                ErrorKind::Driver,
                format!("the conversion gave something unusable: {problem}"),
            )
            .advise("this is a fault of coreml-build; please report it with the log")
        };
        let draft = Draft::read(output, wanted.name, seconds, &cache.digests)
            .map_err(|error| unusable(error.to_string()))?;
        coreml_spec::Package::open(draft.package())
            .and_then(|package| package.interface())
            .map_err(|error| unusable(error.to_string()))?;
        draft
            .add_log(self.log)
            .map_err(|error| Error::storage("keep the log", self.log, &error))?;
        let snapshot = Snapshot::take(root, inputs, &cache.digests).map_err(|error| {
            Error::new(
                ErrorKind::Storage,
                format!("a file that the model is made from cannot be read: {error}"),
            )
        })?;
        if let Some(changed) = inputs.iter().find(|input| self.changed_meanwhile(root, input)) {
            return Err(Error::new(
                ErrorKind::Conversion,
                format!("{changed} was changed while the model was converted"),
            )
            .advise("build again"));
        }
        let fingerprint = snapshot.fingerprint(&wanted.primary);
        if matches!(cache.lookup(&fingerprint), Lookup::Damaged(_)) {
            cache.discard(&fingerprint, self.temporary)?;
        }
        let entry = cache.publish(&draft, &fingerprint)?;
        cache.record_inputs(&wanted.primary, inputs.to_vec())?;
        Ok(entry)
    }

    /// Returns whether the file `input` was written or removed since Python was started. A time in
    /// the future is no sign: archives and clocks that are wrong have them. A file of the hub never
    /// changes.
    fn changed_meanwhile(&self, root: &Path, input: &str) -> bool {
        if pinned(input).is_some() {
            return false;
        }
        match std::fs::metadata(root.join(input)).and_then(|metadata| metadata.modified()) {
            Ok(modified) => modified > self.started && modified <= SystemTime::now(),
            Err(_) => true,
        }
    }

    /// Turns the driver's account of a failure into an error.
    fn failure(&self, failed: Failed) -> Failure {
        let kind = match failed.kind.as_str() {
            "not-supported" => ErrorKind::Unsupported,
            _ => ErrorKind::Conversion,
        };
        let error = Error::new(kind, failed.message).in_python(failed.python).logged(self.log);
        let error = failed.advice.into_iter().fold(error, Error::advise);
        Failure { error, key: failed.key, inputs: failed.inputs }
    }
}

/// Returns the conversions in groups that need the same Python packages.
fn by_requirements(wanted: Vec<Wanted<'_>>) -> Vec<Vec<Wanted<'_>>> {
    let mut groups: Vec<Vec<Wanted<'_>>> = Vec::new();
    for one in wanted {
        match groups.iter_mut().find(|group| group[0].requirements == one.requirements) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

/// Returns a name for each conversion by which the driver and the status line call it: the model's,
/// made unique.
fn unique_ids(group: &[Wanted<'_>]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for (position, wanted) in group.iter().enumerate() {
        let before = group[..position].iter().filter(|other| other.name == wanted.name).count();
        // Brackets and blanks occur in no model's own name, so that the new one is unique too.
        ids.push(if before == 0 {
            wanted.name.to_owned()
        } else {
            format!("{} ({})", wanted.name, before + 1)
        });
    }
    ids
}

/// Returns the name of the log for `group`.
fn log_name(group: &[Wanted<'_>]) -> String {
    let names: Vec<_> = group.iter().map(|wanted| wanted.name).collect();
    let digits =
        group.first().and_then(|wanted| wanted.primary.get(..LOG_DIGITS)).unwrap_or_default();
    match names.as_slice() {
        [name] => format!("{name}-{digits}"),
        [name, others @ ..] => format!("{name}-and-{}-more-{digits}", others.len()),
        [] => digits.to_owned(),
    }
}
