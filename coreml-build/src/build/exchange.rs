//! Fetching entries from the remote cache, and giving it new ones.
//!
//! Owns: which entry is asked for, what is refused, and that every fault is one warning. Must not:
//! fail a build.
//! Flow: `convert.rs` → [`Session::fetch`] under the locks of what is missing, and
//! [`Session::share`] after a conversion.

use crate::build::Session;
use crate::build::fingerprint::Snapshot;
use crate::build::lookup::{Found, Wanted, find};
use crate::cache::{Entry, Lookup, archive};
use crate::error::Error;
use crate::remote::location::Remote;
use crate::remote::record::{self, Record, SLOTS};
use crate::remote::store::{Fault, Part, Store};
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The remote cache of a session.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// Opened at its first use.
    store: OnceLock<Option<Store>>,
    /// Whether it did not answer.
    down: AtomicBool,
}

/// Why something was not fetched or shared.
enum Problem {
    /// The remote's fault.
    Fault(Fault),
    /// This machine's.
    Local(Error),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Local(error)
    }
}

/// Makes a problem of this machine's.
fn local(doing: &str, path: &std::path::Path) -> impl Fn(std::io::Error) -> Problem {
    move |error| Problem::Local(Error::storage(doing, path, &error))
}

impl Session {
    /// Returns the remote, unless there is none or it is of no use.
    fn remote(&self, warnings: &mut Vec<String>) -> Option<(&Remote, &Store)> {
        let remote = self.options.remote.as_ref()?;
        let open = || {
            let opened = Store::open(remote, self.options.python.offline);
            opened.map_err(|why| warnings.push(format!("the remote cache {remote} {why}"))).ok()
        };
        let store = self.connection.store.get_or_init(open).as_ref()?;
        (!self.connection.down.load(Ordering::Relaxed)).then_some((remote, store))
    }

    /// Notes what went wrong.
    fn blame(&self, remote: &Remote, problem: Problem, what: &str, warnings: &mut Vec<String>) {
        let text = match problem {
            Problem::Fault(Fault::Down(why)) => {
                self.connection.down.store(true, Ordering::Relaxed);
                format!("the remote cache {remote} {why}; the build goes on without it")
            }
            Problem::Fault(Fault::Refused(why)) => {
                format!("{what}: the remote cache {remote} {why}; it is not used")
            }
            Problem::Local(error) => {
                format!("{what}: nothing is taken from the remote cache: {}", error.message())
            }
        };
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// Brings an entry from the remote cache into the local one.
    ///
    /// Called by: `convert.rs`, under the lock of the primary key.
    /// Returns: `None` when the remote has none, or none that can be used; `warnings` then say why.
    pub(crate) fn fetch(&self, wanted: &Wanted<'_>, warnings: &mut Vec<String>) -> Option<Found> {
        let (remote, store) = self.remote(warnings)?;
        let mut tried = Vec::new();
        let mut lists = self.cache.recorded_inputs(&wanted.primary);
        lists.extend(wanted.locked.map(|locked| locked.inputs.clone()));
        let mut slots = 0..SLOTS;
        loop {
            let list = match lists.pop() {
                Some(list) => list,
                None => match self.next_list(store, wanted, &mut slots) {
                    Ok(list) => list?,
                    Err(fault) => {
                        self.blame(
                            remote,
                            fault.into(),
                            &format!("model `{}`", wanted.name),
                            warnings,
                        );
                        return None;
                    }
                },
            };
            if tried.contains(&list) {
                continue;
            }
            match self.fetch_by(store, wanted, &list) {
                Ok(Some(entry)) => {
                    return Some(Found {
                        entry,
                        inputs: list,
                        cached: true,
                        is_new: true,
                        warnings: Vec::new(),
                    });
                }
                Ok(None) => {}
                Err(problem) => {
                    self.blame(remote, problem, &format!("model `{}`", wanted.name), warnings);
                    self.remote(warnings)?;
                }
            }
            tried.push(list);
        }
    }

    /// Brings the locked package from the remote cache, where the local one has another of the same
    /// sources.
    ///
    /// Called by: `session.rs`.
    /// Returns: `None` when there is no such package; what is in the local cache then stays there.
    pub(crate) fn fetch_locked(
        &self,
        wanted: &Wanted<'_>,
        warnings: &mut Vec<String>,
    ) -> Option<Found> {
        self.options.remote.as_ref()?;
        let _lock = self.cache.mutex(&wanted.primary).hold(|| {}).ok()?;
        let found = find(&self.options.package_root, &self.cache, wanted, warnings).ok()?;
        found
            .filter(|found| !wanted.disagrees(&found.entry))
            .or_else(|| self.fetch(wanted, warnings))
    }

    /// Returns the list of files in the next slot; `None` behind the last one.
    fn next_list(
        &self,
        store: &Store,
        wanted: &Wanted<'_>,
        slots: &mut std::ops::Range<u32>,
    ) -> Result<Option<Vec<String>>, Fault> {
        let Some(number) = slots.next() else { return Ok(None) };
        let content = store.record(&record::slot(&wanted.primary, number))?;
        content.map(|content| record::parse_list(&content).map_err(Fault::Refused)).transpose()
    }

    /// Fetches the entry for the files of `inputs` as they are now.
    fn fetch_by(
        &self,
        store: &Store,
        wanted: &Wanted<'_>,
        inputs: &[String],
    ) -> Result<Option<Entry>, Problem> {
        let root = &self.options.package_root;
        // A file that cannot be read is a conversion's to complain about.
        let Ok(snapshot) = Snapshot::take(root, inputs, &self.cache.digests) else {
            return Ok(None);
        };
        let fingerprint = snapshot.fingerprint(&wanted.primary);
        let Some(content) = store.record(&fingerprint)? else { return Ok(None) };
        let record = Record::parse(&content, &fingerprint).map_err(Fault::Refused)?;
        if let Some(locked) = wanted.locked
            && locked.fingerprint == fingerprint
            && locked.digest != record.digest
        {
            let why = format!(
                "has a package that is not the locked one ({} instead of {})",
                record.digest, locked.digest
            );
            return Err(Fault::Refused(why).into());
        }
        let temporary = self.cache.temporary()?;
        let folder = temporary.path().join("fetched");
        std::fs::create_dir(&folder).map_err(local("unpack an entry", &folder))?;
        let Some(source) = store.get(Part::Archives, &record.archive, record.size)? else {
            return Err(Fault::Refused("has a record, but not its archive".into()).into());
        };
        let draft = archive::unpack(source, &record.expected(), &folder).map_err(|why| {
            Fault::Refused(format!("has an archive that is not what it should be: {why}"))
        })?;
        coreml_spec::Package::open(draft.package())
            .and_then(|package| package.interface())
            .map_err(|error| {
                Fault::Refused(format!("has something that is no model package: {error}"))
            })?;
        let in_the_way = match self.cache.lookup(&fingerprint) {
            Lookup::Damaged(_) => true,
            Lookup::Hit(entry) => wanted.disagrees(&entry) && entry.digest() != record.digest,
            Lookup::Miss => false,
        };
        if in_the_way {
            self.cache.discard(&fingerprint, &temporary)?;
        }
        let entry = self.cache.publish(&draft, &fingerprint)?;
        self.cache.record_inputs(&wanted.primary, inputs.to_vec())?;
        Ok(Some(entry))
    }

    /// Gives a conversion to the remote cache, where that is wanted.
    ///
    /// Called by: `convert.rs` after publishing, and the command line.
    /// Returns: whether the remote has it now.
    pub(crate) fn share(
        &self,
        name: &str,
        primary: &str,
        found: &Found,
        warnings: &mut Vec<String>,
    ) -> bool {
        let Some((remote, store)) = self.remote(warnings).filter(|(remote, _)| remote.write) else {
            return false;
        };
        let what = format!("model `{name}`");
        if let Some(input) = found.inputs.iter().find(|input| !record::is_inside(input)) {
            warnings.push(format!(
                "{what} is not given to the remote cache: it reads {input}, which lies outside the \
                package, and others \
                 would not find it"
            ));
            return false;
        }
        match self.share_entry(store, primary, found) {
            Ok(()) => true,
            Err(problem) => {
                self.blame(remote, problem, &what, warnings);
                false
            }
        }
    }

    /// Stores archive, record and list, in this order: whoever sees one finds what it names.
    fn share_entry(&self, store: &Store, primary: &str, found: &Found) -> Result<(), Problem> {
        let entry = &found.entry;
        let known = store.record(entry.fingerprint())?;
        // A record that is damaged, or whose archive was thrown away, is the only thing that is
        // ever replaced.
        let replaced = known.is_some();
        let known = known.and_then(|content| Record::parse(&content, entry.fingerprint()).ok());
        let whole = match &known {
            Some(record) => store.has(Part::Archives, &record.archive)?,
            None => false,
        };
        if !whole {
            let temporary = self.cache.temporary()?;
            let path = temporary.path().join("archive");
            let failed = local("pack an entry", &path);
            let file = std::fs::File::options()
                .create_new(true)
                .read(true)
                .write(true)
                .open(&path)
                .map_err(&failed)?;
            let packed = archive::pack(entry, &file).map_err(&failed)?;
            let record = Record::new(entry, packed);
            store.put(Part::Archives, &record.archive, &file, record.size, false)?;
            put_bytes(store, entry.fingerprint(), &record.text(), replaced)?;
        }
        for number in 0..SLOTS {
            let key = record::slot(primary, number);
            match store.record(&key)? {
                Some(content) if record::parse_list(&content).as_deref() == Ok(&found.inputs) => {
                    return Ok(());
                }
                Some(_) => {}
                None => {
                    put_bytes(store, &key, &record::list_text(&found.inputs), false)?;
                    // Whoever was first may have stored another list; then the next slot is ours.
                    let stored = store.record(&key)?;
                    if stored.is_some_and(|content| {
                        record::parse_list(&content).as_deref() == Ok(&found.inputs)
                    }) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Stores a record or a list.
fn put_bytes(store: &Store, key: &str, content: &[u8], replace: bool) -> Result<(), Problem> {
    let failed = |error: std::io::Error| {
        Problem::Local(Error::storage("write a record", &std::env::temp_dir(), &error))
    };
    let mut file = tempfile::tempfile().map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    Ok(store.put(Part::Records, key, &file, content.len() as u64, replace)?)
}
