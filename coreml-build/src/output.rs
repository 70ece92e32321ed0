//! What a build leaves in `OUT_DIR`: packages, samples, reports, the index, the library to link.
//!
//! Owns: the files in the folder of a manifest. Must not: know where models come from.
//! Flow: `build/deliver.rs` → `materialize.rs`, `embed.rs`, `compiler.rs`.

pub(crate) mod compiler;
pub(crate) mod embed;
pub(crate) mod materialize;
