//! The operations of a program, one after another, into the graph.
//!
//! Owns: what is the same for all operations of a program, and what an operation's outputs stand
//! for afterwards.
//! Must not: know operations; their rows do.
//! Flow: `translate.rs` → here → rows in `ops/`, which come back here for the bodies of control
//! flow.

use crate::args::{Args, Context};
use crate::constant::{ConstantEntry, Expand};
use crate::error::OpError;
use crate::findings::Findings;
use crate::graph::{Graph, Value};
use crate::onnx::ElementType;
use crate::op::{Emit, Opset};
use crate::ops::find;
use crate::program::{Binding, Block, Operation, TensorType, Type};
use crate::scope::{Entry, Scope};
use coreml_spec::{Constant, DataType, Package, proto};
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

/// What is the same for all operations of a program.
#[derive(Debug)]
pub(crate) struct Emitter<'a> {
    /// The package, for constants.
    package: &'a Package,
    /// Opset of the program.
    opset: Opset,
    /// Whether results that the program declares as half precision are rounded to it.
    round_to_half: bool,
    /// Names of the constants that a `linear` multiplies by.
    factors: HashSet<&'a str>,
}

impl<'a> Context<'a> for Emitter<'a> {
    fn constant(&self, value: &'a proto::Value) -> Result<Constant<'a>, OpError> {
        self.package.constant(value).map_err(|error| OpError::invalid(error.to_string()))
    }

    fn is_factor(&self, name: &str) -> bool {
        self.factors.contains(name)
    }

    fn emit_body(
        &self,
        block: &Block<'a>,
        g: &mut Graph,
        parent: &Scope<'_, 'a>,
        inputs: Vec<Entry<'a>>,
    ) -> Result<Vec<Entry<'a>>, OpError> {
        // A block of `while_loop` names what it gets; one of `cond` gets nothing.
        if block.inputs.len() != inputs.len() {
            return Err(OpError::invalid("a block does not take as many values as it gets"));
        }
        let mut scope = Scope::inside(parent);
        for (port, entry) in block.inputs.iter().zip(inputs) {
            scope.bind(port.name, entry);
        }
        for operation in &block.operations {
            let output = operation.outputs.first().map_or(operation.kind, |port| port.name);
            g.begin(output);
            self.emit(operation, g, &mut scope).map_err(|error| {
                let inside = |reason: String| {
                    format!("{} at `{output}` inside it: {reason}", operation.kind)
                };
                match error {
                    OpError::Unsupported(reason) => OpError::Unsupported(inside(reason)),
                    OpError::Invalid(reason) => OpError::Invalid(inside(reason)),
                }
            })?;
        }
        let find = |name: &&str| {
            let entry = scope.find(name).cloned();
            entry.ok_or_else(|| {
                OpError::invalid(format!("no operation makes `{name}`, which a block gives"))
            })
        };
        block.outputs.iter().map(find).collect()
    }
}

impl<'a> Emitter<'a> {
    /// Returns what emits the operations of a function.
    ///
    /// Parameters: `block` — the function's own; `round_to_half` — whether results that the program
    /// declares as half precision are rounded to it.
    pub(crate) fn new(
        package: &'a Package,
        opset: Opset,
        block: &Block<'a>,
        round_to_half: bool,
    ) -> Self {
        Self { package, opset, round_to_half, factors: factors(block) }
    }

    /// Translates the operations of a block into `g` and `scope`.
    ///
    /// What an operation with an error would have given is bound all the same, so that one pass
    /// finds all errors.
    pub(crate) fn emit_block(
        &self,
        block: &Block<'a>,
        g: &mut Graph,
        scope: &mut Scope<'_, 'a>,
        findings: &mut Findings,
    ) {
        for operation in &block.operations {
            g.begin(operation.outputs.first().map_or(operation.kind, |port| port.name));
            if let Err(error) = self.emit(operation, g, scope) {
                findings.add(operation, error);
                for port in &operation.outputs {
                    if let Type::Tensor(ty) = &port.ty {
                        scope.bind(port.name, Entry::Tensor(Value::none(), ty.clone()));
                    }
                }
            }
        }
    }

    /// Translates one operation.
    fn emit(
        &self,
        operation: &Operation<'a>,
        g: &mut Graph,
        scope: &mut Scope<'_, 'a>,
    ) -> Result<(), OpError> {
        let row = find(operation.kind, self.opset)
            .ok_or_else(|| OpError::unsupported("the operation is not known"))?;
        match row.emit {
            Emit::Nodes(emit) => emit(&Args { operation, scope, context: self }, g)?,
            Emit::Constants(expand) => return self.bind_expression(operation, expand, scope),
            Emit::Literal => return self.bind_literal(operation, scope),
        }
        let results = g.results();
        if results.len() != operation.outputs.len() {
            let (given, wanted) = (results.len(), operation.outputs.len());
            return Err(OpError::invalid(format!(
                "it has {wanted} outputs, but such an operation gives {given}"
            )));
        }
        for (port, value) in operation.outputs.iter().zip(results) {
            let entry = match &port.ty {
                Type::Tensor(ty) if self.round_to_half && ty.data_type == DataType::Float16 => {
                    let half = g.cast(&value, ElementType::Float16);
                    Entry::Tensor(g.cast(&half, ElementType::Float), ty.clone())
                }
                Type::Tensor(ty) => Entry::Tensor(value, ty.clone()),
                Type::List(ty) => Entry::List(value, ty.clone()),
                Type::Dictionary => Entry::Tensor(value, probabilities()),
                Type::State(_) => {
                    return Err(OpError::invalid(
                        "it makes a state, which only a function's input can be",
                    ));
                }
            };
            scope.bind(port.name, entry);
        }
        Ok(())
    }

    /// Binds the output of a `const` operation.
    fn bind_literal(
        &self,
        operation: &Operation<'a>,
        scope: &mut Scope<'_, 'a>,
    ) -> Result<(), OpError> {
        let bindings = operation.arguments.get("val").map(Vec::as_slice);
        let (Some([Binding::Value(value)]), [output]) = (bindings, operation.outputs.as_slice())
        else {
            return Err(OpError::invalid("it has no value or not one output"));
        };
        let entry =
            ConstantEntry::literal(std::ptr::from_ref(*value).addr(), self.constant(value)?);
        scope.bind(output.name, Entry::Constant(Rc::new(entry)));
        Ok(())
    }

    /// Binds the outputs of an operation on constants, which are computed when they are needed.
    fn bind_expression(
        &self,
        operation: &Operation<'a>,
        expand: Expand,
        scope: &mut Scope<'_, 'a>,
    ) -> Result<(), OpError> {
        let args = Args { operation, scope, context: self };
        let mut arguments = BTreeMap::new();
        for name in operation.arguments.keys() {
            match args.entry(name)? {
                Entry::Constant(entry) => arguments.insert(*name, entry.as_ref().clone()),
                _ => return Err(OpError::invalid(format!("its `{name}` is not a constant"))),
            };
        }
        let types: Result<Vec<_>, _> =
            (0..operation.outputs.len()).map(|i| args.output(i).cloned()).collect();
        let identity = std::ptr::from_ref(operation).addr();
        let entries = ConstantEntry::expressions(identity, types?, expand, arguments);
        for (port, entry) in operation.outputs.iter().zip(entries) {
            scope.bind(port.name, Entry::Constant(Rc::new(entry)));
        }
        Ok(())
    }
}

/// Returns the names of what the `linear` operations of a block and its bodies have as their
/// weight.
fn factors<'a>(block: &Block<'a>) -> HashSet<&'a str> {
    let weight =
        |operation: &Operation<'a>| match operation.arguments.get("weight").map(Vec::as_slice) {
            Some(&[Binding::Name(name)]) if operation.kind == "linear" => Some(name),
            _ => None,
        };
    let bodies = block.operations.iter().flat_map(|operation| &operation.blocks).flat_map(factors);
    block.operations.iter().filter_map(weight).chain(bodies).collect()
}

/// Returns the type of the probabilities that `classify` gives.
fn probabilities() -> TensorType {
    TensorType { data_type: DataType::Float32, dims: vec![None] }
}
