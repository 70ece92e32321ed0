//! The files of a git revision, in a folder of their own.
//!
//! Owns: the calls of git. Must not: change anything in the repository: neither its index nor its
//! list of work trees.
//! Flow: `revisions.rs` → [`Tree::of`] → git.

use crate::failure::Failure;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The files of a revision.
pub(super) struct Tree {
    /// Holds them; gone with this.
    folder: TempDir,
    /// Path of the requested folder inside it.
    inside: PathBuf,
}

impl Tree {
    /// Writes the files of a revision.
    ///
    /// Parameters: `folder` — in the repository; `revision` — anything that git accepts as a
    /// commit.
    /// Errors: git's message: there is no repository, or no such revision.
    pub(super) fn of(folder: &Path, revision: &str) -> Result<Self, Failure> {
        let root = PathBuf::from(git(folder, None, &["rev-parse", "--show-toplevel"])?);
        let commit = git(
            folder,
            None,
            &["rev-parse", "--verify", "--end-of-options", &format!("{revision}^{{commit}}")],
        )?;
        let inside = folder.canonicalize()?.strip_prefix(root.canonicalize()?)?.to_owned();
        let temporary = tempfile::tempdir()?;
        let index = temporary.path().join("index");
        git(&root, Some(&index), &["read-tree", &commit])?;
        let mut prefix = temporary.path().join("tree").into_os_string();
        prefix.push("/");
        let prefix = prefix
            .into_string()
            .map_err(|_| "the path of the temporary folder is not Unicode: set TMPDIR")?;
        git(&root, Some(&index), &["checkout-index", "--all", &format!("--prefix={prefix}")])?;
        Ok(Self { folder: temporary, inside })
    }

    /// Returns the path of the requested folder at that revision.
    pub(super) fn folder(&self) -> PathBuf {
        self.folder.path().join("tree").join(&self.inside)
    }
}

/// Runs git and returns what it prints, without the line's end.
///
/// Parameters: `index` — a file to use instead of the repository's own index.
fn git(folder: &Path, index: Option<&Path>, arguments: &[&str]) -> Result<String, Failure> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments);
    if let Some(index) = index {
        command.env("GIT_INDEX_FILE", index.as_os_str() as &OsStr);
    }
    let done = command.output().map_err(|error| format!("git cannot be started: {error}"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(format!("git {}: {}", arguments.first().unwrap_or(&""), said.trim()).into());
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_owned())
}
