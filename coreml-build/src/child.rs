//! Processes that end with the build script, or before.
//!
//! Owns: starting a process with a clean Python environment, and killing it when it is no longer
//! waited for. Ctrl-C needs nothing here: the processes stay in the terminal's process group, so
//! that the signal reaches them all.
//! Must not: know what is started.
//! Flow: `python/` starts interpreters, installers and the driver through it.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// Variables that would make Python or uv act on another environment than the build's.
const CLEARED: [&str; 8] = [
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "UV_PYTHON",
    "UV_PROJECT_ENVIRONMENT",
    "__PYVENV_LAUNCHER__",
];

/// How long between two looks at a process that is waited for.
pub(crate) const POLLED_EVERY: Duration = Duration::from_millis(50);

/// A running process that is killed when dropped.
#[derive(Debug)]
pub(crate) struct Child(std::process::Child);

/// Returns a command without the variables that would lead Python astray.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in CLEARED {
        command.env_remove(name);
    }
    command
        .env("UV_PYTHON_DOWNLOADS", "never")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUTF8", "1");
    command
}

impl Child {
    /// Starts `command`.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    /// Returns the process itself, with the ends of its pipes.
    pub(crate) fn pipes(&mut self) -> &mut std::process::Child {
        &mut self.0
    }

    /// Returns how it ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }

    /// Waits for the end, calling `tick` meanwhile.
    pub(crate) fn wait(mut self, tick: impl Fn()) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            tick();
            std::thread::sleep(POLLED_EVERY);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns how a process ended, in words: `killed by signal 9 (SIGKILL)`, `exit code 3`.
pub(crate) fn describe(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("killed by signal {signal}{}", signal_name(signal));
    }
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => "an unknown end".into(),
    }
}

/// A signal that says why a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// `SIGINT`: Ctrl-C.
    Interrupt,
    /// `SIGKILL`: mostly for want of memory.
    Kill,
    /// `SIGTERM`: asked to end.
    Terminate,
}

/// Returns the signal that ended a process; `None` for other signals and other ends.
pub(crate) fn signal(status: ExitStatus) -> Option<Signal> {
    #[cfg(unix)]
    return match std::os::unix::process::ExitStatusExt::signal(&status) {
        Some(2) => Some(Signal::Interrupt),
        Some(9) => Some(Signal::Kill),
        Some(15) => Some(Signal::Terminate),
        _ => None,
    };
    #[cfg(not(unix))]
    {
        let _ = status;
        None
    }
}

/// Returns the name of a signal in brackets, for those whose numbers are the same on all systems.
#[cfg(unix)]
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return String::new(),
    };
    format!(" ({name})")
}

/// Returns the last lines of the file at `path`, without empty ones.
pub(crate) fn last_lines(path: &Path, count: usize) -> Vec<String> {
    let content = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&content);
    let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect()
}
