//! Giving models to the remote cache.
//!
//! Owns: the order of what is stored.   Must not: fail a build; every fault is one warning.
//! Flow: `convert.rs` after a conversion, or `command/upkeep.rs` → [`share`] → `cache/archive.rs`,
//! `remote/`.

use super::context::Context;
use super::job::{Found, Job};
use crate::cache::archive;
use crate::error::Error;
use crate::remote::record::{self, Record, SLOTS};
use crate::remote::{Part, Problem, Store};
use std::fs::File;
use std::io::Write;

/// Gives a model to the remote cache, where it may be written.
///
/// Returns: whether the remote has it now.
pub(crate) fn share(
    context: &Context,
    job: &Job<'_>,
    found: &Found,
    warnings: &mut Vec<String>,
) -> bool {
    let Some((remote, store)) = context.remote(warnings).filter(|_| context.shares()) else {
        return false;
    };
    let what = format!("model `{}`", job.name);
    if let Some(input) = found.inputs.iter().find(|input| !record::is_inside(input)) {
        warnings.push(format!(
            "{what} is not given to the remote cache: it reads {input}, which lies outside the \
            package, and others would not find it"
        ));
        return false;
    }
    match store_model(context, store, &job.primary, found) {
        Ok(()) => true,
        Err(problem) => {
            context.connection.blame(remote, problem, &what, warnings);
            false
        }
    }
}

/// Stores archive, record and list, in this order: a reader that sees one finds what it names.
fn store_model(
    context: &Context,
    store: &Store,
    primary: &str,
    found: &Found,
) -> Result<(), Problem> {
    let entry = &found.entry;
    let known = store.record(entry.fingerprint())?;
    // A record that is damaged, or whose archive was removed, is the only thing that is ever
    // replaced.
    let replaced = known.is_some();
    let known = known.and_then(|content| Record::parse(&content, entry.fingerprint()).ok());
    let whole = match &known {
        Some(record) => store.has(Part::Archives, &record.archive)?,
        None => false,
    };
    if !whole {
        let temporary = context.cache.temporary()?;
        let path = temporary.path().join("archive");
        let failed = |error| Error::storage("pack an entry", &path, error);
        let file =
            File::options().create_new(true).read(true).write(true).open(&path).map_err(failed)?;
        let packed = archive::pack(entry, &file).map_err(failed)?;
        let record = Record::new(entry, packed);
        store.put(Part::Archives, &record.archive, &file, record.size, false)?;
        put_bytes(store, entry.fingerprint(), &record.text(), replaced)?;
    }
    store_list(store, primary, &found.inputs)
}

/// Stores a list of files in the first slot that is free, unless one has it.
fn store_list(store: &Store, primary: &str, inputs: &[String]) -> Result<(), Problem> {
    let is_ours = |content: &[u8]| record::parse_list(content).is_ok_and(|list| list == inputs);
    for number in 0..SLOTS {
        let key = record::slot(primary, number);
        let mut stored = store.record(&key)?;
        if stored.is_none() {
            put_bytes(store, &key, &record::list_text(inputs), false)?;
            // Another machine may have been first with another list; then the next slot is ours.
            stored = store.record(&key)?;
        }
        if stored.is_some_and(|content| is_ours(&content)) {
            return Ok(());
        }
    }
    Ok(())
}

/// Stores a record or a list.
fn put_bytes(store: &Store, key: &str, content: &[u8], replace: bool) -> Result<(), Problem> {
    let failed = |error| Error::storage("write a record", &std::env::temp_dir(), error);
    let mut file = tempfile::tempfile().map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    Ok(store.put(Part::Records, key, &file, content.len() as u64, replace)?)
}
