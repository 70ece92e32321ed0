//! Python: found or made only when something has to be converted, and run.
//!
//! Owns: interpreters, environments in the cache, the embedded driver and its process.
//! Must not: be asked for an interpreter on a cache hit.
//! Flow: `build/convert.rs` → `provision.rs` (an interpreter with the packages) → `driver.rs`.

mod complaint;
pub(crate) mod driver;
pub(crate) mod embedded;
mod environment;
mod installer;
mod interpreter;
mod options;
mod provision;
mod requirements;
mod version;

pub use options::PythonOptions;
pub(crate) use provision::{FoundPython, examine, obtain, resolve};
pub(crate) use requirements::{Requirements, pins};
pub(crate) use version::VersionRange;
