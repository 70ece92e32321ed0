//! Building from the lock alone: types without models, for documentation, for editors and where
//! nothing can be converted.
//!
//! Owns: what stands in `OUT_DIR` when `COREML_BUILD=skip`.   Must not: look at the cache, or start
//! a process.
//! Flow: `deliver.rs` → [`deliver`] in place of finding and converting.

use super::companions;
use super::context::Context;
use super::fingerprint::primary;
use super::index;
use super::locked::holds;
use super::manifests::LockedManifest;
use super::outcome::{Build, BuiltModel};
use crate::error::{Error, ErrorKind};
use crate::lock::{self, command, outdated};
use crate::output::materialize;
use coreml_spec::built_value;
use std::path::{Path, PathBuf};

/// Brings the interfaces of a manifest into the output folder, and for each package a file that
/// says why it is not there.
pub(super) fn deliver(
    context: &Context,
    root: &Path,
    read: &LockedManifest,
    build: &mut Build,
) -> Result<Vec<BuiltModel>, Vec<Error>> {
    let LockedManifest { manifest, lock } = read;
    let Some(lock) = lock else { return Err(vec![no_lock(&build.manifest)]) };
    let (mut rows, mut built, mut absent, mut errors) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for model in &manifest.models {
        let Some(locked) = lock.models.get(&model.name) else {
            let why = format!("it does not have the model `{}`", model.name);
            let error = Error::new(ErrorKind::Lock, outdated(&build.manifest, &why));
            errors.push(error.of_model(&model.name).at(model.place(None)));
            continue;
        };
        let primary = primary(&model.conversion, &manifest.requirements).unwrap_or_default();
        if holds(locked, root, &primary, &context.cache.digests) == Some(false) {
            let why =
                format!("the model `{}` has changed since, so its types may be wrong", model.name);
            build.warnings.push(outdated(&build.manifest, &why));
        }
        let package = format!("{}.mlpackage", model.name);
        built.push(BuiltModel {
            name: model.name.clone(),
            cached: true,
            seconds: 0.0,
            digest: locked.digest.clone(),
            package: build.folder.join(&package),
            log: PathBuf::new(),
            stored: None,
        });
        absent.push((package.clone(), reason(&model.name)));
        let interface = locked.interface.clone();
        let mut row = index::of_model(model, root, interface, &locked.digest, package, Vec::new());
        row.files = companions::unbuilt(model, root, &locked.files, &context.cache.digests);
        rows.push(row);
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let content = materialize::absent(&build.folder, &absent)
        .and_then(|()| materialize::index(&build.folder, &index::of_models(manifest, rows)))
        .map_err(|error| vec![Error::output("write the interfaces", &build.folder, error)])?;
    build.built_value = Some(built_value(&build.manifest, &content));
    Ok(built)
}

/// Returns the message of a program that was built without its model.
fn reason(model: &str) -> String {
    format!(
        "the program was built without the model `{model}`: COREML_BUILD=skip (or DOCS_RS) took \
        only its interface from the lock. Build again without that variable, or put \
        {model}.mlpackage in one of these places"
    )
}

/// Returns the error for a manifest without a lock.
fn no_lock(manifest: &str) -> Error {
    Error::new(
        ErrorKind::Lock,
        format!(
            "COREML_BUILD=skip (or DOCS_RS) takes interfaces from the lock, and {manifest} has \
            none: there is no {}",
            lock::path(Path::new(manifest)).display()
        ),
    )
    .advise(format!("run `{}` once where there is Python, and commit the lock", command(manifest)))
    .advise("or unset COREML_BUILD to convert, or set COREML_BUILD=cached to use the cache only")
}
