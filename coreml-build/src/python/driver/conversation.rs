//! The conversation with a running driver.
//!
//! Owns: reading its events, and what its death means.
//! Must not: do anything with a reply but pass it on at once.
//! Flow: `driver.rs` starts the process → [`Conversation::hold`] until it ends.

use super::protocol::Event;
use super::reply::{Began, Reply};
use crate::child::{self, Child, Signal};
use crate::error::{Error, ErrorKind};
use crate::status::Status;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime};

/// How long a driver that has said `finished` may take to end, and how long the pipe of one that is
/// dead may still bring lines: its children hold the pipe open.
const GRACE: Duration = Duration::from_secs(5);

/// The stage that all models share: importing the libraries.
const SHARED_STAGE: &str = "import";

/// Lines of the log that an error quotes when the driver died.
const QUOTED_LINES: usize = 5;

/// Most characters of a line that is not the protocol's in an error.
const QUOTED_CHARACTERS: usize = 200;

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
pub(super) struct Conversation<'a> {
    /// The models that no reply has come about, with the output folder of each.
    open: BTreeMap<String, PathBuf>,
    /// How many models there are.
    count: usize,
    /// When the conversion of each began.
    begun: BTreeMap<String, Instant>,
    /// When the process was started.
    started: (Instant, SystemTime),
    /// What the driver last reported to do.
    last_stage: String,
    /// The log.
    log: &'a Path,
    /// The log, open.
    log_file: &'a File,
    /// The status line.
    status: &'a Status,
    /// Takes each reply.
    settle: &'a mut dyn FnMut(&str, Reply),
}

impl<'a> Conversation<'a> {
    /// Makes the conversation with a driver that is about to be started.
    ///
    /// Parameters: `outputs` — id and output folder of each model; `log` and `log_file` — the same
    /// file.
    pub(super) fn new(
        outputs: Vec<(String, PathBuf)>,
        log: &'a Path,
        log_file: &'a File,
        status: &'a Status,
        settle: &'a mut dyn FnMut(&str, Reply),
    ) -> Self {
        Self {
            count: outputs.len(),
            open: outputs.into_iter().collect(),
            begun: BTreeMap::new(),
            started: (Instant::now(), SystemTime::now()),
            last_stage: "starting".into(),
            log,
            log_file,
            status,
            settle,
        }
    }

    /// Listens until the driver has ended; then every model has its reply.
    pub(super) fn hold(mut self, mut child: Child) {
        let lines = read_lines(&mut child);
        let end = self.listen(&mut child, &lines);
        self.conclude(&end, child);
    }

    /// Listens until the driver has finished or is gone.
    fn listen(&mut self, child: &mut Child, lines: &Receiver<io::Result<String>>) -> End {
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
            Event::Started {} => {}
            Event::Finished {} => {}
            // The driver reports it for every model, but none is being converted yet.
            Event::Progress { stage, detail, .. } if stage == SHARED_STAGE => {
                let stage = format!("importing {detail}");
                if self.last_stage != stage {
                    self.status.begin(&stage);
                    self.last_stage = stage;
                }
            }
            Event::Progress { model, stage, detail } => {
                self.begun.entry(model.clone()).or_insert_with(Instant::now);
                self.last_stage = format!("{model}: {stage}");
                let done = self.count - self.open.len();
                self.status.converting((done, self.count), &model, &stage, &detail);
            }
            Event::Converted(reply) => {
                let (id, output) = self.close(&reply.model)?;
                let seconds = self.begun.get(&id).unwrap_or(&self.started.0).elapsed();
                let began = reply.began().map_or(Began::Process(self.started.1), Began::Reading);
                let seconds = seconds.as_secs_f64();
                self.reply(&id, Reply::Converted { reply, output, began, seconds });
            }
            Event::Failed(failed) => {
                let (id, _) = self.close(&failed.model)?;
                if !failed.traceback.is_empty() {
                    // The log is for people; a full disk shows elsewhere.
                    let _ = writeln!(
                        &*self.log_file,
                        "{}: {}\n{}",
                        failed.model, failed.message, failed.traceback
                    );
                }
                self.reply(&id, Reply::Failed(failed));
            }
        }
        Ok(())
    }

    /// Takes a model out of those that have no reply yet.
    fn close(&mut self, id: &str) -> Result<(String, PathBuf), String> {
        self.open
            .remove_entry(id)
            .ok_or_else(|| format!("a reply about `{id}`, which no request waits for"))
    }

    /// Passes a reply on.
    fn reply(&mut self, id: &str, reply: Reply) {
        self.status.ended(id, matches!(reply, Reply::Converted { .. }));
        (self.settle)(id, reply);
    }

    /// Waits for the end of the process; the models without a reply are lost in the way that `end`
    /// says.
    fn conclude(mut self, end: &End, mut child: Child) {
        drop(child.pipes().stdin.take());
        let deadline = Instant::now() + GRACE;
        let mut exit = None;
        while exit.is_none() && Instant::now() < deadline && !matches!(end, End::Nonsense(_)) {
            exit = child.ended().ok().flatten();
            std::thread::sleep(child::POLLED_EVERY);
        }
        drop(child);
        let lost: BTreeSet<String> = self.open.keys().cloned().collect();
        for id in lost {
            let error = self.loss(end, exit);
            self.reply(&id, Reply::Lost(error));
        }
    }

    /// Returns the error for a model without a reply.
    ///
    /// Parameters: `exit` — how the process ended; `None` when it had to be stopped.
    fn loss(&self, end: &End, exit: Option<ExitStatus>) -> Error {
        let how = exit.map_or_else(|| "it had to be stopped".to_owned(), child::describe);
        let stage = &self.last_stage;
        let error = |message: String| Error::new(ErrorKind::Driver, message);
        let error = match (end, exit.and_then(child::signal)) {
            (End::Finished, _) => {
                error("the driver exited without reporting a result for this model".to_owned())
            }
            (End::Silence, Some(Signal::Kill)) => error(format!(
                "Python was {how} while {stage}: most likely the system ran out of memory"
            ))
            .advise(
                "set COREML_JOBS=1 to convert one model at a time, or build on a machine with \
                more memory",
            ),
            (End::Silence, Some(Signal::Interrupt | Signal::Terminate)) => {
                error(format!("Python was {how} while {stage}"))
                    .advise("build again; the models that were converted before are kept")
            }
            (End::Silence, _) => {
                error(format!("Python ended early ({how}) while {stage}{}", self.last_lines()))
                    .advise(
                        "read the log; build again with COREML_JOBS=1 to see whether memory or \
                        this model is the cause",
                    )
            }
            (End::Nonsense(line), _) => {
                let line: String = line.chars().take(QUOTED_CHARACTERS).collect();
                error(format!("Python printed something that is not the driver's protocol: {line}"))
                    .advise(
                        "check that COREML_PYTHON is a Python interpreter, and that nothing in its \
                        site-packages prints at start",
                    )
            }
        };
        error.logged(self.log)
    }

    /// Returns the last lines of the log, to be quoted.
    fn last_lines(&self) -> String {
        let lines = child::last_lines(self.log, QUOTED_LINES);
        lines.iter().map(|line| format!("\n  | {line}")).collect()
    }
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
