//! A metric for a manifest's `parity.metric`: it reads the outputs of a model, and prints one
//! figure.
//!
//! Owns: the command line, and reading the comparison. Must not: compute a metric: `lib.rs` does.
//! Flow: `coreml_rt::parity` writes `COREML_COMPARISON` and runs this → the figure of the worst
//! sample.

use clap::{Parser, ValueEnum};
use safetensors::{Dtype, SafeTensors};
use speech_metrics::{MetricError, mcd, pesq, psnr, stoi};
use std::error::Error;
use std::path::PathBuf;

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
Each sample is judged by itself, and the figure of the worst one is printed. Samples that are too
short to be judged are left out; if none is left, the command fails.

Example, in a manifest:
  parity = { psnr = 0.0, metric = \"speech-metrics mcd samples\", at-most = 0.2 }

In this repository the command is `cargo run --quiet --release -p speech-metrics -- mcd samples`.";

/// Judges an output of a model, a sound of 16 kHz, by PyTorch's.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    /// What is computed
    #[arg(value_enum)]
    metric: Metric,
    /// The output's name
    output: String,
    /// The model's outputs and the expected ones; default: the file in COREML_COMPARISON
    #[arg(long, value_name = "FILE.safetensors")]
    comparison: Option<PathBuf>,
}

/// What is computed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Metric {
    /// Mel cepstral distortion in decibels; less is better.
    Mcd,
    /// Short-time objective intelligibility; 1 is the best.
    Stoi,
    /// Wideband PESQ; 4.6 is the best.
    Pesq,
    /// Peak signal-to-noise ratio in decibels; more is better.
    Psnr,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let path =
        arguments.comparison.or_else(|| std::env::var_os("COREML_COMPARISON").map(PathBuf::from));
    let path = path.ok_or("name a file by --comparison, or in COREML_COMPARISON")?;
    let shown = path.display();
    let bytes = std::fs::read(&path).map_err(|error| format!("{shown}: {error}"))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| format!("{shown}: {error}"))?;
    let ending = format!("/expected/{}", arguments.output);
    let mut worst: Option<f64> = None;
    for place in file.names().into_iter().filter_map(|name| name.strip_suffix(&ending)) {
        let expected = signal(&file, &format!("{place}{ending}"))?;
        let got = signal(&file, &format!("{place}/got/{}", arguments.output))?;
        let figure = match arguments.metric {
            Metric::Mcd => mcd(&expected, &got),
            Metric::Stoi => stoi(&expected, &got),
            Metric::Pesq => pesq(&expected, &got).map(f64::from),
            Metric::Psnr => psnr(&expected, &got),
        };
        let figure = match figure {
            Err(MetricError::TooShort { .. }) => continue,
            figure => figure?,
        };
        let worse = |worst: f64| {
            if matches!(arguments.metric, Metric::Mcd) { figure > worst } else { figure < worst }
        };
        if worst.is_none_or(worse) {
            worst = Some(figure);
        }
    }
    let Some(worst) = worst else {
        return Err(format!(
            "no sample has the output `{}`, long enough to be judged",
            arguments.output
        )
        .into());
    };
    println!("{worst}");
    Ok(())
}

/// Returns a tensor's numbers.
fn signal(file: &SafeTensors<'_>, key: &str) -> Result<Vec<f32>, Box<dyn Error>> {
    let tensor = file.tensor(key)?;
    if tensor.dtype() != Dtype::F64 {
        return Err(format!("`{key}` is {:?}, and F64 is expected", tensor.dtype()).into());
    }
    Ok(tensor.data().as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect())
}
