//! The packages, manifests and options that a subcommand about manifests works on.
//!
//! Owns: turning arguments into contexts. Must not: convert.
//! Flow: `lock.rs`, `fetch.rs` and `cache.rs` → here → `coreml_build::Selection` and `Options`.

use crate::failure::Failure;
use crate::table::printable_lines;
use coreml_build::{Context, Error, Options, Selection};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Returns a context for each package that `paths` lead to, with its manifests.
///
/// Parameters: `paths` — manifests; without any, all of the package around the current folder.
pub(crate) fn contexts(paths: &[PathBuf]) -> Result<Vec<(Context, Vec<String>)>, Failure> {
    let here = std::env::current_dir()?;
    let mut contexts = Vec::new();
    for selection in Selection::of(&here, paths)? {
        contexts.push((Context::new(options(&selection.package_root)?), selection.manifests));
    }
    Ok(contexts)
}

/// Returns the packages that `paths` lead to, those together that have the same options: one Python
/// process converts what they lack.
///
/// Parameters: `paths` — manifests; without any, all of the package around the current folder.
pub(crate) fn builds(paths: &[PathBuf]) -> Result<Vec<(Options, Vec<Selection>)>, Failure> {
    let here = std::env::current_dir()?;
    let mut builds: Vec<(Options, Vec<Selection>)> = Vec::new();
    for selection in Selection::of(&here, paths)? {
        let options = options(&selection.package_root)?;
        // Of what the environment says, only a relative COREML_CACHE_DIR depends on the package.
        match builds.iter_mut().find(|(other, _)| other.cache_dir == options.cache_dir) {
            Some((_, selections)) => selections.push(selection),
            None => builds.push((options, vec![selection])),
        }
    }
    Ok(builds)
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
