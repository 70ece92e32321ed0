//! The packages, manifests and options that a subcommand about manifests works on.
//!
//! Owns: turning arguments into sessions. Must not: convert.
//! Flow: `lock.rs`, `fetch.rs` and `cache.rs` → here → `coreml_build::Selection` and `Options`.

use crate::failure::Failure;
use crate::table::printable_lines;
use coreml_build::{Error, Options, Selection, Session};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Returns a session for each package that `paths` lead to, with its manifests.
///
/// Parameters: `paths` — manifests; without any, all of the package around the current folder.
pub(crate) fn sessions(paths: &[PathBuf]) -> Result<Vec<(Session, Vec<String>)>, Failure> {
    let here = std::env::current_dir()?;
    let mut sessions = Vec::new();
    for selection in Selection::of(&here, paths)? {
        sessions.push((Session::new(options(&selection.package_root)?), selection.manifests));
    }
    Ok(sessions)
}

/// Returns the options for a package, without an output folder: these subcommands leave products
/// alone.
pub(crate) fn options(package_root: &Path) -> Result<Options, Failure> {
    let out_dir = package_root.join("target");
    Options::from_environment(package_root.to_owned(), out_dir)
        .map_err(|errors| together(&errors).into())
}

/// Returns several errors as one text.
pub(crate) fn together(errors: &[Error]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}

/// Says what is odd, on standard error.
pub(crate) fn warn(warnings: &[String]) {
    for warning in warnings {
        // Nothing can be done when standard error is closed.
        let _ = writeln!(io::stderr(), "warning: {}", printable_lines(warning));
    }
}
