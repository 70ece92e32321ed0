//! Branches and loops: MIL's `control_flow.py` without its lists.
//!
//! Flow: rows of the table in `ops.rs`; `emitter.rs` translates their bodies inside the
//! graph's bodies.

use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Layout, Value, declared, element_type};
use crate::onnx::{AttributeProto, ElementType, ValueInfoProto};
use crate::op::Opset::CoreML5;
use crate::op::{Op, op, req};
use crate::program::{Port, TensorType, Type};
use crate::scope::Entry;

/// The rows.
pub(super) const OPS: &[Op] = &[
    op("cond", &[CoreML5], &[req("pred")], cond),
    op("while_loop", &[CoreML5], &[req("loop_vars")], while_loop),
];

/// Returns the tensor that a value is in the graph: of a list, the type of its elements with their
/// number before.
fn tensor_type(port: &Port<'_>) -> Result<TensorType, OpError> {
    match &port.ty {
        Type::Tensor(ty) => Ok(ty.clone()),
        Type::List(element) => {
            let dims = [None].into_iter().chain(element.dims.iter().copied()).collect();
            Ok(TensorType { data_type: element.data_type, dims })
        }
        _ => Err(OpError::invalid(format!("`{}` is neither a tensor nor a list", port.name))),
    }
}

/// Returns how a body declares one of its outputs.
fn declaration(value: &Value, port: &Port<'_>) -> Result<ValueInfoProto, OpError> {
    Ok(declared(value, element_type(tensor_type(port)?.data_type)?, None))
}

/// Appends nodes that give a body's results names of their own, since they may be values of the
/// graph around it.
fn named(g: &mut Graph, results: &[Entry<'_>]) -> Result<Vec<Value>, OpError> {
    let mut values = Vec::new();
    for result in results {
        let value = result.tensor(g, Layout::Plain)?;
        values.push(g.node("Identity", &[&value], Vec::new()));
    }
    Ok(values)
}

/// One of two blocks, by a truth value.
fn cond(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let predicate = a.tensor(g, "pred")?;
    let predicate = g.reshape(&predicate, &[]);
    let [yes, no] = a.operation.blocks.as_slice() else {
        return Err(OpError::invalid(format!(
            "it has {} blocks instead of two",
            a.operation.blocks.len()
        )));
    };
    let outputs = &a.operation.outputs;
    let mut attributes = Vec::new();
    for (name, block) in [("then_branch", yes), ("else_branch", no)] {
        let body = g.body(|g| {
            let results = a.context.emit_body(block, g, a.scope, Vec::new())?;
            if results.len() != outputs.len() {
                return Err(OpError::invalid(
                    "a block does not give as many values as it has outputs",
                ));
            }
            let values = named(g, &results)?;
            let types = values.iter().zip(outputs).map(|(value, port)| declaration(value, port));
            Ok((Vec::new(), types.collect::<Result<_, _>>()?))
        })?;
        attributes.push(AttributeProto::graph(name, body));
    }
    let results = g.nodes("If", &[&predicate], outputs.len(), attributes);
    results.into_iter().for_each(|result| g.give(result));
    Ok(())
}

/// A block as often as another block says so.
fn while_loop(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let [condition, body] = a.operation.blocks.as_slice() else {
        return Err(OpError::invalid(format!(
            "it has {} blocks instead of two",
            a.operation.blocks.len()
        )));
    };
    let variables = a.entries("loop_vars")?;
    let ports = &a.operation.outputs;
    if variables.len() != ports.len()
        || body.outputs.len() != ports.len()
        || condition.outputs.len() != 1
    {
        return Err(OpError::invalid("its variables, outputs and blocks do not fit each other"));
    }
    let initial = variables
        .iter()
        .map(|entry| entry.tensor(g, Layout::Plain))
        .collect::<Result<Vec<_>, _>>()?;
    let first = a.context.emit_body(condition, g, a.scope, variables)?;
    let first = first[0].tensor(g, Layout::Plain)?;
    // Converters make conditions of one element where ONNX wants a scalar.
    let first = g.reshape(&first, &[]);
    let graph = g.body(|g| {
        let (number, proceed) = (g.input("iteration"), g.input("proceed"));
        let mut inputs = vec![
            declared(&number, ElementType::Int64, Some(0)),
            declared(&proceed, ElementType::Bool, Some(0)),
        ];
        let mut before = Vec::new();
        for port in ports {
            let value = g.input(port.name);
            inputs.push(declaration(&value, port)?);
            before.push(match &port.ty {
                Type::List(element) => Entry::List(value, element.clone()),
                _ => Entry::Tensor(value, tensor_type(port)?),
            });
        }
        let after = a.context.emit_body(body, g, a.scope, before)?;
        let again = a.context.emit_body(condition, g, a.scope, after.clone())?;
        let again = again[0].tensor(g, Layout::Plain)?;
        let again = g.reshape(&again, &[]);
        let after = named(g, &after)?;
        let mut outputs = vec![declared(&again, ElementType::Bool, Some(0))];
        for (value, port) in after.iter().zip(ports) {
            outputs.push(declaration(value, port)?);
        }
        Ok((inputs, outputs))
    })?;
    let unlimited = Value::none();
    let operands: Vec<&Value> = [&unlimited, &first].into_iter().chain(&initial).collect();
    let results =
        g.nodes("Loop", &operands, ports.len(), vec![AttributeProto::graph("body", graph)]);
    results.into_iter().for_each(|result| g.give(result));
    Ok(())
}
