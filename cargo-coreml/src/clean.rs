//! `cargo coreml clean`: removes a package's converted models from the local cache.
//!
//! Owns: only the arguments. Must not: touch the cache itself (`coreml-build` does), or cargo's
//! output.
//! Flow: `main.rs` → here → `coreml_build::Context::forget`.

use crate::failure::Failure;
use crate::selection::{self, Scope};
use crate::table::bytes;
use std::io::{self, Write};

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
The models are converted again, or fetched from the remote cache, by the next `cargo build` whose
inputs have changed, or after `cargo clean`. Models of other packages stay; `cargo coreml cache gc`
removes unused ones.

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
    /// The manifests.
    #[command(flatten)]
    scope: Scope,
}

/// Removes models.
///
/// Errors: the cache cannot be written, or a manifest is wrong; the models of the others are
/// removed.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let mut errors = Vec::new();
    let (mut entries, mut removed) = (0, 0);
    for (context, manifests) in selection::contexts(&arguments.scope)? {
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
