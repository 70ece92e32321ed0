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

/// How many branches a message names, the newest first.
const BRANCHES_SHOWN: usize = 5;

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
        let root = git(folder, None, &["rev-parse", "--show-toplevel"]).map_err(|error| {
            format!(
                "there is no package `{revision}`, and revisions are not found, because {} is not \
                 in a git repository ({error})",
                folder.display()
            )
        })?;
        let root = PathBuf::from(root);
        let name = format!("{revision}^{{commit}}");
        let commit = git(folder, None, &["rev-parse", "--verify", "--end-of-options", &name])
            .map_err(|_| no_revision(folder, revision))?;
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

/// Makes the message for a revision that git does not know, with the branches that it does.
fn no_revision(folder: &Path, revision: &str) -> String {
    let order = ["branch", "--format=%(refname:short)", "--sort=-committerdate"];
    let branches = git(folder, None, &order).unwrap_or_default();
    let branches: Vec<_> = branches.lines().take(BRANCHES_SHOWN).collect();
    let branches = match &branches[..] {
        [] => "there are no branches".to_owned(),
        _ => format!("branches are {}", branches.join(", ")),
    };
    format!(
        "there is no package and no git revision `{revision}`: give two packages, or a branch, a \
         tag or a commit ({branches})"
    )
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
