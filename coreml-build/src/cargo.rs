//! Cargo: the variables that a build script reads, and the lines that it prints.
//!
//! Owns: every environment variable that is read, and every line that is printed.
//! Flow: `lib.rs` reads [`Environment`] first and prints through [`report`] last.

use crate::build::{Build, Options, Policy};
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::output::embed::Target;
use crate::python::PythonOptions;
use crate::remote::Remote;
use coreml_spec::built_variable;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Variables whose change can change what a build gives. Not `PATH` and the like: they differ
/// between an editor and a shell, and everything would be built again and again.
pub(crate) const WATCHED_VARIABLES: [&str; 10] = [
    "COREML_BUILD",
    "COREML_CACHE_DIR",
    "COREML_PYTHON",
    "COREML_UV",
    "COREML_OFFLINE",
    "COREML_REMOTE",
    "COREML_REMOTE_WRITE",
    "COREML_JOBS",
    "COREML_STRICT",
    "DOCS_RS",
];

/// A file beside the index that never exists: watching it makes cargo run a failed build again.
const NEVER: &str = "try-again";

/// What the environment says.
#[derive(Debug)]
pub(crate) struct Environment {
    /// Options of the build.
    pub(crate) options: Options,
    /// Whether an error fails the build script itself (`COREML_STRICT`).
    pub(crate) strict: bool,
    /// Variables with values that have no meaning.
    pub(crate) errors: Vec<Error>,
}

impl Environment {
    /// Reads the environment of a build script.
    ///
    /// Parameters: `variable` — returns a variable's value.
    /// Errors: this is no build script.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        let needed = |name: &str| {
            get(name).map(PathBuf::from).ok_or_else(|| {
                Error::new(
                    ErrorKind::Cargo,
                    format!("{name} is not set: this is not a build script run by cargo"),
                )
                .advise(
                    "call coreml_build::compile in the `main` of build.rs, with coreml-build under \
                         [build-dependencies]",
                )
            })
        };
        let (package_root, out_dir) = (needed("CARGO_MANIFEST_DIR")?, needed("OUT_DIR")?);
        let (options, errors) = options(&get, package_root, out_dir);
        Ok(Self { options, strict: is_set(&get, "COREML_STRICT"), errors })
    }
}

impl Options {
    /// Makes options as a build script would have them: from the environment.
    ///
    /// Parameters: `package_root`, `out_dir` — absolute.
    /// Errors: every variable whose value has no meaning.
    pub fn from_environment(package_root: PathBuf, out_dir: PathBuf) -> Result<Self, Vec<Error>> {
        let get = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let (options, errors) = options(&get, package_root, out_dir);
        if errors.is_empty() { Ok(options) } else { Err(errors) }
    }
}

/// Returns whether a variable switches something on.
fn is_set(get: &impl Fn(&str) -> Option<OsString>, name: &str) -> bool {
    get(name).is_some_and(|value| value != "0" && value != "false")
}

/// Returns the options that the environment gives, and the errors in it.
fn options(
    get: &impl Fn(&str) -> Option<OsString>,
    package_root: PathBuf,
    out_dir: PathBuf,
) -> (Options, Vec<Error>) {
    let mut errors = Vec::new();
    let mut wrong = |name: &str, value: &OsString, accepted: &str| {
        let message = format!("{name} is \"{}\", but must be {accepted}", value.display());
        errors
            .push(Error::new(ErrorKind::Cargo, message).advise(format!("change or unset {name}")));
    };
    let flag = |name: &str| is_set(get, name);
    let policy = match get("COREML_BUILD") {
        None if flag("DOCS_RS") => Policy::Skip,
        None => Policy::Auto,
        Some(value) => match value.to_str() {
            Some("auto") => Policy::Auto,
            Some("cached") => Policy::Cached,
            Some("skip") => Policy::Skip,
            _ => {
                wrong("COREML_BUILD", &value, "auto, cached or skip");
                Policy::Auto
            }
        },
    };
    let jobs = get("COREML_JOBS").and_then(|value| {
        let jobs = value.to_str().and_then(|text| text.parse().ok()).filter(|jobs| *jobs > 0);
        if jobs.is_none() {
            wrong("COREML_JOBS", &value, "a number of models to convert at the same time, from 1");
        }
        jobs
    });
    let cache_dir = cache_dir(get).map(|folder| package_root.join(folder)).unwrap_or_else(|| {
        errors.push(
            Error::new(
                ErrorKind::Cargo,
                "there is no folder for the cache: neither COREML_CACHE_DIR nor a home is set",
            )
            .advise("set COREML_CACHE_DIR to a folder that outlives the build"),
        );
        out_dir.join("cache")
    });
    let config = Config::read(get).unwrap_or_else(|error| {
        errors.push(error);
        Config::default()
    });
    let remote = remote(get, config.remote).unwrap_or_else(|error| {
        errors.push(error);
        None
    });
    let mut options = Options::new(package_root, out_dir, cache_dir);
    options.policy = policy;
    options.remote = remote;
    options.limits = config.limits;
    options.config_file = config.path;
    options.jobs = jobs;
    options.python = PythonOptions {
        interpreter: get("COREML_PYTHON").map(PathBuf::from),
        uv: get("COREML_UV").map(PathBuf::from),
        search_path: get("PATH").unwrap_or_default(),
        offline: flag("COREML_OFFLINE") || flag("CARGO_NET_OFFLINE"),
    };
    options.status = !flag("CI") && get("COREML_STATUS").is_none_or(|value| value != "off");
    let text = |name: &str| get(name).and_then(|value| value.into_string().ok());
    options.target = text("TARGET").zip(text("HOST")).map(|(target, host)| Target { target, host });
    (options, errors)
}

/// Returns the remote cache that the environment or the config file names.
///
/// Parameters: `configured` — from the config file.
fn remote(
    get: &impl Fn(&str) -> Option<OsString>,
    configured: Option<String>,
) -> Result<Option<Remote>, Error> {
    let (source, text) = match (get("COREML_REMOTE"), configured) {
        (Some(text), _) => ("COREML_REMOTE", text),
        (None, Some(text)) => ("`remote` in the config file", text.into()),
        (None, None) => return Ok(None),
    };
    if text == "off" {
        return Ok(None);
    }
    let wrong = |problem: &str| {
        Error::new(ErrorKind::Cargo, format!("{source} {problem}"))
            .advise("change it; `COREML_REMOTE=off` does without")
    };
    let text = text.into_string().map_err(|_| wrong("must be text"))?;
    let mut remote = Remote::parse(&text).map_err(|problem| wrong(&problem))?.with_aws(get);
    if let Some(token) = get("COREML_REMOTE_TOKEN") {
        let token = token
            .into_string()
            .ok()
            .filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()));
        let token = token.ok_or_else(|| {
            Error::new(ErrorKind::Cargo, "COREML_REMOTE_TOKEN has characters that no token has")
        })?;
        remote = remote.with_token(&token);
    }
    remote.write = is_set(get, "COREML_REMOTE_WRITE");
    if let Some(seconds) = get("COREML_REMOTE_TIMEOUT") {
        let seconds =
            seconds.to_str().and_then(|text| text.parse().ok()).filter(|seconds| *seconds > 0);
        let wrong = || {
            Error::new(
                ErrorKind::Cargo,
                "COREML_REMOTE_TIMEOUT must be a number of seconds, from 1",
            )
        };
        remote.patience = Duration::from_secs(seconds.ok_or_else(wrong)?);
    }
    Ok(Some(remote))
}

/// Returns the cache folder that the environment asks for, or the system's place for caches.
fn cache_dir(get: &impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(folder) = get("COREML_CACHE_DIR") {
        return Some(folder.into());
    }
    let (base, below) = if let Some(folder) = get("XDG_CACHE_HOME") {
        (folder, "coreml")
    } else if cfg!(windows) {
        (get("LOCALAPPDATA")?, "coreml")
    } else if cfg!(target_os = "macos") {
        (get("HOME")?, "Library/Caches/coreml")
    } else {
        (get("HOME")?, ".cache/coreml")
    };
    Some(Path::new(&base).join(below))
}

/// Returns the lines that tell cargo about `builds`.
///
/// Parameters: `strict` — errors fail the build script; otherwise the macro shows them at the
/// attribute.
pub(crate) fn report(builds: &[Build], strict: bool) -> Vec<String> {
    let mut lines: Vec<_> = WATCHED_VARIABLES
        .iter()
        .map(|name| format!("cargo::rerun-if-env-changed={name}"))
        .collect();
    for build in builds {
        lines.extend(
            build.watched.iter().map(|path| format!("cargo::rerun-if-changed={}", path.display())),
        );
        lines.extend(
            build
                .warnings
                .iter()
                .flat_map(|text| text.lines())
                .map(|line| format!("cargo::warning={line}")),
        );
        if let Some(value) = &build.built_value {
            let variable = built_variable(&build.manifest);
            lines.push(format!("cargo::rustc-env={variable}={value}"));
        }
        if let Some(library) = &build.library {
            lines.push(format!("cargo::rustc-link-search=native={}", library.folder.display()));
            lines.push(format!("cargo::rustc-link-lib=static={}", library.name));
        }
        if let Err(errors) = &build.outcome {
            lines.push(format!("cargo::rerun-if-changed={}", build.folder.join(NEVER).display()));
            // Without an index there is nothing that the macro could show.
            if strict || build.built_value.is_none() {
                lines.extend(errors.iter().flat_map(error_lines));
            } else {
                lines.push(pointer(&build.manifest));
            }
        }
    }
    lines
}

/// Returns the lines that report an error, and fail the build script.
pub(crate) fn error_lines(error: &Error) -> Vec<String> {
    // Only the first line of what is printed at once counts, so that each line is a message of its
    // own.
    error.to_string().lines().map(|line| format!("cargo::error={line}")).collect()
}

/// Returns the line that says where the errors of a manifest stand. Cargo prints it twice when the
/// attribute fails, so it does not hold them.
fn pointer(manifest: &str) -> String {
    format!(
        "cargo::warning={manifest} is not built; the error stands at \
         #[coreml_model({manifest:?})], and here with COREML_STRICT=1"
    )
}

/// Prints lines for cargo.
pub(crate) fn print(lines: &[String]) {
    lines.iter().for_each(|line| println!("{line}"));
}

#[cfg(test)]
mod tests;
