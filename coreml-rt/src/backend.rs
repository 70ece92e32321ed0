//! The backend that runs a model: one per system, chosen when the program is compiled.
//!
//! Owns: the choice. Must not: let the rest of the crate see which one it is.
//! Flow: `model.rs` loads a [`Backend`] and predicts through it. All backends have the same functions.

use crate::error::Error;
use crate::slot::Results;

#[cfg(target_vendor = "apple")]
pub(crate) use crate::apple::{Session as Backend, State as BackendState};
#[cfg(not(target_vendor = "apple"))]
pub(crate) use crate::portable::{Session as Backend, State as BackendState};

/// What an asynchronous prediction gives: its results, good for the call only, and the state it was given.
pub(crate) type Answer<'a> = Result<(&'a dyn Results, Option<BackendState>), Error>;

/// Takes the answer of an asynchronous prediction, on whatever thread it comes.
pub(crate) type Finish = Box<dyn FnOnce(Answer<'_>) + Send>;
