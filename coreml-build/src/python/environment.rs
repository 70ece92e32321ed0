//! Python environments in the cache.
//!
//! Owns: one folder per (packages, interpreter, platform), made under a lock and ready only when
//! its marker says so. An attempt to make one has a folder of its own: an interrupted attempt is
//! never continued, and an installer that outlives its build writes where nothing is read.
//! Flow: `provision.rs` → [`obtain`] → `installer.rs` does the work.

use super::installer::{Installer, python_of};
use super::interpreter::Interpreter;
use super::options::PythonOptions;
use super::requirements::Requirements;
use crate::cache::layout::{ATTEMPT, READY};
use crate::cache::{Cache, FileMutex, refresh};
use crate::digest::Hasher;
use crate::error::Error;
use crate::files::write_whole;
use crate::status::Status;
use std::path::{Path, PathBuf};

/// Version of how environments are made: a change makes new ones.
const FORMAT_VERSION: &str = "1";

/// Hexadecimal digits of an environment's key: enough never to collide, few enough for Windows's
/// path limit.
const KEY_DIGITS: usize = 16;

/// Returns the interpreter of the environment for `requirements`, which is made if there is none
/// yet.
pub(super) fn obtain(
    interpreter: &Interpreter,
    uv: Option<&Path>,
    options: &PythonOptions,
    requirements: &Requirements,
    cache: &Cache,
    status: &Status,
) -> Result<PathBuf, Error> {
    let key = key(interpreter, requirements);
    let folder = cache.python_folder().join(&key);
    if let Some(python) = ready(&folder) {
        return Ok(python);
    }
    let lock = FileMutex::new(cache.python_folder().join(format!("{key}.lock")));
    let _held =
        lock.hold(|| status.begin("waiting for another build to install Python packages"))?;
    if let Some(python) = ready(&folder) {
        return Ok(python);
    }
    let failed = |error| Error::storage("make a Python environment", &folder, error);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => std::fs::create_dir_all(&folder).map_err(failed)?,
    }
    let attempt = tempfile::Builder::new().prefix(ATTEMPT).tempdir_in(&folder).map_err(failed)?;
    status.begin(&format!("installing Python packages: {}", requirements.packages.join(", ")));
    let (log, file) = cache.log(&format!("python-{key}"))?;
    let installer = Installer {
        interpreter,
        uv,
        options,
        requirements,
        folder: attempt.path(),
        log,
        file,
        status,
    };
    installer.install()?;
    let name = attempt.path().file_name().unwrap_or_default().as_encoded_bytes().to_vec();
    write_whole(&folder.join(READY), &name).map_err(failed)?;
    let _ = attempt.keep();
    ready(&folder)
        .ok_or_else(|| failed(std::io::Error::other("the new environment has no interpreter")))
}

/// Returns the interpreter of the environment for `requirements`, if it was made already.
pub(super) fn existing(
    interpreter: &Interpreter,
    requirements: &Requirements,
    cache: &Cache,
) -> Option<PathBuf> {
    ready(&cache.python_folder().join(key(interpreter, requirements)))
}

/// Returns the key of an environment.
fn key(interpreter: &Interpreter, requirements: &Requirements) -> String {
    let mut hasher = Hasher::default();
    hasher.field("format", FORMAT_VERSION.as_bytes());
    requirements.hash(&mut hasher);
    hasher.field("interpreter", interpreter.base.as_os_str().as_encoded_bytes());
    hasher.field("version", interpreter.to_string().as_bytes());
    hasher.field("platform", interpreter.platform.as_bytes());
    let mut key = hasher.finish();
    key.truncate(KEY_DIGITS);
    key
}

/// Returns the interpreter of the environment in `folder`, if it is ready.
fn ready(folder: &Path) -> Option<PathBuf> {
    let attempt = std::fs::read_to_string(folder.join(READY)).ok()?;
    refresh(&folder.join(READY));
    let python = python_of(&folder.join(attempt.trim()));
    python.exists().then_some(python)
}
