//! `cargo coreml bench`: how long a model takes to load and to predict on this machine.
//!
//! Owns: the table and the JSON form. Must not: run models; `coreml_rt::parity::measure` does.
//! Flow: `main.rs` → [`run`] → `models.rs` → [`coreml_rt::parity::measure`].

use crate::failure::Failure;
use crate::models::Choice;
use crate::parts::Part;
use crate::table::{self, Align, printable};
use crate::verify::positive;
use coreml_rt::parity::{Sample, Timing, measure};
use coreml_rt::{ComputeUnits, Engine, LoadOptions};
use serde::Serialize;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
Core ML predicts on Apple's systems, the portable backend elsewhere: the figures of one say nothing
about the other. The first prediction is reported on its own, because it may still prepare
something. Without samples, the inputs are generated in their default sizes.

Examples:
  cargo coreml bench Whisper.mlpackage
  cargo coreml bench whisper.toml --seconds 10
  cargo coreml bench whisper.toml --model encoder
  cargo coreml bench Whisper.mlpackage --samples steps.safetensors --function decoder
  cargo coreml bench Whisper.mlpackage --engine onnxruntime --threads 1 --json

Exit codes:
  0  done
  1  a model cannot be loaded or run, or a sample does not fit it
  2  the arguments are wrong";

/// Fewest predictions behind a figure.
const FEWEST: usize = 10;

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The models.
    #[command(flatten)]
    choice: Choice,
    /// Inputs: a safetensors file as for `cargo coreml verify`; default for a manifest's models:
    /// the samples of their conversion
    #[arg(long, value_name = "FILE.safetensors")]
    samples: Option<PathBuf>,
    /// The engine of the portable backend; default: COREML_ENGINE, or rten
    #[arg(long, value_name = "ENGINE", value_parser = crate::verify::engine())]
    engine: Option<Engine>,
    /// The compute units that Core ML may use; default: those of the manifest, or all
    #[arg(long, value_name = "UNITS", value_parser = units)]
    compute_units: Option<ComputeUnits>,
    /// Run this function of a multifunction package instead of its default
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Number of threads of the engine; by default the engine chooses
    #[arg(long, value_name = "COUNT")]
    threads: Option<NonZeroUsize>,
    /// Predict for this long, and at least ten times
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = positive)]
    seconds: f64,
    /// Print everything as JSON: [{"model", "backend", "inputs", "load", "first", "least",
    /// "median", "p95", "predictions"}], in seconds
    #[arg(long)]
    json: bool,
}

/// Figures of one model; times are in seconds.
#[derive(Serialize)]
struct Figures {
    /// What the model is called.
    model: String,
    /// What ran it.
    backend: String,
    /// Where its inputs came from.
    inputs: String,
    /// Loading.
    load: f64,
    /// The first prediction.
    first: f64,
    /// The shortest of the others.
    least: f64,
    /// Half of the others were not longer.
    median: f64,
    /// 95 of a hundred others were not longer.
    p95: f64,
    /// How many others there were.
    predictions: usize,
}

/// Measures.
///
/// Errors: a model cannot be loaded or run, or a sample does not fit it.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let found = arguments.choice.all()?;
    let given = arguments.samples.as_deref().map(Sample::read).transpose()?;
    let time = Duration::try_from_secs_f64(arguments.seconds)?;
    let mut all = Vec::new();
    for model in &found.models {
        // For a manifest's model: the samples of the default function, or of the chosen one.
        let parts = if given.is_none() { model.parts()? } else { Vec::new() };
        let asked = arguments.function.as_deref();
        let default =
            model.indexed.as_ref().map(|indexed| indexed.interface.default_function.as_str());
        let several =
            model.indexed.as_ref().is_some_and(|indexed| indexed.interface.functions.len() > 1);
        let wanted = |part: &&Part| match part.function.as_deref() {
            Some(function) => Some(function) == asked.or(default),
            // Samples of buckets fit all of them together, and no function by itself.
            None => asked.is_none() || !several,
        };
        let kept = parts.iter().find(wanted).and_then(|part| part.samples.first());
        let sample = given.as_ref().or(kept);
        let indexed = model.indexed.as_ref().map(|indexed| indexed.compute_units);
        let options = options(arguments, indexed);
        let timing = measure(&model.package, asked, &options, sample, FEWEST, time)?;
        all.push(figures(&model.title, sample, &timing));
    }
    if arguments.json {
        serde_json::to_writer_pretty(&mut *output, &all).map_err(std::io::Error::from)?;
        writeln!(output)?;
        return Ok(());
    }
    for figures in &all {
        text(figures, output)?;
    }
    Ok(())
}

/// Returns how to load.
///
/// Parameters: `indexed` — the compute units that the manifest asks for.
fn options(arguments: &Arguments, indexed: Option<ComputeUnits>) -> LoadOptions {
    let mut options = LoadOptions::new();
    if let Some(engine) = arguments.engine {
        options = options.engine(engine);
    }
    if let Some(threads) = arguments.threads {
        options = options.threads(threads.get());
    }
    if let Some(units) = arguments.compute_units.or(indexed) {
        options = options.compute_units(units);
    }
    options
}

/// Makes the figures of a model.
fn figures(title: &str, sample: Option<&Sample>, timing: &Timing) -> Figures {
    let quantile = |part| timing.quantile(part).as_secs_f64();
    Figures {
        model: title.to_owned(),
        backend: timing.backend.clone(),
        inputs: sample.map_or("generated, in their default sizes", Sample::name).to_owned(),
        load: timing.load.as_secs_f64(),
        first: timing.first.as_secs_f64(),
        least: quantile(0.0),
        median: quantile(0.5),
        p95: quantile(0.95),
        predictions: timing.predictions.len(),
    }
}

/// Writes the text form.
fn text(figures: &Figures, output: &mut impl Write) -> std::io::Result<()> {
    writeln!(
        output,
        "{} on {}, inputs: {}",
        printable(&figures.model),
        figures.backend,
        printable(&figures.inputs)
    )?;
    let row = |what: &str, seconds: f64| vec![what.to_owned(), table::seconds(seconds)];
    let rows = [
        row("load", figures.load),
        row("first prediction", figures.first),
        row("least", figures.least),
        row("median", figures.median),
        row("95 of 100", figures.p95),
    ];
    table::write(output, &[Align::Left, Align::Right], &rows)?;
    writeln!(output, "  {} predictions after the first", figures.predictions)
}

/// Reads compute units as a manifest writes them.
fn units(text: &str) -> Result<ComputeUnits, String> {
    match text {
        "all" => Ok(ComputeUnits::All),
        "cpu-only" => Ok(ComputeUnits::CpuOnly),
        "cpu-and-gpu" => Ok(ComputeUnits::CpuAndGpu),
        "cpu-and-ne" => Ok(ComputeUnits::CpuAndNeuralEngine),
        _ => Err("it must be all, cpu-only, cpu-and-gpu or cpu-and-ne".to_owned()),
    }
}
