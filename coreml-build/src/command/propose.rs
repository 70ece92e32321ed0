//! Inputs for a module that has no manifest yet: what `cargo coreml new --model` asks for.
//!
//! Owns: the question, the answer, and the process between them.   Must not: run in a build; know
//! how inputs are found (`coreml_driver/proposal.py` does).
//! Flow: the command line → [`Context::propose`] → `python/provision.rs` (an interpreter with the
//! libraries) → the driver's package → [`Proposal`].

use crate::build::Context;
use crate::child::{self, Child, POLLED_EVERY};
use crate::error::{Error, ErrorKind};
use crate::python::{self, Requirements, embedded};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Starts the search from the folder in the first argument.
const BOOTSTRAP: &str = "\
import sys
sys.path.insert(0, sys.argv.pop(1))
from coreml_driver.proposal import main
sys.exit(main())
";

/// How long the process may take: the import of libraries, weights, and all runs.
const LONGEST: Duration = Duration::from_secs(600);

/// A module whose inputs are asked for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Question<'a> {
    /// The folder that paths are relative to. Absolute.
    pub package_root: &'a Path,
    /// Where the module comes from.
    pub source: Origin<'a>,
    /// What `python.dependencies` would be.
    #[serde(skip)]
    pub dependencies: Vec<String>,
}

/// Where a module comes from.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Origin<'a> {
    /// A function that returns it.
    File {
        /// The Python file.
        file: &'a str,
        /// The function.
        entry: &'a str,
    },
    /// A repository of transformers: a folder of the package, or `owner/name` of the hub.
    Transformers {
        /// The folder or the repository.
        file: &'a str,
    },
}

/// What a real run accepted.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Proposal {
    /// The inputs in the order of `forward`.
    pub inputs: Vec<ProposedInput>,
    /// What that run returned.
    pub outputs: Vec<FoundOutput>,
    /// The class of the module.
    pub module: String,
    /// The task of a repository, by the hub's name; empty for functions.
    pub task: String,
    /// The commit of a repository of the hub.
    pub revision: Option<String>,
    /// The libraries that the module is made with, and their versions.
    pub versions: BTreeMap<String, String>,
}

/// An input that was accepted.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ProposedInput {
    /// The name of the parameter.
    pub name: String,
    /// Its sizes.
    pub shape: Vec<u64>,
    /// Its type, in the manifest's words.
    pub dtype: String,
    /// The least and the greatest value of integers.
    pub range: Option<[i64; 2]>,
    /// Why it was proposed.
    pub why: String,
}

/// An output of the run.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct FoundOutput {
    /// The name that a conversion gives it.
    pub name: String,
    /// Its sizes in that run.
    pub shape: Vec<u64>,
    /// Its type in PyTorch.
    pub dtype: String,
}

/// What Python answers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    /// There are inputs.
    Found(Proposal),
    /// There are none.
    Failed {
        /// Why.
        failure: Reason,
    },
}

/// Why there are no inputs.
#[derive(Deserialize)]
struct Reason {
    /// In a paragraph.
    message: String,
    /// What to do.
    advice: Vec<String>,
}

/// What Python is asked.
#[derive(Serialize)]
struct Request<'a> {
    /// The question.
    #[serde(flatten)]
    question: &'a Question<'a>,
    /// What the interpreter's packages must satisfy.
    requirements: Vec<String>,
}

impl Context {
    /// Tries inputs for a module, in real runs.
    ///
    /// Errors: there is no Python with the libraries, the module cannot be made, or it accepts
    /// nothing that is tried; the message says what was.
    pub fn propose(&self, question: &Question<'_>) -> Result<Proposal, Error> {
        let _used = self.cache.in_use();
        let requirements = Requirements::default().extended(question.dependencies.clone());
        let status = self.status();
        let options = &self.options.python;
        let python = python::obtain(options, &requirements, &self.cache, &status)?;
        let temporary = self.cache.temporary()?;
        let folder = temporary.path();
        let storage = |error| Error::storage("write the request", folder, error);
        let scripts = folder.join("driver");
        embedded::unpack(&scripts).map_err(storage)?;
        let (request, answer) = (folder.join("request.json"), folder.join("answer.json"));
        let asked = Request { question, requirements: requirements.demanded() };
        let text = serde_json::to_vec(&asked).map_err(|error| storage(error.into()))?;
        std::fs::write(&request, text).map_err(storage)?;
        let (log, file) = self.cache.log("proposal")?;
        let broken = |error: std::io::Error| {
            let text = format!("cannot start {}: {error}", python.display());
            Error::new(ErrorKind::Driver, text).caused_by(error).logged(&log)
        };
        let errors = file.try_clone().map_err(broken)?;
        status.begin("trying inputs in real runs");
        let mut command = child::command(&python);
        command
            .args(["-I", "-B", "-c", BOOTSTRAP])
            .arg(&scripts)
            .args([&request, &answer])
            .current_dir(question.package_root)
            .env("PYTHONHASHSEED", "0")
            .env("HF_HUB_DISABLE_TELEMETRY", "1")
            .env("HF_HUB_DISABLE_PROGRESS_BARS", "1")
            .envs(options.offline.then_some(("HF_HUB_OFFLINE", "1")))
            .stdin(Stdio::piped())
            .stdout(file)
            .stderr(errors);
        let mut child = Child::start(&mut command).map_err(broken)?;
        let end = Instant::now() + LONGEST;
        while child.ended().map_err(broken)?.is_none() {
            if Instant::now() > end {
                let text = format!("the search for inputs took {} seconds", LONGEST.as_secs());
                return Err(Error::new(ErrorKind::Driver, text)
                    .advise("write the inputs by hand: `cargo coreml new` makes a manifest")
                    .logged(&log));
            }
            std::thread::sleep(POLLED_EVERY);
        }
        let said = std::fs::read(&answer).ok();
        match said.and_then(|text| serde_json::from_slice(&text).ok()) {
            Some(Answer::Found(proposal)) => Ok(proposal),
            Some(Answer::Failed { failure }) => {
                let error = Error::new(ErrorKind::Source, failure.message).logged(&log);
                Err(failure.advice.into_iter().fold(error, Error::advise))
            }
            None => Err(Error::new(ErrorKind::Driver, "Python ended without an answer")
                .advise("its last words are in the log")
                .logged(&log)),
        }
    }
}
