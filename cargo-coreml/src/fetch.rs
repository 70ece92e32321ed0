//! `cargo coreml fetch`: downloads everything that an offline build needs.
//!
//! Owns: only the arguments. Must not: convert.
//! Flow: `main.rs` → here → `coreml_build::Context::prefetch`.

use crate::cache;
use crate::failure::Failure;
use std::io::Write;
use std::path::PathBuf;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Manifests; by default all manifests of the current package
    manifests: Vec<PathBuf>,
}

/// Brings models from the remote cache, and makes the Python environment for those that no cache
/// has.
///
/// Errors: the environment cannot be made.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    cache::report(
        cache::each(&arguments.manifests, |context, names| Ok(context.prefetch(names)))?,
        &[],
        output,
    )
}
