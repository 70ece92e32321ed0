//! The backend that runs a model: one per system, chosen when the program is compiled.
//!
//! Owns: the choice. Must not: let the rest of the crate see which one it is.
//! Flow: `model.rs` loads a [`Backend`] and predicts through it. All backends have the same
//! functions.

use crate::error::Error;
use crate::slot::OutputSlot;
use std::any::Any;
use std::sync::Arc;

#[cfg(target_vendor = "apple")]
pub(crate) use crate::apple::{Session as Backend, State as BackendState};
#[cfg(not(target_vendor = "apple"))]
pub(crate) use crate::portable::{Session as Backend, State as BackendState};

/// Memory of an output that was written in place: its position, and what keeps it alive.
pub(crate) type Written = (usize, Arc<dyn Any + Send + Sync>);

/// An asynchronous prediction, as a backend sees it: outputs, and whoever waits for them.
///
/// To drop it without an answer tells whoever waits that there is none.
pub(crate) trait Awaited: Send {
    /// Calls `with` with the outputs, in the order of the function's.
    fn slots(&mut self, with: &mut dyn FnMut(&mut [&mut dyn OutputSlot]));

    /// Tells whoever waits that it is over, on whatever thread.
    ///
    /// Parameters: `answer` — the state that the prediction was given; every output is filled, but
    /// those of `written`, whose memory goes back to them when the result is taken: whoever else
    /// has it may have let go by then, and nothing is copied.
    fn finish(self: Box<Self>, answer: Result<Option<BackendState>, Error>, written: Vec<Written>);
}
