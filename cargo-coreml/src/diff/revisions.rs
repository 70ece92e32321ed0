//! The models of a crate at two git revisions.
//!
//! Owns: the pairs of models to compare, and building each revision from its own sources. Must not:
//! compare packages; `coreml_spec::difference` does.
//! Flow: `diff.rs` → [`compare`] → `git.rs`, [`coreml_build::Context`] →
//! [`coreml_spec::difference`], `parts.rs`.

use super::git::Tree;
use crate::failure::Failure;
use crate::{parts, selection, variant};
use coreml_build::{Context, Policy, Selection};
use coreml_rt::LoadOptions;
use coreml_spec::{
    Change, Difference, INDEX_FILE, Index, IndexedModel, Outcome, Package, difference,
    interface_difference,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What differs between a model at two revisions.
#[derive(Serialize)]
pub(super) struct ModelDifference {
    /// The manifest, and the model's name.
    pub(super) model: String,
    /// Whether nothing differs.
    pub(super) same: bool,
    /// What does.
    #[serde(flatten)]
    pub(super) difference: Difference,
    /// The parity with PyTorch, before and after: the smallest PSNR, and whether the manifest's
    /// tolerance is met.
    pub(super) parity: Vec<Change>,
}

/// The models of a crate at a revision.
struct Built {
    /// By manifest and name: the package's folder and its entry in the index.
    models: BTreeMap<(String, String), (PathBuf, IndexedModel)>,
    /// Holds the packages.
    _products: tempfile::TempDir,
    /// Holds the sources; `None` for the working tree.
    _tree: Option<Tree>,
}

/// Compares the models of the crate around the current folder.
///
/// Parameters: `before`, `after` — revisions; no second one means the files as they are;
/// `manifests` — relative to the current folder, all of the crate when empty; `name` — of the only
/// model to compare; `locked` — compare what the locks say, and convert nothing.
/// Errors: git's, those of a build, and those of comparing; no model has this name.
pub(super) fn compare(
    before: &str,
    after: Option<&str>,
    manifests: &[PathBuf],
    name: Option<&str>,
    locked: bool,
) -> Result<Vec<ModelDifference>, Failure> {
    let here = std::env::current_dir()?;
    let [before, after] = [Some(before), after].map(|revision| {
        build(&here, revision, manifests, locked)
            .map_err(|error| format!("{}: {error}", revision.unwrap_or("the working tree")))
    });
    let (before, after) = (before?, after?);
    let mut names: BTreeSet<_> = before.models.keys().chain(after.models.keys()).collect();
    if let Some(wanted) = name {
        let all = names.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", ");
        names.retain(|(_, name)| name == wanted);
        if names.is_empty() {
            return Err(format!("give --model one of: {all}").into());
        }
    }
    let mut all = Vec::new();
    for name in names {
        let model = format!("{}: {}", name.0, name.1);
        let (mut difference, mut parity) = (Difference::default(), Vec::new());
        match (before.models.get(name), after.models.get(name)) {
            (Some(was), Some(is)) if locked => difference.interface = of_locks(&was.1, &is.1),
            (Some(was), Some(is))
                if was.1.digest != is.1.digest || was.1.tolerance != is.1.tolerance =>
            {
                difference = packages(was, is)?;
                parity.extend(parities(was, is)?);
            }
            (Some(_), Some(_)) => {}
            (was, is) => difference.interface.push(presence(was.is_some(), is.is_some())),
        }
        let same = difference.is_empty() && parity.is_empty();
        all.push(ModelDifference { model, same, difference, parity });
    }
    Ok(all)
}

/// Returns the change of a model that is on one side only.
pub(super) fn presence(was: bool, is: bool) -> Change {
    let there = |there: bool| there.then(|| "there".to_owned());
    Change { what: "model".to_owned(), before: there(was), after: there(is) }
}

/// Builds the models of a revision; of the working tree without one.
fn build(
    here: &Path,
    revision: Option<&str>,
    manifests: &[PathBuf],
    locked: bool,
) -> Result<Built, Failure> {
    let tree = revision.map(|revision| Tree::of(here, revision)).transpose()?;
    let folder = tree.as_ref().map_or_else(|| here.to_owned(), Tree::folder);
    // A manifest that the revision lacks is a difference, not a mistake.
    let named: Vec<PathBuf> =
        manifests.iter().filter(|manifest| folder.join(manifest).is_file()).cloned().collect();
    let selections = match manifests.is_empty() || !named.is_empty() {
        true => Selection::of(&folder, &named)?,
        false => Vec::new(),
    };
    let (mut models, products) = (BTreeMap::new(), tempfile::tempdir()?);
    for (number, Selection { package_root, manifests, .. }) in selections.iter().enumerate() {
        let mut options = selection::options(package_root)?;
        options.out_dir = products.path().join(number.to_string());
        options.status = true;
        if locked {
            options.policy = Policy::Skip;
        }
        let context = Context::new(options);
        let names: Vec<&str> = manifests.iter().map(String::as_str).collect();
        for build in context.build(&names) {
            build.outcome.map_err(|errors| selection::together(&errors))?;
            let index: Index =
                serde_json::from_slice(&std::fs::read(build.folder.join(INDEX_FILE))?)?;
            let Outcome::Models(found) = index.outcome else { continue };
            for model in found.models {
                models.insert(
                    (build.manifest.clone(), model.name.clone()),
                    (build.folder.clone(), model),
                );
            }
        }
    }
    Ok(Built { models, _products: products, _tree: tree })
}

/// Compares what two locks say of a model.
fn of_locks(was: &IndexedModel, is: &IndexedModel) -> Vec<Change> {
    let mut changes = interface_difference(&was.interface, &is.interface);
    if was.digest != is.digest {
        let (before, after) = (Some(was.digest.clone()), Some(is.digest.clone()));
        changes.push(Change { what: "digest of the package".to_owned(), before, after });
    }
    changes
}

/// Compares the packages of a model.
fn packages(
    was: &(PathBuf, IndexedModel),
    is: &(PathBuf, IndexedModel),
) -> Result<Difference, Failure> {
    let open =
        |(folder, model): &(PathBuf, IndexedModel)| Package::open(folder.join(&model.package));
    Ok(difference(&open(was)?, &open(is)?)?)
}

/// Compares the parity of a model: each side with the samples that its own conversion kept.
fn parities(
    was: &(PathBuf, IndexedModel),
    is: &(PathBuf, IndexedModel),
) -> Result<Option<Change>, Failure> {
    let parity = |(folder, model): &(PathBuf, IndexedModel)| -> Result<Option<String>, Failure> {
        let report = parts::compare(
            &parts::of(model, folder)?,
            &LoadOptions::new(),
            model.tolerance,
            model.metric.as_ref(),
        )?;
        Ok(report.map(|report| {
            let verdict = if report.passed() { "passed" } else { "FAILED" };
            let proof = if report.proves_something() {
                ""
            } else {
                ", which proves little: the outputs hardly differ between the samples"
            };
            format!("{}, {verdict}{proof}", variant::decibels(variant::psnr(&report)))
        }))
    };
    let (before, after) = (parity(was)?, parity(is)?);
    Ok((before != after).then(|| Change { what: "parity with PyTorch".to_owned(), before, after }))
}
