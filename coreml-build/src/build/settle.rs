//! What the driver's reply about a model comes to: an entry of the cache, or an error.
//!
//! Owns: that a model is admitted only when its sources are still those that it was made from.
//! Flow: `convert.rs` → [`Settling::settle`] → `cache/admit.rs`.

use super::context::Context;
use super::fingerprint::{Snapshot, pinned};
use super::job::{Failure, Found, Job, JobResult, Origin};
use crate::cache::{Admission, Draft, Refusal, Temporary};
use crate::error::{Error, ErrorKind};
use crate::python::driver::{Began, Reply};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How much earlier than the clock the time of a file can be: Linux takes it from a clock that
/// ticks every 10 ms at most.
const TICK: Duration = Duration::from_millis(20);

/// The same on file systems that keep no fractions of a second: FAT rounds to two seconds.
const COARSE_TICK: Duration = Duration::from_secs(2);

/// What the replies of one run have in common.
pub(super) struct Settling<'a> {
    /// Options and caches.
    pub(super) context: &'a Context,
    /// Takes entries that are replaced.
    pub(super) temporary: &'a Temporary,
    /// What Python printed.
    pub(super) log: &'a Path,
}

impl Settling<'_> {
    /// Turns a reply into an entry of the cache or an error.
    pub(super) fn settle(&self, job: &Job<'_>, reply: Reply) -> JobResult {
        match reply {
            Reply::Lost(error) => Err(error.into()),
            Reply::Failed(failed) => {
                let error = Error::new(failed.error_kind(), failed.message)
                    .in_python(failed.python)
                    .logged(self.log);
                let error = failed.advice.into_iter().fold(error, Error::advise);
                Err(Failure { error, key: failed.key, inputs: failed.inputs })
            }
            Reply::Converted { reply, output, began, seconds } => {
                let mut inputs: BTreeSet<String> = reply.inputs.into_iter().collect();
                inputs.extend(job.declared.iter().map(|file| (*file).to_owned()));
                let inputs: Vec<_> = inputs.into_iter().collect();
                match self.admit(job, &output, began, seconds, &inputs) {
                    Ok(mut found) => {
                        found.warnings = reply.warnings;
                        Ok(found)
                    }
                    Err(error) => Err(Failure { error: error.logged(self.log), key: None, inputs }),
                }
            }
        }
    }

    /// Admits the driver's output to the cache.
    ///
    /// Parameters: `began` — before it, no file of the model was read.
    fn admit(
        &self,
        job: &Job<'_>,
        output: &Path,
        began: Began,
        seconds: f64,
        inputs: &[String],
    ) -> Result<Found, Error> {
        let cache = &self.context.cache;
        let draft = Draft::read(output, job.name, seconds, &cache.digests).map_err(unusable)?;
        draft.add_log(self.log).map_err(|error| Error::storage("keep the log", self.log, error))?;
        let snapshot = Snapshot::take(job.root, inputs, &cache.digests).map_err(|error| {
            Error::new(
                ErrorKind::Storage,
                format!("a file that the model is made from cannot be read: {error}"),
            )
            .caused_by(error)
        })?;
        // Looked at after the snapshot: what is changed in between is noticed too.
        if let Some(changed) = inputs.iter().find(|input| changed_since(job.root, input, began)) {
            return Err(Error::new(
                ErrorKind::Conversion,
                format!("{changed} was changed while the model was converted"),
            )
            .advise("build again"));
        }
        let admission = Admission {
            fingerprint: &snapshot.fingerprint(&job.primary),
            primary: &job.primary,
            inputs: Some(inputs),
            temporary: self.temporary,
        };
        let admitted =
            cache.admit(&draft, &admission, |_| false).map_err(|refusal| match refusal {
                Refusal::Unusable(error) => unusable(error),
                Refusal::Storage(error) => error,
            })?;
        Ok(Found::admitted(admitted, inputs.to_vec(), Origin::Made))
    }
}

/// Returns the error for an output of the driver that is no model.
fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Driver, format!("the conversion gave something unusable: {error}"))
        .advise("this is a fault of coreml-build; please report it with the log")
        .caused_by(error)
}

/// Returns whether the file `input` was written or removed since `began`. A time in the future is
/// no sign: archives and wrong clocks have them. A file of the hub never changes.
fn changed_since(root: &Path, input: &str, began: Began) -> bool {
    if pinned(input).is_some() {
        return false;
    }
    match std::fs::metadata(root.join(input)).and_then(|metadata| metadata.modified()) {
        Ok(modified) if modified > SystemTime::now() => false,
        Ok(modified) => match began {
            Began::Reading(began) => modified + tick(modified) > began,
            Began::Process(began) => modified > began,
        },
        Err(_) => true,
    }
}

/// Returns how much later than `modified` a file may have been written.
fn tick(modified: SystemTime) -> Duration {
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if since.subsec_nanos() == 0 { COARSE_TICK } else { TICK }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_changed_when_it_was_written_after_the_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.py");
        std::fs::write(&path, "").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let changed = |began| changed_since(folder.path(), "net.py", Began::Reading(began));
        // A fraction, as every file system but the coarse ones keeps it.
        let written = SystemTime::UNIX_EPOCH + Duration::from_millis(1_600_000_000_500);
        file.set_modified(written).unwrap();
        assert!(changed(written - Duration::from_secs(1)));
        assert!(changed(written + TICK / 2), "the file's clock may be late");
        assert!(!changed(written + 2 * TICK));
        let process = |began| changed_since(folder.path(), "net.py", Began::Process(began));
        assert!(process(written - TICK) && !process(written), "it was written just before");
        let whole = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
        file.set_modified(whole).unwrap();
        assert!(changed(whole + Duration::from_secs(1)), "its fraction is not known");
        assert!(!changed(whole + 2 * COARSE_TICK));
        file.set_modified(SystemTime::now() + Duration::from_secs(3600)).unwrap();
        assert!(!changed(whole), "a wrong clock is no sign");
        assert!(changed_since(folder.path(), "gone.py", Began::Reading(whole)));
        let pinned = format!("hub:a/b@c/d#sha256={}", "0".repeat(64));
        assert!(!changed_since(folder.path(), &pinned, Began::Reading(whole)));
    }
}
