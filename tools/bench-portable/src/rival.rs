//! The other side of a comparison: a process that does one run for each line, and answers with the
//! nanoseconds it took.
//!
//! Owns: starting it and talking to it. Must not: know what runs there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// First argument of this program where it is the process with ONNX Runtime by itself.
pub(crate) const PLAIN: &str = "onnxruntime-with";

/// A process to compare with.
pub(crate) struct Rival {
    /// The process.
    process: Child,
    /// What it answers.
    answers: BufReader<ChildStdout>,
}

impl Rival {
    /// Starts ONNX Runtime by itself with an ONNX file and the sample of a package.
    pub(crate) fn onnxruntime(package: &Path, file: &Path, threads: usize) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.arg(PLAIN).args([package, file]).arg(threads.to_string());
        Self::start(&mut command)
    }

    /// Starts PyTorch with a model of `tools/whole-models`.
    pub(crate) fn eager(model: &str, threads: usize) -> Self {
        let python =
            std::env::var_os("BENCH_PYTHON").expect("set BENCH_PYTHON to a Python with torch");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/eager.py");
        Self::start(Command::new(python).arg(script).args([model, &threads.to_string()]))
    }

    /// Starts a process.
    fn start(command: &mut Command) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the process starts");
        let answers = BufReader::new(process.stdout.take().expect("it is piped"));
        Self { process, answers }
    }

    /// Has the model run once; returns how long that took.
    pub(crate) fn run(&mut self) -> Duration {
        self.ask("run")
    }

    /// Has the model loaded anew and run once; returns how long that took.
    pub(crate) fn load(&mut self) -> Duration {
        self.ask("load")
    }

    /// Sends a line and returns the time that is answered.
    fn ask(&mut self, line: &str) -> Duration {
        let input = self.process.stdin.as_mut().expect("it is piped");
        input.write_all(format!("{line}\n").as_bytes()).expect("the process listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the process answers");
        Duration::from_nanos(answer.trim().parse().expect("the process answers a number"))
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        // The process ends when its input does; a failure to end it harms nothing here.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Returns how long `work` takes.
pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    work();
    start.elapsed()
}
