//! What the command line asks for besides a build.
//!
//! Owns: the calls of `cargo coreml` that are not builds.   Must not: print; run in a build script.
//! Flow: `cargo-coreml` → a file of this folder → `build/`, `cache/`, `python/`.

pub mod doctor;
pub(crate) mod lock;
pub mod propose;
mod selection;
pub(crate) mod upkeep;
