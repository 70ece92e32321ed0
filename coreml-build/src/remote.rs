//! The remote cache: converted models that a team's machines share.
//!
//! Owns: where it is, how it may be used, and its layout.
//! Must not: be trusted: every file is verified, against the lock too where there is one, and a
//! fault is only a warning.
//! Flow: `cargo.rs` makes a [`Remote`] (`location.rs`) from the environment; `build/fetch.rs` and
//! `build/share.rs` reach it through `connection.rs` and `store.rs`, which is a folder
//! (`folder.rs`) or a web server, with signed URLs a bucket (`http.rs`).

#[cfg(feature = "s3")]
mod bucket;
mod connection;
mod fault;
mod folder;
#[cfg(feature = "http")]
mod http;
mod layout;
mod location;
#[cfg(feature = "s3")]
mod profile;
pub(crate) mod record;
#[cfg(feature = "s3")]
mod signature;
mod store;

pub(crate) use connection::{Connection, Problem};
pub(crate) use fault::Fault;
pub(crate) use layout::Part;
pub use location::Remote;
pub(crate) use store::Store;
