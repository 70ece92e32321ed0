//! Comparing a backend with PyTorch, on the samples that a conversion kept.
//!
//! Owns: running a model on samples and judging its outputs. Must not: print, but for a generated test.
//! Flow: the `#[cfg(test)]` module of generated code calls [`test`], and `cargo coreml verify` calls [`verify`]; both go
//! `sample.rs` → `model.rs` → `figures.rs` → `report.rs`.
//!
//! A sample is a safetensors file: `in/NAME` is what PyTorch was fed, `out/NAME` its fp32 outputs. For a classifier
//! `out/NAME` of the label holds the position of the class.

mod figures;
mod report;
mod sample;

pub use coreml_spec::Tolerance;
pub use figures::Figures;
pub use report::{Comparison, Report, Verdict};
pub use sample::Sample;

use crate::buffer::Buffer;
use crate::description::Description;
use crate::error::Error;
use crate::model::Model;
use crate::options::LoadOptions;
use crate::shape::element_count;
use crate::slot::{InputRef, OutputSlot, Results};
use coreml_spec::{DataType, ElementsMut, Feature, FeatureKind, TensorRef};
use std::path::Path;

/// Compares the model of a generated module with its samples, prints the figures, and returns whether all passed.
///
/// Called by: the generated `#[cfg(test)] mod parity`; `cargo test` shows what is printed when the test fails, or with
/// `--nocapture`.
/// Parameters: `samples` — absolute paths in `OUT_DIR`.
#[doc(hidden)]
pub fn test(description: &Description, samples: &[&str], tolerance: Tolerance) -> bool {
    let run = || {
        let model = Model::load(description, &LoadOptions::new())?;
        let samples = samples.iter().map(|path| Sample::read(Path::new(path))).collect::<Result<Vec<_>, _>>()?;
        compare(description.name, &model, &samples, tolerance)
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
/// Parameters: `package` — an `.mlpackage`; `options` — a path in them is not used.
/// Errors: those of loading and predicting, and [`Error::Sample`] when a sample does not fit the model. An output that is
/// not close enough is no error: see [`Report::passed`].
pub fn verify(
    package: &Path,
    options: &LoadOptions,
    samples: &[Sample],
    tolerance: Tolerance,
) -> Result<Report, Error> {
    let model = Model::open(package, options)?;
    let name = package.file_stem().unwrap_or_default().to_string_lossy();
    compare(&name, &model, samples, tolerance)
}

/// Runs `model` on each sample and judges each output.
fn compare(name: &str, model: &Model, samples: &[Sample], tolerance: Tolerance) -> Result<Report, Error> {
    let mut report = Report::new(name, model.backend(), tolerance);
    for sample in samples {
        let outputs = run(model, sample)?;
        judge(model, sample, &outputs, tolerance, &mut report)?;
    }
    Ok(report)
}

/// An output whose type is known only at run time.
enum Output {
    /// A tensor or the probabilities of a classifier.
    Tensor {
        /// Element type that the interface gives.
        data_type: DataType,
        /// Sizes that the prediction gave.
        dims: Vec<usize>,
        /// The elements; `None` before the prediction.
        elements: Option<Buffer>,
    },
    /// Position of the predicted class.
    Label(usize),
}

impl Output {
    /// Makes the slot for one output of the interface.
    fn of(feature: &Feature) -> Self {
        match &feature.kind {
            FeatureKind::StringLabel | FeatureKind::Int64Label => Self::Label(0),
            FeatureKind::MultiArray { data_type, .. } => {
                Self::Tensor { data_type: *data_type, dims: Vec::new(), elements: None }
            }
            FeatureKind::Probabilities | FeatureKind::Image { .. } => {
                Self::Tensor { data_type: DataType::Float32, dims: Vec::new(), elements: None }
            }
        }
    }
}

impl OutputSlot for Output {
    fn take(&mut self, results: &dyn Results, index: usize) -> Result<(), Error> {
        match self {
            Self::Label(label) => *label = results.label()?,
            Self::Tensor { data_type, dims, elements } => {
                *dims = results.dims(index)?.to_vec();
                let zeros = element_count(dims).and_then(|len| Buffer::from_f64s(*data_type, &vec![0.0; len]));
                let problem = || format!("output {index} of type {data_type} and shape {dims:?} cannot be read");
                let mut buffer = zeros.ok_or_else(|| results.mismatch(problem()))?;
                let into: ElementsMut<'_> = buffer.elements_mut();
                results.copy_to(index, into)?;
                *elements = Some(buffer);
            }
        }
        Ok(())
    }
}

/// Feeds a sample to the model.
fn run(model: &Model, sample: &Sample) -> Result<Vec<Output>, Error> {
    let function = model.function();
    sample.refuse_unknown_inputs(&function.inputs)?;
    let mut fed = Vec::with_capacity(function.inputs.len());
    for input in &function.inputs {
        fed.push(sample.input(input)?);
    }
    let tensors: Vec<InputRef<'_>> = fed
        .iter()
        .enumerate()
        .map(|(at, fed)| match fed {
            Some((dims, buffer)) => InputRef::Tensor(TensorRef { dims, elements: buffer.elements() }),
            None => model.default_of(at),
        })
        .collect();
    let mut outputs: Vec<Output> = function.outputs.iter().map(Output::of).collect();
    let mut slots: Vec<&mut dyn OutputSlot> = outputs.iter_mut().map(|output| output as &mut dyn OutputSlot).collect();
    model.predict_features(None, &tensors, &mut slots)?;
    Ok(outputs)
}

/// Adds one comparison per output to `report`.
fn judge(
    model: &Model,
    sample: &Sample,
    outputs: &[Output],
    tolerance: Tolerance,
    report: &mut Report,
) -> Result<(), Error> {
    let function = model.function();
    // The reference probabilities, and how far the prediction is from them: what a different label is excused with.
    let mut probabilities: Option<(Vec<f64>, f64)> = None;
    for (feature, output) in function.outputs.iter().zip(outputs) {
        let Output::Tensor { data_type, dims, elements: Some(elements) } = output else { continue };
        let expected = sample.output(&feature.name, dims)?;
        let row = dims.last().copied().unwrap_or(1);
        let figures = Figures::of(&expected, &elements.to_f64s(), row, tolerance);
        let passed = match data_type {
            DataType::Int32 | DataType::Int8 => figures.is_equal(),
            _ => figures.meets(tolerance),
        };
        if feature.kind == FeatureKind::Probabilities {
            probabilities = Some((expected, figures.max_abs));
        }
        report.add(sample.name(), &feature.name, Verdict::Tensor(figures), passed);
    }
    for (feature, output) in function.outputs.iter().zip(outputs) {
        let Output::Label(label) = *output else { continue };
        let expected = sample.label(&feature.name)?;
        let passed = expected == label || is_tie(probabilities.as_ref(), expected, label);
        report.add(sample.name(), &feature.name, Verdict::Label { expected, got: label }, passed);
    }
    Ok(())
}

/// Returns whether the difference of the probabilities, which is judged for itself, is reason enough for another label:
/// when both classes are as close in the reference as twice that difference.
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
