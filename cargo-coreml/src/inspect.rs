//! `cargo coreml inspect`: the content of a model package.
//!
//! Owns: the text and the JSON form of the answer. Must not: read packages itself; `coreml-spec`
//! does.
//! Flow: `main.rs` → [`run`] → `models.rs` → [`Package::interface`], [`Package::summary`] →
//! `table.rs`.

use crate::failure::Failure;
use crate::models::{Choice, ModelPackage};
use crate::table::{self, Align};
use coreml_spec::{
    Buckets, DataType, Function, Interface, Labels, Package, Summary, Symbol, Weights,
    deployment_target,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
Examples:
  cargo coreml inspect Whisper.mlpackage
  cargo coreml inspect Whisper.mlpackage --function decoder
  cargo coreml inspect Whisper.mlpackage --all
  cargo coreml inspect whisper.toml --model encoder
  cargo coreml inspect Whisper.mlpackage --json |
    jq '.layers[] | select(.data_type == \"float32\") | .name'

Exit codes:
  0  done
  1  the package cannot be read, or has no such function; a model of the manifest is not converted
  2  the arguments are wrong";

/// Most tensors of weight files that the text shows; --all shows them all.
const LAYERS_SHOWN: usize = 10;

/// Most class labels that the text shows; `--json` prints all.
const LABELS_SHOWN: usize = 8;

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The models.
    #[command(flatten)]
    choice: Choice,
    /// Print everything as JSON: {"path", "interface", "summary", "layers"}; for a manifest a list
    /// of these, with "model"
    #[arg(long)]
    json: bool,
    /// Show only this function of a multifunction package
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Show every tensor of the weight files, not only the largest
    #[arg(long)]
    all: bool,
}

/// The JSON form.
#[derive(Serialize)]
struct Report {
    /// The package or the manifest as the user named it.
    path: PathBuf,
    /// The manifest's name for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// What goes in and out.
    interface: Interface,
    /// What it is made of.
    summary: Summary,
    /// The tensors in weight files, the largest first.
    layers: Vec<Layer>,
}

/// A tensor in a weight file.
#[derive(Serialize)]
struct Layer {
    /// Its name.
    name: String,
    /// MIL's name of the operation that takes it.
    operation: String,
    /// Element type.
    data_type: DataType,
    /// Shape, in elements.
    shape: Vec<usize>,
    /// Size, in bytes.
    bytes: usize,
    /// The functions that use it.
    functions: Vec<String>,
}

/// Returns the tensors of the weight files, the largest first.
///
/// Parameters: `function` — take those of this function alone.
fn layers(package: &Package, function: Option<&str>) -> Result<Vec<Layer>, Failure> {
    let mut weights = package.weights()?;
    weights.retain(|weight| function.is_none_or(|name| weight.functions.contains(&name)));
    let mut layers: Vec<Layer> = weights
        .into_iter()
        .map(|weight| Layer {
            name: weight.name,
            operation: weight.operation.to_owned(),
            data_type: weight.constant.data_type,
            bytes: weight.constant.bytes.len(),
            shape: weight.constant.dims,
            functions: weight.functions.into_iter().map(str::to_owned).collect(),
        })
        .collect();
    layers.sort_by_key(|layer| std::cmp::Reverse(layer.bytes));
    Ok(layers)
}

/// Shows packages.
///
/// Errors: a package cannot be read, or has no such function.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let found = arguments.choice.all()?;
    let reports = found.models.iter().map(|model| report(model, arguments.function.as_deref()));
    let reports = reports.collect::<Result<Vec<_>, _>>()?;
    if arguments.json {
        match &reports[..] {
            [report] if !arguments.choice.is_manifest() => {
                serde_json::to_writer_pretty(&mut *output, report)
            }
            _ => serde_json::to_writer_pretty(&mut *output, &reports),
        }
        .map_err(std::io::Error::from)?;
        writeln!(output)?;
        return Ok(());
    }
    for (number, (model, report)) in found.models.iter().zip(&reports).enumerate() {
        if number > 0 {
            writeln!(output)?;
        }
        writeln!(output, "{}", table::printable(&model.title))?;
        text(report, arguments.all, output)?;
    }
    Ok(())
}

/// Reads a package.
///
/// Parameters: `function` — show this one alone.
fn report(model: &ModelPackage, function: Option<&str>) -> Result<Report, Failure> {
    let package = Package::open(&model.package)?;
    let (mut interface, mut summary) = (package.interface()?, package.summary()?);
    if let Some(name) = function {
        let names: Vec<&str> =
            interface.functions.iter().map(|function| function.name.as_str()).collect();
        let unknown = || {
            let (title, names) = (&model.title, names.join(", "));
            format!("{title}: there is no function {name:?}; give --function one of: {names}")
        };
        summary = summary.of_function(name).ok_or_else(unknown)?;
        interface.functions.retain(|function| function.name == *name);
    }
    let layers = layers(&package, function)?;
    let name = model.indexed.as_ref().map(|indexed| indexed.name.clone());
    Ok(Report { path: model.source.clone(), model: name, interface, summary, layers })
}

/// Writes the text form.
fn text(report: &Report, all: bool, output: &mut impl Write) -> std::io::Result<()> {
    let Report { interface, summary, layers, .. } = report;
    let version = summary.specification_version;
    let target =
        deployment_target(version).map(|target| format!(" ({target})")).unwrap_or_default();
    let size: u64 = summary.files.iter().map(|(_, size)| size).sum();
    let specification = format!("version {version}{target}");
    let size = table::bytes(size);
    let buckets = interface.buckets.as_ref().map_or_else(String::new, Buckets::to_string);
    let facts = [
        ("specification", specification.as_str()),
        ("size", &size),
        ("description", &summary.description),
        ("version", &summary.version),
        ("author", &summary.author),
        ("license", &summary.license),
        ("buckets", &buckets),
    ];
    let shown = |key: &str| key == Buckets::METADATA_KEY || key.starts_with(Symbol::METADATA_KEY);
    let others = summary.metadata.iter().filter(|(key, _)| !shown(key));
    let metadata = others.map(|(key, value)| (key.as_str(), value.as_str()));
    let rows = facts.into_iter().filter(|(_, value)| !value.is_empty()).chain(metadata);
    let rows: Vec<Vec<String>> =
        rows.map(|(key, value)| vec![key.to_owned(), value.to_owned()]).collect();
    table::write(output, &[Align::Left; 2], &rows)?;
    for function in &interface.functions {
        let is_default =
            interface.functions.len() > 1 && function.name == interface.default_function;
        self::function(function, is_default, summary, output)?;
    }
    writeln!(output, "\nWeights{}", if summary.weights.is_empty() { ": none" } else { "" })?;
    table::write(
        output,
        &[Align::Left, Align::Right, Align::Right, Align::Right],
        &weight_rows(&summary.weights),
    )?;
    let shown = if all { layers.len() } else { LAYERS_SHOWN };
    if !layers.is_empty() {
        writeln!(
            output,
            "\n{}",
            if layers.len() > shown { "Largest weights" } else { "Weights by name" }
        )?;
    }
    let rows = layers.iter().take(shown).map(|layer| {
        let size = table::bytes(layer.bytes as u64);
        vec![
            layer.name.clone(),
            layer.operation.clone(),
            format!("{} {:?}", layer.data_type, layer.shape),
            size,
        ]
    });
    table::write(
        output,
        &[Align::Left, Align::Left, Align::Left, Align::Right],
        &rows.collect::<Vec<_>>(),
    )?;
    if layers.len() > shown {
        writeln!(output, "  … and {} more (--all shows them)", layers.len() - shown)?;
    }
    writeln!(output, "\nFiles")?;
    let rows: Vec<Vec<String>> =
        summary.files.iter().map(|(name, size)| vec![name.clone(), table::bytes(*size)]).collect();
    table::write(output, &[Align::Left, Align::Right], &rows)
}

/// Writes what goes in and out of a function, and what it does.
fn function(
    function: &Function,
    is_default: bool,
    summary: &Summary,
    output: &mut impl Write,
) -> std::io::Result<()> {
    let parts = summary.functions.get(&function.name);
    let opset = parts.map(|parts| format!(", opset {}", parts.opset)).unwrap_or_default();
    let default = if is_default { ", the default" } else { "" };
    let heading = format!("Function {}{default}{opset}", function.name);
    writeln!(output, "\n{}", table::printable(&heading))?;
    let mut rows = Vec::new();
    let roles =
        [("input", &function.inputs), ("state", &function.states), ("output", &function.outputs)];
    for (role, features) in roles {
        for feature in features {
            let default = feature
                .default
                .map(|value| format!(", optional, default {value}"))
                .unwrap_or_default();
            rows.push(vec![
                role.to_owned(),
                feature.name.clone(),
                format!("{}{default}", feature.kind),
                feature.description.clone(),
            ]);
        }
    }
    table::write(output, &[Align::Left; 4], &rows)?;
    for symbol in &function.symbols {
        writeln!(output, "  equal sizes: {}", table::printable(&symbol.to_string()))?;
    }
    if let Some(classifier) = &function.classifier {
        writeln!(output, "  classes: {}", table::printable(&labels(&classifier.labels)))?;
    }
    let Some(parts) = parts else { return Ok(()) };
    let total: usize = parts.operations.values().sum();
    writeln!(output, "\nOperations of {}: {total}", table::printable(&function.name))?;
    let mut operations: Vec<(&String, &usize)> = parts.operations.iter().collect();
    // The most frequent first, equal ones by name.
    operations.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
    let rows: Vec<Vec<String>> =
        operations.into_iter().map(|(name, count)| vec![count.to_string(), name.clone()]).collect();
    table::write(output, &[Align::Right, Align::Left], &rows)
}

/// Returns the number of classes and the first of them.
fn labels(labels: &Labels) -> String {
    let first: Vec<String> = match labels {
        Labels::Strings(labels) => labels.iter().take(LABELS_SHOWN).cloned().collect(),
        Labels::Int64s(labels) => {
            labels.iter().take(LABELS_SHOWN).map(ToString::to_string).collect()
        }
    };
    let more = if labels.len() > LABELS_SHOWN { ", …" } else { "" };
    format!("{} ({}{more})", labels.len(), first.join(", "))
}

/// Returns the table of weights with its heading, or nothing.
fn weight_rows(weights: &BTreeMap<DataType, Weights>) -> Vec<Vec<String>> {
    let heading = ["type", "tensors", "elements", "size"].map(str::to_owned).to_vec();
    let rows = weights.iter().map(|(data_type, weights)| {
        vec![
            data_type.to_string(),
            weights.tensors.to_string(),
            weights.elements.to_string(),
            table::bytes(weights.bytes as u64),
        ]
    });
    if weights.is_empty() { Vec::new() } else { std::iter::once(heading).chain(rows).collect() }
}
