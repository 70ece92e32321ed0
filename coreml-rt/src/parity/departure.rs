//! The first operation whose values on a backend are not those that the conversion kept.
//!
//! Owns: running a model again with values inside its program as outputs, and the choice among
//! those that differ. Must not: be asked before an output differs: it runs the model several times.
//! Flow: `parity.rs` has found an output that fails → [`find`] → `report.rs` shows it.
//!
//! The report of a conversion, beside the package, has a few elements of what each operation gives
//! for one sample: the proof of the driver computed them in single precision, and compared what
//! follows from them with PyTorch (`coreml_driver/proof/checkpoints.py`).

use super::sample::Sample;
use super::step::{Stage, Step};
use super::subject::Subject;
use super::{Report, figures, run};
use crate::error::Error;
use crate::opened::OpenedModel;
use crate::options::LoadOptions;
use coreml_spec::{Checkpoint, ConversionReport, IntermediateValue, Origin, Package, Tolerance};
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

/// Returns the first operation of a function that differs, for the sample that the report of the
/// conversion says something of; `None` where it does not, or no operation differs.
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
    let Some(report) = report(package) else { return Ok(None) };
    let checkpoints = report.checkpoints.get(function).map_or(&[][..], Vec::as_slice);
    let Some(sample) = samples.iter().find(|sample| is_of(checkpoints, sample)) else {
        return Ok(None);
    };
    let opened = OpenedModel::read(package)?;
    let found = opened.package()?;
    let all = found.intermediate_values(function).map_err(|error| opened.unreadable(error))?;
    let is_kept = |value: &&IntermediateValue| {
        checkpoints.iter().any(|checkpoint| checkpoint.values.contains_key(&value.name))
    };
    let kept: Vec<&IntermediateValue> = all.iter().filter(is_kept).collect();
    let search = Search {
        package: found,
        opened: &opened,
        function,
        options,
        sample,
        checkpoints,
        tolerance,
    };
    let mut departure = search.departure(&kept)?;
    if let Some(departure) = &mut departure {
        let operation = kept.iter().find(|value| value.name == departure.value);
        let origins = report.origins.get(function);
        departure.origin =
            operation.and_then(|value| origins?.get(&value.operation_output).cloned());
    }
    Ok(departure)
}

/// Returns whether a sample is the one that the checkpoints are of: what they fed is what it feeds.
fn is_of(checkpoints: &[Checkpoint], sample: &Sample) -> bool {
    let same = |(checkpoint, step): (&Checkpoint, Step<'_>)| {
        checkpoint.inputs.iter().all(|(name, text)| {
            let given = step.given(name).map(|(_, elements)| elements);
            given.zip(Checkpoint::numbers(text)).is_some_and(|(given, fed)| {
                // The digits are those of single precision.
                evenly(given, fed.len())
                    .map(|one| one as f32)
                    .zip(fed.iter().map(|other| *other as f32))
                    .all(|(one, other)| one == other || (one.is_nan() && other.is_nan()))
            })
        })
    };
    !checkpoints.is_empty()
        && Step::all(sample).count() == checkpoints.len()
        && checkpoints.iter().zip(Step::all(sample)).all(same)
}

/// Returns `count` elements of a tensor that are evenly spaced.
fn evenly(elements: &[f64], count: usize) -> impl Iterator<Item = f64> {
    (0..count).filter_map(move |at| elements.get(at * elements.len() / count).copied())
}

/// A search through the values of a function.
struct Search<'a> {
    /// The package.
    package: &'a Package,
    /// The same, with its interface.
    opened: &'a OpenedModel,
    /// The function.
    function: &'a str,
    /// How it is loaded.
    options: &'a LoadOptions,
    /// What is fed.
    sample: &'a Sample,
    /// What is expected, for each prediction.
    checkpoints: &'a [Checkpoint],
    /// When a value counts as equal.
    tolerance: Tolerance,
}

impl Search<'_> {
    /// Returns the first operation that differs, without its origin.
    ///
    /// Parameters: `values` — in the program's order.
    fn departure(&self, values: &[&IntermediateValue]) -> Result<Option<Departure>, Error> {
        let mut rest = values;
        while !rest.is_empty() {
            let mut elements = 0;
            let fits = |value: &&&IntermediateValue| {
                elements += value.elements.unwrap_or(0);
                elements <= MOST_ELEMENTS
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (batch, others) = rest.split_at(count);
            if let Some(departure) = self.of_batch(batch)? {
                return Ok(Some(departure));
            }
            rest = others;
        }
        Ok(None)
    }

    /// Runs the model with the values of a batch as outputs.
    fn of_batch(&self, batch: &[&IntermediateValue]) -> Result<Option<Departure>, Error> {
        let folder = Folder::new();
        let outputs = &self.opened.function(Some(self.function))?.outputs;
        let is_output = |name: &str| outputs.iter().any(|output| output.name == name);
        let added = batch.iter().map(|value| value.name.as_str());
        let added: Vec<&str> = added.filter(|name| !is_output(name)).collect();
        let package = folder.0.join("intermediate.mlpackage");
        self.package
            .write_with_outputs(&package, self.function, &added)
            .map_err(|error| self.opened.unreadable(error))?;
        let opened = Arc::new(OpenedModel::read(&package)?);
        let model = Subject::load(&opened, Some(self.function), self.options)?;
        let function = model.function()?;
        let mut state = if function.states.is_empty() { None } else { Some(model.new_state()?) };
        // What was done to the sample is said already.
        let mut unseen = Report::new("", "", self.tolerance);
        for (step, checkpoint) in Step::all(self.sample).zip(self.checkpoints) {
            let outputs = run(&model, &step, state.as_mut(), &mut unseen)?;
            for value in batch {
                let at = function.outputs.iter().position(|output| output.name == value.name);
                let output = at.and_then(|at| outputs.get(at)?.tensor());
                let expected = checkpoint.values.get(&value.name);
                let expected = expected.and_then(|text| Checkpoint::numbers(text));
                let (Some((data_type, elements)), Some(expected)) = (output, expected) else {
                    continue;
                };
                let got: Vec<f64> = evenly(&elements, expected.len()).collect();
                let row = [expected.len()];
                // Too few elements are another shape than the one that the sample was made with.
                if got.len() < expected.len()
                    || figures(&expected, &got, &row, data_type, self.tolerance).1
                {
                    continue;
                }
                let at = farthest(&expected, &got);
                return Ok(Some(Departure {
                    sample: self.sample.name().to_owned(),
                    stage: step.stage(),
                    operation: value.operation.clone(),
                    value: value.name.clone(),
                    origin: None,
                    position: (at * elements.len() / expected.len(), elements.len()),
                    expected: expected.get(at).copied().unwrap_or(f64::NAN),
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

/// Returns the report of the conversion, if it is beside the package.
fn report(package: &Path) -> Option<ConversionReport> {
    let beside = [package.with_extension("report.json"), package.with_file_name("report.json")];
    let json = beside.iter().find_map(|path| std::fs::read(path).ok())?;
    ConversionReport::read(&json).ok()
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
