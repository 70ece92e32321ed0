//! Model packages that need no conversion.
//!
//! Owns: checking one, and bringing it into the cache as it is. Must not: start Python, or change a
//! byte.
//! Flow: `session.rs` → [`obtain`] → `cache.rs`; from there it goes the way of every conversion.

use crate::build::convert::Failure;
use crate::build::fingerprint::Snapshot;
use crate::build::lookup::{Found, Wanted};
use crate::cache::{Cache, Draft, Lookup};
use crate::error::{Error, ErrorKind};
use std::io;
use std::path::Path;

/// Folder of the package in a cache entry.
const PACKAGE: &str = "model.mlpackage";

/// The report of a cache entry.
const REPORT: &str = "report.json";

/// The key at which errors stand.
const KEY: &str = "source.package";

/// Returns the package in `folder` as a cache entry, made now where there is none.
///
/// Called by: `session.rs`, whatever `COREML_BUILD` says: nothing is converted.
/// Parameters: `folder` — relative to `package_root`; `warnings` — takes a word about a damaged
/// entry.
pub(crate) fn obtain(
    package_root: &Path,
    folder: &str,
    cache: &Cache,
    wanted: &Wanted<'_>,
    warnings: &mut Vec<String>,
) -> Result<Found, Failure> {
    let at_key = |error: Error, inputs: &[String]| Failure {
        error,
        key: Some(KEY.into()),
        inputs: inputs.to_vec(),
    };
    let unreadable = |error: &io::Error| {
        let message = format!("the model package {folder} cannot be read: {error}");
        Error::new(ErrorKind::Storage, message).advise("check its permissions")
    };
    let mut inputs = Vec::new();
    list(&package_root.join(folder), folder.trim_end_matches('/'), &mut inputs)
        .map_err(|error| at_key(unreadable(&error), &[]))?;
    inputs.sort();
    let mut obtained = || -> Result<Found, Error> {
        let snapshot = Snapshot::take(package_root, &inputs, &cache.digests)
            .map_err(|error| unreadable(&error))?;
        let fingerprint = snapshot.fingerprint(&wanted.primary);
        let _lock = cache.lock(&wanted.primary).hold(|| {})?;
        let found = |entry, cached| Found {
            entry,
            inputs: inputs.clone(),
            cached,
            is_new: !cached,
            warnings: Vec::new(),
        };
        let temporary = cache.temporary()?;
        match cache.lookup(&fingerprint) {
            Lookup::Hit(entry) => return Ok(found(entry, true)),
            Lookup::Damaged(damage) => {
                warnings.push(format!(
                    "model `{}`: its cache entry is damaged and not used: {damage}",
                    wanted.name
                ));
                cache.discard(&fingerprint, &temporary)?;
            }
            Lookup::Miss => {}
        }
        check(&package_root.join(folder), folder)?;
        let copied = copy(package_root, folder, &inputs, temporary.path());
        copied
            .map_err(|error| Error::storage("copy the model package", temporary.path(), &error))?;
        let draft = Draft::read(temporary.path(), wanted.name, 0.0, &cache.digests)
            .map_err(|error| unreadable(&error))?;
        Ok(found(cache.publish(&draft, &fingerprint)?, false))
    };
    obtained().map_err(|error| at_key(error, &inputs))
}

/// Refuses what is no whole model package with an ML Program.
fn check(path: &Path, folder: &str) -> Result<(), Error> {
    coreml_spec::Package::open(path).and_then(|package| package.interface()).map(drop).map_err(
        |error| {
            Error::new(
                ErrorKind::Manifest,
                format!(
                    "{folder} is no model package that can be used: \
            {error}"
                ),
            )
            .advise(
                "export it again as an ML Program: `coremltools.convert(…, \
                convert_to=\"mlprogram\").save(…)`",
            )
        },
    )
}

/// Lists the files below `path`, called `name`, without hidden ones: those are the file browser's.
fn list(path: &Path, name: &str, found: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let file = entry
            .file_name()
            .into_string()
            .map_err(|name| io::Error::other(format!("odd name {name:?}")))?;
        if file.starts_with('.') {
            continue;
        }
        let name = format!("{name}/{file}");
        if entry.path().is_dir() { list(&entry.path(), &name, found)? } else { found.push(name) }
    }
    Ok(())
}

/// Copies the files of the package into `target`, as a conversion would leave them.
fn copy(package_root: &Path, folder: &str, files: &[String], target: &Path) -> io::Result<()> {
    for file in files {
        let inside =
            file.strip_prefix(folder.trim_end_matches('/')).unwrap_or(file).trim_start_matches('/');
        let to = target.join(PACKAGE).join(inside);
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)?;
        }
        // A copy of the bytes alone: the entry's permissions and times are the cache's own.
        io::copy(
            &mut std::fs::File::open(package_root.join(file))?,
            &mut std::fs::File::create(to)?,
        )?;
    }
    std::fs::write(
        target.join(REPORT),
        serde_json::json!({ "source": folder, "warnings": [] }).to_string(),
    )
}
