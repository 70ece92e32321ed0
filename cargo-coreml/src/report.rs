//! `cargo coreml report`: an HTML report about a model.
//!
//! Owns: the page, and its data. Must not: judge; `coreml-lint` and `coreml_rt::parity` do.
//! Flow: `main.rs` → [`run`] → `models.rs`, [`coreml_lint::lint`], [`coreml_rt::parity::verify`] →
//! `report/page.html`.

mod data;
mod ladder;

use crate::failure::Failure;
use crate::models::{self, Choice};
use crate::{parts, table};
use coreml_lint::lint;
use coreml_rt::LoadOptions;
use coreml_rt::parity::{Sample, Timing, measure, verify};
use coreml_spec::Package;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
The file needs no network and no other file. It shows the graph, a searchable list of operations
with their eligibility for the Neural Engine, padding, the interface and sizes. With samples it
also shows parity with PyTorch and times. A manifest's model has samples from its conversion; its
page also shows the PyTorch module and the Python line of each operation, and the stages, the log
and the versions of the conversion.

Examples:
  cargo coreml report Whisper.mlpackage -o whisper.html
  cargo coreml report Whisper.mlpackage --samples a.safetensors --samples b.safetensors
  cargo coreml report whisper.toml --model encoder -o encoder.html
  cargo coreml quantize digits.toml --json > ladder.json
  cargo coreml report digits.toml --ladder ladder.json

Exit codes:
  0  done, also when a comparison failed: the page shows it
  1  the package cannot be read or run on the samples, or the file cannot be written
  2  the arguments are wrong";

/// The page.
const PAGE: &str = include_str!("report/page.html");
/// Its style sheet.
const STYLE: &str = include_str!("report/page.css");
/// Its program: what draws charts and the graph, then the page itself.
const SCRIPT: &str = concat!(
    include_str!("report/charts.js"),
    include_str!("report/graph.js"),
    include_str!("report/page.js")
);

/// Predictions after the first that are measured.
const RUNS: usize = 5;

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The model.
    #[command(flatten)]
    choice: Choice,
    /// The file to write
    #[arg(short, long, value_name = "FILE.html", default_value = "report.html")]
    output: PathBuf,
    /// Inputs and PyTorch's outputs to compare with; may be repeated
    #[arg(long, value_name = "FILE.safetensors")]
    samples: Vec<PathBuf>,
    /// Also draw the output of `cargo coreml quantize --json`
    #[arg(long, value_name = "FILE.json")]
    ladder: Option<PathBuf>,
}

/// Writes the report.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let found = arguments.choice.one()?;
    let model = found.models.first().ok_or("there is no model")?;
    let package = Package::open(&model.package)?;
    let report = lint(&package, &model.lint_options())?;
    let given =
        arguments.samples.iter().map(|path| Sample::read(path)).collect::<Result<Vec<_>, _>>()?;
    let (parity, timing) = if given.is_empty() { kept(model)? } else { compared(model, &given)? };
    let ladder = arguments.ladder.as_deref().map(ladder::read).transpose()?.unwrap_or_default();
    let (parity, timing) = (parity.as_ref(), timing.as_ref());
    let parts =
        data::Parts { model, package: &package, report: &report, parity, timing, ladder: &ladder };
    let data = data::of(&parts)?;
    let page = page(&serde_json::to_string(&data)?);
    std::fs::write(&arguments.output, &page)
        .map_err(|error| format!("{}: {error}", arguments.output.display()))?;
    let shown = arguments.output.display().to_string();
    writeln!(output, "{}: {}", table::printable(&shown), table::bytes(page.len() as u64))?;
    Ok(())
}

/// What running a model has shown.
type Ran = (Option<coreml_rt::parity::Report>, Option<Timing>);

/// Runs a model on the samples that its conversion kept; of several functions the first that has
/// one is measured.
fn kept(model: &models::ModelPackage) -> Result<Ran, Failure> {
    let Some(indexed) = &model.indexed else { return Ok((None, None)) };
    let (parts, options) = (model.parts()?, LoadOptions::new());
    let parity = parts::compare(&parts, &options, indexed.tolerance, indexed.metric.as_ref())?;
    let measured = parts.iter().find_map(|part| Some((part, part.samples.first()?)));
    let timing = measured.map(|(part, sample)| {
        measure(
            &model.package,
            part.function.as_deref(),
            &options,
            Some(sample),
            RUNS,
            Duration::ZERO,
        )
    });
    Ok((parity, timing.transpose()?))
}

/// Runs a model on the samples of the command line.
fn compared(model: &models::ModelPackage, samples: &[Sample]) -> Result<Ran, Failure> {
    let (tolerance, options) =
        (model.indexed.as_ref().map(|indexed| indexed.tolerance), LoadOptions::new());
    let parity = verify(&model.package, None, &options, samples, tolerance)?;
    let timing = measure(&model.package, None, &options, samples.first(), RUNS, Duration::ZERO)?;
    Ok((Some(parity), Some(timing)))
}

/// Returns the page with its data.
///
/// Parameters: `json` — its strings may contain any text.
fn page(json: &str) -> String {
    // Nothing in a JSON string can end the script element then.
    let json = json.replace('<', "\\u003c");
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + SCRIPT.len() + json.len());
    for (index, part) in PAGE.split("@@").enumerate() {
        page.push_str(match (index % 2, part) {
            (1, "STYLE") => STYLE,
            (1, "SCRIPT") => SCRIPT,
            (1, "DATA") => &json,
            _ => part,
        });
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_leave_its_element() {
        let page = page(r#"{"a":"</script><b>@@STYLE@@"}"#);
        assert!(page.contains(r#"{"a":"\u003c/script>\u003cb>@@STYLE@@"}"#));
        assert_eq!((page.matches("</script>").count(), page.matches("<style>").count()), (2, 1));
        assert!(!page.contains("http://") && !page.contains("https://"));
    }
}
