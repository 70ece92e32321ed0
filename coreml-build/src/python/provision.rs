//! FoundPython or making the Python that converts.
//!
//! Owns: the order in which an interpreter is looked for: `COREML_PYTHON` as it is; else an
//! environment in the cache, made from the first fitting interpreter on `PATH` by `COREML_UV`, by
//! `uv` on `PATH`, by a `uv` that pip installs from its pinned hash, or by pip alone.
//! Must not: be called on a cache hit; touch an environment that it did not make.
//! Flow: `build/convert.rs` → [`obtain`] → `driver.rs` starts what it returns; `command/lock.rs` →
//! [`resolve`]; `command/doctor.rs` → [`examine`].

use super::environment;
use super::installer::Installer;
use super::interpreter::{self, Interpreter, find_program};
use super::options::PythonOptions;
use super::requirements::{Requirements, pins};
use crate::cache::Cache;
use crate::error::{Error, ErrorKind};
use crate::status::Status;
use std::path::{Path, PathBuf};

/// Returns the interpreter that has the packages of `requirements`.
///
/// Returns: an interpreter to start. For `COREML_PYTHON` the driver checks the packages.
/// Errors: always with what to install or which variable to set.
pub(crate) fn obtain(
    options: &PythonOptions,
    requirements: &Requirements,
    cache: &Cache,
    status: &Status,
) -> Result<PathBuf, Error> {
    if let Some(own) = &options.interpreter {
        return own_interpreter(own, options, requirements);
    }
    let uv = find_uv(options)?;
    let interpreter = interpreter::find(options, &requirements.range, uv.as_deref())?;
    environment::obtain(&interpreter, uv.as_deref(), options, requirements, cache, status)
}

/// Resolves the packages of `requirements` for every system: a line with versions and hashes for
/// each.
pub(crate) fn resolve(
    options: &PythonOptions,
    requirements: &Requirements,
    cache: &Cache,
    status: &Status,
) -> Result<Vec<String>, Error> {
    let uv = find_uv(options)?;
    let interpreter = interpreter::find(options, &requirements.range, uv.as_deref())?;
    let temporary = cache.temporary()?;
    status.begin(&format!("resolving Python packages: {}", requirements.packages.join(", ")));
    let (log, file) = cache.log("python-lock")?;
    let uv = uv.as_deref();
    let folder = temporary.path();
    let installer = Installer {
        interpreter: &interpreter,
        uv,
        options,
        requirements,
        folder,
        log,
        file,
        status,
    };
    installer.resolve().map(|text| pins(&text))
}

/// Returns `COREML_UV` or the `uv` on the search path, if there is one.
fn find_uv(options: &PythonOptions) -> Result<Option<PathBuf>, Error> {
    match &options.uv {
        Some(uv) => find_program(uv, options).map(Some).ok_or_else(|| {
            Error::new(
                ErrorKind::Environment,
                format!("COREML_UV is {}, and there is no such program", uv.display()),
            )
            .advise("set COREML_UV to the uv program, or unset it to use pip")
        }),
        None => Ok(find_program(Path::new("uv"), options)),
    }
}

/// What there is of Python on this machine; nothing was made to find out.
pub(crate) struct FoundPython {
    /// The `uv` that would be used.
    pub(crate) uv: Result<Option<PathBuf>, Error>,
    /// The interpreter, in words.
    pub(crate) interpreter: Result<String, Error>,
    /// The packages, in words; `None` when they would be installed first.
    pub(crate) packages: Option<Result<String, Error>>,
}

/// Looks for what [`obtain`] would return for the default requirements.
///
/// Parameters: `cache_dir` — the cache folder.
pub(crate) fn examine(options: &PythonOptions, cache_dir: &Path) -> FoundPython {
    let requirements = Requirements::default();
    let uv = find_uv(options);
    if let Some(own) = &options.interpreter {
        let found = own_interpreter(own, options, &requirements);
        let packages =
            found.as_ref().ok().map(|program| interpreter::packages(program, &requirements));
        let interpreter = found.map(|program| {
            let version = Interpreter::probe(&program)
                .map(|interpreter| interpreter.to_string())
                .unwrap_or_default();
            format!("COREML_PYTHON: {}, Python {version}", program.display())
        });
        return FoundPython { uv, interpreter, packages };
    }
    let found = interpreter::find(
        options,
        &requirements.range,
        uv.as_ref().ok().and_then(|uv| uv.as_deref()),
    );
    let cache = Cache::new(cache_dir);
    let ready = found
        .as_ref()
        .ok()
        .and_then(|interpreter| environment::existing(interpreter, &requirements, &cache));
    let packages = ready.map(|program| interpreter::packages(&program, &requirements));
    let interpreter =
        found.map(|interpreter| format!("{}, Python {interpreter}", interpreter.base.display()));
    FoundPython { uv, interpreter, packages }
}

/// Returns `COREML_PYTHON`, if it works and has a fitting version.
fn own_interpreter(
    own: &Path,
    options: &PythonOptions,
    requirements: &Requirements,
) -> Result<PathBuf, Error> {
    let wrong = |problem: String| {
        Error::new(ErrorKind::Environment, format!("COREML_PYTHON is {}, {problem}", own.display()))
            .advise(format!(
                "set COREML_PYTHON to a Python {} that has {}",
                requirements.range,
                requirements.packages.join(", ")
            ))
            .advise("or unset it: an environment with these packages is then made in the cache")
    };
    let program =
        find_program(own, options).ok_or_else(|| wrong("and there is no such program".into()))?;
    let interpreter =
        Interpreter::probe(&program).map_err(|problem| wrong(format!("which {problem}")))?;
    if !requirements.range.contains(interpreter.version) {
        return Err(wrong(format!(
            "which is Python {interpreter}, but Python {} is needed",
            requirements.range
        )));
    }
    Ok(program)
}
