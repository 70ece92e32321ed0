//! What a conversion needs from this machine, whether it is there, and what to do about it.
//!
//! Owns: the list of checks and their cures.   Must not: install or change anything; convert.
//! Flow: `cargo coreml doctor` → [`examine`] → `cargo.rs` (environment), `python/provision.rs`
//! (interpreter, packages), the disk.

use crate::build::Options;
use crate::cargo::{self, Environment};
use crate::error::Error;
use crate::nearest::nearest;
use crate::python::{self, FoundPython};
use serde::Serialize;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// What an environment with torch and coremltools takes at most, in bytes.
const ENVIRONMENT_SIZE: u64 = 6_000_000_000;

/// Variables of the runtime and of the command line, besides those of a build.
const OTHER_VARIABLES: [&str; 3] = ["COREML_STATUS", "COREML_ENGINE", "COREML_MODEL_DIR"];

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Good,
    /// Worth knowing; nothing is missing.
    Note,
    /// A conversion may fail.
    Warn,
    /// A conversion fails.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// What: `python`, `disk`.
    pub subject: &'static str,
    /// How it is.
    pub health: Health,
    /// What was found.
    pub found: String,
    /// What to do; empty when there is nothing to do.
    pub cures: Vec<String>,
}

impl Diagnosis {
    /// Makes one.
    fn new(subject: &'static str, health: Health, found: impl Into<String>) -> Self {
        Self { subject, health, found: found.into(), cures: Vec::new() }
    }

    /// Adds something to do.
    fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cures.push(cure.into());
        self
    }

    /// Makes one of an error, whose advice are the cures.
    fn of_error(subject: &'static str, error: &Error) -> Self {
        let cures = error.advice().to_vec();
        Self { subject, health: Health::Bad, found: error.message().to_owned(), cures }
    }
}

/// Looks at everything that a conversion needs.
///
/// Parameters: `folder` — where a build would start, absolute.
/// Returns: one line per thing, in the order in which a conversion needs them.
pub fn examine(folder: &Path) -> Vec<Diagnosis> {
    let environment = Environment::read(|name| match name {
        // Nothing is written there.
        "CARGO_MANIFEST_DIR" | "OUT_DIR" => Some(folder.into()),
        _ => std::env::var_os(name),
    });
    let environment = match environment {
        Ok(environment) => environment,
        Err(error) => return vec![Diagnosis::of_error("variables", &error)],
    };
    let mut all = variables(std::env::vars_os(), &environment.errors);
    all.extend(python(&environment.options));
    all.push(cache(&environment.options));
    all.push(disk(&environment.options.cache_dir, has_environment(&all)));
    all.push(xcode());
    all
}

/// Returns whether a Python with the packages was found.
fn has_environment(all: &[Diagnosis]) -> bool {
    all.iter().any(|diagnosis| diagnosis.subject == "packages" && diagnosis.health == Health::Good)
}

/// Looks at the variables that are set.
///
/// Parameters: `errors` — of those that a build reads.
fn variables(set: impl Iterator<Item = (OsString, OsString)>, errors: &[Error]) -> Vec<Diagnosis> {
    let known: Vec<&str> = cargo::WATCHED_VARIABLES.into_iter().chain(OTHER_VARIABLES).collect();
    let mut all = Vec::new();
    let mut named = Vec::new();
    for (name, value) in set {
        let name = name.to_string_lossy().into_owned();
        if !name.starts_with("COREML_") {
            continue;
        }
        if known.contains(&name.as_str()) {
            named.push(format!("{name}={}", value.to_string_lossy()));
            continue;
        }
        let unknown =
            Diagnosis::new("variables", Health::Warn, format!("{name} is set, but has no effect"));
        all.push(match nearest(&name, known.iter().copied()) {
            Some(near) => unknown.cure(format!("did you mean {near}?")),
            None => unknown.cure(format!("unset it; there are {}", known.join(", "))),
        });
    }
    named.sort();
    all.extend(errors.iter().map(|error| Diagnosis::of_error("variables", error)));
    let found = if named.is_empty() {
        "none is set: the defaults are used".to_owned()
    } else {
        named.join(", ")
    };
    all.insert(0, Diagnosis::new("variables", Health::Good, found));
    all
}

/// Looks for uv, an interpreter and its packages.
fn python(options: &Options) -> Vec<Diagnosis> {
    let offline = options.python.offline;
    let FoundPython { uv, interpreter, packages } =
        python::examine(&options.python, &options.cache_dir);
    let mut all = vec![match uv {
        Ok(Some(path)) => Diagnosis::new("uv", Health::Good, path.display().to_string()),
        Ok(None) => {
            Diagnosis::new("uv", Health::Note, "not on PATH: pip installs it where it is needed")
                .cure("to install packages faster: https://docs.astral.sh/uv/")
        }
        Err(error) => Diagnosis::of_error("uv", &error),
    }];
    match interpreter {
        Ok(found) => all.push(Diagnosis::new("python", Health::Good, found)),
        Err(error) => all.push(Diagnosis::of_error("python", &error)),
    }
    all.push(match packages {
        None if offline => Diagnosis::new(
            "packages",
            Health::Bad,
            "torch and coremltools are not installed, and there is no network",
        )
        .cure(
            "unset COREML_OFFLINE and CARGO_NET_OFFLINE for the first build, or set COREML_PYTHON",
        ),
        None => {
            Diagnosis::new("packages", Health::Note, "torch and coremltools are not installed yet")
                .cure(
                    "the first `cargo build` that converts a model installs them, once; or set \
                COREML_PYTHON",
                )
        }
        Some(Ok(found)) => Diagnosis::new("packages", Health::Good, found),
        Some(Err(error)) => Diagnosis::of_error("packages", &error),
    });
    all
}

/// Looks at the cache.
fn cache(options: &Options) -> Diagnosis {
    let folder = &options.cache_dir;
    let moved = "set COREML_CACHE_DIR to a folder that can be written";
    if !folder.exists() {
        let Some(above) = folder.ancestors().find(|above| above.exists()) else {
            return Diagnosis::new(
                "cache",
                Health::Bad,
                format!("{} has no folder above it", folder.display()),
            )
            .cure(moved);
        };
        return match tempfile::tempfile_in(above) {
            Ok(_) => {
                Diagnosis::new("cache", Health::Good, format!("{}, not made yet", folder.display()))
            }
            Err(error) => {
                let found =
                    format!("{} cannot be made: {}: {error}", folder.display(), above.display());
                Diagnosis::new("cache", Health::Bad, found).cure(moved)
            }
        };
    }
    match tempfile::tempfile_in(folder) {
        Ok(_) => {
            let models = std::fs::read_dir(crate::cache::layout::entries_folder(folder))
                .map_or(0, Iterator::count);
            Diagnosis::new(
                "cache",
                Health::Good,
                format!("{}, {models} conversions", folder.display()),
            )
        }
        Err(error) => {
            // What is in it still counts.
            Diagnosis::new(
                "cache",
                Health::Warn,
                format!("{} cannot be written: {error}", folder.display()),
            )
            .cure(moved)
        }
    }
}

/// Looks at the disk that the cache is on.
///
/// Parameters: `installed` — whether the packages are there already.
fn disk(folder: &Path, installed: bool) -> Diagnosis {
    let Some(existing) = folder.ancestors().find(|above| above.exists()) else {
        return Diagnosis::new(
            "disk",
            Health::Note,
            format!("{} has no folder above it", folder.display()),
        );
    };
    let free = match fs4::available_space(existing) {
        Ok(free) => free,
        Err(error) => {
            return Diagnosis::new(
                "disk",
                Health::Note,
                format!("{}: {error}", existing.display()),
            );
        }
    };
    let found = format!("{:.1} GB free at {}", free as f64 / 1e9, existing.display());
    if installed || free >= ENVIRONMENT_SIZE {
        return Diagnosis::new("disk", Health::Good, found);
    }
    let needed = ENVIRONMENT_SIZE / 1_000_000_000;
    Diagnosis::new(
        "disk",
        Health::Warn,
        format!("{found}, but torch and coremltools take up to {needed} GB"),
    )
    .cure("free some space, or set COREML_CACHE_DIR to a folder on another disk")
}

/// Looks for Xcode, which only a Mac has.
fn xcode() -> Diagnosis {
    if !cfg!(target_os = "macos") {
        return Diagnosis::new(
            "xcode",
            Health::Note,
            "not for this system: the portable backend runs models here",
        );
    }
    match Command::new("xcode-select").arg("--print-path").output() {
        Ok(output) if output.status.success() => Diagnosis::new(
            "xcode",
            Health::Good,
            String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        ),
        _ => Diagnosis::new(
            "xcode",
            Health::Bad,
            "the command line tools are not installed: rustc cannot link",
        )
        .cure("xcode-select --install"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_variables_have_a_cure() {
        let set = [("COREML_PYTHN", "x"), ("COREML_JOBS", "2"), ("PATH", "y")];
        let all = variables(set.into_iter().map(|(name, value)| (name.into(), value.into())), &[]);
        assert_eq!((all[0].health, all[0].found.as_str()), (Health::Good, "COREML_JOBS=2"));
        assert_eq!(
            (all[1].health, &all[1].cures[..]),
            (Health::Warn, &["did you mean COREML_PYTHON?".to_owned()][..])
        );
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn a_cache_that_cannot_be_made_has_a_cure() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let options = Options::new("/", "/", file.path().join("cache"));
        let diagnosis = cache(&options);
        assert_eq!(diagnosis.health, Health::Bad, "{diagnosis:?}");
        assert!(diagnosis.cures[0].contains("COREML_CACHE_DIR"));
    }
}
