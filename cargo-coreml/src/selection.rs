//! The packages, manifests and options that a subcommand about manifests works on.
//!
//! Owns: the arguments that name manifests, the same for each subcommand about them, and turning
//! them into contexts.
//! Must not: convert.
//! Flow: `build.rs`, `lock.rs`, `cache.rs` and others → here → `coreml_build::Selection` and
//! `Options`; `workspace.rs` for packages that are named.

use crate::failure::Failure;
use crate::table::printable_lines;
use crate::workspace::{Member, members};
use coreml_build::{Context, Error, Options, Selection};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The arguments that name manifests.
#[derive(clap::Args)]
pub(crate) struct Scope {
    /// Manifests; by default all manifests of the current package, or of the workspace at its root
    manifests: Vec<PathBuf>,
    /// Take all manifests of this package of the workspace; may be repeated
    #[arg(
        id = "cargo-package",
        long = "package",
        short = 'p',
        value_name = "PACKAGE",
        conflicts_with_all = ["manifests", "workspace"]
    )]
    packages: Vec<String>,
    /// Take all manifests of all packages of the workspace
    #[arg(long, conflicts_with = "manifests")]
    workspace: bool,
}

impl Scope {
    /// Returns the manifests, by package.
    ///
    /// Errors: there is no package or no manifest.
    fn selections(&self) -> Result<Vec<Selection>, Failure> {
        let here = std::env::current_dir()?;
        if !self.packages.is_empty() || self.workspace {
            return self.of_workspace(&members(&here)?);
        }
        let has_manifest = |folder: &Path| folder.join("Cargo.toml").is_file();
        if self.manifests.is_empty()
            && Selection::around(&here).is_none()
            && here.ancestors().any(has_manifest)
        {
            // At the root of a workspace that is no package itself, as cargo does it.
            return self.of_workspace(&members(&here)?);
        }
        Ok(Selection::of(&here, &self.manifests)?)
    }

    /// Returns the manifests of packages of a workspace.
    ///
    /// Errors: a package is not there; there is no manifest.
    fn of_workspace(&self, members: &[Member]) -> Result<Vec<Selection>, Failure> {
        let names = || members.iter().map(|member| member.name.as_str());
        if let Some(unknown) =
            self.packages.iter().find(|name| names().all(|known| known != **name))
        {
            let names = names().collect::<Vec<_>>().join(", ");
            return Err(
                format!("there is no package `{unknown}` in the workspace, only {names}").into()
            );
        }
        let wanted = |member: &&Member| match &self.packages[..] {
            [] => self.workspace || member.is_default,
            chosen => chosen.contains(&member.name),
        };
        let wanted = members.iter().filter(wanted);
        let mut selections: Vec<_> =
            wanted.map(|member| Selection::of_package(&member.root)).collect();
        selections.retain(|selection| !selection.manifests.is_empty());
        match selections.is_empty() {
            true => Err("no file of these packages has a `[model]` or `[models]` table".into()),
            false => Ok(selections),
        }
    }
}

/// Returns a context for each package that `scope` leads to, with its manifests.
pub(crate) fn contexts(scope: &Scope) -> Result<Vec<(Context, Vec<String>)>, Failure> {
    let mut contexts = Vec::new();
    for selection in scope.selections()? {
        contexts.push((Context::new(options(&selection.package_root)?), selection.manifests));
    }
    Ok(contexts)
}

/// Returns the packages that `scope` leads to, those together that have the same options: one
/// Python process converts what they lack.
pub(crate) fn builds(scope: &Scope) -> Result<Vec<(Options, Vec<Selection>)>, Failure> {
    let mut builds: Vec<(Options, Vec<Selection>)> = Vec::new();
    for selection in scope.selections()? {
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
