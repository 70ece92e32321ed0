//! What is stored where in a remote cache.
//!
//! Owns: the names of its parts, which are those of Bazel's HTTP caches.
//! Flow: `store.rs`, `folder.rs` and `http.rs` → here.
//!
//! ```text
//! ac/FINGERPRINT    a record: which archive has the entry, with its sizes and digests
//! ac/SLOT           which files a conversion of a primary key reads; each key has a few slots,
//!                   filled in order
//! cas/SHA256        an archive
//! ```
//!
//! Nothing is ever changed: the first to write a key wins.

/// Largest record or list, in bytes.
pub(super) const LARGEST_RECORD: u64 = 16 << 20;

/// The part of the remote that a key is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Records and lists.
    Records,
    /// Archives.
    Archives,
}

impl Part {
    /// Returns its folder.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Records => "ac",
            Self::Archives => "cas",
        }
    }
}
