//! The tensors in a package's weight files, one by one.
//!
//! Owns: which name and which user a tensor has. Must not: expand compressed weights; read
//! elements.
//! Flow: [`Package::weights`] → `constant.rs`; shown by `cargo coreml inspect`,
//! compared by `difference.rs`.

use crate::proto::{BindingKind, Function, Operation, Value, ValueKind};
use crate::{Constant, Error, Package};
use std::collections::HashMap;

/// A tensor in a weight file.
#[derive(Clone, Debug)]
pub struct Weight<'a> {
    /// Name of the operation's output that holds it; coremltools makes it of the parameter's path
    /// in the PyTorch module. Of a compressed weight's parts, the output that it expands to, a dot,
    /// and the part.
    pub name: String,
    /// The functions that use it, in order.
    pub functions: Vec<&'a str>,
    /// MIL's name of the first operation that takes it, through a compressed one: `conv`; empty
    /// when none does.
    pub operation: &'a str,
    /// Type, shape and elements.
    pub constant: Constant<'a>,
}

impl Package {
    /// Returns the tensors in weight files, each once, in the program's order. No element is read.
    ///
    /// Errors: as [`Package::constant`] for each of them.
    pub fn weights(&self) -> Result<Vec<Weight<'_>>, Error> {
        of(self)
    }
}

/// Lists the tensors, each once, in the program's order.
fn of(package: &Package) -> Result<Vec<Weight<'_>>, Error> {
    let mut weights: Vec<Weight<'_>> = Vec::new();
    let mut places: HashMap<(&str, u64), usize> = HashMap::new();
    for (function_name, function) in &package.program()?.functions {
        let (operations, users) = users(function);
        for operation in operations {
            for (part, value) in parts(operation) {
                let Some(ValueKind::BlobFile(reference)) = &value.kind else { continue };
                let place = (reference.file_name.as_str(), reference.offset);
                if let Some(known) = places.get(&place).and_then(|index| weights.get_mut(*index)) {
                    if known.functions.last() != Some(&function_name.as_str()) {
                        known.functions.push(function_name);
                    }
                    continue;
                }
                places.insert(place, weights.len());
                let output = operation
                    .outputs
                    .first()
                    .map(|output| output.name.as_str())
                    .unwrap_or_default();
                weights.push(Weight {
                    name: if part == "val" {
                        output.to_owned()
                    } else {
                        format!("{output}.{part}")
                    },
                    functions: vec![function_name],
                    operation: user(&users, operation, output),
                    constant: package.constant(value)?,
                });
            }
        }
    }
    Ok(weights)
}

/// Returns every operation of a function, and which operations take each name.
fn users(function: &Function) -> (Vec<&Operation>, HashMap<&str, &Operation>) {
    let (mut operations, mut users) = (Vec::new(), HashMap::new());
    if let Some(block) = function.block() {
        block.visit(&mut |operation| {
            operations.push(operation);
            for binding in operation.inputs.values().flat_map(|argument| &argument.arguments) {
                if let Some(BindingKind::Name(name)) = &binding.kind {
                    users.entry(name.as_str()).or_insert(operation);
                }
            }
        });
    }
    (operations, users)
}

/// Returns the first operation that takes the constant that `operation` gives, or that it stands
/// in.
fn user<'a>(
    users: &HashMap<&str, &'a Operation>,
    operation: &'a Operation,
    output: &str,
) -> &'a str {
    let is_constant = |operation: &Operation| {
        operation.r#type == "const" || operation.r#type.starts_with("constexpr_")
    };
    if !is_constant(operation) {
        return &operation.r#type;
    }
    let mut user = users.get(output).copied();
    // A constant may go through several that expand it; no more than there are operations.
    for _ in 0..users.len() {
        match user {
            Some(next) if is_constant(next) => {
                user = next
                    .outputs
                    .first()
                    .and_then(|output| users.get(output.name.as_str()).copied());
            }
            _ => break,
        }
    }
    user.map(|operation| operation.r#type.as_str()).unwrap_or_default()
}

/// Returns the constants of an operation with the attribute or parameter that each belongs to.
fn parts(operation: &Operation) -> impl Iterator<Item = (&str, &Value)> {
    let attributes = operation.attributes.iter().map(|(name, value)| (name.as_str(), value));
    let in_place = operation.inputs.iter().flat_map(|(name, argument)| {
        argument.arguments.iter().filter_map(move |binding| match &binding.kind {
            Some(BindingKind::Value(value)) => Some((name.as_str(), value)),
            _ => None,
        })
    });
    attributes.chain(in_place)
}
