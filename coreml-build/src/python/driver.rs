//! The driver process: one Python that converts all missing models of a build.
//!
//! Owns: starting it.   Must not: know what a conversion is, or touch the cache but for the
//! temporary folder and the log that it is given.
//! Flow: `build/convert.rs` → [`run`] → `coreml_driver.__main__.main` in Python; `conversation.rs`
//! turns what it sends into [`Reply`]s.

mod conversation;
mod jobs;
mod kinds;
mod protocol;
mod reply;

pub(crate) use jobs::parallel_jobs;
pub(crate) use reply::{Began, Reply};

use super::embedded;
use crate::child::{self, Child};
use crate::error::{Error, ErrorKind};
use crate::manifest::Conversion;
use crate::status::Status;
use conversation::Conversation;
use protocol::{Request, RequestedModel, VERSION};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Starts the driver from the folder in the first argument, with the request file in the second.
const BOOTSTRAP: &str = "\
import sys
sys.path.insert(0, sys.argv.pop(1))
from coreml_driver.__main__ import main
sys.exit(main())
";

/// One run of the driver: what to convert, and with what.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    /// The interpreter.
    pub(crate) python: &'a Path,
    /// How many models to convert at the same time.
    pub(crate) jobs: usize,
    /// Forbids the network to the hub's client.
    pub(crate) offline: bool,
    /// The models.
    pub(crate) models: Vec<RunModel<'a>>,
    /// An empty folder on the cache's file system.
    pub(crate) folder: &'a Path,
    /// The log, and the same open for writing.
    pub(crate) log: (&'a Path, File),
}

/// One model of a run.
#[derive(Debug)]
pub(crate) struct RunModel<'a> {
    /// A name that is unique in the run.
    pub(crate) id: String,
    /// The package that the paths of the table are relative to.
    pub(crate) package_root: &'a Path,
    /// What the interpreter's packages must satisfy.
    pub(crate) requirements: Vec<String>,
    /// The canonical table.
    pub(crate) table: &'a Conversion,
}

/// Converts all models of `run` in one Python process.
///
/// Parameters: `settle` — called with the reply about each model, once for each, as soon as it
/// comes.
/// Errors: the process could not even be started; no reply has come then.
pub(crate) fn run(
    run: Run<'_>,
    status: &Status,
    settle: &mut dyn FnMut(&str, Reply),
) -> Result<(), Error> {
    let storage =
        |error: io::Error| Error::storage("write the driver's request", run.folder, error);
    let scripts = run.folder.join("driver");
    embedded::unpack(&scripts).map_err(storage)?;
    let output = |id: &str| run.folder.join("output").join(id);
    let outputs: Vec<(String, PathBuf)> =
        run.models.iter().map(|model| (model.id.clone(), output(&model.id))).collect();
    let request = run.folder.join("request.json");
    write_request(&request, &run, &outputs).map_err(storage)?;

    let (log, log_file) = run.log;
    status.begin("starting Python, torch and coremltools");
    let broken = |error: io::Error| {
        Error::new(ErrorKind::Driver, format!("cannot start {}: {error}", run.python.display()))
            .caused_by(error)
            .logged(log)
    };
    let errors = log_file.try_clone().map_err(broken)?;
    let mut command = child::command(run.python);
    command
        .args(["-I", "-B", "-c", BOOTSTRAP])
        .arg(&scripts)
        .arg(&request)
        .current_dir(run.models.first().map_or(run.folder, |model| model.package_root))
        .env("PYTHONHASHSEED", "0")
        .env("PYTHONPYCACHEPREFIX", run.folder.join("pycache"))
        .env("HF_HUB_DISABLE_TELEMETRY", "1")
        .env("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        .envs(run.offline.then_some(("HF_HUB_OFFLINE", "1")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(errors);
    let child = Child::start(&mut command).map_err(broken)?;
    Conversation::new(outputs, log, &log_file, status, settle).hold(child);
    Ok(())
}

/// Writes the request, and makes the output folders.
fn write_request(path: &Path, run: &Run<'_>, outputs: &[(String, PathBuf)]) -> io::Result<()> {
    let models = run.models.iter().zip(outputs).map(|(model, (id, output))| RequestedModel {
        id,
        package_root: model.package_root,
        requirements: &model.requirements,
        table: model.table,
        output,
    });
    let request = Request { version: VERSION, jobs: run.jobs, models: models.collect() };
    std::fs::write(path, serde_json::to_vec_pretty(&request)?)?;
    outputs.iter().try_for_each(|(_, output)| std::fs::create_dir_all(output))
}
