//! Comparing a backend with PyTorch, on the samples that a conversion kept.
//!
//! Owns: running a model on samples and judging its outputs. Must not: print, except for a
//! generated test.
//! Flow: the `#[cfg(test)]` module of generated code calls [`test()`], and `cargo coreml verify`
//! calls [`verify`]; both run `sample.rs` → `step.rs` → `prediction.rs` → `output.rs` →
//! `figures.rs` → `report.rs`. Where an output fails, `departure.rs` looks for the operation.
//!
//! A sample is a safetensors file: `in/NAME` is an input of PyTorch, `out/NAME` its fp32 output.
//! For the label of a classifier, `out/NAME` holds the position of the class. Several steps are
//! `step0/in/NAME`, `step0/out/NAME`, `step1/in/NAME`, and so on: they run in order, with states
//! that start at zero, and `final_state/NAME` is the content of a state after the last one. A
//! function with states may also have a single step, written without a number.

mod array;
mod departure;
mod distinct;
mod errors;
mod figures;
mod file;
mod metric;
mod output;
mod prediction;
mod report;
mod sample;
mod step;
mod subject;
mod timing;

pub use coreml_spec::{Bound, Metric, Tolerance};
pub use departure::Departure;
pub use errors::{Errors, Worst};
pub use figures::Figures;
pub use metric::Measured;
pub use report::{Comparison, Report, Verdict};
pub use sample::Sample;
pub use step::Stage;
pub use timing::{Timing, measure};

use crate::bucketed::BucketedModel;
use crate::description::Description;
use crate::error::Error;
use crate::model::Model;
use crate::opened::OpenedModel;
use crate::options::LoadOptions;
use crate::state::State;
use coreml_spec::{DataType, FeatureKind};
use metric::Record;
use output::Output;
use prediction::{fed, predict};
use std::path::Path;
use std::sync::Arc;
use step::Step;
use subject::Subject;

/// Compares the model of a generated module with its samples, prints the figures, and returns
/// whether all passed.
///
/// Called by: the generated `#[cfg(test)] mod parity`; `cargo test` shows what is printed when the
/// test fails, or with `--nocapture`.
/// Parameters: `samples` — absolute paths in `OUT_DIR`; `metric` — the JSON form of a [`Metric`].
#[doc(hidden)]
pub fn test(
    description: &Description,
    samples: &[&str],
    tolerance: Tolerance,
    metric: Option<&str>,
) -> bool {
    let load = || {
        Model::load(description, &LoadOptions::new()).map(|model| Subject::Model(Box::new(model)))
    };
    test_subject(description.name, description.built, load, samples, tolerance, metric)
}

/// Compares all buckets of a generated module with their samples, whose inputs are not padded;
/// prints the figures, and returns whether all passed.
///
/// Called by: the generated `#[cfg(test)] mod parity` of a model with buckets.
/// Parameters: as for [`test()`].
#[doc(hidden)]
pub fn test_buckets(
    name: &str,
    buckets: &'static [(usize, Description)],
    samples: &[&str],
    tolerance: Tolerance,
    metric: Option<&str>,
) -> bool {
    let load = || {
        BucketedModel::load(buckets, &LoadOptions::new())
            .map(|model| Subject::Buckets(Box::new(model)))
    };
    let largest = buckets.last().map_or("", |(_, description)| description.built);
    test_subject(name, largest, load, samples, tolerance, metric)
}

/// Loads what is compared, compares it, prints the figures, and returns whether all passed.
///
/// Parameters: `package` — where the build left it.
fn test_subject(
    name: &str,
    package: &str,
    load: impl Fn() -> Result<Subject, Error>,
    samples: &[&str],
    tolerance: Tolerance,
    metric: Option<&str>,
) -> bool {
    let run = || {
        let subject = load()?;
        let samples = samples
            .iter()
            .map(|path| Sample::read(Path::new(path)))
            .collect::<Result<Vec<_>, _>>()?;
        let metric = metric.map(serde_json::from_str::<Metric>).transpose();
        let metric = metric
            .map_err(|error| Error::Invalid { model: name.to_owned(), source: error.into() })?;
        let metric = metric.as_ref().map(|metric| (metric, Path::new(package)));
        let mut report = compare(name, &subject, &samples, tolerance, metric)?;
        explain(&mut report, &subject, Path::new(package), &LoadOptions::new(), &samples);
        Ok::<Report, Error>(report)
    };
    match run() {
        Ok(report) => {
            println!("{report}");
            report.passed()
        }
        Err(error) => {
            println!("{error}");
            false
        }
    }
}

/// Compares a package on disk with samples.
///
/// Parameters: `package` — an `.mlpackage`; `function` — of a multifunction package, `None` for its
/// default, or, when the functions are buckets of one model, for the model: samples are then not
/// padded; `options` — a path in them is not used; `tolerance` — `None` for what the function's
/// precision allows ([`Tolerance::of_precision`]).
/// Errors: those of loading and predicting, and [`Error::Sample`] when a sample does not fit the
/// model. An output that is not close enough is no error: see [`Report::passed`].
pub fn verify(
    package: &Path,
    function: Option<&str>,
    options: &LoadOptions,
    samples: &[Sample],
    tolerance: Option<Tolerance>,
) -> Result<Report, Error> {
    verify_by(package, function, options, samples, tolerance, None)
}

/// Compares a package on disk with samples, and runs a command that judges all of them together.
///
/// The command runs in the metric's folder, with two environment variables. `COREML_PACKAGE` is the
/// package. `COREML_COMPARISON` is a safetensors file that exists until the command ends:
/// `0/in/NAME`, `0/expected/NAME` and `0/got/NAME` of the first sample, `0/step1/in/NAME` and so on
/// for several steps; all of them float64, without states. The last line that the command prints is
/// the figure.
///
/// Parameters: those of [`verify`].
/// Errors: those of [`verify`]. A command that fails or prints no number is not an error: its
/// metric fails, with the reason.
pub fn verify_by(
    package: &Path,
    function: Option<&str>,
    options: &LoadOptions,
    samples: &[Sample],
    tolerance: Option<Tolerance>,
    metric: Option<&Metric>,
) -> Result<Report, Error> {
    let mut name = package.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let opened = Arc::new(OpenedModel::read(package)?);
    let model = Subject::load(&opened, function, options)?;
    let tolerance = match tolerance {
        None => Tolerance::of_precision(opened.has_half_precision(&model.function()?.name)?),
        Some(tolerance) => tolerance,
    };
    if let Some(function) = function {
        name = format!("{name}/{function}");
    }
    let metric = metric.map(|metric| (metric, package));
    let mut report = compare(&name, &model, samples, tolerance, metric)?;
    explain(&mut report, &model, package, options, samples);
    Ok(report)
}

/// Adds to a report of an output that fails which operation is the first that differs, if the
/// report of the conversion is beside the package.
fn explain(
    report: &mut Report,
    model: &Subject,
    package: &Path,
    options: &LoadOptions,
    samples: &[Sample],
) {
    // Samples of buckets are not padded, and operations see what is.
    let Subject::Model(model) = model else { return };
    if report.comparisons.iter().all(|comparison| comparison.passed) {
        return;
    }
    let tolerance = report.tolerance;
    match departure::find(package, &model.function().name, options, samples, tolerance) {
        Ok(departure) => report.departure = departure,
        Err(error) => {
            report.remark(&format!("the first operation that differs was not found: {error}"));
        }
    }
}

/// Runs `model` on each sample and judges each output.
///
/// Parameters: `metric` — judges all of them together; with the package's place.
fn compare(
    name: &str,
    model: &Subject,
    samples: &[Sample],
    tolerance: Tolerance,
    metric: Option<(&Metric, &Path)>,
) -> Result<Report, Error> {
    let mut report = Report::new(name, model.backend(), tolerance);
    let mut record = metric.map(|_| Record::default());
    let function = model.function()?;
    for (number, sample) in samples.iter().enumerate() {
        sample.refuse_unknown_states(&function.states)?;
        let mut state = if function.states.is_empty() { None } else { Some(model.new_state()?) };
        for step in Step::all(sample) {
            let outputs = run(model, &step, state.as_mut(), &mut report)?;
            judge(model, &step, &outputs, &mut report)?;
            if let Some(record) = &mut record {
                record.step(number, &step, function, &outputs)?;
            }
        }
        if let Some(state) = state {
            judge_states(model, sample, &state, &mut report)?;
        }
    }
    report.indistinct = distinct::indistinct(&function.outputs, samples, tolerance);
    if !report.indistinct.is_empty() {
        report.remark(&distinct::remark(&report.indistinct));
    }
    if let (Some((metric, package)), Some(record)) = (metric, record) {
        report.metrics.push(record.measured_by(metric, package));
    }
    Ok(report)
}

/// Runs one step of a sample.
fn run(
    model: &Subject,
    step: &Step<'_>,
    state: Option<&mut State>,
    report: &mut Report,
) -> Result<Vec<Output>, Error> {
    let function = model.function()?;
    step.refuse_unknown(&function.inputs, &function.outputs)?;
    let fed = fed(model, step)?;
    fed.iter()
        .flatten()
        .filter_map(|value| value.rounded.as_ref())
        .for_each(|remark| report.remark(remark));
    let mut outputs: Vec<Output> = function.outputs.iter().map(Output::of).collect();
    predict(model, state, &fed, &mut outputs)?;
    Ok(outputs)
}

/// Adds one comparison per output to `report`.
fn judge(
    model: &Subject,
    step: &Step<'_>,
    outputs: &[Output],
    report: &mut Report,
) -> Result<(), Error> {
    let function = model.function()?;
    // The reference probabilities, and how far the prediction is from them: what a different label
    // is excused with.
    let mut probabilities: Option<(Vec<f64>, f64)> = None;
    for (feature, output) in function.outputs.iter().zip(outputs) {
        let Output::Tensor { data_type, dims, elements: Some(elements) } = output else { continue };
        let expected = step.output(&feature.name, dims)?;
        let got = elements.to_f64s();
        let (figures, passed) = figures(expected, &got, dims, *data_type, report.tolerance);
        let errors = Errors::of(expected, &got, dims);
        if feature.kind == FeatureKind::Probabilities {
            probabilities = Some((expected.to_vec(), figures.max_abs));
        }
        report.add(
            step.sample(),
            step.stage(),
            &feature.name,
            Verdict::Tensor(figures),
            Some(errors),
            passed,
        );
    }
    for (feature, output) in function.outputs.iter().zip(outputs) {
        let Output::Label(label) = *output else { continue };
        let expected = step.label(&feature.name)?;
        let passed = expected == label || is_tie(probabilities.as_ref(), expected, label);
        report.add(
            step.sample(),
            step.stage(),
            &feature.name,
            Verdict::Label { expected, got: label },
            None,
            passed,
        );
    }
    Ok(())
}

/// Adds one comparison per state that the sample has a reference for.
fn judge_states(
    model: &Subject,
    sample: &Sample,
    state: &State,
    report: &mut Report,
) -> Result<(), Error> {
    for (index, feature) in model.function()?.states.iter().enumerate() {
        // A state never varies in size.
        let FeatureKind::MultiArray { data_type, shape } = &feature.kind else { continue };
        let (data_type, dims) = (*data_type, &shape.default);
        let Some(expected) = sample.final_state(&feature.name, dims)? else { continue };
        let elements = output::elements(data_type, dims, |into| state.copy_to(index, into));
        let elements =
            elements.unwrap_or_else(|| Err(sample.unreadable_state(&feature.name, data_type)))?;
        let got = elements.to_f64s();
        let (figures, passed) = figures(expected, &got, dims, data_type, report.tolerance);
        let errors = Errors::of(expected, &got, dims);
        report.add(
            sample.name(),
            Stage::Final,
            &feature.name,
            Verdict::Tensor(figures),
            Some(errors),
            passed,
        );
    }
    Ok(())
}

/// Compares a tensor with its reference, and returns whether it passes: integers must be equal.
fn figures(
    expected: &[f64],
    got: &[f64],
    dims: &[usize],
    data_type: DataType,
    tolerance: Tolerance,
) -> (Figures, bool) {
    let figures = Figures::of(expected, got, dims.last().copied().unwrap_or(1), tolerance);
    let passed = match data_type {
        DataType::Int32 | DataType::Int8 => figures.is_equal(),
        _ => figures.meets(tolerance),
    };
    (figures, passed)
}

/// Returns whether the difference of the probabilities, which is judged for itself, is reason
/// enough for another label: when both classes are as close in the reference as twice that
/// difference.
fn is_tie(probabilities: Option<&(Vec<f64>, f64)>, expected: usize, got: usize) -> bool {
    let Some((reference, difference)) = probabilities else { return false };
    match (reference.get(expected), reference.get(got)) {
        (Some(expected), Some(got)) => (expected - got).abs() <= 2.0 * difference,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_label_is_excused_only_by_a_tie() {
        let probabilities = Some((vec![0.50, 0.49, 0.01], 0.006));
        assert!(is_tie(probabilities.as_ref(), 0, 1));
        assert!(!is_tie(probabilities.as_ref(), 0, 2));
        assert!(!is_tie(probabilities.as_ref(), 0, 3));
        assert!(!is_tie(None, 0, 1));
    }
}
