//! The packages of a workspace, as cargo knows them.
//!
//! Owns: the call of `cargo metadata`. Must not: look for manifests.
//! Flow: `selection.rs` → [`members`] → cargo.

use crate::failure::Failure;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A package of the workspace.
#[derive(Debug, PartialEq)]
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: String,
    /// The folder of its `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Whether cargo takes it at the workspace's root, where nothing is chosen.
    pub(crate) is_default: bool,
}

/// What `cargo metadata` prints, as far as it is needed.
#[derive(Deserialize)]
struct Metadata {
    /// The packages of the workspace.
    packages: Vec<Package>,
    /// Identifiers of the default members; absent before cargo 1.71.
    workspace_default_members: Option<BTreeSet<String>>,
}

/// A package in it.
#[derive(Deserialize)]
struct Package {
    /// Its identifier.
    id: String,
    /// Its name.
    name: String,
    /// Its `Cargo.toml`.
    manifest_path: PathBuf,
}

/// Returns the packages of the workspace around `folder`, by name.
///
/// Errors: cargo's: there is no workspace, or one of its files is wrong.
pub(crate) fn members(folder: &Path) -> Result<Vec<Member>, Failure> {
    // Cargo tells the commands that it starts who it is.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--no-deps", "--format-version", "1"];
    let done = Command::new(cargo).args(arguments).current_dir(folder).output();
    let done = done.map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).trim().to_owned().into());
    }
    let Metadata { packages, workspace_default_members } = serde_json::from_slice(&done.stdout)?;
    let member = |package: Package| Member {
        is_default: workspace_default_members
            .as_ref()
            .is_none_or(|members| members.contains(&package.id)),
        name: package.name,
        root: package.manifest_path.parent().map(Path::to_owned).unwrap_or_default(),
    };
    let mut members: Vec<_> = packages.into_iter().map(member).collect();
    members.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(members)
}
