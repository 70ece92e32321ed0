//! The first operation whose values on a backend are not those that the conversion kept.
//!
//! Owns: running a model again with values inside its program as outputs, and the choice among
//! those that differ. Must not: be asked before an output differs: it runs the model several times.
//! Flow: `parity.rs` has found an output that fails → [`find`] → `report.rs` shows it.
//!
//! A sample of a conversion holds a few elements of what each operation gives, under the keys
//! `value/NAME`: the proof of the driver computed them in single precision, and compared what
//! follows from them with PyTorch (`coreml_driver/proof/checkpoints.py`).

use super::sample::Sample;
use super::step::{Stage, Step};
use super::subject::Subject;
use super::{Report, figures, run};
use crate::error::Error;
use crate::opened::OpenedModel;
use crate::options::LoadOptions;
use coreml_spec::{ConversionReport, IntermediateValue, Origin, Package, Tolerance};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most elements of the values that a model gives at once. A model is run again for more.
const MOST_ELEMENTS: usize = 16 << 20;

/// An operation whose values differ from those of PyTorch, although all before it agree.
#[derive(Clone, Debug, PartialEq)]
pub struct Departure {
    /// Name of the sample, and the prediction.
    pub sample: String,
    /// When.
    pub stage: Stage,
    /// MIL's name of the operation.
    pub operation: String,
    /// Name of the value.
    pub value: String,
    /// Where it comes from; `None` where the conversion's report does not say.
    pub origin: Option<Origin>,
    /// Position of the element that differs most, of how many the value has.
    pub position: (usize, usize),
    /// What the conversion kept of it, and what the backend gives.
    pub expected: f64,
    /// What the backend gives.
    pub got: f64,
}

impl std::fmt::Display for Departure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { operation, value, expected, got, position: (at, count), .. } = self;
        write!(f, "`{operation}` (`{value}`)")?;
        if let Some(origin) = &self.origin {
            write!(f, ", from {origin}")?;
        }
        let sample = self.stage.of(&self.sample);
        // They were single precision, whose digits are enough.
        let (expected, got) = (*expected as f32, *got as f32);
        write!(f, ": {got} instead of {expected} at element {at} of {count} in {sample}")
    }
}

/// Returns the first operation of a function that differs, for the samples that say what each
/// operation gives; `None` where no sample does, or no operation differs.
///
/// Parameters: `package` — on disk; `function` — its name.
/// Errors: those of reading, loading and predicting.
pub(super) fn find(
    package: &Path,
    function: &str,
    options: &LoadOptions,
    samples: &[Sample],
    tolerance: Tolerance,
) -> Result<Option<Departure>, Error> {
    let opened = OpenedModel::read(package)?;
    let found = opened.package()?;
    let all = found.intermediate_values(function).map_err(|error| opened.unreadable(error))?;
    for sample in samples {
        let kept: Vec<&IntermediateValue> = all
            .iter()
            .filter(|value| Step::all(sample).any(|step| step.value(&value.name).is_some()))
            .collect();
        let batches = Batches { package: found, function, options, opened: &opened };
        let mut departure = batches.departure(sample, &kept, tolerance)?;
        if let Some(departure) = &mut departure {
            let operation = kept.iter().find(|value| value.name == departure.value);
            departure.origin = operation.and_then(|value| origin(package, function, value));
            return Ok(Some(departure.clone()));
        }
    }
    Ok(None)
}

/// A function whose values are looked at in batches.
struct Batches<'a> {
    /// The package.
    package: &'a Package,
    /// The same, with its interface.
    opened: &'a OpenedModel,
    /// The function.
    function: &'a str,
    /// How it is loaded.
    options: &'a LoadOptions,
}

impl Batches<'_> {
    /// Returns the first operation that differs for a sample, without its origin.
    fn departure(
        &self,
        sample: &Sample,
        values: &[&IntermediateValue],
        tolerance: Tolerance,
    ) -> Result<Option<Departure>, Error> {
        let mut rest = values;
        while !rest.is_empty() {
            let mut elements = 0;
            let fits = |value: &&&IntermediateValue| {
                elements += value.elements.unwrap_or(0);
                elements <= MOST_ELEMENTS
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (batch, others) = rest.split_at(count);
            if let Some(departure) = self.of_batch(sample, batch, tolerance)? {
                return Ok(Some(departure));
            }
            rest = others;
        }
        Ok(None)
    }

    /// Runs the model with the values of a batch as outputs.
    fn of_batch(
        &self,
        sample: &Sample,
        batch: &[&IntermediateValue],
        tolerance: Tolerance,
    ) -> Result<Option<Departure>, Error> {
        let folder = Folder::new();
        let outputs = &self.opened.function(Some(self.function))?.outputs;
        let is_output = |name: &str| outputs.iter().any(|output| output.name == name);
        let added: Vec<&str> = batch.iter().map(|value| value.name.as_str()).collect();
        let added: Vec<&str> = added.into_iter().filter(|name| !is_output(name)).collect();
        let package = folder.0.join("intermediate.mlpackage");
        self.package
            .write_with_outputs(&package, self.function, &added)
            .map_err(|error| self.opened.unreadable(error))?;
        let opened = Arc::new(OpenedModel::read(&package)?);
        let model = Subject::load(&opened, Some(self.function), self.options)?;
        let function = model.function()?;
        let mut state = if function.states.is_empty() { None } else { Some(model.new_state()?) };
        // What was done to the sample is said already.
        let mut unseen = Report::new("", "", tolerance);
        for step in Step::all(sample) {
            let outputs = run(&model, &step, state.as_mut(), &mut unseen)?;
            for value in batch {
                let at = function.outputs.iter().position(|output| output.name == value.name);
                let output = at.and_then(|at| outputs.get(at)?.tensor());
                let (Some((data_type, elements)), Some(kept)) = (output, step.value(&value.name))
                else {
                    continue;
                };
                let got: Vec<f64> = (0..kept.len())
                    .filter_map(|at| elements.get(at * elements.len() / kept.len()).copied())
                    .collect();
                // Too few elements are another shape than the one that the sample was made with.
                if got.len() < kept.len()
                    || figures(kept, &got, &[kept.len()], data_type, tolerance).1
                {
                    continue;
                }
                let at = farthest(kept, &got);
                return Ok(Some(Departure {
                    sample: sample.name().to_owned(),
                    stage: step.stage(),
                    operation: value.operation.clone(),
                    value: value.name.clone(),
                    origin: None,
                    position: (at * elements.len() / kept.len(), elements.len()),
                    expected: kept.get(at).copied().unwrap_or(f64::NAN),
                    got: got.get(at).copied().unwrap_or(f64::NAN),
                }));
            }
        }
        Ok(None)
    }
}

/// Returns the position where two tensors differ most.
fn farthest(expected: &[f64], got: &[f64]) -> usize {
    let apart = |pair: (&f64, &f64)| {
        let difference = (pair.0 - pair.1).abs();
        if difference.is_nan() { f64::INFINITY } else { difference }
    };
    let differences: Vec<f64> = expected.iter().zip(got).map(apart).collect();
    (0..differences.len())
        .max_by(|one, other| differences[*one].total_cmp(&differences[*other]))
        .unwrap_or(0)
}

/// Returns where an operation comes from, if the report of its conversion is beside the package.
fn origin(package: &Path, function: &str, value: &IntermediateValue) -> Option<Origin> {
    let beside = [package.with_extension("report.json"), package.with_file_name("report.json")];
    let json = beside.iter().find_map(|path| std::fs::read(path).ok())?;
    let report = ConversionReport::read(&json).ok()?;
    report.origins.get(function)?.get(&value.operation_output).cloned()
}

/// A folder that is removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    /// Chooses a name that no other folder of this system has.
    fn new() -> Self {
        /// Numbers the folders of this process.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(format!("coreml-values-{process}-{number}")))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing can be done about a folder that stays; the system's own cleaning takes it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
