//! The backend that runs a model: one per system, chosen when the program is compiled.
//!
//! Owns: the choice. Must not: let the rest of the crate see which one it is.
//! Flow: `model.rs` loads a [`Backend`] and predicts through it. Both have the same three functions.

#[cfg(target_vendor = "apple")]
pub(crate) use crate::apple::{Session as Backend, State as BackendState};
#[cfg(not(target_vendor = "apple"))]
pub(crate) use crate::portable::{Session as Backend, State as BackendState};
