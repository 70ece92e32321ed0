//! `cargo coreml lint`: what may keep a model off the Neural Engine.
//!
//! Owns: the text form of the answer, and when findings fail the command. Must not: hold a rule;
//! `coreml-lint` does.
//! Flow: `main.rs` → [`run`] → `models.rs` → [`coreml_lint::lint`].

use crate::failure::Failure;
use crate::models::{self, ModelPackage};
use crate::style::Style;
use crate::table::{self, Align};
use clap::builder::PossibleValuesParser;
use coreml_lint::{Finding, RULES, Report, Severity, lint, sarif};
use coreml_spec::Package;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
An operation is eligible for the Neural Engine if no rule excludes it. Only a profile on a device
shows whether Core ML places it there. The padding is an upper bound.

Examples:
  cargo coreml lint Whisper.mlpackage
  cargo coreml lint whisper.toml --deny warn --allow ANE030,ANE070
  cargo coreml lint whisper.toml --model encoder
  cargo coreml lint Whisper.mlpackage --json | jq '.[].findings[] | select(.rule == \"ANE002\")'
  cargo coreml lint whisper.toml --sarif > lint.sarif
  cargo coreml lint --rules

Exit codes:
  0  done
  1  a package cannot be read, a model of the manifest is not converted, or --deny forbids a finding
  2  the arguments are wrong";

/// Most places of one rule that the text shows, the worst first.
const PLACES_SHOWN: usize = 3;

/// Most tensors in the text's table of padding.
const TENSORS_SHOWN: usize = 5;

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A model package (a folder NAME.mlpackage), or a manifest (NAME.toml) whose models are in the
    /// cache
    #[arg(value_name = "MODEL.mlpackage|MANIFEST.toml", required_unless_present = "rules")]
    model: Option<PathBuf>,
    /// One model of the manifest, if it has several
    #[arg(id = "name", long = "model", value_name = "NAME", conflicts_with = "rules")]
    name: Option<String>,
    /// Fail on findings of this severity or a higher one
    #[arg(long, value_name = "SEVERITY")]
    deny: Option<Denied>,
    /// Ignore these rules, in addition to those in the manifest's `allow`
    #[arg(
        long,
        value_name = "RULE,…",
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(identifiers()),
        hide_possible_values = true
    )]
    allow: Vec<String>,
    /// Show every location, not only the three worst of each rule, and more of the padding
    #[arg(long)]
    all: bool,
    /// Print everything as JSON: [{"model", "findings", "operations", "eligible", "padding",
    /// "bytes", "padded"}]
    #[arg(long, conflicts_with = "sarif")]
    json: bool,
    /// Print the findings as SARIF 2.1.0, for code hosts and editors
    #[arg(long)]
    sarif: bool,
    /// List the rules instead
    #[arg(long, conflicts_with_all = ["model", "sarif", "deny"])]
    rules: bool,
}

/// What `--deny` takes.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Denied {
    /// Errors and warnings.
    Warn,
    /// Errors.
    Error,
}

/// The JSON form of one model.
#[derive(Serialize)]
struct Json<'a> {
    /// What the model is called.
    model: &'a str,
    /// What was found.
    #[serde(flatten)]
    report: &'a Report,
}

/// Returns the identifiers of all rules.
fn identifiers() -> Vec<&'static str> {
    RULES.iter().map(|rule| rule.id).collect()
}

/// Applies the rules.
///
/// Errors: a package cannot be read; `--deny` forbids a finding, after everything was printed.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let Some(path) = &arguments.model else { return rules(arguments.json, output) };
    let found = models::named(path, arguments.name.as_deref())?;
    let mut checked: Vec<(&ModelPackage, Report)> = Vec::new();
    for model in &found.models {
        let mut options = model.lint_options();
        options.allow.extend(arguments.allow.iter().cloned());
        if let Some(unknown) = options.allow.iter().find(|id| coreml_lint::rule(id).is_none()) {
            let title = &model.title;
            return Err(format!(
                "{title}: `allow` contains {unknown}, which is not a rule; `--rules` lists them"
            )
            .into());
        }
        checked.push((model, lint(&Package::open(&model.package)?, &options)?));
    }
    if arguments.json {
        let json: Vec<Json<'_>> =
            checked.iter().map(|(model, report)| Json { model: &model.title, report }).collect();
        serde_json::to_writer_pretty(&mut *output, &json).map_err(std::io::Error::from)?;
        writeln!(output)?;
    } else if arguments.sarif {
        let path = |model: &ModelPackage| model.source.to_string_lossy().into_owned();
        let checked: Vec<(String, &Report)> =
            checked.iter().map(|(model, report)| (path(model), report)).collect();
        serde_json::to_writer_pretty(&mut *output, &sarif(&checked))
            .map_err(std::io::Error::from)?;
        writeln!(output)?;
    } else {
        for (model, report) in &checked {
            text(&model.title, report, arguments.all, output)?;
        }
    }
    let least = match arguments.deny {
        None => return Ok(()),
        Some(Denied::Warn) => Severity::Warn,
        Some(Denied::Error) => Severity::Error,
    };
    let findings = checked.iter().flat_map(|(_, report)| &report.findings);
    match findings.filter(|finding| finding.severity >= least).count() {
        0 => Ok(()),
        count => {
            Err(format!("{count} findings of severity {} or higher (--deny)", least.name()).into())
        }
    }
}

/// Writes the list of rules.
fn rules(json: bool, output: &mut impl Write) -> Result<(), Failure> {
    if json {
        serde_json::to_writer_pretty(&mut *output, RULES).map_err(std::io::Error::from)?;
        writeln!(output)?;
        return Ok(());
    }
    for rule in RULES {
        writeln!(output, "{} {}: {}", rule.id, rule.severity.name(), rule.title)?;
        writeln!(output, "  advice: {}", rule.advice)?;
        writeln!(output, "  source: {}", rule.grade.text())?;
    }
    Ok(())
}

/// Writes the text form.
fn text(title: &str, report: &Report, all: bool, output: &mut impl Write) -> std::io::Result<()> {
    writeln!(output, "{}", table::printable(title))?;
    for findings in report.findings.chunk_by(together) {
        let Some(Finding { rule, severity, advice, .. }) = findings.first() else { continue };
        let style = match severity {
            Severity::Error => Style::Error,
            Severity::Warn => Style::Warn,
            Severity::Info => Style::Info,
        };
        let heading = style.paint(&format!("{} {}", severity.name(), rule.id));
        let count = match findings.len() {
            1 => String::new(),
            count => format!(" ({count} places)"),
        };
        writeln!(output, "\n{heading}: {}{count}", rule.title)?;
        let shown = if all { findings.len() } else { PLACES_SHOWN };
        for finding in findings.iter().take(shown) {
            writeln!(output, "  {}", table::printable(&line(finding)))?;
        }
        if findings.len() > shown {
            writeln!(output, "  … and {} more (--all shows them)", findings.len() - shown)?;
        }
        writeln!(output, "  advice: {advice}")?;
        writeln!(output, "  source: {}", rule.grade.text())?;
    }
    if !report.padding.is_empty() {
        writeln!(output, "\nTensors that padding enlarges most (upper bounds)")?;
        let heading = ["tensor", "type", "size", "padded", "times"].map(str::to_owned).to_vec();
        let most = if all { report.padding.len() } else { TENSORS_SHOWN };
        let rows = report.padding.iter().take(most).map(|padding| {
            vec![
                padding.name.clone(),
                format!("{} {:?}", padding.data_type, padding.shape),
                table::bytes(padding.bytes),
                table::bytes(padding.padded),
                format!("{:.1}", padding.growth()),
            ]
        });
        let rows: Vec<Vec<String>> = std::iter::once(heading).chain(rows).collect();
        table::write(
            output,
            &[Align::Left, Align::Left, Align::Right, Align::Right, Align::Right],
            &rows,
        )?;
    }
    let count = |severity| report.count(severity);
    writeln!(
        output,
        "\n\
         {} errors, {} warnings, {} remarks; {} of {} operations are eligible for the Neural \
         Engine. Only a device shows whether Core ML places them there.",
        count(Severity::Error),
        count(Severity::Warn),
        count(Severity::Info),
        report.eligible,
        report.operations
    )?;
    let (bytes, padded) = (table::bytes(report.bytes), table::bytes(report.padded));
    writeln!(output, "Tensors between operations: {bytes}, with padding at most {padded}.")
}

/// Returns whether two findings stand under one heading.
fn together(one: &Finding, other: &Finding) -> bool {
    (one.rule.id, one.severity, one.advice) == (other.rule.id, other.severity, other.advice)
}

/// Returns where something was found, and what.
fn line(finding: &Finding) -> String {
    let place = &finding.place;
    let mut line = String::new();
    if !place.function.is_empty() {
        line.push_str(&place.function);
        line.push_str(": ");
    }
    if !place.name.is_empty() {
        line.push_str(&place.name);
        if !place.operation.is_empty() {
            line.push_str(&format!(" ({})", place.operation));
        }
        line.push_str(": ");
    }
    line.push_str(&finding.detail);
    if !place.weight.is_empty() {
        line.push_str(&format!("; weight {}", place.weight));
    }
    // Of the outermost module where no line is known, there is nothing to say.
    if let Some(origin) =
        place.origin.as_ref().map(ToString::to_string).filter(|origin| !origin.is_empty())
    {
        line.push_str(&format!("; from {origin}"));
    }
    line
}
