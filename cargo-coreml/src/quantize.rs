//! `cargo coreml quantize`: compares weight compressions of a model by size and error.
//!
//! Owns: the rungs of the ladder, the table, the plot. Must not: compress or compare; the
//! conversion and `coreml_rt::parity` do.
//! Flow: `main.rs` → here → `variant.rs`; `plot.rs` draws.

use crate::failure::Failure;
use crate::plot;
use crate::table::{Align, bytes, write};
use crate::variant::{BaseModel, Change, Variant, decibels, psnr};
use coreml_rt::LoadOptions;
use coreml_rt::parity::{Report, Verdict};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// Keys of a model that compress weights.
const COMPRESSION: [&str; 3] = ["quantize", "palettize", "prune"];

/// The ladder: name of a rung, and the line that applies it. `MODE` becomes k-means if the manifest
/// depends on scikit-learn, otherwise evenly spaced values.
const RUNGS: [(&str, &str); 9] = [
    ("float16", ""),
    ("int8", r#"quantize = { weights = "int8", per = "channel" }"#),
    ("palette8", r#"palettize = { bits = 8, mode = "MODE" }"#),
    ("palette6", r#"palettize = { bits = 6, mode = "MODE" }"#),
    (
        "sparse50_int8",
        "prune = { target-sparsity = 0.5 }\nquantize = { weights = \"int8\", per = \"channel\" }",
    ),
    ("int4", r#"quantize = { weights = "int4", per = "block", block-size = 32 }"#),
    ("palette4", r#"palettize = { bits = 4, mode = "MODE" }"#),
    ("palette2", r#"palettize = { bits = 2, mode = "MODE" }"#),
    ("palette1", r#"palettize = { bits = 1, mode = "MODE" }"#),
];

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
Converts each rung (or takes it from the cache), compares it with the float32 results of PyTorch on
the samples of the manifest, and prints its size. The manifest is not changed: to apply a rung, add
its line to the model.

--metric runs a command for each rung, with the package's path in COREML_PACKAGE, and shows the
last line that it prints. So you can judge a model by its task (a word error rate, an accuracy)
and not only by its numbers.

Examples:
  cargo coreml quantize digits.toml
  cargo coreml quantize whisper.toml --model encoder --plot ladder.svg
  cargo coreml quantize digits.toml --metric 'python evaluate.py \"$COREML_PACKAGE\"'

Exit codes:
  0  the rungs were compared, whether they passed or not
  1  no rung can be converted
  2  the arguments are wrong";

/// What stands in the place of a recommendation.
const UNPROVEN: &str = "\
No rung is recommended: in PyTorch the outputs hardly differ between the samples, so that the result
of another input would pass, too. Give the inputs a `sample` like real ones or the model its trained
weights, and judge by --metric.";

/// Returns what a ladder from before has, which does not say.
fn yes() -> bool {
    true
}

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The manifest
    manifest: PathBuf,
    /// The model, if the manifest has several
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Also draw size against error
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Run a command for each rung and show the last line that it prints
    #[arg(long, value_name = "COMMAND")]
    metric: Option<String>,
    /// Print the rungs as JSON
    #[arg(long)]
    json: bool,
}

/// A rung that was walked, as `--json` prints it and `cargo coreml report --ladder` reads it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rung {
    /// Its name.
    name: String,
    /// The lines that apply it; empty for no change.
    line: String,
    /// Size of the package in bytes; `null` when it could not be converted.
    bytes: Option<u64>,
    /// Smallest signal-to-noise ratio of an output in decibels; `null` when all are exact.
    psnr: Option<f64>,
    /// Rows in which the largest element is at the same position as in PyTorch's result, in
    /// percent.
    agreement: Option<f64>,
    /// Whether the manifest's own tolerance is met.
    passed: bool,
    /// Whether the samples can tell a right model from one that ignores its input.
    #[serde(default = "yes")]
    proven: bool,
    /// What the metric command printed last.
    metric: Option<String>,
    /// Why the rung could not be walked.
    error: Option<String>,
}

/// Converts and compares every rung.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let model = BaseModel::of(&arguments.manifest, arguments.model.as_deref())?;
    let mode = if model.depends_on("scikit-learn") { "kmeans" } else { "uniform" };
    let change = |(name, line): &(&str, &str)| Change {
        name: (*name).to_owned(),
        without: COMPRESSION.to_vec(),
        line: line.replace("MODE", mode),
    };
    let changes: Vec<Change> = RUNGS.iter().map(change).collect();
    let variants = model.convert(&changes)?;
    let mut rungs = Vec::new();
    for (((name, _), change), variant) in RUNGS.iter().zip(changes).zip(variants) {
        rungs.push(walk(name, change.line, variant, arguments.metric.as_deref())?);
    }
    if let Some(path) = &arguments.plot {
        let points =
            rungs.iter().filter_map(|rung| Some((rung.name.as_str(), rung.bytes?, rung.psnr?)));
        plot::size_against_error(path, model.name(), &points.collect::<Vec<_>>())?;
    }
    if arguments.json {
        serde_json::to_writer_pretty(&mut *output, &rungs).map_err(std::io::Error::from)?;
        writeln!(output)?;
    } else {
        print(model.name(), &rungs, output)?;
    }
    match rungs.iter().find_map(|rung| rung.error.as_deref()) {
        Some(error) if rungs.iter().all(|rung| rung.bytes.is_none()) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Compares a rung with PyTorch.
fn walk(
    name: &str,
    line: String,
    variant: Result<Variant, String>,
    metric: Option<&str>,
) -> Result<Rung, Failure> {
    let mut rung = Rung {
        name: name.to_owned(),
        line,
        bytes: None,
        psnr: None,
        agreement: None,
        passed: false,
        proven: true,
        metric: None,
        error: None,
    };
    let variant = match variant {
        Ok(variant) => variant,
        Err(error) => return Ok(Rung { error: Some(error), ..rung }),
    };
    rung.bytes = Some(variant.size);
    match variant.verify(&LoadOptions::new()) {
        Ok(report) => {
            rung.psnr = Some(psnr(&report)).filter(|psnr| psnr.is_finite());
            rung.agreement = Some(agreement(&report));
            rung.passed = report.passed();
            rung.proven = report.proves_something();
        }
        Err(error) => rung.error = Some(error.to_string()),
    }
    rung.metric = metric.map(|metric| measure(metric, &variant)).transpose()?;
    Ok(rung)
}

/// Returns the rows of all outputs in which the largest element is at the same position as in the
/// reference, in percent.
fn agreement(report: &Report) -> f64 {
    let (mut agreeing, mut all) = (0, 0);
    for comparison in &report.comparisons {
        match comparison.verdict {
            Verdict::Tensor(figures) => {
                agreeing += figures.rows_agreeing;
                all += figures.rows;
            }
            Verdict::Label { expected, got } => {
                agreeing += usize::from(expected == got);
                all += 1;
            }
        }
    }
    100.0 * agreeing as f64 / all.max(1) as f64
}

/// Runs the metric command, and returns the last line that it prints.
fn measure(command: &str, variant: &Variant) -> Result<String, Failure> {
    let ran =
        Command::new("sh").args(["-c", command]).env("COREML_PACKAGE", &variant.package).output();
    let ran = ran.map_err(|error| format!("the metric command cannot be started: {error}"))?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        return Err(format!("the metric command failed ({}): {}", ran.status, said.trim()).into());
    }
    let said = String::from_utf8_lossy(&ran.stdout);
    Ok(said.lines().last().unwrap_or_default().trim().to_owned())
}

/// Prints the rungs as a table.
fn print(model: &str, rungs: &[Rung], output: &mut impl Write) -> Result<(), Failure> {
    let whole = rungs.iter().find_map(|rung| rung.bytes);
    let mut rows =
        vec![["rung", "size", "", "PSNR", "same argmax", "parity"].map(str::to_owned).to_vec()];
    let with_metric = rungs.iter().any(|rung| rung.metric.is_some());
    if with_metric {
        rows[0].push("metric".to_owned());
    }
    for rung in rungs {
        let mut row = vec![rung.name.clone()];
        match (rung.bytes, whole) {
            (Some(size), Some(whole)) => {
                row.extend([bytes(size), format!("{:.0} %", 100.0 * size as f64 / whole as f64)]);
            }
            _ => row.extend(["—".to_owned(), String::new()]),
        }
        match rung.agreement {
            Some(agreement) => row.extend([
                decibels(rung.psnr.unwrap_or(f64::INFINITY)),
                format!("{agreement:.1} %"),
                if rung.passed { "ok" } else { "FAIL" }.to_owned(),
            ]),
            None => row.extend(["—", "—", "—"].map(str::to_owned)),
        }
        row.extend(rung.metric.clone());
        rows.push(row);
    }
    writeln!(output, "{model}, against PyTorch in float32\n")?;
    let (left, right) = (Align::Left, Align::Right);
    write(output, &[left, right, right, right, right, left, right], &rows)?;
    let best = rungs.iter().filter(|rung| rung.passed).min_by_key(|rung| rung.bytes);
    // The uncompressed rung has the references of the manifest's samples.
    let proven = rungs.iter().all(|rung| rung.proven);
    match best {
        _ if !proven => writeln!(output, "\n{UNPROVEN}")?,
        Some(rung) if rung.line.is_empty() => {
            writeln!(output, "\nNo compressed rung meets the manifest's `parity`.")?
        }
        Some(rung) => {
            let lines = rung.line.replace('\n', "\n  ");
            writeln!(
                output,
                "\n\
                 The smallest rung that meets the manifest's `parity`; add to the model:\n  \
                 {lines}"
            )?;
        }
        None => writeln!(
            output,
            "\nNo rung meets the manifest's `parity`: see `cargo coreml precision`."
        )?,
    }
    for rung in rungs {
        if let Some(error) = &rung.error {
            writeln!(output, "\n{}: {}", rung.name, error.lines().next().unwrap_or_default())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what is printed of two rungs that pass.
    fn printed(proven: bool) -> String {
        let rung = |name: &str, line: &str, size| Rung {
            name: name.to_owned(),
            line: line.to_owned(),
            bytes: Some(size),
            psnr: None,
            agreement: Some(100.0),
            passed: true,
            proven,
            metric: None,
            error: None,
        };
        let rungs = [
            rung("float16", "", 4_000_000),
            rung("palette2", "palettize = { bits = 2, mode = \"uniform\" }", 600_000),
        ];
        let mut output = Vec::new();
        print("net", &rungs, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn nothing_is_recommended_where_parity_proves_nothing() {
        let told = printed(true);
        assert!(told.contains("add to the model:\n  palettize = { bits = 2"), "{told}");
        let told = printed(false);
        assert!(told.contains("No rung is recommended: in PyTorch the outputs hardly"), "{told}");
        assert!(!told.contains("smallest rung") && told.contains("palette2"), "{told}");
    }
}
