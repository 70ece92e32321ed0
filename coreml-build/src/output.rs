//! What a build leaves in `OUT_DIR`: packages, samples, reports, the index, the library to link.
//!
//! Owns: the files in the folder of a manifest. Must not: know where models come from.
//! Flow: `build/deliver.rs` → `materialize.rs`, `embed.rs`, `compiler.rs`; `lib.rs` →
//! `leftovers.rs` for what a build script no longer builds.

pub(crate) mod compiler;
pub(crate) mod embed;
pub(crate) mod leftovers;
pub(crate) mod materialize;
