//! Whether what was found is what the lock says.
//!
//! Owns: which disagreement is an error, and which a warning.   Must not: look for anything.
//! Flow: `deliver.rs` → [`compare`] → `lock.rs`; `skip.rs` and `command/lock.rs` → [`holds`].

use super::companions::{self, Companion};
use super::fingerprint::{Snapshot, pinned};
use super::job::Found;
use super::options::Policy;
use crate::cache::Digests;
use crate::error::{Error, ErrorKind};
use crate::lock::{self, Disagreement, Lock, LockedModel};
use crate::manifest::Model;
use std::path::Path;

/// Compares the models of a manifest with its lock.
///
/// Parameters: `manifest` — as the user wrote it.
/// Errors: packages that are not the locked ones; and, where nothing may be converted, a lock that
/// is out of date, which otherwise is a warning.
pub(super) fn compare(
    lock: &Lock,
    manifest: &str,
    found: &[(&Model, &Found, Vec<Companion>)],
    policy: Policy,
    warnings: &mut Vec<String>,
) -> Result<(), Vec<Error>> {
    let (mut errors, mut outdated) = (Vec::new(), Vec::new());
    for (model, found, files) in found {
        if let Some(why) = lock.outdated_files(&model.name, &companions::locked(files)) {
            outdated.push((why, model.place(Some("files"))));
        }
        let interface = found.interface().map_err(|error| vec![error])?;
        match lock.judge(manifest, &model.name, &found.entry, interface) {
            Ok(()) => {}
            Err(Disagreement::Forged(error)) => {
                errors.push(error.of_model(&model.name).at(model.place(None)));
            }
            Err(Disagreement::Outdated(why)) => outdated.push((why, model.place(None))),
        }
    }
    let other = lock.others(found.iter().map(|(model, ..)| model.name.as_str()));
    if let (Some(other), Some((first, ..))) = (other, found.first()) {
        let why = format!("it has a model `{other}` that the manifest does not have");
        outdated.push((why, first.place(None)));
    }
    for (why, place) in outdated {
        let text = lock::outdated(manifest, &why);
        match policy {
            Policy::Auto => warnings.push(text),
            Policy::Cached | Policy::Skip => {
                errors.push(Error::new(ErrorKind::Lock, text).at(place).advise(
                    "COREML_BUILD=cached uses only what is locked; COREML_BUILD=auto warns of it",
                ));
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Returns whether the files of a locked model, and the table behind `primary`, are those that were
/// locked; `None` when that cannot be known because a file is missing.
pub(crate) fn holds(
    locked: &LockedModel,
    root: &Path,
    primary: &str,
    digests: &Digests,
) -> Option<bool> {
    let is_missing = |input: &String| pinned(input).is_none() && !root.join(input).is_file();
    if locked.inputs.iter().any(is_missing) {
        return None;
    }
    let snapshot = Snapshot::take(root, &locked.inputs, digests).ok()?;
    Some(snapshot.fingerprint(primary) == locked.fingerprint)
}
