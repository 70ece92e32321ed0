//! Bringing what was found or converted into the output folder, after a look at the lock.
//!
//! Owns: what stands in the index and in `build.json`. Must not: find or convert anything.
//! Flow: `session.rs` → [`Session::deliver`] → `lock.rs`, `materialize.rs`, `embed.rs`.

use crate::build::lookup::{Found, Wanted};
use crate::build::{Build, BuiltModel, Conversions, Policy, Session};
use crate::cache::Entry;
use crate::error::{Error, ErrorKind};
use crate::lock::{self, Disagreement, Lock};
use crate::manifest::{Manifest, Model};
use crate::output::compiler;
use crate::output::embed::{self, Library, Target};
use crate::output::materialize::{self, BUILD_FILE, EMBEDDED_FOLDER, Products};
use coreml_spec::{
    INDEX_VERSION, Index, IndexedModel, Interface, Metric, Models, Outcome, digest_of_folder,
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Content of `build.json`.
#[derive(Debug, Serialize)]
struct BuildFile<'a> {
    /// The models.
    models: &'a [BuiltModel],
}

impl Session {
    /// Brings the models of a manifest into the output folder.
    ///
    /// Called by: [`Session::build`].
    /// Parameters: `lock` — what is found must agree with it.
    pub(crate) fn deliver(
        &self,
        manifest: &Manifest,
        lock: Option<&Lock>,
        conversions: &Conversions,
        build: &mut Build,
    ) -> Result<Vec<BuiltModel>, Vec<Error>> {
        build.warnings.extend(manifest.warnings.iter().cloned());
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        for model in &manifest.models {
            let primary = match Wanted::new(model, &manifest.requirements) {
                Ok(wanted) => wanted.primary,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            match conversions.get(&primary) {
                Some(Ok(conversion)) => {
                    self.watch(&conversion.inputs, build);
                    let warning = |text: &String| {
                        format!("{}: model `{}`: {text}", build.manifest, model.name)
                    };
                    build
                        .warnings
                        .extend(conversion.warnings.iter().map(warning).collect::<Vec<_>>());
                    found.push((model, conversion));
                }
                Some(Err(failure)) => {
                    self.watch(&failure.inputs, build);
                    let place = model.place(failure.key.as_deref());
                    errors.push(failure.error.clone().of_model(&model.name).at(place));
                }
                None => errors.push(
                    Error::new(ErrorKind::Driver, "nothing is known of this model")
                        .of_model(&model.name),
                ),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let one = |error: Error| vec![error];
        let mut interfaces = Vec::new();
        for (_, found) in &found {
            interfaces.push(interface_of(&found.entry).map_err(one)?);
        }
        if let Some(lock) = lock {
            self.compare(lock, &found, &interfaces, build)?;
        }
        let products: Vec<_> = found
            .iter()
            .map(|(model, found)| (Products::new(&model.name, &found.entry), &found.entry))
            .collect();
        let output =
            |error: std::io::Error| one(Error::output("write the models", &build.folder, &error));
        std::fs::create_dir_all(&build.folder).map_err(output)?;
        materialize::models(&build.folder, &products, &self.cache.digests).map_err(output)?;
        let mut models = Vec::new();
        let mut built = Vec::new();
        let mut embedded = Vec::new();
        for (((model, found), interface), (products, entry)) in
            found.iter().zip(interfaces).zip(products)
        {
            let package = build.folder.join(&products.package);
            built.push(BuiltModel {
                name: model.name.clone(),
                cached: found.cached,
                seconds: entry.seconds(),
                digest: entry.digest().to_owned(),
                package: package.clone(),
                log: entry.log(),
            });
            let root = &self.options.package_root;
            let mut indexed =
                indexed(model, root, interface, entry.digest(), products.package, products.samples);
            if model.settings.embed {
                let files = entry.package_files().into_iter();
                let files = files
                    .map(|file| (file.path.to_owned(), package.join(file.path), file.size))
                    .collect();
                let package = embed::Package { digest: entry.digest(), files };
                indexed.embedded = embed::symbols(&package);
                embedded.push((package, *model));
            }
            models.push(indexed);
        }
        build.library = self.embed(embedded, build).map_err(one)?;
        if self.options.target.as_ref().is_some_and(Target::is_apple) {
            let mut packages: Vec<(PathBuf, String)> = Vec::new();
            for (model, built) in models.iter_mut().zip(&built) {
                let digest = digest_of_folder(&built.package).map_err(output)?;
                packages.push((built.package.clone(), digest.clone()));
                model.content_digest = Some(digest);
            }
            let (compiled, warnings) = compiler::compile_named(&build.folder, &packages);
            compiler::remove_others(&build.folder, &compiled);
            build.warnings.extend(warnings);
        }
        let index = Index {
            version: INDEX_VERSION,
            manifest: manifest.path.clone(),
            outcome: Outcome::Models(Models { single: manifest.single, models }),
        };
        let text = serde_json::to_vec_pretty(&BuildFile { models: &built })
            .map_err(std::io::Error::from)
            .map_err(output)?;
        std::fs::write(build.folder.join(BUILD_FILE), text).map_err(output)?;
        materialize::index(&build.folder, &index).map_err(output)?;
        Ok(built)
    }

    /// Compares what was found with the lock.
    ///
    /// Errors: packages that are not the locked ones; and, where nothing may be converted, a lock
    /// that is out of date.
    fn compare(
        &self,
        lock: &Lock,
        found: &[(&Model, &Found)],
        interfaces: &[Interface],
        build: &mut Build,
    ) -> Result<(), Vec<Error>> {
        let (mut errors, mut outdated) = (Vec::new(), Vec::new());
        for ((model, found), interface) in found.iter().zip(interfaces) {
            match lock.judge(&build.manifest, &model.name, &found.entry, interface) {
                Ok(()) => {}
                Err(Disagreement::Forged(error)) => {
                    errors.push(error.of_model(&model.name).at(model.place(None)));
                }
                Err(Disagreement::Outdated(why)) => outdated.push((why, model.place(None))),
            }
        }
        if let (Some(other), Some((first, _))) =
            (lock.others(found.iter().map(|(model, _)| model.name.as_str())), found.first())
        {
            outdated.push((
                format!("it has a model `{other}` that the manifest has not"),
                first.place(None),
            ));
        }
        for (why, place) in outdated {
            let text = lock::outdated(&build.manifest, &why);
            match self.options.policy {
                Policy::Auto => build.warnings.push(text),
                Policy::Cached | Policy::Skip => {
                    errors.push(Error::new(ErrorKind::Lock, text).at(place).advise(
                        "COREML_BUILD=cached uses only what is locked; COREML_BUILD=auto \
                            warns of it",
                    ))
                }
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Assembles the packages of the models that say `embed = true`.
    fn embed(
        &self,
        models: Vec<(embed::Package<'_>, &Model)>,
        build: &Build,
    ) -> Result<Option<Library>, Error> {
        let Some((_, first)) = models.first() else { return Ok(None) };
        let place = |error: Error| error.of_model(&first.name).at(first.place(Some("embed")));
        let target = self.options.target.as_ref().ok_or_else(|| {
            place(Error::new(
                ErrorKind::Embedding,
                "`embed = true` needs a build script: the target is not \
                 known here",
            ))
        })?;
        let mut packages: Vec<_> = models.into_iter().map(|(package, _)| package).collect();
        // Models with the same content have the same symbols.
        packages.sort_by_key(|package| package.digest.to_owned());
        packages.dedup_by_key(|package| package.digest);
        embed::assemble(&packages, target, &build.folder.join(EMBEDDED_FOLDER))
            .map(Some)
            .map_err(place)
    }
}

/// Returns the interface of an entry's package.
///
/// Called by: [`Session::deliver`], `lock/make.rs`.
pub(crate) fn interface_of(entry: &Entry) -> Result<Interface, Error> {
    let package = entry.package();
    coreml_spec::Package::open(&package).and_then(|package| package.interface()).map_err(|error| {
        Error::new(
            ErrorKind::Driver,
            format!("the converted package {} cannot be read: {error}", package.display()),
        )
    })
}

/// Returns the index's description of a model.
///
/// Called by: [`Session::deliver`], `lock/skip.rs`.
pub(crate) fn indexed(
    model: &Model,
    package_root: &Path,
    interface: Interface,
    digest: &str,
    package: String,
    samples: Vec<String>,
) -> IndexedModel {
    let conversion = &model.conversion;
    let metric = |(command, bound)| Metric { command, folder: package_root.to_owned(), bound };
    IndexedModel {
        bucket_of: model.bucket_of.clone(),
        description: conversion.metadata.description.clone().unwrap_or_default(),
        source: conversion.functions.sources(),
        digest: digest.to_owned(),
        package,
        samples,
        tolerance: model.tolerance,
        metric: model.metric.clone().map(metric),
        compute_units: model.settings.compute_units,
        allow: model.settings.allow.clone(),
        ..IndexedModel::new(&model.name, interface)
    }
}
