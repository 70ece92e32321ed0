//! The remote cache: converted models that a team's machines share.
//!
//! Owns: where it is, how it may be used, and its layout. Must not: be trusted. What it gives out
//! is checked file by file, and against the lock where there is one; what is wrong with it is a
//! warning, and the build goes on without it.
//! Flow: `cargo.rs` makes a [`Remote`] from the environment; `session.rs` asks `exchange.rs` on a
//! miss, which speaks to `store.rs` (a folder) or `http.rs` (a web server or, by signed URLs, a
//! bucket).
//!
//! ```text
//! ac/FINGERPRINT          a record: which archive has the entry, with its sizes and digests
//! ac/SLOT                 which files a conversion of a primary key reads; each key has a few slots, filled in order
//! cas/SHA256              an archive
//! ```
//!
//! These are the paths of Bazel's HTTP caches, with records of our own. Nothing is ever changed:
//! who writes first wins.

#[cfg(feature = "s3")]
mod bucket;
mod folder;
#[cfg(feature = "http")]
mod http;
pub(crate) mod location;
#[cfg(feature = "s3")]
mod profile;
pub(crate) mod record;
#[cfg(feature = "s3")]
mod signature;
pub(crate) mod store;

pub use location::Remote;
