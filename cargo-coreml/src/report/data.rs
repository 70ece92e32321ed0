//! What the page of a report is made of.
//!
//! Owns: the names that `page.js` reads. Must not: make HTML.
//! Flow: `report.rs` → [`of`] → JSON inside the page.

use crate::Failure;
use coreml_lint::{Finding, Padding, RULES, Report};
use coreml_rt::Tolerance;
use coreml_rt::parity::{self, Comparison, Stage, Verdict};
use coreml_spec::proto::{BindingKind, NamedValueType, Operation, ValueType};
use coreml_spec::{Buckets, Package, Symbol, deployment_target};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// All of it.
#[derive(Serialize)]
pub(super) struct Data<'a> {
    /// What the model is called.
    title: &'a str,
    /// Names with values.
    facts: Vec<[String; 2]>,
    /// Function, role, name, kind.
    interface: Vec<[String; 4]>,
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
}

/// An operation.
#[derive(Serialize)]
struct Row<'a> {
    /// The function.
    function: &'a str,
    /// MIL's name.
    kind: &'a str,
    /// Name of the first output.
    name: &'a str,
    /// Parameter, name and type of each argument; the name is empty for a constant in place.
    inputs: Vec<(&'a str, &'a str, String)>,
    /// Name and type of each result.
    outputs: Vec<[String; 2]>,
    /// Whether no rule keeps it off the Neural Engine.
    eligible: bool,
    /// The rules that found something.
    rules: Vec<&'a str>,
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

/// The comparison with PyTorch.
#[derive(Serialize)]
struct Parity<'a> {
    /// What ran the model.
    backend: &'a str,
    /// When a result counts as equal.
    tolerance: String,
    /// One per output.
    rows: Vec<ParityRow<'a>>,
}

/// One comparison.
#[derive(Serialize)]
struct ParityRow<'a> {
    /// The sample.
    sample: &'a str,
    /// The output, with its step.
    output: String,
    /// Whether it is close enough.
    passed: bool,
    /// Largest difference, the same relative, PSNR.
    figures: [String; 3],
}

/// Collects it.
///
/// Errors: as [`Package::interface`] and [`Package::weights`].
pub(super) fn of<'a>(
    title: &'a str,
    package: &'a Package,
    report: &'a Report,
    parity: Option<&'a parity::Report>,
) -> Result<Data<'a>, Failure> {
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
    let found: HashSet<&str> = report.findings.iter().map(|finding| finding.rule.id).collect();
    let rules = RULES.iter().filter(|rule| found.contains(rule.id)).map(|rule| {
        let source = rule.grade.text();
        (rule.id, RuleText { severity: rule.severity.name(), title: rule.title, advice: rule.advice, source })
    });
    Ok(Data {
        title,
        facts: facts(package)?,
        interface: interface(package)?,
        operations: operations(package, report)?,
        eligible: report.eligible,
        findings: &report.findings,
        rules: rules.collect(),
        padding: &report.padding,
        bytes: report.bytes,
        padded: report.padded,
        weights,
        parity: parity.map(of_parity),
    })
}

/// Returns versions, sizes and metadata.
fn facts(package: &Package) -> Result<Vec<[String; 2]>, Failure> {
    let model = package.model();
    let version = model.specification_version;
    let target = deployment_target(version).map(|target| format!(" ({target})")).unwrap_or_default();
    let mut facts = vec![["specification".to_owned(), format!("version {version}{target}")]];
    for (name, function) in &package.program()?.functions {
        facts.push([format!("opset of {name}"), function.opset.clone()]);
    }
    for (name, size) in package.files()? {
        facts.push([name, format!("{size} bytes")]);
    }
    let interface = package.interface()?;
    if let Some(buckets) = interface.buckets {
        facts.push(["buckets".to_owned(), buckets.to_string()]);
    }
    for function in &interface.functions {
        let sizes =
            function.symbols.iter().map(|symbol| [format!("equal sizes of {}", function.name), symbol.to_string()]);
        facts.extend(sizes);
    }
    if let Some(metadata) = model.description.as_ref().and_then(|description| description.metadata.as_ref()) {
        let named = [
            ("description", &metadata.short_description),
            ("version", &metadata.version_string),
            ("author", &metadata.author),
            ("license", &metadata.license),
        ];
        let named = named.into_iter().filter(|(_, value)| !value.is_empty());
        facts.extend(named.map(|(name, value)| [name.to_owned(), value.clone()]));
        let shown = |name: &str| name == Buckets::METADATA_KEY || name.starts_with(Symbol::METADATA_KEY);
        let others = metadata.user_defined.iter().filter(|(name, _)| !shown(name));
        facts.extend(others.map(|(name, value)| [name.clone(), value.clone()]));
    }
    facts.push(["made by".to_owned(), format!("cargo-coreml {}", env!("CARGO_PKG_VERSION"))]);
    Ok(facts)
}

/// Returns what goes in and out.
fn interface(package: &Package) -> Result<Vec<[String; 4]>, Failure> {
    let mut rows = Vec::new();
    for function in package.interface()?.functions {
        let roles = [("input", function.inputs), ("state", function.states), ("output", function.outputs)];
        for (role, features) in roles {
            for feature in features {
                rows.push([function.name.clone(), role.to_owned(), feature.name, feature.kind.to_string()]);
            }
        }
    }
    Ok(rows)
}

/// Returns every operation that computes something, in the order of `report`.
fn operations<'a>(package: &'a Package, report: &'a Report) -> Result<Vec<Row<'a>>, Failure> {
    let mut rules: HashMap<(&str, &str), Vec<&str>> = HashMap::new();
    for finding in report.findings.iter().filter(|finding| !finding.place.operation.is_empty()) {
        rules.entry((&finding.place.function, &finding.place.name)).or_default().push(finding.rule.id);
    }
    let mut rows = Vec::new();
    for (function, body) in &package.program()?.functions {
        let Some(block) = body.block() else { continue };
        let mut types = HashMap::new();
        let mut named = |values: &'a [NamedValueType]| {
            types.extend(values.iter().filter_map(|value| Some((value.name.as_str(), value.r#type.as_ref()?))));
        };
        named(&body.inputs);
        block.visit(&mut |operation| {
            named(&operation.outputs);
            operation.blocks.iter().for_each(|block| named(&block.inputs));
        });
        block.visit(&mut |operation| {
            let kind = operation.r#type.as_str();
            if kind == "const" || kind.starts_with("constexpr_") {
                return;
            }
            let name = operation.outputs.first().map(|output| output.name.as_str()).unwrap_or_default();
            let rules = rules.get(&(function.as_str(), name)).cloned().unwrap_or_default();
            // `lint` has gone through the same operations in the same order.
            let eligible = report.verdicts.get(rows.len()).is_some_and(|verdict| verdict.eligible);
            let outputs = operation.outputs.iter();
            let outputs = outputs.map(|output| [output.name.clone(), notation(output.r#type.as_ref())]).collect();
            rows.push(Row { function, kind, name, inputs: inputs(operation, &types), outputs, eligible, rules });
        });
    }
    Ok(rows)
}

/// Returns the arguments of an operation.
///
/// Parameters: `types` — of each name in the function.
fn inputs<'a>(operation: &'a Operation, types: &HashMap<&str, &'a ValueType>) -> Vec<(&'a str, &'a str, String)> {
    let mut inputs = Vec::new();
    for (parameter, argument) in &operation.inputs {
        for binding in &argument.arguments {
            match &binding.kind {
                Some(BindingKind::Name(name)) => {
                    inputs.push((parameter.as_str(), name.as_str(), notation(types.get(name.as_str()).copied())));
                }
                Some(BindingKind::Value(value)) => {
                    inputs.push((parameter, "", format!("{}, in place", notation(value.r#type.as_ref()))));
                }
                None => {}
            }
        }
    }
    inputs
}

/// Returns a type as people read it.
fn notation(kind: Option<&ValueType>) -> String {
    let Some(tensor) = kind.and_then(ValueType::tensor) else { return "no tensor".to_owned() };
    let element = tensor.element_type().map_or("?", coreml_spec::DataType::name);
    let dim = |dim: Option<usize>| dim.map_or_else(|| "?".to_owned(), |size| size.to_string());
    let dims = tensor.dims().map(|dims| dims.into_iter().map(dim).collect::<Vec<_>>().join(", "));
    format!("{element} [{}]", dims.as_deref().unwrap_or("…"))
}

/// Returns the comparison with PyTorch.
fn of_parity(report: &parity::Report) -> Parity<'_> {
    let tolerance = match report.tolerance {
        Tolerance::Psnr(decibels) => format!("a PSNR of {decibels} dB is close enough"),
        Tolerance::Absolute { atol, rtol } => format!("{atol:e} + {rtol:e} × |reference| is close enough"),
    };
    let row = |comparison: &'_ Comparison| match comparison.stage {
        Stage::Only => comparison.output.clone(),
        Stage::Step(step) => format!("{} of step {step}", comparison.output),
        Stage::Final => format!("{}, at the end", comparison.output),
    };
    let rows = report.comparisons.iter().map(|comparison| ParityRow {
        sample: &comparison.sample,
        output: row(comparison),
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
    });
    Parity { backend: &report.backend, tolerance, rows: rows.collect() }
}
