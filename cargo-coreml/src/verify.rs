//! `cargo coreml verify`: compares a model package with PyTorch's results.
//!
//! Owns: the JSON form of the answer. Must not: run models or judge them; `coreml_rt::parity` does.
//! Flow: `main.rs` → [`run`] → `models.rs` → [`coreml_rt::parity::verify_by`], `parts.rs`.

use crate::failure::Failure;
use crate::models::{Choice, ModelPackage};
use crate::parts;
use crate::profile::Units;
use crate::table::printable_lines;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use coreml_rt::parity::{
    Bound, Comparison, Departure, Figures, Measured, Metric, Report, Sample, Stage, Verdict,
    verify_by,
};
use coreml_rt::{Engine, LoadOptions, Tolerance};
use coreml_spec::Origin;
use serde::Serialize;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
A sample is a safetensors file with the keys in/NAME and out/NAME, or, for several predictions in
a row, step0/in/NAME, step0/out/NAME, step1/in/NAME, and so on. States start at zero;
final_state/NAME is the expected state at the end. The reference of a classifier's label is its
position among the labels. An image is [1, channels, height, width] with values from 0 to 255.

Floats are rounded to the type of the model's input; any other conversion must be exact. A float
output passes at a PSNR of 35 dB if the program uses half precision anywhere, otherwise at 80 dB; of
a manifest's model its `parity` counts. Integers must be equal.
Where an output fails and the sample is one of a conversion, the first operation that differs from
PyTorch is named, with its module and its line of Python.

--metric also runs a command in the current folder; the last line that it prints is its figure.
COREML_PACKAGE is the path of the package. COREML_COMPARISON is a safetensors file with 0/in/NAME,
0/expected/NAME and 0/got/NAME of the first sample, 1/in/NAME and so on of the next, and
0/step1/in/NAME and so on of a sample with several steps, all of them float64.

Examples:
  cargo coreml verify Whisper.mlpackage --samples whisper.safetensors
  cargo coreml verify Whisper.mlpackage --samples a.safetensors --samples b.safetensors --psnr 45
  cargo coreml verify Whisper.mlpackage --samples steps.safetensors --function decoder
  cargo coreml verify whisper.toml --model encoder
  cargo coreml verify Voice.mlpackage --samples a.safetensors --psnr 0 \\
    --metric 'python distortion.py' --at-most 0.1
  cargo coreml verify Whisper.mlpackage --samples a.safetensors --engine onnxruntime --round-to-half
  cargo coreml verify Whisper.mlpackage --samples a.safetensors --json |
    jq '.comparisons[] | select(.passed | not)'

Exit codes:
  0  every output is close enough
  1  an output is not, the model cannot be loaded or run, or a sample does not fit it
  2  the arguments are wrong";

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The models.
    #[command(flatten)]
    choice: Choice,
    /// Inputs and PyTorch's outputs; may be repeated; default for a manifest's models: the samples
    /// of their conversion
    #[arg(long, value_name = "FILE.safetensors")]
    samples: Vec<PathBuf>,
    /// The engine of the portable backend; default: COREML_ENGINE, or rten
    #[arg(long, value_name = "ENGINE", value_parser = engine())]
    engine: Option<Engine>,
    /// Run this function of a multifunction package instead of its default
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// The compute units that Core ML may use; default: all
    #[arg(long, value_name = "UNITS")]
    compute_units: Option<Units>,
    /// Number of threads of the engine; by default the engine chooses
    #[arg(long, value_name = "COUNT")]
    threads: Option<NonZeroUsize>,
    /// Round each half-precision result as devices do (onnxruntime only)
    #[arg(long)]
    round_to_half: bool,
    /// Pass at this peak signal-to-noise ratio, in decibels
    #[arg(
        long,
        value_name = "DECIBELS",
        value_parser = finite,
        conflicts_with_all = ["atol", "rtol"]
    )]
    psnr: Option<f64>,
    /// Pass within ATOL + RTOL × |reference|; each defaults to 0
    #[arg(long, value_name = "ATOL", value_parser = positive)]
    atol: Option<f64>,
    /// See --atol
    #[arg(long, value_name = "RTOL", value_parser = positive)]
    rtol: Option<f64>,
    /// Also run this command, which judges all samples together
    #[arg(long, value_name = "COMMAND", requires = "bound")]
    metric: Option<String>,
    /// The metric's figure must be at least this
    #[arg(
        long,
        value_name = "FIGURE",
        value_parser = finite,
        requires = "metric",
        group = "bound",
        allow_hyphen_values = true
    )]
    at_least: Option<f64>,
    /// The metric's figure must be at most this
    #[arg(
        long,
        value_name = "FIGURE",
        value_parser = finite,
        requires = "metric",
        group = "bound",
        allow_hyphen_values = true
    )]
    at_most: Option<f64>,
    /// Print everything as JSON: {"path", "model", "backend", "tolerance", "passed", "comparisons",
    /// "metrics", "departure", "remarks"}; for a manifest a list of these
    #[arg(long)]
    json: bool,
}

/// Returns the parser of an engine's name.
pub(crate) fn engine() -> impl TypedValueParser<Value = Engine> {
    PossibleValuesParser::new(Engine::ALL.map(Engine::name)).try_map(|name| name.parse::<Engine>())
}

/// Reads a finite number.
fn finite(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())
        .ok_or_else(|| "it must be a finite number".to_owned())
}

/// Reads a finite number that is not negative.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    let number = finite(text)?;
    if number < 0.0 { Err("it must not be negative".to_owned()) } else { Ok(number) }
}

/// Compares a package with samples.
///
/// Errors: an output is not close enough, after everything was printed; otherwise those of loading
/// and predicting.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    if cfg!(target_vendor = "apple") && (arguments.engine.is_some() || arguments.round_to_half) {
        return Err("Core ML computes on Apple's systems: omit --engine and --round-to-half".into());
    }
    if arguments.samples.is_empty() && !arguments.choice.is_manifest() {
        let missing = "a package has no samples of its own: give --samples FILE.safetensors\n";
        // As every wrong argument: exit code 2.
        clap::Error::raw(ErrorKind::MissingRequiredArgument, missing).exit();
    }
    let samples =
        arguments.samples.iter().map(|path| Sample::read(path)).collect::<Result<Vec<_>, _>>()?;
    let mut options = LoadOptions::new().round_to_half(arguments.round_to_half);
    if let Some(engine) = arguments.engine {
        options = options.engine(engine);
    }
    if let Some(units) = arguments.compute_units {
        options = options.compute_units(units.into());
    }
    if let Some(threads) = arguments.threads {
        options = options.threads(threads.get());
    }
    let given = match (arguments.psnr, arguments.atol, arguments.rtol) {
        (Some(decibels), ..) => Some(Tolerance::Psnr(decibels)),
        (None, None, None) => None,
        (None, atol, rtol) => {
            Some(Tolerance::Absolute { atol: atol.unwrap_or(0.0), rtol: rtol.unwrap_or(0.0) })
        }
    };
    let metric = metric(arguments)?;
    // Samples of the user's own fit one model.
    let found =
        if samples.is_empty() { arguments.choice.all()? } else { arguments.choice.one()? };
    let mut reports = Vec::new();
    for model in &found.models {
        let asked = Asked { samples: &samples, tolerance: given, metric: metric.as_ref() };
        reports.push((model, asked.compare(model, arguments.function.as_deref(), &options)?));
    }
    if arguments.json {
        match &reports[..] {
            [(model, report)] if !arguments.choice.is_manifest() => {
                serde_json::to_writer_pretty(&mut *output, &json(model, report))
            }
            _ => {
                let all: Vec<_> =
                    reports.iter().map(|(model, report)| json(model, report)).collect();
                serde_json::to_writer_pretty(&mut *output, &all)
            }
        }
        .map_err(std::io::Error::from)?;
        writeln!(output)?;
    } else {
        for (model, report) in &reports {
            if arguments.choice.is_manifest() {
                writeln!(output, "{}", printable_lines(&model.title))?;
            }
            writeln!(output, "{}", printable_lines(&report.to_string()))?;
        }
    }
    let rows = || reports.iter().flat_map(|(_, report)| &report.comparisons);
    let (failed, total) = (rows().filter(|row| !row.passed).count(), rows().count());
    if failed > 0 || total == 0 {
        return Err(format!("{failed} of {total} comparisons failed").into());
    }
    if !reports.iter().all(|(_, report)| report.passed()) {
        return Err("the metric failed".into());
    }
    Ok(())
}

/// What the command line says of a comparison.
struct Asked<'a> {
    /// Samples; of a manifest's model those of its conversion when there are none.
    samples: &'a [Sample],
    /// When a result counts as equal.
    tolerance: Option<Tolerance>,
    /// The command that judges all samples.
    metric: Option<&'a Metric>,
}

impl Asked<'_> {
    /// Compares a model.
    ///
    /// Errors: those of loading and predicting; there is no sample.
    fn compare(
        &self,
        model: &ModelPackage,
        function: Option<&str>,
        options: &LoadOptions,
    ) -> Result<Report, Failure> {
        let indexed = model.indexed.as_ref();
        let tolerance = self.tolerance.or(indexed.map(|indexed| indexed.tolerance));
        let metric = self.metric.or(indexed.and_then(|indexed| indexed.metric.as_ref()));
        let Some(tolerance) = tolerance.filter(|_| self.samples.is_empty()) else {
            let package = &model.package;
            return Ok(verify_by(package, function, options, self.samples, tolerance, metric)?);
        };
        let mut parts = model.parts()?;
        parts.retain(|part| function.is_none() || part.function.as_deref() == function);
        let report = parts::compare(&parts, options, tolerance, metric)?;
        let none = || format!("{}: its conversion kept no samples: give --samples", model.title);
        Ok(report.ok_or_else(none)?)
    }
}

/// Returns the command that judges all samples.
fn metric(arguments: &Arguments) -> Result<Option<Metric>, Failure> {
    let bound = arguments.at_least.map(Bound::AtLeast).or(arguments.at_most.map(Bound::AtMost));
    let (Some(command), Some(bound)) = (arguments.metric.clone(), bound) else { return Ok(None) };
    Ok(Some(Metric { command, folder: std::env::current_dir()?, bound }))
}

/// The JSON form.
#[derive(Serialize)]
struct Json<'a> {
    /// The package as the user named it.
    path: &'a PathBuf,
    /// The model's name, and behind a slash the function when one was chosen.
    model: &'a str,
    /// What ran it.
    backend: &'a str,
    /// `{"psnr"}` or `{"absolute": {"atol", "rtol"}}`.
    tolerance: Tolerance,
    /// Whether everything passed.
    passed: bool,
    /// One per output of each step, and per state.
    comparisons: Vec<Row<'a>>,
    /// What commands say of all samples together.
    metrics: Vec<MetricRow<'a>>,
    /// The first operation that differs; `null` when all outputs pass, or when no report of the
    /// conversion says what operations give for one of the samples.
    departure: Option<DepartureRow<'a>>,
    /// What was done to the samples.
    remarks: &'a [String],
}

/// The first operation that differs.
#[derive(Serialize)]
struct DepartureRow<'a> {
    /// The sample's file name.
    sample: &'a str,
    /// MIL's name of the operation.
    operation: &'a str,
    /// Name of its value.
    value: &'a str,
    /// `{"module", "file", "line"}`; `null` where the report of the conversion does not say.
    origin: Option<&'a Origin>,
    /// The element that differs most, of those that were compared, and how many the value has.
    element: usize,
    /// How many elements the value has.
    elements: usize,
    /// What the conversion kept. JSON has neither infinity nor NaN: these are `null`.
    expected: f64,
    /// What the backend gives.
    got: f64,
}

/// The result of a command.
#[derive(Serialize)]
struct MetricRow<'a> {
    /// The command.
    command: &'a str,
    /// What its figure must reach: `{"at-least"}` or `{"at-most"}`.
    bound: Bound,
    /// The figure.
    figure: Option<f64>,
    /// The reason why there is no figure.
    problem: Option<&'a str>,
    /// Whether it reaches the bound.
    passed: bool,
}

/// One comparison.
#[derive(Serialize)]
struct Row<'a> {
    /// The sample's file name.
    sample: &'a str,
    /// Number of the step; `null` when there is one alone, and for a final state.
    step: Option<usize>,
    /// `output` or `final_state`.
    role: &'static str,
    /// The feature's name.
    name: &'a str,
    /// Whether it passed.
    passed: bool,
    /// The figures.
    #[serde(flatten)]
    figures: Kind,
}

/// Figures of a tensor or a label.
#[derive(Serialize)]
#[serde(untagged)]
enum Kind {
    /// A tensor. JSON has neither infinity nor NaN: `psnr` is `null` when nothing differs,
    /// `max_relative` when the reference is zero.
    Tensor {
        /// Number of elements.
        elements: usize,
        /// Largest absolute difference.
        max_abs: f64,
        /// The same, relative to the largest absolute value.
        max_relative: f64,
        /// Peak signal-to-noise ratio in decibels.
        psnr: f64,
        /// Rows along the last axis.
        rows: usize,
        /// Rows whose largest element is at the same position.
        rows_agreeing: usize,
        /// Elements that are finite on one side only.
        non_finite: usize,
        /// Elements beyond an absolute tolerance.
        outside: usize,
    },
    /// A label.
    Label {
        /// Position of PyTorch's class.
        expected: usize,
        /// Position of the predicted class.
        got: usize,
    },
}

/// Returns the JSON form.
fn json<'a>(model: &'a ModelPackage, report: &'a Report) -> Json<'a> {
    Json {
        path: &model.source,
        model: &report.model,
        backend: &report.backend,
        tolerance: report.tolerance,
        passed: report.passed(),
        comparisons: report.comparisons.iter().map(row).collect(),
        metrics: report.metrics.iter().map(metric_row).collect(),
        departure: report.departure.as_ref().map(departure),
        remarks: &report.remarks,
    }
}

/// Returns the JSON form of an operation that differs.
fn departure(departure: &Departure) -> DepartureRow<'_> {
    DepartureRow {
        sample: &departure.sample,
        operation: &departure.operation,
        value: &departure.value,
        origin: departure.origin.as_ref(),
        element: departure.position.0,
        elements: departure.position.1,
        expected: departure.expected,
        got: departure.got,
    }
}

/// Returns the JSON form of a command's result.
fn metric_row(measured: &Measured) -> MetricRow<'_> {
    let figure = measured.figure.as_ref();
    MetricRow {
        command: &measured.command,
        bound: measured.bound,
        figure: figure.ok().copied(),
        problem: figure.err().map(String::as_str),
        passed: measured.passed(),
    }
}

/// Returns the JSON form of a comparison.
fn row(comparison: &Comparison) -> Row<'_> {
    let (step, role) = match comparison.stage {
        Stage::Only => (None, "output"),
        Stage::Step(step) => (Some(step), "output"),
        Stage::Final => (None, "final_state"),
    };
    let figures = match comparison.verdict {
        Verdict::Tensor(Figures {
            elements,
            max_abs,
            max_relative,
            psnr,
            rows,
            rows_agreeing,
            non_finite,
            outside,
        }) => Kind::Tensor {
            elements,
            max_abs,
            max_relative,
            psnr,
            rows,
            rows_agreeing,
            non_finite,
            outside,
        },
        Verdict::Label { expected, got } => Kind::Label { expected, got },
    };
    Row {
        sample: &comparison.sample,
        step,
        role,
        name: &comparison.output,
        passed: comparison.passed,
        figures,
    }
}
