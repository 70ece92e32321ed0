//! What differs between two packages.
//!
//! Owns: what counts as the same: features by role and name, operations by their output's name,
//! weights by name and then by their bytes. Must not: print; judge numbers.
//! Flow: `cargo coreml diff` → [`difference`] → `weight.rs`.

mod weights;

use crate::proto::{BindingKind, Operation, Value, ValueKind};
use crate::{Error, Interface, Package};
use serde::Serialize;
use std::collections::BTreeMap;
use weights::Weights;

/// The operation of a constant, and the attribute that holds it.
const CONSTANT: &str = "const";
/// See [`CONSTANT`].
const VALUE: &str = "val";

/// Most elements of a constant that are shown.
const ELEMENTS_SHOWN: usize = 6;

/// What differs between two packages; empty lists when nothing does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Inputs, outputs, states, labels, versions.
    pub interface: Vec<Change>,
    /// Numbers of operations of each name, and operations that stayed with other arguments or
    /// results.
    pub operations: Vec<Change>,
    /// Tensors in weight files.
    pub weights: Vec<Change>,
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What: `main/input x`.
    pub what: String,
    /// What it was; `None` when it was not there.
    pub before: Option<String>,
    /// What it is; `None` when it is gone.
    pub after: Option<String>,
}

impl Difference {
    /// Returns whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.interface.is_empty() && self.operations.is_empty() && self.weights.is_empty()
    }
}

/// Compares two packages.
///
/// Called by: `cargo coreml diff`.
/// Errors: as [`Package::interface`] and [`Package::weights`]. All weights of both are read, a
/// piece at a time.
pub fn difference(before: &Package, after: &Package) -> Result<Difference, Error> {
    let mut interface = interface_difference(&before.interface()?, &after.interface()?);
    interface.extend(changes(&opsets(before)?, &opsets(after)?));
    Ok(Difference {
        interface,
        operations: operations(before, after)?,
        weights: Weights::of(before, after).changes(&before.weights()?, &after.weights()?)?,
    })
}

/// Compares what goes in and out of two models.
///
/// Called by: `cargo coreml diff`, for models that only a lock describes.
pub fn interface_difference(before: &Interface, after: &Interface) -> Vec<Change> {
    changes(&features(before), &features(after))
}

/// Returns what differs between two tables.
fn changes(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (what, was) in before {
        if after.get(what) != Some(was) {
            changes.push(Change {
                what: what.clone(),
                before: Some(was.clone()),
                after: after.get(what).cloned(),
            });
        }
    }
    let new = after.iter().filter(|(what, _)| !before.contains_key(*what));
    changes.extend(new.map(|(what, is)| Change {
        what: what.clone(),
        before: None,
        after: Some(is.clone()),
    }));
    changes
}

/// Returns what goes in and out, by name.
fn features(interface: &Interface) -> BTreeMap<String, String> {
    let mut features = BTreeMap::new();
    features
        .insert("specification version".to_owned(), interface.specification_version.to_string());
    features.insert("default function".to_owned(), interface.default_function.clone());
    for function in &interface.functions {
        let name = &function.name;
        let roles = [
            ("input", &function.inputs),
            ("output", &function.outputs),
            ("state", &function.states),
        ];
        for (role, list) in roles {
            for feature in list {
                let default = feature
                    .default
                    .map(|value| format!(", {value} if left out"))
                    .unwrap_or_default();
                features.insert(
                    format!("{name}/{role} {}", feature.name),
                    format!("{}{default}", feature.kind),
                );
            }
        }
        for symbol in &function.symbols {
            let Some(first) = symbol.inputs.first() else { continue };
            features.insert(format!("{name}/sizes equal to {first}"), symbol.to_string());
        }
        if let Some(classifier) = &function.classifier {
            features.insert(format!("{name}/labels"), format!("{:?}", classifier.labels));
        }
    }
    if let Some(buckets) = &interface.buckets {
        features.insert("buckets".to_owned(), buckets.to_string());
    }
    features
}

/// Returns the opset of each function.
fn opsets(package: &Package) -> Result<BTreeMap<String, String>, Error> {
    let functions = package.program()?.functions.iter();
    Ok(functions
        .map(|(name, function)| (format!("{name}/opset"), function.opset.clone()))
        .collect())
}

/// The operations of a package: their numbers by function and kind, and each by function and name.
type Operations<'a> = (BTreeMap<String, usize>, BTreeMap<String, &'a Operation>);

/// Lists the operations of a package.
fn listed(package: &Package) -> Result<Operations<'_>, Error> {
    let (mut counts, mut named) = (BTreeMap::new(), BTreeMap::new());
    for (name, function) in &package.program()?.functions {
        let Some(block) = function.block() else { continue };
        block.visit(&mut |operation| {
            *counts.entry(format!("{name}/{}", operation.r#type)).or_insert(0) += 1;
            if let Some(output) = operation.outputs.first() {
                named.insert(format!("{name}/{}", output.name), operation);
            }
        });
    }
    Ok((counts, named))
}

/// Returns which operations differ.
fn operations(before: &Package, after: &Package) -> Result<Vec<Change>, Error> {
    let ((counts, named), (new_counts, new_named)) = (listed(before)?, listed(after)?);
    let text = |counts: &BTreeMap<String, usize>| -> BTreeMap<String, String> {
        counts.iter().map(|(name, count)| (name.clone(), count.to_string())).collect()
    };
    let mut all = changes(&text(&counts), &text(&new_counts));
    for (name, operation) in named {
        let Some(other) = new_named.get(&name) else { continue };
        // The place of a weight is no difference; what it holds is compared apart.
        let (one, other) = (without_offsets(operation), without_offsets(other));
        if one != other {
            let (was, is) = (one.r#type.clone(), other.r#type.clone());
            let (was, is) = match (value(before, &one), value(after, &other)) {
                (Some(one), Some(other)) if one != other => (one, other),
                _ if was == is => (was, format!("{is}, other arguments or results")),
                _ => (was, is),
            };
            all.push(Change { what: name, before: Some(was), after: Some(is) });
        }
    }
    Ok(all)
}

/// Returns the value of a constant that stands in the program, for a person: the first elements of
/// a long one. `None` for anything else, weights among it, which are compared apart.
fn value(package: &Package, operation: &Operation) -> Option<String> {
    let value = operation.attributes.get(VALUE).filter(|_| operation.r#type == CONSTANT)?;
    if !matches!(value.kind, Some(ValueKind::Immediate(_))) {
        return None;
    }
    let constant = package.constant(value).ok()?;
    let elements: Vec<String> = if !constant.strings.is_empty() {
        constant.strings.iter().take(ELEMENTS_SHOWN).map(|text| format!("{text:?}")).collect()
    } else if let Some(integers) = constant.to_i64s() {
        integers.iter().take(ELEMENTS_SHOWN).map(i64::to_string).collect()
    } else {
        constant.to_f32s()?.iter().take(ELEMENTS_SHOWN).map(f32::to_string).collect()
    };
    let more = if constant.len() > ELEMENTS_SHOWN { ", …" } else { "" };
    let elements = elements.join(", ");
    Some(match constant.dims.is_empty() {
        true => format!("{} {elements}", constant.data_type),
        false => format!("{} {:?} [{elements}{more}]", constant.data_type, constant.dims),
    })
}

/// Returns an operation without the places of its weights, and without nested blocks, whose
/// operations are listed apart.
fn without_offsets(operation: &Operation) -> Operation {
    let clear = |value: &mut Value| {
        if let Some(ValueKind::BlobFile(reference)) = &mut value.kind {
            reference.offset = 0;
        }
    };
    let mut operation = operation.clone();
    operation.blocks.clear();
    operation.attributes.values_mut().for_each(clear);
    for binding in operation.inputs.values_mut().flat_map(|argument| &mut argument.arguments) {
        if let Some(BindingKind::Value(value)) = &mut binding.kind {
            clear(value);
        }
    }
    operation
}
