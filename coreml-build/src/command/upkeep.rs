//! What the command line does with caches: list, verify, collect, push, pull, fetch.
//!
//! Owns: these calls, and what they report.   Must not: print; run in a build.
//! Flow: `cargo coreml cache …` and `cargo coreml fetch` → here → `build/lookup.rs`,
//! `build/fetch.rs`, `build/share.rs`, `cache/`, `python/`.

use crate::build::Context;
use crate::build::fetch::fetch_one;
use crate::build::job::Job;
use crate::build::lookup::find;
use crate::build::manifests::{LockedManifest, read_one};
use crate::build::share::share;
use crate::cache::{Collected, Damage, Listed};
use crate::error::{Error, ErrorKind};
use crate::manifest::Rejected;
use crate::python;

/// Where a model is after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Whereabouts {
    /// It was in the local cache.
    Local,
    /// It was brought from the remote cache.
    Fetched,
    /// It was given to the remote cache, or was there.
    Shared,
    /// It is a package of the user's own, and needs no cache.
    Ready,
    /// It is nowhere: a build has to convert it.
    Nowhere,
}

/// What became of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moved {
    /// The manifest as it was asked for.
    pub manifest: String,
    /// The model.
    pub model: String,
    /// Where it is.
    pub whereabouts: Whereabouts,
}

/// What a command did with models.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Moves {
    /// The models, in the manifests' order.
    pub models: Vec<Moved>,
    /// Warnings that are no reason to fail.
    pub warnings: Vec<String>,
    /// Manifests that cannot be read, and environments that cannot be made.
    pub errors: Vec<Error>,
}

impl Context {
    /// Lists the entries of the local cache, the latest used first.
    pub fn entries(&self) -> Vec<Listed> {
        self.cache.list()
    }

    /// Reads every byte of the local cache's entries, and returns those that are damaged.
    pub fn verify(&self) -> Vec<Damage> {
        let _used = self.cache.in_use();
        self.cache.verify()
    }

    /// Removes from the local cache what is beyond the limits of the options, and what killed
    /// processes left behind.
    ///
    /// Parameters: `waiting` — called once when builds run; their end is waited for.
    pub fn collect(&self, waiting: impl FnOnce()) -> Result<Collected, Error> {
        self.cache.collect(self.options.limits, waiting)
    }

    /// Reports for each model of `manifests` whether the local cache has it; nothing is converted
    /// or fetched.
    pub fn look(&self, manifests: &[&str]) -> Moves {
        self.each(manifests, |job, warnings| {
            let found = find(self, job, warnings)?;
            Ok(found.map_or(Whereabouts::Nowhere, |_| Whereabouts::Local))
        })
    }

    /// Removes the models of `manifests` from the local cache: the next build converts them.
    ///
    /// Parameters: `waiting` — called once when builds run; their end is waited for.
    /// Returns: what was removed, and what kept other models from being removed.
    pub fn forget(
        &self,
        manifests: &[&str],
        waiting: impl FnOnce(),
    ) -> Result<(Collected, Moves), Error> {
        let mut entries = Vec::new();
        let moves = self.each(manifests, |job, warnings| {
            entries.extend(find(self, job, warnings)?.map(|found| found.entry));
            Ok(Whereabouts::Nowhere)
        });
        Ok((self.cache.remove(&entries, waiting)?, moves))
    }

    /// Gives the models of `manifests` that the local cache has to the remote one.
    ///
    /// Errors: there is no remote, or it may not be written.
    pub fn push(&self, manifests: &[&str]) -> Result<Moves, Error> {
        match &self.options.remote {
            None => Err(no_remote()),
            Some(remote) if !remote.write => Err(Error::new(
                ErrorKind::Policy,
                format!("the remote cache {remote} is only read here"),
            )
            .advise("set COREML_REMOTE_WRITE=1 where models may be given to it")),
            Some(_) => Ok(self.each(manifests, |job, warnings| {
                Ok(match find(self, job, warnings)? {
                    None => Whereabouts::Nowhere,
                    Some(found) if share(self, job, &found, warnings) => Whereabouts::Shared,
                    Some(_) => Whereabouts::Local,
                })
            })),
        }
    }

    /// Brings the models of `manifests` from the remote cache into the local one.
    ///
    /// Errors: there is no remote.
    pub fn pull(&self, manifests: &[&str]) -> Result<Moves, Error> {
        if self.options.remote.is_none() {
            return Err(no_remote());
        }
        Ok(self.each(manifests, |job, warnings| self.bring(job, warnings)))
    }

    /// Brings everything that an offline build of `manifests` needs into the local cache: their
    /// models, and the Python environment for those that have to be converted.
    pub fn prefetch(&self, manifests: &[&str]) -> Moves {
        let mut moves = self.each(manifests, |job, warnings| self.bring(job, warnings));
        let status = self.status();
        let mut made = Vec::new();
        let missing = moves.models.iter().filter(|model| model.whereabouts == Whereabouts::Nowhere);
        let manifests: Vec<_> = missing.map(|model| model.manifest.clone()).collect();
        for name in manifests {
            let Ok(LockedManifest { manifest, .. }) =
                read_one(self, &self.options.package_root, &name)
            else {
                continue;
            };
            if !made.contains(&manifest.requirements) {
                let options = &self.options.python;
                let obtained =
                    python::obtain(options, &manifest.requirements, &self.cache, &status);
                moves.errors.extend(obtained.err());
                made.push(manifest.requirements);
            }
        }
        moves
    }

    /// Finds a model in the local cache, or brings it there.
    fn bring(&self, job: &Job<'_>, warnings: &mut Vec<String>) -> Result<Whereabouts, Error> {
        let _held = self.cache.mutex(&job.primary).hold(|| {})?;
        if find(self, job, warnings)?.is_some() {
            return Ok(Whereabouts::Local);
        }
        Ok(fetch_one(self, job, warnings).map_or(Whereabouts::Nowhere, |_| Whereabouts::Fetched))
    }

    /// Does something with each model of `manifests` that is not a package of the user's.
    fn each(
        &self,
        manifests: &[&str],
        mut act: impl FnMut(&Job<'_>, &mut Vec<String>) -> Result<Whereabouts, Error>,
    ) -> Moves {
        let _used = self.cache.in_use();
        let mut moves = Moves::default();
        let root = &self.options.package_root;
        for name in manifests {
            let LockedManifest { manifest, lock } = match read_one(self, root, name) {
                Ok(read) => read,
                Err(Rejected { errors, .. }) => {
                    moves.errors.extend(errors);
                    continue;
                }
            };
            for model in &manifest.models {
                let locked = lock.as_ref().and_then(|lock| lock.models.get(&model.name));
                let job = Job::new(root, model, &manifest.requirements, locked);
                let result = job.and_then(|job| match job.conversion.functions.package() {
                    Some(_) => Ok(Whereabouts::Ready),
                    None => act(&job, &mut moves.warnings),
                });
                match result {
                    Ok(whereabouts) => moves.models.push(Moved {
                        manifest: (*name).to_owned(),
                        model: model.name.clone(),
                        whereabouts,
                    }),
                    Err(error) => {
                        moves.errors.push(error.of_model(&model.name).at(model.place(None)));
                    }
                }
            }
        }
        moves
    }
}

/// Returns the error for a command that needs a remote cache.
fn no_remote() -> Error {
    Error::new(ErrorKind::Policy, "there is no remote cache").advise(
        "set COREML_REMOTE to its folder or URL, or `remote` under `[cache]` in the config file",
    )
}
