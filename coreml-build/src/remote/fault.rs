//! Why a remote cache was of no use.
//!
//! Owns: the two kinds of faults, of which only one ends the use of the remote.
//! Flow: `folder.rs`, `http.rs` and `store.rs` → here → `connection.rs` turns it into a warning.

/// A fault of the remote: the end of a sentence that begins with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not answer: it is not asked again.
    Down(String),
    /// It answers wrongly.
    Refused(String),
}
