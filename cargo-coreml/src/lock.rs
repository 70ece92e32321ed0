//! `cargo coreml lock`: writes the locks of manifests, or checks them.
//!
//! Owns: the diff. Must not: decide what a lock holds (`coreml-build` does).
//! Flow: `main.rs` → here → `coreml_build::Context::lock`.

use crate::failure::Failure;
use crate::selection;
use crate::table::printable_lines;
use std::io::Write;
use std::path::PathBuf;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Manifests; by default all manifests of the current package
    manifests: Vec<PathBuf>,
    /// Write nothing; fail if a lock is out of date, and show the difference
    #[arg(long)]
    check: bool,
}

/// Makes the locks, and writes or compares them.
///
/// Errors: a model that cannot be converted, or with `--check` a lock that is out of date.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    for (context, manifests) in selection::contexts(&arguments.manifests)? {
        let names: Vec<_> = manifests.iter().map(String::as_str).collect();
        for locking in context.lock(&names) {
            selection::warn(&locking.warnings);
            let path = locking.path.display();
            match &locking.after {
                Err(errors) => wrong.extend(errors.iter().map(ToString::to_string)),
                Ok(_) if locking.is_current() => writeln!(output, "{path}: up to date")?,
                Ok(after) if arguments.check => {
                    let diff = similar::TextDiff::from_lines(&locking.before, after);
                    let diff =
                        diff.unified_diff().header(&path.to_string(), "up to date").to_string();
                    write!(output, "{}", printable_lines(&diff))?;
                    wrong.push(format!(
                        "{path} is out of date: run `cargo coreml lock` and commit it"
                    ));
                }
                Ok(_) => {
                    locking
                        .write()
                        .map_err(|error| format!("{path} cannot be written: {error}"))?;
                    writeln!(output, "{path}: written")?;
                }
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n\n").into()) }
}
