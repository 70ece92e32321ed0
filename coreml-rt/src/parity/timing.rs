//! How long a model takes, with the inputs of a sample.
//!
//! Owns: what is measured and what is not. Must not: judge, print, or compare with a reference.
//! Flow: `cargo coreml bench` → [`measure`] → `prediction.rs`.

use super::output::Output;
use super::prediction::{fed, predict};
use super::sample::Sample;
use super::step::Step;
use super::subject::Subject;
use crate::error::Error;
use crate::opened::OpenedModel;
use crate::options::LoadOptions;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a model took.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Timing {
    /// What ran it: `portable (rten 0.27)`.
    pub backend: String,
    /// Opening, checking and loading the package.
    pub load: Duration,
    /// The first prediction, which may still prepare something.
    pub first: Duration,
    /// The predictions after it, in order; with a sample of several steps all of its steps, again
    /// and again.
    pub predictions: Vec<Duration>,
}

impl Timing {
    /// Returns the duration that a part of the predictions do not exceed: 0.5 for the median, 0.0
    /// for the least.
    pub fn quantile(&self, part: f64) -> Duration {
        let mut sorted = self.predictions.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        sorted
            .get((part.clamp(0.0, 1.0) * last as f64).round() as usize)
            .copied()
            .unwrap_or_default()
    }
}

/// Loads a package and predicts again and again.
///
/// Parameters: `function` — of a multifunction package, `None` for its default; `options` — a path
/// in them is not used; `sample` — what is fed, `None` for made-up inputs of the default sizes;
/// `runs`, `time` — predictions after the first, and how long they take together, at least.
/// Errors: those of loading and predicting, and [`Error::Sample`] when the sample does not fit the
/// model.
///
/// What is measured is a prediction with its outputs copied out, as `predict` does it. States begin
/// at zero at the first step of a sample; making them is not measured.
pub fn measure(
    package: &Path,
    function: Option<&str>,
    options: &LoadOptions,
    sample: Option<&Sample>,
    runs: usize,
    time: Duration,
) -> Result<Timing, Error> {
    let start = Instant::now();
    let model = Subject::load(&Arc::new(OpenedModel::read(package)?), function, options)?;
    let load = start.elapsed();
    let made_up;
    let sample = match sample {
        Some(sample) => sample,
        None => {
            made_up = Sample::made_up(&model.given()?)?;
            &made_up
        }
    };
    let function = model.function()?;
    let mut steps = Vec::new();
    for step in Step::all(sample) {
        step.refuse_unknown(&function.inputs, &function.outputs)?;
        steps.push(fed(&model, &step)?);
    }
    let mut outputs: Vec<Output> = function.outputs.iter().map(Output::of).collect();
    let mut times = Vec::new();
    let begun = Instant::now();
    while times.len() <= runs || begun.elapsed() < time {
        let mut state = if function.states.is_empty() { None } else { Some(model.new_state()?) };
        for step in &steps {
            let start = Instant::now();
            predict(&model, state.as_mut(), step, &mut outputs)?;
            times.push(start.elapsed());
        }
    }
    let first = times.remove(0);
    Ok(Timing { backend: model.backend().to_owned(), load, first, predictions: times })
}
