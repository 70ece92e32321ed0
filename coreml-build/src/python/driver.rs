//! The driver process: one Python that converts all missing models of a build.
//!
//! Owns: starting it, the conversation with it, and what its death means.
//! Must not: know what a conversion is, or touch the cache but for the temporary folder and the log
//! that it is given.
//! Flow: `session.rs` → [`run`] → `coreml_driver.__main__.main` in Python; its replies become
//! [`Reply`]s.

mod jobs;
mod protocol;

pub(crate) use jobs::parallel_jobs;
pub(crate) use protocol::{Converted, Failed};

use crate::child::{self, Child};
use crate::error::{Error, ErrorKind};
use crate::manifest::Conversion;
use crate::python::embedded;
use crate::status::Status;
use protocol::{Event, Request, RequestedModel, VERSION};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Starts the driver from the folder in the first argument, with the request file in the second.
const BOOTSTRAP: &str = "\
import sys
sys.path.insert(0, sys.argv.pop(1))
from coreml_driver.__main__ import main
sys.exit(main())
";

/// How long a driver that has said `finished` may take to end, and how long the pipe of one that is
/// dead may still bring lines: its children hold the pipe open.
const GRACE: Duration = Duration::from_secs(5);

/// The stage that all models share: importing the libraries.
const COMMON_STAGE: &str = "import";

/// Lines of the log that an error quotes when the driver died.
const QUOTED_LINES: usize = 5;

/// What to convert, and with what.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    /// The interpreter.
    pub(crate) python: &'a Path,
    /// The package that the manifest's paths are relative to.
    pub(crate) package_root: &'a Path,
    /// What the interpreter's packages must satisfy.
    pub(crate) requirements: &'a [String],
    /// How many models to convert at the same time.
    pub(crate) jobs: usize,
    /// Forbids the network to the hub's client.
    pub(crate) offline: bool,
    /// The models: a name that is unique here, and the canonical table.
    pub(crate) models: Vec<(String, &'a Conversion)>,
    /// An empty folder on the cache's file system.
    pub(crate) folder: &'a Path,
    /// The log, and the same open for writing.
    pub(crate) log: (&'a Path, File),
}

/// What became of a model.
#[derive(Debug)]
pub(crate) enum Reply {
    /// It is converted.
    Converted {
        /// What the driver said.
        reply: Converted,
        /// Where its output lies.
        output: PathBuf,
        /// How long it took, without the imports that all models share, in seconds.
        seconds: f64,
    },
    /// It cannot be converted.
    Failed(Box<Failed>),
    /// The driver died before it could say.
    Lost(Error),
}

/// Converts all models of `job` in one Python process.
///
/// Called by: `session.rs`.
/// Returns: a reply for every model, by its name.
/// Errors: the process could not even be started.
pub(crate) fn run(job: Job<'_>, status: &Status) -> Result<BTreeMap<String, Reply>, Error> {
    let storage =
        |error: io::Error| Error::storage("write the driver's request", job.folder, &error);
    let scripts = job.folder.join("driver");
    embedded::unpack(&scripts).map_err(storage)?;
    let outputs: BTreeMap<&str, PathBuf> = job
        .models
        .iter()
        .map(|(id, _)| (id.as_str(), job.folder.join("output").join(id)))
        .collect();
    let request = Request {
        version: VERSION,
        package_root: job.package_root,
        requirements: job.requirements,
        jobs: job.jobs,
        models: job
            .models
            .iter()
            .map(|(id, table)| RequestedModel { id, table, output: &outputs[id.as_str()] })
            .collect(),
    };
    let request_path = job.folder.join("request.json");
    let text = serde_json::to_vec_pretty(&request).map_err(io::Error::from).map_err(storage)?;
    std::fs::write(&request_path, text).map_err(storage)?;
    outputs.values().try_for_each(std::fs::create_dir_all).map_err(storage)?;

    let (log, log_file) = job.log;
    let mut conversation = Conversation {
        ids: outputs.keys().map(|id| (*id).to_owned()).collect(),
        outputs,
        replies: BTreeMap::new(),
        begun: BTreeMap::new(),
        started: Instant::now(),
        last_stage: "starting".into(),
        log,
        log_file: &log_file,
        status,
    };
    status.begin("starting Python, torch and coremltools");
    let broken = |error: io::Error| {
        Error::new(ErrorKind::Driver, format!("cannot start {}: {error}", job.python.display()))
            .logged(log)
    };
    let errors = log_file.try_clone().map_err(broken)?;
    let mut command = child::command(job.python);
    command
        .args(["-I", "-B", "-c", BOOTSTRAP])
        .arg(&scripts)
        .arg(&request_path)
        .current_dir(job.package_root)
        .env("PYTHONHASHSEED", "0")
        .env("PYTHONPYCACHEPREFIX", job.folder.join("pycache"))
        .env("HF_HUB_DISABLE_TELEMETRY", "1")
        .env("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        .envs(job.offline.then_some(("HF_HUB_OFFLINE", "1")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(errors);
    let mut child = Child::start(&mut command).map_err(broken)?;
    let lines = read_lines(&mut child);
    let end = conversation.hold(&mut child, &lines);
    Ok(conversation.conclude(end, &mut child))
}

/// Reads the driver's lines in a thread, so that its silence can be waited for with a limit.
///
/// Returns: the lines; the channel closes at the end of the pipe.
fn read_lines(child: &mut Child) -> Receiver<io::Result<String>> {
    let (sender, receiver) = channel();
    if let Some(output) = child.pipes().stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

/// How a conversation ended.
#[derive(Debug)]
enum End {
    /// With `finished`.
    Finished,
    /// The process is gone, or its pipe.
    Silence,
    /// With something that is not the protocol.
    Nonsense(String),
}

/// A conversation with the driver.
#[derive(Debug)]
struct Conversation<'a> {
    /// Names of all models.
    ids: BTreeSet<String>,
    /// Output folder of each.
    outputs: BTreeMap<&'a str, PathBuf>,
    /// What is known of each.
    replies: BTreeMap<String, Reply>,
    /// When each was first heard of.
    begun: BTreeMap<String, Instant>,
    /// When the process was started.
    started: Instant,
    /// What the driver was last heard to do.
    last_stage: String,
    /// The log.
    log: &'a Path,
    /// The log, open.
    log_file: &'a File,
    /// The status line.
    status: &'a Status,
}

impl Conversation<'_> {
    /// Listens until the driver has finished or is gone.
    fn hold(&mut self, child: &mut Child, lines: &Receiver<io::Result<String>>) -> End {
        let mut dead_since = None;
        loop {
            match lines.recv_timeout(child::POLLED_EVERY) {
                Ok(Ok(line)) => match serde_json::from_str(&line) {
                    Ok(Event::Finished {}) => return End::Finished,
                    Ok(event) => {
                        if let Err(nonsense) = self.hear(event) {
                            return End::Nonsense(nonsense);
                        }
                    }
                    Err(_) => return End::Nonsense(line),
                },
                Ok(Err(error)) => return End::Nonsense(error.to_string()),
                Err(RecvTimeoutError::Disconnected) => return End::Silence,
                Err(RecvTimeoutError::Timeout) => {
                    self.status.tick();
                    if matches!(child.ended(), Ok(Some(_))) {
                        // Without its input the children that a killed driver left behind end too.
                        drop(child.pipes().stdin.take());
                        if dead_since.get_or_insert_with(Instant::now).elapsed() > GRACE {
                            return End::Silence;
                        }
                    }
                }
            }
        }
    }

    /// Acts on an event.
    ///
    /// Errors: the event is about a model that was not asked for, or that was replied to before.
    fn hear(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Started {} => self.status.begin("converting"),
            Event::Finished {} => {}
            Event::Progress { model, stage, detail } => {
                if stage != COMMON_STAGE && !self.begun.contains_key(&model) {
                    self.begun.insert(model.clone(), Instant::now());
                }
                self.last_stage = format!("{model}: {stage}");
                self.status.converting(
                    (self.replies.len(), self.ids.len()),
                    &model,
                    &stage,
                    &detail,
                );
            }
            Event::Converted(reply) => {
                let id = reply.model.clone();
                let output = self.outputs.get(id.as_str()).cloned().unwrap_or_default();
                let seconds = self.begun.get(&id).unwrap_or(&self.started).elapsed().as_secs_f64();
                self.reply(id, Reply::Converted { reply, output, seconds })?;
            }
            Event::Failed(failed) => {
                if !failed.traceback.is_empty() {
                    // The log is for people; a full disk shows elsewhere.
                    let _ = writeln!(
                        &*self.log_file,
                        "{}: {}\n{}",
                        failed.model, failed.message, failed.traceback
                    );
                }
                self.reply(failed.model.clone(), Reply::Failed(failed))?;
            }
        }
        Ok(())
    }

    /// Keeps the reply about the model `id`.
    fn reply(&mut self, id: String, reply: Reply) -> Result<(), String> {
        if !self.ids.contains(&id) || self.replies.contains_key(&id) {
            return Err(format!("a reply about `{id}` that nobody waits for"));
        }
        self.status.ended(&id, matches!(reply, Reply::Converted { .. }));
        self.replies.insert(id, reply);
        Ok(())
    }

    /// Returns a reply for every model; one that was not heard of is lost in the way that `end`
    /// says.
    fn conclude(mut self, end: End, child: &mut Child) -> BTreeMap<String, Reply> {
        drop(child.pipes().stdin.take());
        let deadline = Instant::now() + GRACE;
        let mut exit = None;
        while exit.is_none() && Instant::now() < deadline && !matches!(end, End::Nonsense(_)) {
            exit = child.ended().ok().flatten();
            std::thread::sleep(child::POLLED_EVERY);
        }
        let how = exit.map_or_else(|| "it had to be stopped".to_owned(), child::describe);
        for id in &self.ids {
            if !self.replies.contains_key(id) {
                self.status.ended(id, false);
                self.replies.insert(id.clone(), Reply::Lost(self.loss(&end, &how)));
            }
        }
        self.replies
    }

    /// Returns the error for a model that was not heard of.
    fn loss(&self, end: &End, how: &str) -> Error {
        let said = child::last_lines(self.log, QUOTED_LINES);
        let quoted =
            if said.is_empty() { String::new() } else { format!("\n  | {}", said.join("\n  | ")) };
        let error = match end {
            End::Finished => Error::new(
                ErrorKind::Driver,
                "the driver ended without a word about this \
                    model"
                    .to_owned(),
            ),
            End::Silence if how.contains("SIGKILL") => Error::new(
                ErrorKind::Driver,
                format!(
                    "Python was {how} while {}: most likely the system ran out of \
                    memory",
                    self.last_stage
                ),
            )
            .advise(
                "set COREML_JOBS=1 to convert one model at a time, or build on a machine with \
                more memory",
            ),
            End::Silence if how.contains("SIGINT") || how.contains("SIGTERM") => {
                Error::new(ErrorKind::Driver, format!("Python was {how} while {}", self.last_stage))
                    .advise("build again; nothing half-made was kept")
            }
            End::Silence => Error::new(
                ErrorKind::Driver,
                format!(
                    "Python ended early ({how}) while \
                    {}{quoted}",
                    self.last_stage
                ),
            )
            .advise(
                "read the log; build again with COREML_JOBS=1 to see whether it is \
                        memory or this model",
            ),
            End::Nonsense(line) => Error::new(
                ErrorKind::Driver,
                format!(
                    "Python said something that is not the driver's protocol: {}",
                    line.chars().take(200).collect::<String>()
                ),
            )
            .advise(
                "check that COREML_PYTHON is a Python interpreter, and that nothing in its \
                site-packages \
                 prints at start",
            ),
        };
        error.logged(self.log)
    }
}
