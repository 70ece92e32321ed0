//! The cache of finished conversions on this machine, keyed by fingerprint.
//!
//! Owns: everything below the cache folder (`layout.rs` says where), who may write what when, and
//! what counts as undamaged.
//! Must not: start Python, read the environment, know manifests.
//! Flow: the steps of `build/` look entries up (`local.rs`) and admit new ones (`admit.rs`);
//! `command/upkeep.rs` lists (`listing.rs`) and collects (`garbage.rs`).

mod admit;
pub(crate) mod archive;
mod description;
mod digests;
mod draft;
mod entry;
mod garbage;
mod inputs;
pub(crate) mod layout;
mod listing;
mod local;
mod mutex;
mod stamp;
mod temporary;

pub(crate) use admit::{Admission, Refusal};
pub(crate) use digests::Digests;
pub(crate) use draft::Draft;
pub(crate) use entry::Entry;
pub use garbage::Collected;
pub use listing::{Damage, Listed};
pub(crate) use local::{Cache, Lookup};
pub(crate) use mutex::{FileMutex, Held};
pub(crate) use stamp::refresh;
pub(crate) use temporary::Temporary;
