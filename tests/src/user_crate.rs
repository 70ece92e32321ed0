//! A crate as a user would write it.
//!
//! Owns: its folder, and how cargo is started in it. Must not: read cargo's output (`run.rs` does).
//! Flow: a test makes it, and runs cargo in it.

use crate::{Run, python, run, target, workspace};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Folders of the user crates that exist now in this process.
static TAKEN: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);

/// A crate in a folder of its own, outside the workspace; the folder is removed when this is
/// dropped.
///
/// The folders have the same names in each run, so that the target folder does not grow from run to
/// run.
#[derive(Debug)]
pub struct UserCrate {
    /// Its root.
    folder: PathBuf,
    /// Variables that cargo gets besides this process's own.
    environment: Vec<(OsString, OsString)>,
}

impl UserCrate {
    /// Makes a crate that depends on this workspace and has a build script for `manifests`.
    ///
    /// Parameters: `name` — a legal package name that no other test uses; `manifests` — when empty,
    /// there is no build script.
    pub fn new(name: &str, manifests: &[&str]) -> Self {
        let user_crate = Self { folder: take_folder(name), environment: Vec::new() };
        let root = workspace().display().to_string().replace('\\', "/");
        // A `[workspace]` of its own, because the folder of temporary files may be inside another
        // one.
        user_crate.write(
            "Cargo.toml",
            format!(
                "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\nlicense = \
                \"MIT\"\n\
                 description = \"A user's crate\"\n\n[workspace]\n\n\
                 [dependencies]\ncoreml-rt = {{ path = \"{root}/coreml-rt\", version = \"0.1.0\" \
                 }}\n\n\
                 [build-dependencies]\ncoreml-build = {{ path = \"{root}/coreml-build\", version = \
                 \"0.1.0\" }}\n{}",
                profiles()
            ),
        );
        // The workspace's choice of versions: these dependencies are compiled already.
        user_crate.write(
            "Cargo.lock",
            std::fs::read(workspace().join("Cargo.lock")).expect("the workspace has a lock"),
        );
        if !manifests.is_empty() {
            let calls: String = manifests
                .iter()
                .map(|it| format!("    coreml_build::compile({it:?});\n"))
                .collect();
            user_crate.write("build.rs", format!("fn main() {{\n{calls}}}\n"));
        }
        user_crate
    }

    /// Gives the crate an empty conversion cache of its own. Conversions use the Python of the
    /// other tests, so that it is not installed again.
    pub fn with_empty_cache(self) -> Self {
        let cache = self.cache();
        std::fs::create_dir_all(&cache)
            .unwrap_or_else(|error| panic!("{}: {error}", cache.display()));
        self.with("COREML_CACHE_DIR", cache).with("COREML_PYTHON", python())
    }

    /// Takes Python away from cargo: `COREML_PYTHON` names nothing, and `PATH` has only what
    /// linking needs.
    pub fn without_python(self) -> Self {
        let tools = self.tools();
        empty(&tools);
        for tool in ["cc", "ld", "as", "collect2"] {
            let path = std::env::var_os("PATH").unwrap_or_default();
            if let Some(found) = std::env::split_paths(&path)
                .map(|folder| folder.join(tool))
                .find(|file| file.exists())
            {
                #[cfg(unix)]
                std::os::unix::fs::symlink(found, tools.join(tool)).expect("links can be made");
                #[cfg(not(unix))]
                std::fs::copy(found, tools.join(tool)).expect("files can be copied");
            }
        }
        let sysroot = run(Command::new("rustc").args(["--print", "sysroot"])).succeeds().stdout;
        let compiler = |name: &str| Path::new(sysroot.trim()).join("bin").join(name);
        let (rustc, rustdoc) = (compiler("rustc"), compiler("rustdoc"));
        self.with("PATH", tools)
            .with("RUSTC", rustc)
            .with("RUSTDOC", rustdoc)
            .with("COREML_PYTHON", "/nonexistent/python")
    }

    /// Gives cargo a variable.
    pub fn with(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Returns the folder of the crate's own cache, which is used after
    /// [`with_empty_cache`](Self::with_empty_cache).
    pub fn cache(&self) -> PathBuf {
        self.beside(".cache")
    }

    /// Returns the folder of the programs that a crate without Python still has.
    fn tools(&self) -> PathBuf {
        self.beside(".tools")
    }

    /// Returns a path beside the crate's folder.
    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.folder.file_name().unwrap_or_default().to_owned();
        name.push(suffix);
        self.folder.with_file_name(name)
    }

    /// Returns the path of a file of the crate.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.join(relative)
    }

    /// Writes a file, and its folders.
    pub fn write(&self, relative: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(relative);
        let written = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&path, contents));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Runs cargo in the crate's folder.
    pub fn cargo(&self, arguments: &[&str]) -> Run {
        run(&mut self.command(arguments))
    }

    /// Returns the command that [`cargo`](Self::cargo) runs.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).current_dir(&self.folder);
        command
            .env("CARGO_TARGET_DIR", target())
            .env("CARGO_TERM_COLOR", "never")
            .env_remove("COREML_STRICT");
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command
    }

    /// Returns, for each model of `manifest`, whether the last run of the build script took it from
    /// the cache.
    ///
    /// Parameters: `name` — the package's; `manifest` — a file beside `Cargo.toml`.
    pub fn cached(&self, name: &str, manifest: &str) -> Vec<bool> {
        self.cached_in("debug", name, manifest)
    }

    /// [`cached`](Self::cached) for a build with another profile.
    ///
    /// Parameters: `profile` — the profile's folder in the target folder.
    pub fn cached_in(&self, profile: &str, name: &str, manifest: &str) -> Vec<bool> {
        let file = self.build_file(profile, name, manifest, "build.json");
        let text = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let build: serde_json::Value = serde_json::from_str(&text).expect("build.json is JSON");
        let models = build["models"].as_array().expect("build.json lists models");
        models
            .iter()
            .map(|model| model["cached"].as_bool().expect("each says whether it was cached"))
            .collect()
    }

    /// Returns the file called `file` that the last build of this crate made of `manifest`.
    ///
    /// Parameters: `profile` — the profile's folder in the target folder; `name` — the package's.
    pub fn build_file(&self, profile: &str, name: &str, manifest: &str, file: &str) -> PathBuf {
        let folders =
            std::fs::read_dir(target().join(profile).join("build")).into_iter().flatten().flatten();
        let own = folders.filter(|folder| {
            let hashed = folder.file_name().to_string_lossy().into_owned();
            hashed
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|hash| !hash.contains('-'))
        });
        let made = own.map(|folder| folder.path().join("out").join("coreml").join(manifest));
        // A build leaves what has not changed as it is, but for this file.
        let built = |folder: &PathBuf| folder.join("build.json").metadata().ok()?.modified().ok();
        let files = made.filter(|folder| folder.join(file).exists());
        let newest = files.max_by_key(built).map(|folder| folder.join(file));
        newest.unwrap_or_else(|| panic!("no build of {name} left a {file} for {manifest}"))
    }
}

impl Drop for UserCrate {
    fn drop(&mut self) {
        // What cannot be removed is removed before the next run of the same test.
        for folder in [self.cache(), self.tools(), self.folder.clone()] {
            drop(std::fs::remove_dir_all(folder));
        }
        if let Some(taken) = TAKEN.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            taken.remove(&self.folder);
        }
    }
}

/// Returns an empty folder called `name`, or `name-2` and so on while another crate of this process
/// has it.
fn take_folder(name: &str) -> PathBuf {
    let scratch = format!("coreml-user-crates-{:016x}", digest(&(workspace(), target())));
    let scratch = std::env::temp_dir().join(scratch);
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = taken.get_or_insert_default();
    let mut folder = scratch.join(name);
    for number in 2.. {
        if taken.insert(folder.clone()) {
            break;
        }
        folder = scratch.join(format!("{name}-{number}"));
    }
    empty(&folder);
    folder
}

/// Returns a number that distinguishes values across runs of the same program.
pub(crate) fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Makes `folder` an empty folder.
fn empty(folder: &Path) {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            panic!("{}: {error}", folder.display())
        }
        _ => std::fs::create_dir_all(folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display())),
    }
}

/// Begins the profiles of packages that no crate of the tests has: cargo warns of such.
const OTHERS: &str = "# Speech examples alone";

/// Returns the workspace's profiles as TOML: with other ones, cargo would compile every dependency
/// again.
pub fn profiles() -> String {
    let manifest = std::fs::read_to_string(workspace().join("Cargo.toml"))
        .expect("the workspace has a manifest");
    let shared = manifest.split(OTHERS).next().unwrap_or_default();
    shared.find("[profile.").map(|start| format!("\n{}", &shared[start..])).unwrap_or_default()
}
