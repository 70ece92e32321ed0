//! A command that judges a model's outputs: the metric of a task.
//!
//! Owns: the file that the command reads, running it, and reading its figure. Must not: know any
//! metric.
//! Flow: `parity.rs` records each step in a [`Record`] → a safetensors file and the command →
//! [`Measured`] in the report.

use super::output::Output;
use super::step::Step;
use crate::error::Error;
use coreml_spec::{Bound, Function, Metric};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The environment variable that names the file of all samples.
const COMPARISON: &str = "COREML_COMPARISON";

/// The environment variable that names the package.
const PACKAGE: &str = "COREML_PACKAGE";

/// How many characters from the end of a failing command's message are shown.
const SHOWN: usize = 600;

/// The result of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The command.
    pub command: String,
    /// What its figure must reach.
    pub bound: Bound,
    /// The figure, or the reason why there is none.
    pub figure: Result<f64, String>,
}

impl Measured {
    /// Returns whether there is a figure that reaches the bound.
    pub fn passed(&self) -> bool {
        self.figure.as_ref().is_ok_and(|figure| self.bound.is_met(*figure))
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, bound, figure } = self;
        match figure {
            Ok(figure) => {
                let verdict = if self.passed() { "pass" } else { "FAIL" };
                write!(f, "{figure}, required {bound}  {verdict}: {command}")
            }
            Err(problem) => write!(f, "no figure, required {bound}  FAIL: {command}: {problem}"),
        }
    }
}

/// All inputs, expected outputs and outputs.
#[derive(Default)]
pub(super) struct Record {
    /// Sizes and elements by key.
    tensors: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
}

impl Record {
    /// Adds a step.
    ///
    /// Parameters: `number` — of the sample; `outputs` — of the model.
    pub(super) fn step(
        &mut self,
        number: usize,
        step: &Step<'_>,
        function: &Function,
        outputs: &[Output],
    ) -> Result<(), Error> {
        let prefix =
            step.number().map_or(format!("{number}"), |step| format!("{number}/step{step}"));
        for input in &function.inputs {
            if let Some((dims, values)) = step.given(&input.name) {
                self.add(format!("{prefix}/in/{}", input.name), dims, values.to_vec());
            }
        }
        for (feature, output) in function.outputs.iter().zip(outputs) {
            let (expected, got) = (
                format!("{prefix}/expected/{}", feature.name),
                format!("{prefix}/got/{}", feature.name),
            );
            match output {
                Output::Label(label) => {
                    self.add(expected, &[], vec![step.label(&feature.name)? as f64]);
                    self.add(got, &[], vec![*label as f64]);
                }
                Output::Tensor { dims, elements: Some(elements), .. } => {
                    self.add(expected, dims, step.output(&feature.name, dims)?.to_vec());
                    self.add(got, dims, elements.to_f64s());
                }
                Output::Tensor { elements: None, .. } => {}
            }
        }
        Ok(())
    }

    /// Adds a tensor.
    fn add(&mut self, key: String, dims: &[usize], values: Vec<f64>) {
        self.tensors.insert(key, (dims.to_vec(), values));
    }

    /// Lets a command judge what is recorded.
    ///
    /// Parameters: `package` — the model's.
    pub(super) fn measured_by(self, metric: &Metric, package: &Path) -> Measured {
        let figure = self.figure(metric, package);
        Measured { command: metric.command.clone(), bound: metric.bound, figure }
    }

    /// Returns the figure, or the reason why there is none.
    fn figure(self, metric: &Metric, package: &Path) -> Result<f64, String> {
        let file = Temporary::new();
        fs::write(&file.0, self.bytes())
            .map_err(|error| format!("{} cannot be written: {error}", file.0.display()))?;
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &metric.command])
            .current_dir(&metric.folder)
            .env(COMPARISON, &file.0)
            .env(PACKAGE, package);
        let ran = shell.output();
        let ran = ran.map_err(|error| {
            format!("it cannot be started in {}: {error}", metric.folder.display())
        })?;
        if !ran.status.success() {
            return Err(format!("it failed ({}): {}", ran.status, end_of(&ran.stderr)));
        }
        let said = String::from_utf8_lossy(&ran.stdout);
        let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        last.parse().map_err(|_| format!("its last line must be only the figure, but is `{last}`"))
    }

    /// Returns the safetensors file.
    fn bytes(&self) -> Vec<u8> {
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        for (key, (dims, values)) in &self.tensors {
            let start = data.len();
            data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            header.insert(
                key.clone(),
                json!({ "dtype": "F64", "shape": dims, "data_offsets": [start, data.len()] }),
            );
        }
        let mut header = serde_json::Value::Object(header).to_string().into_bytes();
        // The data begin at a multiple of an element's size.
        header.resize(header.len().next_multiple_of(size_of::<f64>()), b' ');
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.append(&mut header);
        file.append(&mut data);
        file
    }
}

/// Returns the end of what a command said.
fn end_of(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let said = said.trim();
    let from = said.char_indices().rev().nth(SHOWN).map_or(0, |(at, _)| at);
    said[from..].to_owned()
}

/// A file of this process, removed when dropped.
struct Temporary(PathBuf);

impl Temporary {
    /// Names a file that no other process or thread uses.
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(format!("coreml-comparison-{process}-{count}.safetensors")))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // It may never have been written.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a command on one tensor, with a bound.
    fn measured(command: &str, bound: Bound) -> Measured {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("here"), "7").unwrap();
        let mut record = Record::default();
        record.add("0/got/y".to_owned(), &[2, 1], vec![0.5, -1.0]);
        record.add("0/expected/label".to_owned(), &[], vec![3.0]);
        let metric =
            Metric { command: command.to_owned(), folder: folder.path().to_owned(), bound };
        record.measured_by(&metric, Path::new("/a/b.mlpackage"))
    }

    #[test]
    fn the_last_line_is_the_figure() {
        let measured = measured("cat here; echo; echo 0.75; echo", Bound::AtLeast(0.75));
        assert_eq!(measured.figure, Ok(0.75));
        assert!(measured.passed());
        assert_eq!(
            measured.to_string(),
            "0.75, required at least 0.75  pass: cat here; echo; echo 0.75; echo"
        );
        assert!(!super::tests::measured("echo 0.75", Bound::AtMost(0.7)).passed());
        let nothing = super::tests::measured("echo NaN", Bound::AtMost(0.7));
        assert!(!nothing.passed(), "{nothing}");
    }

    #[test]
    fn a_command_reads_the_file_that_the_crate_of_the_format_reads() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        let command = format!(
            "cp \"$COREML_COMPARISON\" {0} && echo $COREML_PACKAGE >&2 && echo 1",
            kept.display()
        );
        assert_eq!(measured(&command, Bound::AtLeast(1.0)).figure, Ok(1.0));
        let bytes = fs::read(kept).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let y = file.tensor("0/got/y").unwrap();
        assert_eq!((y.dtype(), y.shape()), (safetensors::Dtype::F64, &[2, 1][..]));
        assert_eq!(y.data(), [0.5f64.to_le_bytes(), (-1.0f64).to_le_bytes()].concat());
        assert_eq!(file.tensor("0/expected/label").unwrap().shape(), [0usize; 0]);
    }

    #[test]
    fn a_command_without_a_figure_says_why() {
        let shown = |command: &str| measured(command, Bound::AtMost(1.0)).to_string();
        assert_eq!(
            shown("echo \"cannot read $COREML_PACKAGE\" >&2; exit 3"),
            "no figure, required at most 1  FAIL: echo \"cannot read $COREML_PACKAGE\" >&2; exit \
             3: it failed (exit status: 3): cannot read /a/b.mlpackage"
        );
        assert!(
            shown("echo almost 1")
                .ends_with("its last line must be only the figure, but is `almost 1`")
        );
        let metric = Metric {
            command: "true".to_owned(),
            folder: "/no/where".into(),
            bound: Bound::AtMost(1.0),
        };
        let measured = Record::default().measured_by(&metric, Path::new("x"));
        assert!(measured.to_string().contains("cannot be started in /no/where"), "{measured}");
    }
}
