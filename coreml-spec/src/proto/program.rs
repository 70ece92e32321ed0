//! Messages of `MIL.proto`: an ML Program, down to its operations.

use super::{NamedValueType, Value};
use std::collections::BTreeMap;

/// A program: functions by name.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Program {
    /// Version of the program format; 1.
    #[prost(int64, tag = "1")]
    pub version: i64,
    /// The functions; `main` unless the package is multifunction.
    #[prost(btree_map = "string, message", tag = "2")]
    pub functions: BTreeMap<String, Function>,
    /// The author's text.
    #[prost(string, tag = "3")]
    pub doc_string: String,
    /// Notes by the converter: `buildInfo`.
    #[prost(btree_map = "string, message", tag = "4")]
    pub attributes: BTreeMap<String, Value>,
}

/// A function: inputs and a block per opset.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Function {
    /// Inputs and states, in order.
    #[prost(message, repeated, tag = "1")]
    pub inputs: Vec<NamedValueType>,
    /// The opset that runs: the key of one of the blocks.
    #[prost(string, tag = "2")]
    pub opset: String,
    /// The bodies by opset; coremltools writes exactly one.
    #[prost(btree_map = "string, message", tag = "3")]
    pub block_specializations: BTreeMap<String, Block>,
    /// Notes by the converter.
    #[prost(btree_map = "string, message", tag = "4")]
    pub attributes: BTreeMap<String, Value>,
}

impl Function {
    /// Returns the body that runs: the block of the function's own opset.
    pub fn block(&self) -> Option<&Block> {
        self.block_specializations.get(&self.opset)
    }
}

/// A list of operations.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Block {
    /// Values that the surrounding operation passes in; empty for a function's body.
    #[prost(message, repeated, tag = "1")]
    pub inputs: Vec<NamedValueType>,
    /// Names of the values that the block gives, in order.
    #[prost(string, repeated, tag = "2")]
    pub outputs: Vec<String>,
    /// The operations, each after those that it uses.
    #[prost(message, repeated, tag = "3")]
    pub operations: Vec<Operation>,
    /// Notes by the converter.
    #[prost(btree_map = "string, message", tag = "4")]
    pub attributes: BTreeMap<String, Value>,
}

impl Block {
    /// Calls `visit` with each operation of the block and of the blocks inside it, in order.
    ///
    /// The recursion ends: decoding limits the nesting.
    pub fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a Operation)) {
        for operation in &self.operations {
            visit(operation);
            for block in &operation.blocks {
                block.visit(visit);
            }
        }
    }
}

/// One operation.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Operation {
    /// Name of the operation in MIL: `conv`, `const`, …
    #[prost(string, tag = "1")]
    pub r#type: String,
    /// Arguments by parameter name.
    #[prost(btree_map = "string, message", tag = "2")]
    pub inputs: BTreeMap<String, Argument>,
    /// Results, in order.
    #[prost(message, repeated, tag = "3")]
    pub outputs: Vec<NamedValueType>,
    /// Bodies of a loop or a condition.
    #[prost(message, repeated, tag = "4")]
    pub blocks: Vec<Block>,
    /// Values that are no arguments: `val` of a `const`, `name`.
    #[prost(btree_map = "string, message", tag = "5")]
    pub attributes: BTreeMap<String, Value>,
}

impl Operation {
    /// Returns the constants that stand in the operation: its attributes, and arguments given in
    /// place.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        let bindings = self.inputs.values().flat_map(|argument| &argument.arguments);
        let in_place = bindings.filter_map(|binding| match &binding.kind {
            Some(BindingKind::Value(value)) => Some(value),
            _ => None,
        });
        self.attributes.values().chain(in_place)
    }
}

/// What one parameter is given: several bindings for a variadic parameter, otherwise one.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Argument {
    /// The bindings, in order.
    #[prost(message, repeated, tag = "1")]
    pub arguments: Vec<Binding>,
}

/// A value, by name or in place.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Binding {
    /// The value.
    #[prost(oneof = "BindingKind", tags = "1, 2")]
    pub kind: Option<BindingKind>,
}

/// A value, by name or in place.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum BindingKind {
    /// Name of an input, or of an earlier operation's result.
    #[prost(string, tag = "1")]
    Name(String),
    /// The value itself.
    #[prost(message, tag = "2")]
    Value(Value),
}
