//! From a function of an ML Program to an ONNX model in memory.
//!
//! Owns: the order of the work: read, look every operation up, report all that is missing at once,
//! emit, close; and the inputs, outputs and states of the model.
//! Must not: infer types; MIL operations carry theirs.
//! Flow: `session.rs` → [`translate`] → `findings.rs`, `emitter.rs` → `graph.rs`; the result, a
//! [`Translation`], goes to an engine or to a file.

use crate::dialect::Dialect;
use crate::emitter::Emitter;
use crate::engine_kind::EngineKind;
use crate::error::{Error, OpError, Unsupported};
use crate::findings::{Findings, problem};
use crate::graph::{Graph, Layout, element_type};
use crate::onnx::{
    DimensionProto, DimensionValue, ElementType, TensorShapeProto, TensorTypeProto, TypeProto,
    TypeValue, ValueInfoProto,
};
use crate::op::Opset;
use crate::program::{Block, Function, Type};
use crate::scope::{Entry, Scope};
use crate::translation::{Port, StatePort, Translation};
use coreml_spec::{DataType, Package};

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
/// Parameters: `described` — the interface of a function of the package; `settings` — of the engine
/// that will run it.
/// Errors: [`Error::Unsupported`] with everything that is missing, or [`Error::Invalid`] when the
/// program is broken.
pub(crate) fn translate(
    package: &Package,
    described: &coreml_spec::Function,
    settings: Settings,
) -> Result<Translation, Error> {
    let function = Function::read(package, &described.name)?;
    let opset = Opset::parse(function.opset).ok_or_else(|| {
        let known: Vec<&str> = Opset::ALL.iter().map(|opset| opset.name()).collect();
        let reason =
            format!("opset `{}` is not known; known are {}", function.opset, known.join(", "));
        Error::Unsupported(Unsupported {
            problems: vec![problem("(program)", function.opset, "", reason)],
        })
    })?;
    let mut findings = Findings::new(opset);
    findings.check(&function.block, settings.engine);
    findings.result()?;
    let mut g = Graph::new(Dialect::of(settings.engine), package.weight_files());
    let mut scope = Scope::default();
    let (mut inputs, states) = bind_inputs(&function, &mut g, &mut scope)?;
    for output in &function.block.outputs {
        g.reserve(output);
    }
    let emitter = Emitter::new(package, opset, &function.block, settings.round_to_half);
    emitter.emit_block(&function.block, &mut g, &mut scope, &mut findings);
    findings.result()?;
    let mut outputs = bind_outputs(&function.block, &mut g, &scope)?;
    let mut states: Vec<StatePort> =
        (0..).zip(states).map(|(index, port)| bind_state(&mut g, index, port)).collect();
    // Those that the program itself declares have no output of their own.
    for (state, output) in described.states.iter().zip(&described.state_outputs) {
        states.push(functional_state(&mut inputs, &mut outputs, &state.name, output)?);
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

/// Declares the function's inputs and states in the graph.
fn bind_inputs<'a>(
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

/// Gives the function's results the names of its outputs.
fn bind_outputs<'a>(
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
        let mut value = entry.tensor(g, Layout::Plain).map_err(fault)?;
        let ty = entry.ty();
        let label = ty.data_type == DataType::String;
        let mut element =
            if label { ElementType::Int32 } else { element_type(ty.data_type).map_err(fault)? };
        if element == ElementType::Bool {
            value = g.cast(&value, ElementType::Int32);
            element = ElementType::Int32;
        }
        g.rename(&value, name);
        ports.push(Port { name: (*name).to_owned(), ty, element });
    }
    Ok(ports)
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
