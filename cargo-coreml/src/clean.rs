//! `cargo coreml clean`: removes a package's converted models from the local cache.
//!
//! Owns: nothing but the arguments. Must not: touch the cache itself (`coreml-build` does), or what
//! cargo built.
//! Flow: `main.rs` → here → `coreml_build::Context::forget`.

use crate::table::bytes;
use crate::{Failure, selection};
use std::io::{self, Write};
use std::path::PathBuf;

/// What is said after the options.
const EXAMPLES: &str = "\
The next `cargo build` whose inputs have changed, or after `cargo clean`, converts the models \
again, or brings them from the remote
cache. Models of other packages stay: `cargo coreml cache gc` removes what nobody uses.

Examples:
  cargo coreml clean
  cargo coreml clean whisper.toml

Exit codes:
  0  done
  1  the cache cannot be written, or a manifest is wrong
  2  the arguments are wrong";

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Manifests; without any, all of the package around the current folder
    manifests: Vec<PathBuf>,
}

/// Removes models.
///
/// Errors: the cache cannot be written, or a manifest is wrong; the models of the others are
/// removed.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let mut errors = Vec::new();
    let (mut entries, mut removed) = (0, 0);
    for (context, manifests) in selection::contexts(&arguments.manifests)? {
        let names: Vec<_> = manifests.iter().map(String::as_str).collect();
        let (collected, mut moves) = context.forget(&names, || {
            // Nothing can be done when standard error is closed.
            let _ = writeln!(io::stderr(), "waiting for the builds that use the cache");
        })?;
        selection::warn(&moves.warnings);
        errors.append(&mut moves.errors);
        entries += collected.entries;
        removed += collected.bytes;
    }
    writeln!(output, "removed {entries} models with {}", bytes(removed))?;
    if errors.is_empty() { Ok(()) } else { Err(selection::together(&errors).into()) }
}
