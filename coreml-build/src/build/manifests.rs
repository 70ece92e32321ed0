//! Reading manifests, each with the lock beside it.
//!
//! Owns: which manifests of which packages a build has, and where the products of each go.
//! Must not: look at the cache.
//! Flow: `build.rs` → [`read`] → `manifest.rs`, `lock.rs`.

use super::context::Context;
use super::options::Policy;
use crate::lock::{self, Lock};
use crate::manifest::{Manifest, Model, Rejected};
use coreml_spec::index_folder;
use std::path::{Path, PathBuf};

/// Manifests of one package.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selection {
    /// The package: the folder of its `Cargo.toml`. Absolute.
    pub package_root: PathBuf,
    /// Its manifests as its build script names them: relative to the package, with `/`.
    pub manifests: Vec<String>,
}

/// A manifest with the lock beside it.
#[derive(Debug)]
pub(crate) struct LockedManifest {
    /// The manifest; its requirements are those of the lock.
    pub(crate) manifest: Manifest,
    /// The lock, if there is one.
    pub(crate) lock: Option<Lock>,
}

/// A manifest that was asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Its name as it was asked for.
    pub(crate) name: String,
    /// The package that it and the paths in it are relative to.
    pub(crate) root: PathBuf,
    /// Where its products go.
    pub(crate) folder: PathBuf,
    /// Its content.
    pub(crate) read: Result<LockedManifest, Rejected>,
    /// Whether its interfaces are taken from the lock: nothing is looked for or converted.
    pub(crate) skipped: bool,
}

/// Reads the manifests of `packages`.
///
/// Products of one package go into the output folder, those of several into numbered folders in it.
pub(crate) fn read(context: &Context, packages: &[Selection]) -> Vec<Asked> {
    asked(context, packages, |root, name| read_one(context, root, name))
}

/// Returns the manifests of `packages` as rejected with `errors`, without reading them.
pub(crate) fn refused(context: &Context, packages: &[Selection], errors: &Rejected) -> Vec<Asked> {
    asked(context, packages, |_, _| Err(errors.clone()))
}

/// Names the manifests of `packages`, each with what `read` makes of it.
fn asked(
    context: &Context,
    packages: &[Selection],
    read: impl Fn(&Path, &str) -> Result<LockedManifest, Rejected>,
) -> Vec<Asked> {
    let mut all = Vec::new();
    for (number, package) in packages.iter().enumerate() {
        let out_dir = match packages {
            [_] => context.options.out_dir.clone(),
            _ => context.options.out_dir.join(number.to_string()),
        };
        for name in &package.manifests {
            let read = read(&package.package_root, name);
            let skipped = context.options.policy == Policy::Skip
                && !read.as_ref().is_ok_and(|read| is_ready(&read.manifest, &package.package_root));
            all.push(Asked {
                name: name.clone(),
                root: package.package_root.clone(),
                folder: index_folder(&out_dir, name),
                read,
                skipped,
            });
        }
    }
    all
}

/// Reads a manifest of the package at `root` and the lock beside it.
pub(crate) fn read_one(
    context: &Context,
    root: &Path,
    name: &str,
) -> Result<LockedManifest, Rejected> {
    let mut manifest = Manifest::read(root, name)?;
    if context.options.policy != Policy::Skip {
        manifest.check_files(root)?;
    }
    let lock = Lock::read(&lock::path(&manifest.path), name)
        .map_err(|error| Rejected { errors: vec![error], models: manifest.module_names() })?;
    manifest.requirements.pins = lock.as_ref().and_then(|lock| lock.pins(&manifest.requirements));
    Ok(LockedManifest { manifest, lock })
}

/// Returns whether nothing has to be converted for a manifest: all its models are packages that
/// exist.
fn is_ready(manifest: &Manifest, root: &Path) -> bool {
    let ready = |model: &Model| model.conversion.functions.package().is_some();
    manifest.models.iter().all(ready) && manifest.check_files(root).is_ok()
}
