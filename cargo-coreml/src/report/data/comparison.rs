//! The comparison with PyTorch on a report's page.
//!
//! Owns: which samples count as the worst, and the names that `charts.js` reads. Must not: judge;
//! `coreml_rt::parity` does.
//! Flow: `data.rs` → [`of`].

use coreml_rt::Tolerance;
use coreml_rt::parity::{Comparison, Errors, Measured, Report, Stage, Verdict};
use serde::Serialize;

/// Most samples that are shown as the worst of an output.
const WORST_SHOWN: usize = 5;

/// The comparison with PyTorch.
#[derive(Serialize)]
pub(super) struct Parity<'a> {
    /// What ran the model.
    backend: &'a str,
    /// When a result counts as equal.
    tolerance: String,
    /// One per output of each sample.
    rows: Vec<Row<'a>>,
    /// One per output: all samples together.
    outputs: Vec<Output<'a>>,
    /// What commands say of all samples together.
    metrics: Vec<Metric<'a>>,
    /// The first operation that differs, where an output fails.
    departure: Option<String>,
    /// What was done to the samples.
    remarks: &'a [String],
}

/// The result of a command.
#[derive(Serialize)]
struct Metric<'a> {
    /// The command.
    command: &'a str,
    /// Its figure, or the reason why there is none.
    figure: String,
    /// What it must reach.
    bound: String,
    /// Whether it does.
    passed: bool,
}

/// One comparison.
#[derive(Serialize)]
struct Row<'a> {
    /// The sample.
    sample: &'a str,
    /// The output, with its step.
    output: String,
    /// Whether it is close enough.
    passed: bool,
    /// Largest difference, the same relative, PSNR.
    figures: [String; 3],
}

/// An output over all samples.
#[derive(Serialize)]
struct Output<'a> {
    /// Its name.
    name: &'a str,
    /// Elements that do not differ.
    equal: usize,
    /// Elements by the size of their difference.
    bins: Vec<Bin>,
    /// The samples that are farthest from PyTorch, the worst first.
    worst: Vec<Worst<'a>>,
}

/// A bar of a histogram.
#[derive(Serialize)]
struct Bin {
    /// The smallest difference in it.
    from: f64,
    /// How many elements.
    count: usize,
}

/// A sample that is far from PyTorch.
#[derive(Serialize)]
struct Worst<'a> {
    /// Its name, with the step.
    sample: String,
    /// Signal-to-noise ratio.
    psnr: String,
    /// Largest difference.
    difference: String,
    /// Place of the element that differs most.
    at: &'a [usize],
    /// PyTorch's value.
    expected: String,
    /// The model's value.
    got: String,
    /// Whether the sample passes.
    passed: bool,
}

/// Returns the comparison with PyTorch.
pub(super) fn of(report: &Report) -> Parity<'_> {
    let tolerance = match report.tolerance {
        Tolerance::Psnr(decibels) => format!("a PSNR of {decibels} dB is close enough"),
        Tolerance::Absolute { atol, rtol } => {
            format!("{atol:e} + {rtol:e} × |reference| is close enough")
        }
    };
    let mut names: Vec<&str> = Vec::new();
    for comparison in report.comparisons.iter().filter(|comparison| comparison.errors.is_some()) {
        if !names.contains(&comparison.output.as_str()) {
            names.push(&comparison.output);
        }
    }
    Parity {
        backend: &report.backend,
        tolerance,
        rows: report.comparisons.iter().map(row).collect(),
        outputs: names.into_iter().map(|name| output(report, name)).collect(),
        metrics: report.metrics.iter().map(metric).collect(),
        departure: report.departure.as_ref().map(ToString::to_string),
        remarks: &report.remarks,
    }
}

/// Returns the result of a command.
fn metric(measured: &Measured) -> Metric<'_> {
    let figure = measured.figure.as_ref().map_or_else(Clone::clone, f64::to_string);
    Metric {
        command: &measured.command,
        figure,
        bound: measured.bound.to_string(),
        passed: measured.passed(),
    }
}

/// Returns one comparison.
fn row(comparison: &Comparison) -> Row<'_> {
    Row {
        sample: &comparison.sample,
        output: match comparison.stage {
            Stage::Only => comparison.output.clone(),
            Stage::Step(step) => format!("{} of step {step}", comparison.output),
            Stage::Final => format!("{}, at the end", comparison.output),
        },
        passed: comparison.passed,
        figures: match &comparison.verdict {
            Verdict::Tensor(figures) => [
                format!("{:.2e}", figures.max_abs),
                format!("{:.2e}", figures.max_relative),
                format!("{:.1} dB", figures.psnr),
            ],
            Verdict::Label { expected, got } => {
                [format!("class {got}, PyTorch's is {expected}"), String::new(), String::new()]
            }
        },
    }
}

/// Puts the samples of an output together.
fn output<'a>(report: &'a Report, name: &'a str) -> Output<'a> {
    let (mut equal, mut bins, mut samples) = (0, Vec::new(), Vec::new());
    for comparison in report.comparisons.iter().filter(|comparison| comparison.output == name) {
        let (Some(errors), Verdict::Tensor(figures)) = (&comparison.errors, &comparison.verdict)
        else {
            continue;
        };
        equal += errors.equal;
        bins.resize(errors.bins.len(), 0);
        bins.iter_mut().zip(&errors.bins).for_each(|(sum, count)| *sum += count);
        if let Some(worst) = &errors.worst {
            // What is not finite on one side only is worse than any ratio.
            let psnr = if figures.non_finite > 0 { f64::NEG_INFINITY } else { figures.psnr };
            samples.push((psnr, comparison, figures.max_abs, worst));
        }
    }
    samples.sort_by(|one, other| one.0.total_cmp(&other.0));
    let worst =
        samples.into_iter().take(WORST_SHOWN).map(|(psnr, comparison, max_abs, worst)| Worst {
            sample: comparison.place(),
            psnr: if psnr.is_finite() { format!("{psnr:.1} dB") } else { "not finite".to_owned() },
            difference: format!("{max_abs:.2e}"),
            at: &worst.at,
            expected: format!("{:.6}", worst.expected),
            got: format!("{:.6}", worst.got),
            passed: comparison.passed,
        });
    let bins = bins
        .into_iter()
        .enumerate()
        .map(|(bin, count)| Bin { from: Errors::lower_bound(bin), count });
    Output { name, equal, bins: bins.collect(), worst: worst.collect() }
}
