//! The user's config file: what holds for all builds of a person or a machine.
//!
//! Owns: where it lies and its keys. A manifest cannot set them: a dependency must not choose where
//! models come from, or what is removed.
//! Flow: `cargo.rs` → here; variables of the environment come before what stands here.

use crate::error::{Error, ErrorKind};
use serde::Deserialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Days that an entry is kept without being used, by default.
const DAYS: u64 = 90;

/// Gigabytes that entries may take, by default.
const GIGABYTES: u64 = 50;

/// A day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A gigabyte, in bytes.
const GIGABYTE: u64 = 1_000_000_000;

/// What the cache keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How long what is not used stays.
    pub age: Duration,
    /// Bytes that all entries together may have.
    pub size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(DAYS, GIGABYTES)
    }
}

impl Limits {
    /// Makes limits of days and gigabytes.
    pub fn new(days: u64, gigabytes: u64) -> Self {
        Self {
            age: DAY * u32::try_from(days).unwrap_or(u32::MAX),
            size: gigabytes.saturating_mul(GIGABYTE),
        }
    }
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// `[cache]`.
    #[serde(default)]
    cache: Cache,
}

/// `[cache]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Cache {
    /// The remote cache.
    remote: Option<String>,
    /// Days that an entry is kept without being used.
    max_age_days: Option<u64>,
    /// Gigabytes that entries may take.
    max_size_gb: Option<u64>,
}

/// What the config file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// The file, when there is one.
    pub(crate) path: Option<PathBuf>,
    /// The remote cache.
    pub(crate) remote: Option<String>,
    /// What the cache keeps.
    pub(crate) limits: Limits,
}

impl Config {
    /// Reads the config file; without one, everything is at its default.
    ///
    /// Errors: it is not TOML, or has keys that are not known.
    pub(crate) fn read(get: &impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let Some(path) = path(get).filter(|path| path.is_file()) else {
            return Ok(Self::default());
        };
        let content = std::fs::read_to_string(&path)
            .map_err(|error| wrong(&path, error.to_string(), error))?;
        let File { cache } = toml::from_str(&content)
            .map_err(|error| wrong(&path, error.message().to_owned(), error))?;
        let limits =
            Limits::new(cache.max_age_days.unwrap_or(DAYS), cache.max_size_gb.unwrap_or(GIGABYTES));
        Ok(Self { path: Some(path), remote: cache.remote, limits })
    }
}

/// Returns where the file lies.
fn path(get: &impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = match get("XDG_CONFIG_HOME") {
        Some(folder) => PathBuf::from(folder),
        None if cfg!(windows) => get("APPDATA")?.into(),
        None => Path::new(&get("HOME")?).join(".config"),
    };
    Some(folder.join("coreml").join("config.toml"))
}

/// Returns the error for a file that cannot be used.
fn wrong(
    path: &Path,
    problem: String,
    error: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    let message = format!("the config file {} cannot be used: {problem}", path.display());
    Error::new(ErrorKind::Cargo, message)
        .advise("its keys are `remote`, `max-age-days` and `max-size-gb`, under `[cache]`")
        .caused_by(error)
}
