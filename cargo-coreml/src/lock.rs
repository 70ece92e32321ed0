//! `cargo coreml lock`: writes the locks of manifests, or checks them.
//!
//! Owns: the diff. Must not: decide what a lock holds (`coreml-build` does).
//! Flow: `main.rs` → here → `coreml_build::Context::lock`.

use crate::failure::Failure;
use crate::selection::{self, Scope};
use crate::table::printable_lines;
use std::io::Write;
use std::path::Path;

/// What stands before each hash of a Python package.
const HASH: &str = " --hash=";

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The manifests.
    #[command(flatten)]
    scope: Scope,
    /// Write nothing; fail if a lock is out of date, and show the difference
    #[arg(long)]
    check: bool,
}

/// Makes the locks, and writes or compares them.
///
/// Errors: a model that cannot be converted, or with `--check` a lock that is out of date.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    for (context, manifests) in selection::contexts(&arguments.scope)? {
        let mut names: Vec<_> = manifests.iter().map(String::as_str).collect();
        if arguments.check {
            // Nothing is converted only to be told that it is not there.
            names.retain(|name| {
                let missing = context.missing_lock(name).map(|lock| no_lock(name, &lock));
                let keep = missing.is_none();
                wrong.extend(missing);
                keep
            });
        }
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
                    write!(output, "{}", printable_lines(&short(&diff)))?;
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

/// Makes the message for a manifest without a lock.
fn no_lock(manifest: &str, lock: &Path) -> String {
    format!(
        "there is no lock of {manifest}: {} does not exist. Run `cargo coreml lock {manifest}` and \
         commit the file",
        lock.display()
    )
}

/// Sums up the hashes in the lines of a diff: a package has dozens, which nobody compares by eye.
fn short(diff: &str) -> String {
    let line = |line: &str| {
        let hashes = line.matches(HASH).count();
        let Some((before, rest)) = line.split_once(HASH) else { return line.to_owned() };
        // The text ends behind the last hash.
        let after = rest.find('"').map_or("\n", |end| &rest[end..]);
        format!("{before} ({hashes} hashes){after}")
    };
    diff.split_inclusive('\n').map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn hashes_are_counted_not_shown() {
        let diff = "--- net.lock\n+    \"torch==2 ; a --hash=sha256:01 --hash=sha256:ab\",\n- \
                    digest = \"0123\"\n";
        assert_eq!(
            short(diff),
            "--- net.lock\n+    \"torch==2 ; a (2 hashes)\",\n- digest = \"0123\"\n"
        );
    }
}
