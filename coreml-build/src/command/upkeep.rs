//! What the command line does with caches: list, verify, collect, push, pull, fetch.
//!
//! Owns: these calls of [`Session`], and what they report. Must not: print; run in a build.
//! Flow: `cargo coreml cache …` and `cargo coreml fetch` → here → `cache.rs`, `remote/exchange.rs`,
//! `python.rs`.

use crate::build::lookup::{Wanted, find};
use crate::build::{Session, Source};
use crate::cache::{Collected, Damage, Listed};
use crate::error::{Error, ErrorKind};
use crate::lock::Lock;
use crate::manifest::{Manifest, Rejected};
use crate::python;
use crate::status::Status;

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
    /// What is odd, but no error.
    pub warnings: Vec<String>,
    /// Manifests that make no sense, and environments that cannot be made.
    pub errors: Vec<Error>,
}

impl Session {
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

    /// Says of the models of `manifests` whether the local cache has them; nothing is converted or
    /// brought.
    pub fn look(&self, manifests: &[&str]) -> Moves {
        self.each(manifests, |session, wanted, warnings| {
            let found = find(&session.options.package_root, &session.cache, wanted, warnings)?;
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
        let moves = self.each(manifests, |session, wanted, warnings| {
            entries.extend(
                find(&session.options.package_root, &session.cache, wanted, warnings)?
                    .map(|found| found.entry),
            );
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
            Some(_) => Ok(self.each(manifests, |session, wanted, warnings| {
                let found = find(&session.options.package_root, &session.cache, wanted, warnings)?;
                Ok(match found {
                    None => Whereabouts::Nowhere,
                    Some(found)
                        if session.share(wanted.name, &wanted.primary, &found, warnings) =>
                    {
                        Whereabouts::Shared
                    }
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
        Ok(self.each(manifests, Self::bring))
    }

    /// Brings everything that an offline build of `manifests` needs into the local cache: their
    /// models, and the Python environment for those that have to be converted.
    pub fn prefetch(&self, manifests: &[&str]) -> Moves {
        let mut moves = self.each(manifests, Self::bring);
        let status = Status::new(&self.options);
        let mut made = Vec::new();
        let missing = moves.models.iter().filter(|model| model.whereabouts == Whereabouts::Nowhere);
        let manifests: Vec<_> = missing.map(|model| model.manifest.clone()).collect();
        for name in manifests {
            let Ok(Source { manifest, .. }) = self.read(&name) else { continue };
            if !made.contains(&manifest.requirements) {
                if let Err(error) = python::obtain(
                    &self.options.python,
                    &manifest.requirements,
                    &self.cache,
                    &status,
                ) {
                    moves.errors.push(error);
                }
                made.push(manifest.requirements);
            }
        }
        moves
    }

    /// Finds a model in the local cache, or brings it there.
    fn bring(&self, wanted: &Wanted<'_>, warnings: &mut Vec<String>) -> Result<Whereabouts, Error> {
        let _lock = self.cache.lock(&wanted.primary).hold(|| {})?;
        if find(&self.options.package_root, &self.cache, wanted, warnings)?.is_some() {
            return Ok(Whereabouts::Local);
        }
        Ok(self.fetch(wanted, warnings).map_or(Whereabouts::Nowhere, |_| Whereabouts::Fetched))
    }

    /// Does something with each model of `manifests`.
    fn each(
        &self,
        manifests: &[&str],
        mut act: impl FnMut(&Self, &Wanted<'_>, &mut Vec<String>) -> Result<Whereabouts, Error>,
    ) -> Moves {
        let _used = self.cache.in_use();
        let mut moves = Moves::default();
        for name in manifests {
            let (manifest, lock): (Manifest, Option<Lock>) = match self.read(name) {
                Ok(Source { manifest, lock }) => (manifest, lock),
                Err(Rejected { errors, .. }) => {
                    moves.errors.extend(errors);
                    continue;
                }
            };
            for model in &manifest.models {
                let locked = lock.as_ref().and_then(|lock| lock.models.get(&model.name));
                let result = Wanted::new(model, &manifest.requirements).and_then(|wanted| {
                    match wanted.conversion.functions.package() {
                        Some(_) => Ok(Whereabouts::Ready),
                        None => act(self, &wanted.with_lock(locked), &mut moves.warnings),
                    }
                });
                match result {
                    Ok(whereabouts) => moves.models.push(Moved {
                        manifest: (*name).to_owned(),
                        model: model.name.clone(),
                        whereabouts,
                    }),
                    Err(error) => {
                        moves.errors.push(error.of_model(&model.name).at(model.place(None)))
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
