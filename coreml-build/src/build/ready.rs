//! Model packages that need no conversion.
//!
//! Owns: checking one, and bringing it into the cache as it is.   Must not: start Python, or change
//! a byte.
//! Flow: `lookup.rs` → [`obtain`] → `cache/admit.rs`; then it is a model like any other.

use super::context::Context;
use super::fingerprint::Snapshot;
use super::job::{Failure, Found, Job, JobResult, Origin};
use crate::cache::layout::{PACKAGE, REPORT};
use crate::cache::{Admission, Draft, Lookup, Refusal};
use crate::error::{Error, ErrorKind};
use crate::files::{Links, walk};
use std::io;
use std::path::Path;

/// The key at which errors stand.
const KEY: &str = "source.package";

/// Returns the package in `folder` as a cache entry, made now where there is none. It is not a
/// conversion, so that `COREML_BUILD` does not matter.
///
/// Parameters: `folder` — relative to the job's package.
pub(crate) fn obtain(
    context: &Context,
    folder: &str,
    job: &Job<'_>,
    warnings: &mut Vec<String>,
) -> JobResult {
    let folder = folder.trim_end_matches('/');
    let at_key = |error: Error, inputs: &[String]| Failure {
        error,
        key: Some(KEY.into()),
        inputs: inputs.to_vec(),
    };
    let inputs = list(job.root, folder).map_err(|error| at_key(unreadable(folder, error), &[]))?;
    admitted(context, folder, job, &inputs, warnings).map_err(|error| at_key(error, &inputs))
}

/// Finds the package with the files `inputs` in the cache, or brings it there.
fn admitted(
    context: &Context,
    folder: &str,
    job: &Job<'_>,
    inputs: &[String],
    warnings: &mut Vec<String>,
) -> Result<Found, Error> {
    let cache = &context.cache;
    let snapshot = Snapshot::take(job.root, inputs, &cache.digests)
        .map_err(|error| unreadable(folder, error))?;
    let fingerprint = snapshot.fingerprint(&job.primary);
    let _held = cache.mutex(&job.primary).hold(|| {})?;
    match cache.lookup(&fingerprint) {
        Lookup::Hit(entry) => return Ok(Found::local(entry, inputs.to_vec())),
        Lookup::Damaged(damage) => job.warn_of_damage(&damage, warnings),
        Lookup::Miss => {}
    }
    let package = job.root.join(folder);
    coreml_spec::Package::open(package)
        .and_then(|package| package.interface())
        .map_err(|error| no_package(folder, error))?;
    let temporary = cache.temporary()?;
    let draft = temporary.path().join("package");
    copy(job.root, folder, inputs, &draft)
        .map_err(|error| Error::storage("copy the model package", &draft, error))?;
    let draft = Draft::read(&draft, job.name, 0.0, &cache.digests)
        .map_err(|error| unreadable(folder, error))?;
    let admission = Admission {
        fingerprint: &fingerprint,
        primary: &job.primary,
        inputs: None,
        temporary: &temporary,
    };
    let admitted = cache.admit(&draft, &admission, |_| false).map_err(|refusal| match refusal {
        Refusal::Unusable(error) => no_package(folder, error),
        Refusal::Storage(error) => error,
    })?;
    Ok(Found::admitted(admitted, inputs.to_vec(), Origin::Made))
}

/// Returns the error for a package that cannot be read.
fn unreadable(folder: &str, error: io::Error) -> Error {
    let message = format!("the model package {folder} cannot be read: {error}");
    Error::new(ErrorKind::Storage, message).advise("check its permissions").caused_by(error)
}

/// Returns the error for what is no whole model package with an ML Program.
fn no_package(folder: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let message = format!("{folder} is no model package that can be used: {error}");
    Error::new(ErrorKind::Manifest, message)
        .advise(
            "export it again as an ML Program: `coremltools.convert(…, \
            convert_to=\"mlprogram\").save(…)`",
        )
        .caused_by(error)
}

/// Lists the files of the package, relative to `root`, sorted; without hidden ones, which are the
/// file browser's.
fn list(root: &Path, folder: &str) -> io::Result<Vec<String>> {
    let is_hidden = |path: &Path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    };
    let path = root.join(folder);
    let mut files = Vec::new();
    for found in walk(&path, Links::Followed, |folder| !is_hidden(folder)) {
        let found = found?;
        if !is_hidden(&found.path) {
            files.push(format!("{folder}/{}", found.name_below(&path)?));
        }
    }
    files.sort();
    Ok(files)
}

/// Copies the files of the package into `target`, as a conversion would leave them.
fn copy(root: &Path, folder: &str, files: &[String], target: &Path) -> io::Result<()> {
    for file in files {
        let inside = file.strip_prefix(folder).unwrap_or(file).trim_start_matches('/');
        let to = target.join(PACKAGE).join(inside);
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)?;
        }
        // A copy of the bytes alone: the entry's permissions and times are the cache's own.
        io::copy(&mut std::fs::File::open(root.join(file))?, &mut std::fs::File::create(to)?)?;
    }
    std::fs::create_dir_all(target)?;
    std::fs::write(
        target.join(REPORT),
        serde_json::json!({ "source": folder, "warnings": [] }).to_string(),
    )
}
