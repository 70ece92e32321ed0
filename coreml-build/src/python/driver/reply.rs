//! What became of a model in the driver.
//!
//! Flow: `conversation.rs` makes a [`Reply`] of each model; `build/settle.rs` makes an entry or an
//! error of it.

use super::protocol::{Converted, Failed};
use crate::error::Error;
use std::path::PathBuf;
use std::time::SystemTime;

/// When the conversion of a model began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Began {
    /// Just before its first file was read.
    Reading(SystemTime),
    /// When the process was started, long before.
    Process(SystemTime),
}

/// What became of a model.
#[derive(Debug)]
pub(crate) enum Reply {
    /// It is converted.
    Converted {
        /// What the driver said.
        reply: Converted,
        /// Where its output lies.
        output: PathBuf,
        /// Before it, no file of the model was read.
        began: Began,
        /// How long it took, without the imports that all models share, in seconds.
        seconds: f64,
    },
    /// It cannot be converted.
    Failed(Box<Failed>),
    /// The driver ended before it could say.
    Lost(Error),
}
