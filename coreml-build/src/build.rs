//! One build of one or more manifests, from options to files in the output folder.
//!
//! Owns: the steps and their order; each step is a function that takes the [`Context`].
//! Must not: read the environment or print: that is `cargo.rs`; so it runs the same in a build
//! script, a test and the command line.
//! Flow: `lib.rs` or the command line → [`Context::build`] → `manifests.rs`, `lookup.rs`,
//! `fetch.rs`, `convert.rs`, `deliver.rs`.
//!
//! A model of a manifest needs a [`Job`]; the job ends in a `Found`, which has an entry of the
//! cache, or in a `Failure`. Two models that are converted alike share one job.

pub(crate) mod companions;
pub(crate) mod context;
pub(crate) mod convert;
mod deliver;
pub(crate) mod fetch;
mod fingerprint;
mod index;
pub(crate) mod job;
mod keys;
pub(crate) mod locked;
pub(crate) mod lookup;
pub(crate) mod manifests;
mod options;
mod outcome;
mod ready;
mod settle;
pub(crate) mod share;
mod skip;

pub use context::Context;
pub use manifests::Selection;
pub use options::{Options, Policy};
pub use outcome::{Build, BuiltModel, Stored};

use crate::error::Error;
use crate::manifest::{Model, Rejected};
use convert::convert;
use deliver::{ModelResult, deliver};
use fetch::{fetch, fetch_locked};
use job::{Job, JobId, Jobs};
use lookup::look;
use manifests::Asked;

impl Context {
    /// Builds all of `manifests`; what is not in the cache is converted by one Python process.
    ///
    /// Returns: one build per manifest, in order. Products are in the output folder, for a failed
    /// one an index that says why. Models that could be converted are in the cache even if others
    /// of their manifest failed.
    pub fn build(&self, manifests: &[&str]) -> Vec<Build> {
        self.build_packages(&[self.own(manifests)])
    }

    /// [`build`](Self::build) for the manifests of several packages.
    ///
    /// Returns: products of several packages are in numbered folders of the output folder.
    pub fn build_packages(&self, packages: &[Selection]) -> Vec<Build> {
        let read = manifests::read(self, packages);
        let (mut jobs, needed) = jobs(&read);
        let mut warnings = Vec::new();
        let in_use = (!jobs.is_empty()).then(|| self.cache.in_use());
        look(self, &mut jobs, &mut warnings);
        if !jobs.open().is_empty() {
            let status = self.status();
            let held = fetch(self, &mut jobs, &status, &mut warnings);
            convert(self, &mut jobs, held, &status, &mut warnings);
        }
        fetch_locked(self, &mut jobs, &mut warnings);
        let mut builds = Vec::new();
        for (asked, needed) in read.iter().zip(&needed) {
            builds.push(deliver(self, asked, results(needed, &jobs)));
        }
        if let Some(first) = builds.first_mut() {
            first.warnings.extend(warnings);
        }
        drop(in_use);
        let is_new = |job: &Job<'_>| matches!(&job.result, Some(Ok(found)) if found.is_new());
        if jobs.iter().any(is_new) {
            self.cache.collect_daily(self.options.limits);
        }
        builds
    }

    /// Leaves `errors`, which concern no manifest in particular, for each of `manifests`.
    pub(crate) fn refuse(&self, manifests: &[&str], errors: &[Error]) -> Vec<Build> {
        let rejected = Rejected { errors: errors.to_vec(), models: Vec::new() };
        let asked = manifests::refused(self, &[self.own(manifests)], &rejected);
        asked.iter().map(|asked| deliver(self, asked, Vec::new())).collect()
    }

    /// Returns manifests as those of the package in the options.
    fn own(&self, manifests: &[&str]) -> Selection {
        Selection {
            package_root: self.options.package_root.clone(),
            manifests: manifests.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

/// A model that needs a job.
struct Needed<'a> {
    /// The model.
    model: &'a Model,
    /// Its job, or why it cannot have one.
    job: Result<JobId, Error>,
}

/// Returns the jobs of manifests, and for each manifest which of its models needs which.
fn jobs(read: &[Asked]) -> (Jobs<'_>, Vec<Vec<Needed<'_>>>) {
    let mut jobs = Jobs::default();
    let needed = read.iter().map(|asked| {
        let Some(read) = asked.read.as_ref().ok().filter(|_| !asked.skipped) else {
            return Vec::new();
        };
        let needed = read.manifest.models.iter().map(|model| {
            let locked = read.lock.as_ref().and_then(|lock| lock.models.get(&model.name));
            let job = Job::new(&asked.root, model, &read.manifest.requirements, locked);
            Needed { model, job: job.map(|job| jobs.add(job)) }
        });
        needed.collect()
    });
    let needed = needed.collect();
    (jobs, needed)
}

/// Returns what became of the models of a manifest.
fn results<'a>(needed: &[Needed<'a>], jobs: &'a Jobs<'_>) -> Vec<ModelResult<'a>> {
    let result = |needed: &Needed<'a>| match &needed.job {
        Ok(job) => (needed.model, jobs.result(*job)),
        Err(error) => (needed.model, Err(error.clone().into())),
    };
    needed.iter().map(result).collect()
}
