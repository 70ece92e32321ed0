//! The data of a report's page.
//!
//! Owns: the names that `page.js` reads. Must not: make HTML.
//! Flow: `report.rs` → [`of`] → JSON inside the page.

mod comparison;
mod operations;

use crate::failure::Failure;
use crate::models::ModelPackage;
use crate::quantize::Rung;
use comparison::Parity;
use coreml_lint::{Finding, Padding, Report};
use coreml_rt::parity::{self, Timing};
use coreml_spec::{Buckets, Package, Symbol, deployment_target};
use operations::{Ends, Row};
use serde::Serialize;
use std::collections::BTreeMap;

/// All of it.
#[derive(Serialize)]
pub(super) struct Data<'a> {
    /// What the model is called.
    title: &'a str,
    /// Names with values.
    facts: Vec<[String; 2]>,
    /// Function, role, name, kind.
    interface: Vec<[String; 4]>,
    /// What goes in and out of each function's graph.
    functions: Vec<Ends<'a>>,
    /// Every operation that computes something.
    operations: Vec<Row<'a>>,
    /// How many of them are eligible.
    eligible: usize,
    /// What the rules found.
    findings: &'a [Finding],
    /// The rules that found something, by identifier.
    rules: BTreeMap<&'a str, RuleText<'a>>,
    /// The table of padding.
    padding: &'a [Padding],
    /// Bytes of all tensors between operations.
    bytes: u64,
    /// The same with padding.
    padded: u64,
    /// The tensors in weight files, the largest first.
    weights: Vec<WeightRow>,
    /// The comparison with PyTorch.
    parity: Option<Parity<'a>>,
    /// The rungs of weight compression, if given.
    ladder: &'a [Rung],
    /// What the files weigh: name, bytes.
    files: Vec<(String, u64)>,
    /// How long predictions take here: what, seconds.
    times: Vec<(String, f64)>,
    /// How long the stages of the conversion took, the longest first: stage, seconds.
    stages: Vec<(&'a str, f64)>,
    /// What the conversion did and warned of: what, text.
    conversion: Vec<[String; 2]>,
    /// What Python said.
    log: &'a str,
    /// What converted the model and what made the page: what, version.
    environment: Vec<[String; 2]>,
}

/// A rule, for people.
#[derive(Serialize)]
struct RuleText<'a> {
    /// `warn`.
    severity: &'a str,
    /// What is found.
    title: &'a str,
    /// What to do.
    advice: &'a str,
    /// How well it is known.
    source: &'a str,
}

/// A tensor in a weight file.
#[derive(Serialize)]
struct WeightRow {
    /// Its name.
    name: String,
    /// MIL's name of the operation that takes it.
    operation: String,
    /// Element type.
    data_type: &'static str,
    /// Shape, in elements.
    shape: Vec<usize>,
    /// Size, in bytes.
    bytes: usize,
}

/// What the page is made of.
pub(super) struct Parts<'a> {
    /// The model.
    pub(super) model: &'a ModelPackage,
    /// Its package.
    pub(super) package: &'a Package,
    /// What the rules say.
    pub(super) report: &'a Report,
    /// The comparison with PyTorch.
    pub(super) parity: Option<&'a parity::Report>,
    /// How long it takes here.
    pub(super) timing: Option<&'a Timing>,
    /// The rungs of weight compression.
    pub(super) ladder: &'a [Rung],
}

/// Collects it.
///
/// Errors: as [`Package::interface`] and [`Package::weights`].
pub(super) fn of<'a>(parts: &Parts<'a>) -> Result<Data<'a>, Failure> {
    let Parts { model, package, report, parity, timing, ladder } = *parts;
    let conversion = &model.conversion;
    let mut stages: Vec<_> =
        conversion.seconds.iter().map(|(stage, time)| (stage.as_str(), *time)).collect();
    stages.sort_by(|one, other| other.1.total_cmp(&one.1));
    let mut weights: Vec<WeightRow> = package
        .weights()?
        .into_iter()
        .map(|weight| WeightRow {
            name: weight.name,
            operation: weight.operation.to_owned(),
            data_type: weight.constant.data_type.name(),
            bytes: weight.constant.bytes.len(),
            shape: weight.constant.dims,
        })
        .collect();
    weights.sort_by_key(|weight| std::cmp::Reverse(weight.bytes));
    let mut rules = BTreeMap::new();
    for finding in &report.findings {
        // The gravest finding of a rule comes first.
        rules.entry(finding.rule.id).or_insert_with(|| RuleText {
            severity: finding.severity.name(),
            title: finding.rule.title,
            advice: finding.advice,
            source: finding.rule.grade.text(),
        });
    }
    Ok(Data {
        title: &model.title,
        facts: facts(package)?,
        interface: interface(package)?,
        functions: operations::functions(package)?,
        operations: operations::operations(package, report, &conversion.origins)?,
        eligible: report.eligible,
        findings: &report.findings,
        rules,
        padding: &report.padding,
        bytes: report.bytes,
        padded: report.padded,
        weights,
        parity: parity.map(comparison::of),
        ladder,
        files: package.files()?,
        times: timing.map(times).unwrap_or_default(),
        stages,
        conversion: steps(conversion),
        log: log_end(&model.log),
        environment: environment(model, parity),
    })
}

/// Returns versions, sizes and metadata.
fn facts(package: &Package) -> Result<Vec<[String; 2]>, Failure> {
    let model = package.model();
    let version = model.specification_version;
    let target =
        deployment_target(version).map(|target| format!(" ({target})")).unwrap_or_default();
    let mut facts = vec![["specification".to_owned(), format!("version {version}{target}")]];
    for (name, function) in &package.program()?.functions {
        facts.push([format!("opset of {name}"), function.opset.clone()]);
    }
    let interface = package.interface()?;
    if let Some(buckets) = interface.buckets {
        facts.push(["buckets".to_owned(), buckets.to_string()]);
    }
    for function in &interface.functions {
        let sizes = function
            .symbols
            .iter()
            .map(|symbol| [format!("equal sizes of {}", function.name), symbol.to_string()]);
        facts.extend(sizes);
    }
    if let Some(metadata) =
        model.description.as_ref().and_then(|description| description.metadata.as_ref())
    {
        let named = [
            ("description", &metadata.short_description),
            ("version", &metadata.version_string),
            ("author", &metadata.author),
            ("license", &metadata.license),
        ];
        let named = named.into_iter().filter(|(_, value)| !value.is_empty());
        facts.extend(named.map(|(name, value)| [name.to_owned(), value.clone()]));
        let shown =
            |name: &str| name == Buckets::METADATA_KEY || name.starts_with(Symbol::METADATA_KEY);
        let others = metadata.user_defined.iter().filter(|(name, _)| !shown(name));
        facts.extend(others.map(|(name, value)| [name.clone(), value.clone()]));
    }
    Ok(facts)
}

/// Returns what goes in and out.
fn interface(package: &Package) -> Result<Vec<[String; 4]>, Failure> {
    let mut rows = Vec::new();
    for function in package.interface()?.functions {
        let roles =
            [("input", function.inputs), ("state", function.states), ("output", function.outputs)];
        for (role, features) in roles {
            for feature in features {
                rows.push([
                    function.name.clone(),
                    role.to_owned(),
                    feature.name,
                    feature.kind.to_string(),
                ]);
            }
        }
    }
    Ok(rows)
}

/// Most bytes of the log that a page has, from its end.
const LOG_SHOWN: usize = 200_000;

/// Returns the end of a log.
fn log_end(log: &str) -> &str {
    let start = log.len().saturating_sub(LOG_SHOWN);
    let start = (start..log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(log.len());
    log.get(start..).unwrap_or_default()
}

/// Returns how long a model takes here.
fn times(timing: &Timing) -> Vec<(String, f64)> {
    let seconds = |what: &str, time: std::time::Duration| (what.to_owned(), time.as_secs_f64());
    vec![
        seconds("loading", timing.load),
        seconds("first prediction", timing.first),
        seconds("prediction, median", timing.quantile(0.5)),
        seconds("prediction, least", timing.quantile(0.0)),
    ]
}

/// Returns what the conversion did and warned of.
fn steps(conversion: &coreml_spec::ConversionReport) -> Vec<[String; 2]> {
    let text =
        |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut steps = Vec::new();
    let said = |(_, value): &(&String, &serde_json::Value)| {
        value.as_array().is_none_or(|list| !list.is_empty())
    };
    for (key, value) in conversion.capture.as_object().into_iter().flatten().filter(said) {
        steps.push([format!("capture, {key}"), text(value)]);
    }
    steps.extend(
        conversion.rewrites.iter().map(|(key, value)| [format!("rewrite, {key}"), text(value)]),
    );
    let compressed = conversion.compressed_weights.iter();
    steps.extend(
        compressed.map(|(kind, count)| [format!("compressed weights, {kind}"), count.to_string()]),
    );
    steps.extend(conversion.warnings.iter().map(|warning| ["warning".to_owned(), warning.clone()]));
    steps
}

/// Returns what converted the model, and what made the page.
fn environment(model: &ModelPackage, parity: Option<&parity::Report>) -> Vec<[String; 2]> {
    let versions = model.conversion.versions.iter();
    let mut rows: Vec<_> = versions
        .map(|(name, version)| [format!("converted with {name}"), version.clone()])
        .collect();
    rows.extend(
        model
            .indexed
            .iter()
            .map(|indexed| ["digest of the package".to_owned(), indexed.digest.clone()]),
    );
    rows.extend(parity.map(|parity| ["compared on".to_owned(), parity.backend.clone()]));
    let system = format!("{}, {}", std::env::consts::OS, std::env::consts::ARCH);
    rows.push(["page made on".to_owned(), system]);
    rows.push(["page made by".to_owned(), format!("cargo-coreml {}", env!("CARGO_PKG_VERSION"))]);
    rows
}
