//! What a user says about Python.
//!
//! Flow: `cargo.rs` reads them from the environment; `provision.rs` and `interpreter.rs` follow
//! them.

use std::ffi::OsString;
use std::path::PathBuf;

/// Where to look for Python.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PythonOptions {
    /// An interpreter whose packages are used as they are (`COREML_PYTHON`).
    pub interpreter: Option<PathBuf>,
    /// The `uv` to use (`COREML_UV`); otherwise one on the search path.
    pub uv: Option<PathBuf>,
    /// Folders to search for interpreters and `uv`, in the form of `PATH`.
    pub search_path: OsString,
    /// Forbids the network (`COREML_OFFLINE`, `CARGO_NET_OFFLINE`).
    pub offline: bool,
}
