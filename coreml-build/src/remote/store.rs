//! The two kinds of remote cache behind one interface.
//!
//! Owns: what a remote can be asked.   Must not: know what the bytes mean.
//! Flow: `connection.rs` opens it; `build/fetch.rs` and `build/share.rs` → here → `folder.rs` or
//! `http.rs`.

use super::fault::Fault;
use super::folder::Folder;
use super::layout::{LARGEST_RECORD, Part};
use super::location::{Location, Remote};
use std::fs::File;
use std::io::Read;

/// An open remote cache.
#[derive(Debug)]
pub(crate) enum Store {
    /// A folder.
    Folder(Folder),
    /// A server, or a bucket.
    #[cfg(feature = "http")]
    Server(super::http::Server),
}

impl Store {
    /// Opens a remote; nothing is asked yet.
    ///
    /// Parameters: `offline` — forbids the network.
    /// Errors: why it is not used.
    pub(crate) fn open(remote: &Remote, offline: bool) -> Result<Self, String> {
        match &remote.location {
            Location::Folder(path) => Ok(Self::Folder(Folder::new(path.clone()))),
            Location::Server(_) | Location::Bucket { .. } if offline => {
                Err("is not asked, because the network is forbidden".into())
            }
            #[cfg(feature = "http")]
            Location::Server(url) => Ok(Self::Server(super::http::Server::new(url, remote))),
            #[cfg(feature = "s3")]
            Location::Bucket { name, prefix } => {
                let unread = || Err("has no keys: they were not read".to_owned());
                let access = remote.access.clone().unwrap_or_else(unread)?;
                let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
                let bucket = super::bucket::Bucket { name: name.clone(), prefix, access };
                Ok(Self::Server(super::http::Server::of_bucket(bucket, remote)))
            }
            #[cfg(not(feature = "http"))]
            Location::Server(_) => Err("is not asked, because coreml-build was built without its \
                feature `http`: add `features = [\"http\"]` to it, or run `cargo coreml fetch` \
                before the build"
                .into()),
            #[cfg(not(feature = "s3"))]
            Location::Bucket { .. } => {
                Err("is not asked, because coreml-build was built without its feature `s3`: add \
                    `features = [\"s3\"]` to it, or run `cargo coreml fetch` before the build"
                    .into())
            }
        }
    }

    /// Returns a record or list, whole; `None` when there is none.
    pub(crate) fn record(&self, key: &str) -> Result<Option<Vec<u8>>, Fault> {
        let Some(source) = self.get(Part::Records, key, LARGEST_RECORD)? else { return Ok(None) };
        let mut content = Vec::new();
        let read = source.take(LARGEST_RECORD + 1).read_to_end(&mut content);
        read.map_err(|error| Fault::Down(format!("stops in the middle of an answer: {error}")))?;
        if content.len() as u64 > LARGEST_RECORD {
            return Err(Fault::Refused("answers with more bytes than any record has".into()));
        }
        Ok(Some(content))
    }

    /// Opens what is stored under `key`; `None` when there is nothing.
    ///
    /// Parameters: `size` — about how many bytes are expected: how long it may take depends on it.
    pub(crate) fn get(
        &self,
        part: Part,
        key: &str,
        size: u64,
    ) -> Result<Option<Box<dyn Read>>, Fault> {
        match self {
            Self::Folder(folder) => {
                // A folder takes as long as it takes.
                let _ = size;
                folder.get(part, key)
            }
            #[cfg(feature = "http")]
            Self::Server(server) => {
                server.get(part, key, if part == Part::Records { 0 } else { size })
            }
        }
    }

    /// Returns whether there is something under `key`.
    pub(crate) fn has(&self, part: Part, key: &str) -> Result<bool, Fault> {
        match self {
            Self::Folder(folder) => Ok(folder.has(part, key)),
            #[cfg(feature = "http")]
            Self::Server(server) => server.has(part, key),
        }
    }

    /// Stores the content of `file` under `key`.
    ///
    /// Parameters: `replace` — also where there is something already; otherwise that stays.
    pub(crate) fn put(
        &self,
        part: Part,
        key: &str,
        file: &File,
        size: u64,
        replace: bool,
    ) -> Result<(), Fault> {
        match self {
            Self::Folder(folder) => {
                let _ = size;
                folder.put(part, key, file, replace)
            }
            #[cfg(feature = "http")]
            Self::Server(server) => server.put(part, key, file, size, replace),
        }
    }
}
