//! Why a subcommand failed.
//!
//! Owns: [`Failure`].
//! Flow: every subcommand returns it; `main.rs` prints it.

/// The reason, for the user.
pub(crate) type Failure = Box<dyn std::error::Error>;
