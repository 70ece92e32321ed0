//! `cargo coreml fetch`: downloads everything that an offline build needs.
//!
//! Owns: only the arguments. Must not: convert.
//! Flow: `main.rs` → here → `coreml_build::Context::prefetch`.

use crate::cache;
use crate::failure::Failure;
use crate::selection::Scope;
use std::io::Write;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The manifests.
    #[command(flatten)]
    scope: Scope,
}

/// Brings models from the remote cache, and makes the Python environment for those that no cache
/// has.
///
/// Errors: the environment cannot be made.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    cache::report(
        cache::each(&arguments.scope, |context, names| Ok(context.prefetch(names)))?,
        &[],
        output,
    )
}
