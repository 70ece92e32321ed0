//! Jobs: the conversions that a build needs, each once, and what became of each.
//!
//! Owns: the words of a build: a [`Job`] ends in a [`Found`] or a [`Failure`].
//! Must not: look for anything.
//! Flow: `build.rs` collects the jobs of its manifests; `lookup.rs`, `fetch.rs` and `convert.rs`
//! each end some of them; `deliver.rs` takes the result of each model.

use super::fingerprint::primary;
use crate::cache::Entry;
use crate::error::{Error, ErrorKind};
use crate::lock::LockedModel;
use crate::manifest::{Conversion, Model};
use crate::python::Requirements;
use coreml_spec::Interface;
use std::path::Path;
use std::sync::OnceLock;

/// A conversion that a build needs.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    /// The package that the paths of the model are relative to.
    pub(crate) root: &'a Path,
    /// Its primary key.
    pub(crate) primary: String,
    /// Name of the first model that needs it.
    pub(crate) name: &'a str,
    /// Its canonical table.
    pub(crate) conversion: &'a Conversion,
    /// Files that the manifest names.
    pub(crate) declared: Vec<&'a str>,
    /// The Python packages.
    pub(crate) requirements: &'a Requirements,
    /// What the lock says of it.
    pub(crate) locked: Option<&'a LockedModel>,
    /// Whether it is only looked for in the local cache.
    pub(crate) optional: bool,
    /// What became of it; `None` while it is open.
    pub(crate) result: Option<JobResult>,
}

/// What became of a job.
pub(crate) type JobResult = Result<Found, Failure>;

/// A model that was found or converted.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Its entry.
    pub(crate) entry: Entry,
    /// The files that it was made from.
    pub(crate) inputs: Vec<String>,
    /// Where it comes from.
    pub(crate) origin: Origin,
    /// Warnings of the conversion; none on a hit.
    pub(crate) warnings: Vec<String>,
    /// The interface of its package, once it was read.
    interface: OnceLock<Interface>,
}

/// Where a model comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The local cache.
    Local,
    /// The remote cache.
    Remote,
    /// It was made now: converted, or copied from a package of the user's.
    Made,
}

/// Why a conversion failed, before it is known which models need it.
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

impl Found {
    /// Makes what was found in the local cache.
    pub(crate) fn local(entry: Entry, inputs: Vec<String>) -> Self {
        let (origin, interface) = (Origin::Local, OnceLock::new());
        Self { entry, inputs, origin, warnings: Vec::new(), interface }
    }

    /// Makes what was admitted to the local cache now.
    pub(crate) fn admitted(
        (entry, interface): (Entry, Interface),
        inputs: Vec<String>,
        origin: Origin,
    ) -> Self {
        Self { entry, inputs, origin, warnings: Vec::new(), interface: interface.into() }
    }

    /// Returns whether it was in some cache before.
    pub(crate) fn is_cached(&self) -> bool {
        self.origin != Origin::Made
    }

    /// Returns whether the local cache has it only now.
    pub(crate) fn is_new(&self) -> bool {
        self.origin != Origin::Local
    }

    /// Returns the interface of its package, which is read at most once.
    pub(crate) fn interface(&self) -> Result<&Interface, Error> {
        if let Some(interface) = self.interface.get() {
            return Ok(interface);
        }
        let package = self.entry.package();
        let read = coreml_spec::Package::open(&package).and_then(|package| package.interface());
        let interface = read.map_err(|error| {
            let message =
                format!("the converted package {} cannot be read: {error}", package.display());
            Error::new(ErrorKind::Driver, message).caused_by(error)
        })?;
        Ok(self.interface.get_or_init(|| interface))
    }
}

impl<'a> Job<'a> {
    /// Makes the job of a model.
    ///
    /// Errors: the canonical table has no JSON form, which its types rule out.
    pub(crate) fn new(
        root: &'a Path,
        model: &'a Model,
        requirements: &'a Requirements,
        locked: Option<&'a LockedModel>,
    ) -> Result<Self, Error> {
        let primary = primary(&model.conversion, requirements).map_err(|error| {
            Error::new(ErrorKind::Manifest, format!("the table cannot be written as JSON: {error}"))
                .of_model(&model.name)
                .caused_by(error)
        })?;
        Ok(Self {
            root,
            primary,
            name: &model.name,
            conversion: &model.conversion,
            declared: model.declared_files().into_iter().map(|(_, file)| file).collect(),
            requirements,
            locked,
            optional: false,
            result: None,
        })
    }

    /// Adds the warning about a damaged entry, once.
    pub(crate) fn warn_of_damage(&self, damage: &str, warnings: &mut Vec<String>) {
        let name = self.name;
        let warning = format!("model `{name}`: its cache entry is damaged and not used: {damage}");
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// Returns whether `entry` is made from the locked sources, but is not the locked package.
    pub(crate) fn disagrees(&self, entry: &Entry) -> bool {
        self.locked.is_some_and(|locked| {
            locked.fingerprint == entry.fingerprint() && locked.digest != entry.digest()
        })
    }
}

/// The jobs of a build.
#[derive(Debug, Default)]
pub(crate) struct Jobs<'a>(Vec<Job<'a>>);

/// Names a job among those of its build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JobId(usize);

impl<'a> Jobs<'a> {
    /// Adds a job, unless the same is there: same package, same primary key.
    pub(crate) fn add(&mut self, job: Job<'a>) -> JobId {
        let same = |other: &Job<'_>| other.primary == job.primary && other.root == job.root;
        let position = self.0.iter().position(same).unwrap_or_else(|| {
            self.0.push(job);
            self.0.len() - 1
        });
        JobId(position)
    }

    /// Returns whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns all jobs.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Job<'a>> {
        self.0.iter()
    }

    /// Returns all jobs.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Job<'a>> {
        self.0.iter_mut()
    }

    /// Returns a job.
    pub(crate) fn get(&self, id: JobId) -> &Job<'a> {
        &self.0[id.0]
    }

    /// Ends a job.
    pub(crate) fn end(&mut self, id: JobId, result: JobResult) {
        self.0[id.0].result = Some(result);
    }

    /// Returns what became of a job.
    pub(crate) fn result(&self, id: JobId) -> Result<&Found, Failure> {
        match &self.get(id).result {
            Some(result) => result.as_ref().map_err(Clone::clone),
            None => Err(Error::new(ErrorKind::Driver, "this model was not looked for").into()),
        }
    }

    /// Returns the jobs that have to be fetched or converted, sorted by primary key: two builds
    /// that lock several keys cannot wait for each other.
    pub(crate) fn open(&self) -> Vec<JobId> {
        let open = |id: &JobId| self.get(*id).result.is_none() && !self.get(*id).optional;
        let mut open: Vec<_> = (0..self.0.len()).map(JobId).filter(open).collect();
        open.sort_by_key(|id| &self.get(*id).primary);
        open
    }

    /// Returns whether a job with this primary key is open.
    pub(crate) fn needs(&self, primary: &str) -> bool {
        self.0.iter().any(|job| job.primary == primary && job.result.is_none())
    }
}

/// Returns the error for a model that is not in the cache when it may not be converted.
pub(crate) fn not_cached() -> Failure {
    Error::new(
        ErrorKind::Policy,
        "it is not in the cache, and COREML_BUILD=cached forbids converting it",
    )
    .advise("run `COREML_BUILD=auto cargo build` once where there is Python")
    .advise("or set COREML_CACHE_DIR or COREML_REMOTE to a cache that has it")
    .into()
}
