//! Finding a Python interpreter, and asking it what it is.
//!
//! Owns: the candidates and their order, and the errors for none and for wrong versions.
//! Must not: install anything.
//! Flow: `provision.rs` → [`find`] → `environment.rs` makes an environment from what it returns.

use super::options::PythonOptions;
use super::requirements::Requirements;
use super::version::{Version, VersionRange, parse_version};
use crate::child;
use crate::error::{Error, ErrorKind};
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Names that interpreters have, the likeliest first.
const NAMES: [&str; 6] =
    ["python3", "python", "python3.13", "python3.12", "python3.11", "python3.10"];

/// Prints what an interpreter is, as one line of JSON. It must run on any Python 3.
const QUESTION: &str = "\
import json, sys, sysconfig
try:
    import ensurepip, venv
    can_make_environments = True
except ImportError:
    can_make_environments = False
print(json.dumps({
    'version': '.'.join(map(str, sys.version_info[:3])),
    'base': getattr(sys, '_base_executable', None) or sys.executable,
    'platform': sysconfig.get_platform(),
    'can_make_environments': can_make_environments,
}))
";

/// Prints the versions of packages as JSON, null for one that is missing.
const VERSIONS: &str = "\
import importlib.metadata as m, json, sys
def version(name):
    try:
        return m.version(name)
    except m.PackageNotFoundError:
        return None
print(json.dumps([version(name) for name in sys.argv[1:]]))
";

/// A Python interpreter that works.
#[derive(Clone, Debug)]
pub(super) struct Interpreter {
    /// The interpreter itself, not that of an environment around it.
    pub(super) base: PathBuf,
    /// Its version.
    pub(super) version: Version,
    /// Its system and processor: `linux-x86_64`.
    pub(super) platform: String,
    /// Whether it has `venv` and `ensurepip`; Debian packs them apart.
    pub(super) can_make_environments: bool,
}

/// The answer to [`QUESTION`].
#[derive(Debug, Deserialize)]
struct Answer {
    /// Three numbers.
    version: String,
    /// See [`Interpreter::base`].
    base: PathBuf,
    /// See [`Interpreter::platform`].
    platform: String,
    /// See [`Interpreter::can_make_environments`].
    can_make_environments: bool,
}

impl Interpreter {
    /// Asks the program at `path` what it is.
    ///
    /// Errors: why it is no Python 3: the end of a sentence that begins with its name and "which".
    pub(super) fn probe(path: &Path) -> Result<Self, String> {
        let output = child::command(path)
            .args(["-I", "-c", QUESTION])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot be started: {error}"))?;
        let answer = String::from_utf8_lossy(&output.stdout);
        let answer: Answer = serde_json::from_str(answer.trim()).map_err(|_| {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().last().unwrap_or_default();
            format!(
                "is not a working Python 3 ({}{}{said})",
                child::describe(output.status),
                if said.is_empty() { "" } else { ": " }
            )
        })?;
        let (version, _) = parse_version(&answer.version)
            .ok_or_else(|| format!("has the odd version {}", answer.version))?;
        Ok(Self {
            base: answer.base,
            version,
            platform: answer.platform,
            can_make_environments: answer.can_make_environments,
        })
    }
}

impl fmt::Display for Interpreter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.version;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// Returns the first interpreter on the search path whose version lies in `range`; else one that
/// `uv` knows.
pub(super) fn find(
    options: &PythonOptions,
    range: &VersionRange,
    uv: Option<&Path>,
) -> Result<Interpreter, Error> {
    let mut others = Vec::new();
    for name in NAMES {
        let Some(path) = find_program(Path::new(name), options) else { continue };
        match Interpreter::probe(&path) {
            Ok(interpreter) if range.contains(interpreter.version) => return Ok(interpreter),
            Ok(interpreter) => others.push(format!("{} is Python {interpreter}", path.display())),
            Err(problem) => others.push(format!("{} {problem}", path.display())),
        }
    }
    if let Some(interpreter) = uv.and_then(|uv| known_to_uv(uv, range)) {
        return Ok(interpreter);
    }
    let message = if others.is_empty() {
        format!("converting a model needs Python {range}, and there is no Python on PATH")
    } else {
        format!("converting a model needs Python {range}, but on PATH {}", others.join(", "))
    };
    Err(Error::new(ErrorKind::Environment, message)
        .advise(install_command())
        .advise("or set COREML_PYTHON to an interpreter that has torch and coremltools"))
}

/// Returns an interpreter that uv manages, if its version fits.
fn known_to_uv(uv: &Path, range: &VersionRange) -> Option<Interpreter> {
    let output = child::command(uv)
        .args(["python", "find", "--no-project", "--no-config"])
        .arg(range.to_string())
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    Interpreter::probe(&path).ok().filter(|interpreter| range.contains(interpreter.version))
}

/// Asks an interpreter which versions it has of the packages, without importing them.
///
/// Returns: `torch 2.7.0, coremltools 9.0`.
/// Errors: a package is missing, or is not of the exact version that the requirements name.
pub(super) fn packages(program: &Path, requirements: &Requirements) -> Result<String, Error> {
    let wrong = |problem: String| {
        Error::new(ErrorKind::Environment, format!("{}: {problem}", program.display()))
            .advise(format!("install {} there", requirements.packages.join(", ")))
            .advise(
                "or unset COREML_PYTHON: an environment with these packages is then made in \
                the cache",
            )
    };
    let names: Vec<(&str, Option<&str>)> = requirements
        .packages
        .iter()
        .map(|package| {
            let name =
                package.split(['=', '<', '>', '~', '!', ' ', ';', '[']).next().unwrap_or_default();
            (name, package.split_once("==").map(|(_, version)| version.trim()))
        })
        .collect();
    let output = child::command(program)
        .args(["-I", "-c", VERSIONS])
        .args(names.iter().map(|(name, _)| name))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| wrong(format!("cannot be started: {error}")))?;
    let versions: Vec<Option<String>> = serde_json::from_slice(&output.stdout).map_err(|_| {
        wrong(format!("does not say which packages it has ({})", child::describe(output.status)))
    })?;
    let mut found = Vec::new();
    for ((name, wanted), version) in names.iter().zip(versions) {
        let version = version.ok_or_else(|| wrong(format!("{name} is not installed")))?;
        // A wheel's own mark of its build, as in 2.7.0+cpu, makes no other version.
        if wanted.is_some_and(|wanted| version.split('+').next() != Some(wanted)) {
            return Err(wrong(format!(
                "{name} is {version}, but {} is needed",
                wanted.unwrap_or_default()
            )));
        }
        found.push(format!("{name} {version}"));
    }
    Ok(found.join(", "))
}

/// Returns how to install Python on this system.
fn install_command() -> &'static str {
    if cfg!(target_os = "macos") {
        "install it: brew install python@3.12"
    } else if cfg!(windows) {
        "install it: winget install Python.Python.3.12"
    } else {
        "install it, on Debian and Ubuntu: sudo apt install python3 python3-venv"
    }
}

/// Returns the program that `name` means: a path, or a name to search for.
pub(super) fn find_program(name: &Path, options: &PythonOptions) -> Option<PathBuf> {
    let here = std::env::current_dir().unwrap_or_default();
    which::which_in(name, Some(&options.search_path), here).ok()
}
