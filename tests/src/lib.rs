//! Builds whole user crates in temporary folders.
//!
//! Owns: [`UserCrate`], a crate as a user would write it; [`Run`], the result of cargo; and the
//! Python that converts.
//! Must not: know what a message should say; the tests do.
//! Flow: a test writes files into a [`UserCrate`], runs cargo on it and reads the [`Run`].
//!
//! This library panics like a test, with the file or program that failed: a failure here is a fault
//! of the machine.

#![expect(clippy::expect_used, clippy::panic, reason = "only tests call this crate")]

mod python;
mod run;
mod user_crate;

pub use python::python;
pub use run::{Run, run};
pub use user_crate::{UserCrate, profiles};

use std::path::{Path, PathBuf};

/// Returns the root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate stands below the root")
        .to_path_buf()
}

/// Returns the target folder that this program was built in: user crates share it, so that
/// dependencies are compiled once.
pub fn target() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows its path");
    let profile = ["debug", "release"].map(std::ffi::OsStr::new);
    let folder = program
        .ancestors()
        .find(|folder| folder.file_name().is_some_and(|name| profile.contains(&name)));
    folder
        .and_then(Path::parent)
        .unwrap_or_else(|| panic!("{} is in no target folder", program.display()))
        .to_path_buf()
}
