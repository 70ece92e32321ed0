//! The operations of a model on a report's page, and their connections.
//!
//! Owns: the names of an operation that `page.js` and `graph.js` read. Must not: judge;
//! `coreml-lint` does.
//! Flow: `data.rs` → [`operations`], [`functions`].

use crate::failure::Failure;
use coreml_lint::Report;
use coreml_spec::proto::{BindingKind, NamedValueType, Operation, Value, ValueType};
use coreml_spec::{DataType, Package};
use serde::Serialize;
use std::collections::HashMap;

/// Most elements of a constant that are shown.
const ELEMENTS_SHOWN: usize = 8;

/// Most letters of a text constant that are shown.
const LETTERS_SHOWN: usize = 60;

/// An operation.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    /// The function.
    function: &'a str,
    /// MIL's name.
    kind: &'a str,
    /// Name of the first output.
    name: &'a str,
    /// Path of the PyTorch module that it comes from; empty for the outermost one, and when it is
    /// unknown.
    module: &'a str,
    /// The line of Python that it comes from, `net.py:12`; empty when it is unknown.
    line: String,
    /// Parameter, name and type or value of each argument; the name is empty for a constant in
    /// place.
    inputs: Vec<(&'a str, &'a str, String)>,
    /// Name and type of each result.
    outputs: Vec<[String; 2]>,
    /// Whether no rule keeps it off the Neural Engine.
    eligible: bool,
    /// The rules that found something.
    rules: Vec<&'a str>,
}

/// What goes in and out of a function's graph.
#[derive(Serialize)]
pub(super) struct Ends<'a> {
    /// The function.
    name: &'a str,
    /// Names of its inputs and states.
    inputs: Vec<&'a str>,
    /// Names of its outputs.
    outputs: Vec<&'a str>,
}

/// Returns what goes in and out of each function's graph.
pub(super) fn functions(package: &Package) -> Result<Vec<Ends<'_>>, Failure> {
    let functions = package.program()?.functions.iter();
    let ends = functions.filter_map(|(name, function)| {
        let outputs = function.block()?.outputs.iter().map(String::as_str).collect();
        Some(Ends {
            name,
            inputs: function.inputs.iter().map(|input| input.name.as_str()).collect(),
            outputs,
        })
    });
    Ok(ends.collect())
}

/// Returns every operation that computes something, in the order of `report`.
pub(super) fn operations<'a>(
    package: &'a Package,
    report: &'a Report,
    origins: &'a coreml_spec::Origins,
) -> Result<Vec<Row<'a>>, Failure> {
    let mut rules: HashMap<(&str, &str), Vec<&str>> = HashMap::new();
    for finding in report.findings.iter().filter(|finding| !finding.place.operation.is_empty()) {
        rules
            .entry((&finding.place.function, &finding.place.name))
            .or_default()
            .push(finding.rule.id);
    }
    let mut rows = Vec::new();
    for (function, body) in &package.program()?.functions {
        let Some(block) = body.block() else { continue };
        let mut values = Values { package, types: HashMap::new(), constants: HashMap::new() };
        values.name(&body.inputs);
        block.visit(&mut |operation| {
            values.name(&operation.outputs);
            operation.blocks.iter().for_each(|block| values.name(&block.inputs));
            if let Some((output, value)) =
                operation.outputs.first().zip(operation.attributes.get("val"))
            {
                values.constants.insert(output.name.as_str(), value);
            }
        });
        let origins = origins.get(function);
        block.visit(&mut |operation| {
            let kind = operation.r#type.as_str();
            if kind == "const" || kind.starts_with("constexpr_") {
                return;
            }
            let name =
                operation.outputs.first().map(|output| output.name.as_str()).unwrap_or_default();
            let origin = origins.and_then(|origins| origins.get(name));
            let outputs = operation.outputs.iter();
            rows.push(Row {
                function,
                kind,
                name,
                module: origin.map(|origin| origin.module.as_str()).unwrap_or_default(),
                line: origin.and_then(coreml_spec::Origin::place).unwrap_or_default(),
                inputs: values.inputs(operation),
                outputs: outputs
                    .map(|output| [output.name.clone(), notation(output.r#type.as_ref())])
                    .collect(),
                // `lint` has gone through the same operations in the same order.
                eligible: report.verdicts.get(rows.len()).is_some_and(|verdict| verdict.eligible),
                rules: rules.get(&(function.as_str(), name)).cloned().unwrap_or_default(),
            });
        });
    }
    Ok(rows)
}

/// The values that the names of a function refer to.
struct Values<'a> {
    /// The package.
    package: &'a Package,
    /// Types of all values.
    types: HashMap<&'a str, &'a ValueType>,
    /// Values of the constants.
    constants: HashMap<&'a str, &'a Value>,
}

impl<'a> Values<'a> {
    /// Takes the types of values.
    fn name(&mut self, values: &'a [NamedValueType]) {
        self.types.extend(
            values.iter().filter_map(|value| Some((value.name.as_str(), value.r#type.as_ref()?))),
        );
    }

    /// Returns the arguments of an operation.
    fn inputs(&self, operation: &'a Operation) -> Vec<(&'a str, &'a str, String)> {
        let mut inputs = Vec::new();
        for (parameter, argument) in &operation.inputs {
            for binding in &argument.arguments {
                match &binding.kind {
                    Some(BindingKind::Name(name)) => {
                        let kind = notation(self.types.get(name.as_str()).copied());
                        let value =
                            self.constants.get(name.as_str()).and_then(|value| self.shown(value));
                        let text =
                            value.map_or_else(|| kind.clone(), |value| format!("{kind} = {value}"));
                        inputs.push((parameter.as_str(), name.as_str(), text));
                    }
                    Some(BindingKind::Value(value)) => {
                        let kind = notation(value.r#type.as_ref());
                        let shown = self.shown(value).unwrap_or_else(|| "in place".to_owned());
                        inputs.push((parameter, "", format!("{kind} = {shown}")));
                    }
                    None => {}
                }
            }
        }
        inputs
    }

    /// Returns the elements of a small constant as text; `None` for a large or unreadable one,
    /// which the page leaves out.
    fn shown(&self, value: &'a Value) -> Option<String> {
        let constant = self
            .package
            .constant(value)
            .ok()
            .filter(|constant| constant.len() <= ELEMENTS_SHOWN)?;
        let elements: Vec<String> = match constant.data_type {
            DataType::String => constant
                .strings
                .iter()
                .map(|text| text.chars().take(LETTERS_SHOWN).collect())
                .collect(),
            DataType::Bool => constant.bytes.iter().map(|byte| (*byte != 0).to_string()).collect(),
            _ => match constant.to_i64s() {
                Some(integers) => integers.iter().map(ToString::to_string).collect(),
                None => constant.to_f32s()?.iter().map(ToString::to_string).collect(),
            },
        };
        Some(if constant.dims.is_empty() {
            elements.concat()
        } else {
            format!("[{}]", elements.join(", "))
        })
    }
}

/// Returns a type as people read it.
fn notation(kind: Option<&ValueType>) -> String {
    let Some(tensor) = kind.and_then(ValueType::tensor) else { return "no tensor".to_owned() };
    let element = tensor.element_type().map_or("?", DataType::name);
    let dim = |dim: Option<usize>| dim.map_or_else(|| "?".to_owned(), |size| size.to_string());
    let dims = tensor.dims().map(|dims| dims.into_iter().map(dim).collect::<Vec<_>>().join(", "));
    format!("{element} [{}]", dims.as_deref().unwrap_or("…"))
}
