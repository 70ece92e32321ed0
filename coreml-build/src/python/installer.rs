//! Making one Python environment: a venv, and packages with pinned hashes in it.
//!
//! Owns: the commands of uv and pip, and what their failures mean. Their output goes to a log that
//! every error names.
//! Must not: choose the folder or the interpreter.
//! Flow: `environment.rs` → [`Installer::install`].

use super::complaint::Cause;
use super::interpreter::Interpreter;
use super::options::PythonOptions;
use super::requirements::Requirements;
use crate::child::{self, Child};
use crate::error::{Error, ErrorKind};
use crate::status::Status;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// The version of uv that is installed where there is none, with the hashes of its wheels.
const UV_REQUIREMENT: &str = include_str!("uv.txt");

/// Imports what the driver imports: proves that the environment is whole, and leaves the bytecode
/// that would otherwise be compiled at every conversion.
const IMPORTS: &str = "import torch, coremltools, numpy, safetensors.torch";

/// Lines of an installer's output that an error quotes.
const QUOTED_LINES: usize = 6;

/// An environment in the making.
#[derive(Debug)]
pub(super) struct Installer<'a> {
    /// The interpreter that it is made from.
    pub(super) interpreter: &'a Interpreter,
    /// uv, where there is one.
    pub(super) uv: Option<&'a Path>,
    /// Where to look for Python, and whether there may be network.
    pub(super) options: &'a PythonOptions,
    /// What to install.
    pub(super) requirements: &'a Requirements,
    /// Where to install it; an empty folder.
    pub(super) folder: &'a Path,
    /// The log.
    pub(super) log: PathBuf,
    /// The log, open.
    pub(super) file: File,
    /// The status line.
    pub(super) status: &'a Status,
}

/// A command that failed.
#[derive(Debug)]
struct Stopped {
    /// Why.
    cause: Cause,
    /// What the user reads.
    error: Error,
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self { cause: Cause::Other, error }
    }
}

impl From<Stopped> for Error {
    fn from(stopped: Stopped) -> Self {
        stopped.error
    }
}

/// Returns the interpreter of the environment that an installer made in `folder`.
pub(super) fn python_of(folder: &Path) -> PathBuf {
    program_of(&folder.join("venv"), "python")
}

/// Returns the program `name` of the venv at `venv`.
fn program_of(venv: &Path, name: &str) -> PathBuf {
    if cfg!(windows) {
        venv.join("Scripts").join(format!("{name}.exe"))
    } else {
        venv.join("bin").join(name)
    }
}

impl Installer<'_> {
    /// Makes the environment.
    ///
    /// Errors: what its output says, or its last lines.
    pub(super) fn install(&self) -> Result<(), Error> {
        match self.uv {
            Some(uv) => self.install_by_uv(uv)?,
            None => self.install_without_uv()?,
        }
        self.run(
            "import the packages",
            child::command(self.python())
                .args(["-I", "-c", IMPORTS])
                .env_remove("PYTHONDONTWRITEBYTECODE"),
        )?;
        Ok(())
    }

    /// Returns the interpreter of the environment.
    fn python(&self) -> PathBuf {
        python_of(self.folder)
    }

    /// Resolves the packages for every system, and returns them as uv writes them.
    pub(super) fn resolve(&self) -> Result<String, Error> {
        let resolved = match self.uv {
            Some(uv) => self.resolve_by_uv(uv)?,
            None => {
                let tools = self.install_uv()?;
                self.resolve_by_uv(&program_of(&tools, "uv"))?
            }
        };
        Ok(resolved)
    }

    /// [`resolve`](Self::resolve) by this uv.
    fn resolve_by_uv(&self, uv: &Path) -> Result<String, Stopped> {
        let (wanted, lock) =
            (self.folder.join("requirements.in"), self.folder.join("requirements.txt"));
        self.write(&wanted, &self.requirements.packages.join("\n"))?;
        let mut resolve = self.uv(uv);
        resolve.args([
            "pip",
            "compile",
            "--quiet",
            "--universal",
            "--no-annotate",
            "--generate-hashes",
            "--python",
        ]);
        self.run(
            "resolve the packages",
            resolve.arg(&self.interpreter.base).arg(&wanted).arg("-o").arg(&lock),
        )?;
        std::fs::read_to_string(&lock)
            .map_err(|error| Error::storage("read the resolved packages", &lock, error).into())
    }

    /// Makes a venv and fills it by uv.
    fn install_by_uv(&self, uv: &Path) -> Result<(), Stopped> {
        let venv = self.folder.join("venv");
        self.run(
            "make a venv",
            self.uv(uv)
                .args(["venv", "--no-project"])
                .arg("--python")
                .arg(&self.interpreter.base)
                .arg(&venv),
        )?;
        let lock = self.folder.join("requirements.txt");
        match self.requirements.lock() {
            Some(content) => self.write(&lock, &content)?,
            None => {
                let wanted = self.folder.join("requirements.in");
                self.write(&wanted, &self.requirements.packages.join("\n"))?;
                let mut resolve = self.uv(uv);
                resolve
                    .args(["pip", "compile", "--quiet", "--generate-hashes", "--python"])
                    .arg(self.python());
                self.run("resolve the packages", resolve.arg(&wanted).arg("-o").arg(&lock))?;
            }
        }
        let mut sync = self.uv(uv);
        sync.args(["pip", "sync", "--require-hashes", "--python"]).arg(self.python()).arg(&lock);
        self.run("install the packages", &mut sync)
    }

    /// Makes a venv and fills it by a uv that pip installs, or by pip alone where there is no uv
    /// for this system.
    fn install_without_uv(&self) -> Result<(), Stopped> {
        match self.install_uv() {
            Ok(tools) => self.install_by_uv(&program_of(&tools, "uv"))?,
            Err(Stopped { cause: Cause::Distribution, .. }) => self.install_by_pip()?,
            Err(stopped) => return Err(stopped),
        }
        // Left over, it would only take space.
        let _ = std::fs::remove_dir_all(self.folder.join("tools"));
        Ok(())
    }

    /// Makes a venv that has nothing but uv, and returns its folder.
    fn install_uv(&self) -> Result<PathBuf, Stopped> {
        if self.options.offline {
            return Err(self.offline("there is no uv, whose cache might hold the packages").into());
        }
        if !self.interpreter.can_make_environments {
            return Err(self.no_venv_module().into());
        }
        let tools = self.folder.join("tools");
        self.run("make a venv", self.base_python().args(["-m", "venv"]).arg(&tools))?;
        let pinned = self.folder.join("uv.txt");
        self.write(&pinned, UV_REQUIREMENT)?;
        self.run("install uv", self.pip(&tools).arg("--require-hashes").arg("-r").arg(&pinned))?;
        Ok(tools)
    }

    /// Makes a venv and fills it by pip.
    fn install_by_pip(&self) -> Result<(), Stopped> {
        let venv = self.folder.join("venv");
        self.run("make a venv", self.base_python().args(["-m", "venv"]).arg(&venv))?;
        let mut install = self.pip(&venv);
        match self.requirements.lock() {
            Some(content) => {
                let lock = self.folder.join("requirements.txt");
                self.write(&lock, &content)?;
                install.arg("--require-hashes").arg("-r").arg(lock);
            }
            None => {
                install.args(&self.requirements.packages);
            }
        }
        self.run("install the packages", &mut install)
    }

    /// Returns a command of uv that acts on no project around it: it runs in the environment's own
    /// folder.
    fn uv(&self, uv: &Path) -> Command {
        let mut command = child::command(uv);
        if self.options.offline {
            command.arg("--offline");
        }
        command
    }

    /// Returns a command of the interpreter that the environment is made from.
    fn base_python(&self) -> Command {
        let mut command = child::command(&self.interpreter.base);
        command.arg("-I");
        command
    }

    /// Returns the command by which the pip in `venv` installs something.
    fn pip(&self, venv: &Path) -> Command {
        let mut command = child::command(program_of(venv, "python"));
        command.args(["-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]);
        command
    }

    /// Writes a file of the environment's folder.
    fn write(&self, path: &Path, content: &str) -> Result<(), Error> {
        std::fs::write(path, content)
            .map_err(|error| Error::storage("make a Python environment", path, error))
    }

    /// Runs `command` with its output in the log.
    ///
    /// Parameters: `doing` — what it does, as in "cannot …".
    fn run(&self, doing: &str, command: &mut Command) -> Result<(), Stopped> {
        let (begin, status) = self.execute(command).map_err(|error| {
            let program = command.get_program().to_string_lossy().into_owned();
            self.error(format!("cannot {doing}: {program}: {error}")).caused_by(error)
        })?;
        if status.success() {
            return Ok(());
        }
        let output = std::fs::read(&self.log).unwrap_or_default();
        let output = output.get(usize::try_from(begin).unwrap_or(usize::MAX)..).unwrap_or_default();
        let output = String::from_utf8_lossy(output);
        let cause = Cause::of(&output);
        let error = self.explain(doing, cause, &output, &child::describe(status));
        Err(Stopped { cause, error })
    }

    /// Runs `command` to its end.
    ///
    /// Returns: where in the log its output begins, and how it ended.
    fn execute(&self, command: &mut Command) -> std::io::Result<(u64, ExitStatus)> {
        let mut file = &self.file;
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        writeln!(file, "$ {}", words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" "))?;
        let begin = file.metadata()?.len();
        command
            .current_dir(self.folder)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file.try_clone()?);
        Ok((begin, Child::start(command)?.wait(|| self.status.tick())?))
    }

    /// Returns the error for a failed command.
    fn explain(&self, doing: &str, cause: Cause, output: &str, end: &str) -> Error {
        let lines: Vec<_> =
            output.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let quoted = lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n  | ");
        match cause {
            Cause::Disk => self
                .error(format!("cannot {doing}: the disk is full at {}", self.folder.display()))
                .advise(
                    "torch and coremltools take 2 to 6 GB: free some space, or set \
                    COREML_CACHE_DIR to a folder on another disk",
                )
                .advise("or set COREML_PYTHON to an interpreter that has them"),
            Cause::Hash => self
                .error(format!(
                    "cannot {doing}: a download is not the file whose hash is pinned, so it was \
                     refused\n  | {quoted}"
                ))
                .advise(
                    "try again; if it happens again, the package index or a proxy delivers altered \
                    files: do not install them",
                )
                .advise("or set COREML_PYTHON to an interpreter that has torch and coremltools"),
            Cause::Network if self.options.offline => {
                self.offline("the packages are not in uv's cache")
            }
            Cause::Network => self.no_network(doing),
            _ if self.options.offline => self.offline(&format!("uv said:\n  | {quoted}")),
            Cause::Distribution | Cause::Other => {
                self.error(format!("cannot {doing} ({end})\n  | {quoted}")).advise(
                    "read the log; or set COREML_PYTHON to an interpreter that has torch and \
                    coremltools",
                )
            }
        }
    }

    /// Returns the error for a network that does not answer.
    fn no_network(&self, doing: &str) -> Error {
        self.error(format!("cannot {doing}: the package index does not answer"))
            .advise(
                "check the network; behind a proxy set HTTPS_PROXY, for an index of your own \
                 UV_DEFAULT_INDEX or PIP_INDEX_URL",
            )
            .advise(
                "or set COREML_PYTHON to an interpreter that has torch and coremltools: then \
                nothing is downloaded",
            )
    }

    /// Returns the error for a build that may not use the network but would have to.
    fn offline(&self, why: &str) -> Error {
        self.error(format!(
            "the Python packages cannot be installed offline (COREML_OFFLINE or CARGO_NET_OFFLINE \
            is set): {why}"
        ))
        .advise("build once with network; afterwards the environment in the cache is used")
        .advise("or set COREML_PYTHON to an interpreter that has torch and coremltools")
    }

    /// Returns the error for a Python whose `venv` the distribution packs apart.
    fn no_venv_module(&self) -> Error {
        let [major, minor, _] = self.interpreter.version;
        let package = format!("python{major}.{minor}-venv");
        self.error(format!(
            "{} cannot make environments: its modules `venv` and `ensurepip` are not installed, \
            which Debian and Ubuntu keep in the package {package}",
            self.interpreter.base.display()
        ))
        .advise(format!("sudo apt install {package}"))
        .advise(
            "or install uv, which needs neither; or set COREML_PYTHON to an interpreter that has \
            torch and coremltools",
        )
    }

    /// Makes an error that names the log.
    fn error(&self, message: String) -> Error {
        Error::new(ErrorKind::Environment, message).logged(&self.log)
    }
}
