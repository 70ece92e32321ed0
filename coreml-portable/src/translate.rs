//! From a function of an ML Program to an ONNX model in memory.
//!
//! Owns: the order of the work: read, look every operation up, report all that is missing at once,
//! emit, close.
//! Must not: infer types; MIL operations carry theirs.
//! Flow: `session.rs` → [`translate`] → rows in `ops/` → `graph.rs`; the result goes to an engine
//! or to a file.

use crate::args::{Args, as_tensor, type_of};
use crate::constant::{ConstantEntry, Expand};
use crate::dialect::Dialect;
use crate::engine_kind::EngineKind;
use crate::error::{Error, OpError, Problem, Unsupported};
use crate::graph::{Graph, Layout, Value, element_type};
use crate::onnx::{
    DimensionProto, DimensionValue, ElementType, TensorShapeProto, TensorTypeProto, TypeProto,
    TypeValue, ValueInfoProto,
};
use crate::op::{Emit, Opset};
use crate::ops::find;
use crate::program::{Binding, Block, Function, Operation, TensorType, Type};
use crate::scope::{Entry, Scope};
use crate::translation::{Port, StatePort, Translation};
use coreml_spec::{Constant, DataType, Package, proto};
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

/// How to translate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// The engine that will run it; `None` for any that has all of ONNX.
    pub(crate) engine: Option<EngineKind>,
    /// Whether results that the program declares as half precision are rounded to it.
    pub(crate) round_to_half: bool,
}

/// Translates a function.
///
/// Called by: `session.rs`, `export.rs`.
/// Parameters: `function_name` — of a function of the package's program; `settings` — of the engine
/// that will run it.
/// Errors: [`Error::Unsupported`] with everything that is missing, or [`Error::Invalid`] when the
/// program is broken.
pub(crate) fn translate(
    package: &Package,
    function_name: &str,
    settings: Settings,
) -> Result<Translation, Error> {
    let function = Function::read(package, function_name)?;
    let opset = Opset::parse(function.opset).ok_or_else(|| {
        let known: Vec<&str> = Opset::ALL.iter().map(|opset| opset.name()).collect();
        let reason =
            format!("opset `{}` is not known; known are {}", function.opset, known.join(", "));
        Error::Unsupported(Unsupported {
            problems: vec![problem("(program)", function.opset, "", reason)],
        })
    })?;
    let translator = Translator { package, opset, settings, factors: factors(&function.block) };
    let mut findings = Findings { opset, problems: Vec::new(), faults: Vec::new() };
    translator.check(&function.block, &mut findings);
    findings.result()?;
    let mut g = Graph::new(Dialect::of(settings.engine), package.weight_files());
    let mut scope = Scope::default();
    let (mut inputs, states) = translator.bind_inputs(&function, &mut g, &mut scope)?;
    for output in &function.block.outputs {
        g.reserve(output);
    }
    translator.emit_block(&function.block, &mut g, &mut scope, &mut findings);
    findings.result()?;
    let mut outputs = translator.bind_outputs(&function.block, &mut g, &scope)?;
    let mut states: Vec<StatePort> =
        (0..).zip(states).map(|(index, port)| bind_state(&mut g, index, port)).collect();
    for (input, output) in package.functional_states(function_name)? {
        states.push(functional_state(&mut inputs, &mut outputs, input, output)?);
    }
    let graph_inputs =
        inputs.iter().chain(states.iter().map(|state| &state.input)).map(value_info).collect();
    let written = |state: &StatePort| {
        state.output.clone().map(|name| value_info(&Port { name, ..state.input.clone() }))
    };
    let graph_outputs =
        outputs.iter().map(value_info).chain(states.iter().filter_map(written)).collect();
    let (model, weights) = g.finish(graph_inputs, graph_outputs);
    Ok(Translation { model, weights, inputs, outputs, states })
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

/// What was found wrong, each thing once.
struct Findings {
    /// Opset of the program.
    opset: Opset,
    /// What is not supported.
    problems: Vec<Problem>,
    /// What breaks MIL's rules.
    faults: Vec<String>,
}

impl Findings {
    /// Adds what is wrong with an operation.
    fn add(&mut self, operation: &Operation<'_>, error: OpError) {
        let output = operation.outputs.first().map_or("", |port| port.name);
        match error {
            OpError::Unsupported(reason) => {
                let same = |problem: &&mut Problem| {
                    problem.operation == operation.kind && problem.reason == reason
                };
                match self.problems.iter_mut().find(same) {
                    Some(problem) => problem.count += 1,
                    None => self.problems.push(problem(
                        operation.kind,
                        self.opset.name(),
                        output,
                        reason,
                    )),
                }
            }
            OpError::Invalid(reason) => {
                self.faults.push(format!("{} at `{output}`: {reason}", operation.kind))
            }
        }
    }

    /// Returns an error when anything was found.
    fn result(&self) -> Result<(), Error> {
        if !self.problems.is_empty() {
            return Err(Error::Unsupported(Unsupported { problems: self.problems.clone() }));
        }
        if !self.faults.is_empty() {
            let faults = self.faults.join("\n  ");
            return Err(Error::invalid(format!(
                "the program is damaged; convert the model again:\n  {faults}"
            )));
        }
        Ok(())
    }
}

/// Returns a problem that occurs once.
fn problem(operation: &str, opset: &str, output: &str, reason: String) -> Problem {
    let (operation, opset, output) = (operation.into(), opset.into(), output.into());
    Problem { operation, opset, output, count: 1, reason, alternative: None }
}

/// What is the same for all operations of a program.
#[derive(Debug)]
pub(crate) struct Translator<'a> {
    /// The package, for constants.
    package: &'a Package,
    /// Opset of the program.
    opset: Opset,
    /// How to translate.
    settings: Settings,
    /// Names of the constants that a `linear` multiplies by.
    pub(crate) factors: HashSet<&'a str>,
}

impl<'a> Translator<'a> {
    /// Returns a constant of the program.
    pub(crate) fn constant(&self, value: &'a proto::Value) -> Result<Constant<'a>, OpError> {
        self.package.constant(value).map_err(|error| OpError::invalid(error.to_string()))
    }

    /// Compares all operations of a block, and of those inside, with the table.
    fn check(&self, block: &Block<'_>, findings: &mut Findings) {
        for operation in &block.operations {
            for inner in &operation.blocks {
                self.check(inner, findings);
            }
            let Some(row) = find(operation.kind, self.opset) else {
                findings.add(operation, OpError::unsupported("the operation is not known"));
                continue;
            };
            if let Some(reason) = row.refusal(self.settings.engine) {
                findings.add(operation, OpError::unsupported(reason));
                continue;
            }
            for name in operation.arguments.keys() {
                if !row.params.iter().any(|param| param.name == *name) {
                    findings.add(
                        operation,
                        OpError::unsupported(format!("its argument `{name}` is not known")),
                    );
                }
            }
            for param in row.params.iter().filter(|param| param.required) {
                if !operation.arguments.contains_key(param.name) {
                    findings.add(
                        operation,
                        OpError::invalid(format!("argument `{}` is missing", param.name)),
                    );
                }
            }
        }
    }

    /// Declares the function's inputs and states in the graph.
    fn bind_inputs(
        &self,
        function: &Function<'a>,
        g: &mut Graph,
        scope: &mut Scope<'_, 'a>,
    ) -> Result<(Vec<Port>, Vec<Port>), Error> {
        let (mut inputs, mut states) = (Vec::new(), Vec::new());
        for port in &function.inputs {
            let (Type::Tensor(ty) | Type::State(ty)) = &port.ty else {
                return Err(Error::invalid(format!(
                    "input `{}` is neither a tensor nor a state",
                    port.name
                )));
            };
            let element = element_type(ty.data_type).map_err(|_| {
                Error::invalid(format!(
                    "input `{}` is {}, which no model takes",
                    port.name, ty.data_type
                ))
            })?;
            if element == ElementType::Bool {
                return Err(Error::invalid(format!(
                    "input `{}` is bool, which no model takes",
                    port.name
                )));
            }
            let value = g.input(port.name);
            let bound = Port { name: value.name().to_owned(), ty: ty.clone(), element };
            if matches!(port.ty, Type::State(_)) {
                let index = g.add_state(value);
                scope.bind(port.name, Entry::State(index));
                states.push(bound);
            } else {
                scope.bind(port.name, Entry::Tensor(value, ty.clone()));
                inputs.push(bound);
            }
        }
        Ok((inputs, states))
    }

    /// Translates the operations of a block into `g` and `scope`.
    ///
    /// What an operation with an error would have given is bound all the same, so that one pass
    /// finds all errors.
    fn emit_block(
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

    /// Translates a body inside of the graph's body that is being built.
    ///
    /// Called by: `ops/control_flow.rs`.
    /// Parameters: `parent` — what names mean where the body stands; `inputs` — what it gets.
    /// Returns: what it gives.
    pub(crate) fn emit_body(
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
                    format!("{} at `{output}` inside of it: {reason}", operation.kind)
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
            Emit::Nodes(emit) => emit(&Args { operation, scope, translator: self }, g)?,
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
                Type::Tensor(ty)
                    if self.settings.round_to_half && ty.data_type == DataType::Float16 =>
                {
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
        let args = Args { operation, scope, translator: self };
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

    /// Gives the function's results the names of its outputs.
    fn bind_outputs(
        &self,
        block: &Block<'a>,
        g: &mut Graph,
        scope: &Scope<'_, 'a>,
    ) -> Result<Vec<Port>, Error> {
        let mut ports = Vec::new();
        for name in &block.outputs {
            let entry = scope.find(name);
            let entry = entry
                .ok_or_else(|| Error::invalid(format!("no operation makes the output `{name}`")))?;
            g.begin(name);
            let fault = |error: OpError| match error {
                OpError::Unsupported(reason) | OpError::Invalid(reason) => {
                    Error::invalid(format!("output `{name}`: {reason}"))
                }
            };
            let mut value = as_tensor(g, entry, Layout::Plain).map_err(fault)?;
            let ty = type_of(entry);
            let label = ty.data_type == DataType::String;
            let mut element = if label {
                ElementType::Int32
            } else {
                element_type(ty.data_type).map_err(fault)?
            };
            if element == ElementType::Bool {
                value = g.cast(&value, ElementType::Int32);
                element = ElementType::Int32;
            }
            g.rename(&value, name);
            ports.push(Port { name: (*name).to_owned(), ty, element });
        }
        Ok(ports)
    }
}

/// Returns the type of the probabilities that `classify` gives.
fn probabilities() -> TensorType {
    TensorType { data_type: DataType::Float32, dims: vec![None] }
}

/// Gives what a state holds at the end a name.
fn bind_state(g: &mut Graph, index: usize, input: Port) -> StatePort {
    let Some(value) = g.written_state(index).cloned() else {
        return StatePort { input, output: None };
    };
    g.begin(&input.name);
    let output = g.input(&format!("{}/after", input.name));
    g.rename(&value, output.name());
    StatePort { input, output: Some(output.name().to_owned()) }
}

/// Makes a state of an input and an output that the package says are one.
fn functional_state(
    inputs: &mut Vec<Port>,
    outputs: &mut Vec<Port>,
    input: &str,
    output: &str,
) -> Result<StatePort, Error> {
    let take = |ports: &mut Vec<Port>, name: &str| {
        let position = ports.iter().position(|port| port.name == name);
        position.map(|position| ports.remove(position))
    };
    match (take(inputs, input), take(outputs, output)) {
        (Some(held), Some(given)) if held.ty == given.ty => {
            Ok(StatePort { input: held, output: Some(given.name) })
        }
        _ => Err(Error::invalid(format!(
            "the state `{input}` is no input with `{output}` as an output of its type"
        ))),
    }
}

/// Returns how a graph declares an input or output. Sizes that vary get a name of their own.
fn value_info(port: &Port) -> ValueInfoProto {
    let dimension = |(axis, size): (usize, &Option<usize>)| {
        let value = match size.and_then(|size| i64::try_from(size).ok()) {
            Some(size) => DimensionValue::Value(size),
            None => DimensionValue::Param(format!("{}.{axis}", port.name)),
        };
        DimensionProto { value: Some(value) }
    };
    let dim = port.ty.dims.iter().enumerate().map(dimension).collect();
    let tensor =
        TensorTypeProto { elem_type: port.element.code(), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: port.name.clone(),
        r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)) }),
    }
}
