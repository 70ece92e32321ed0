//! Lists of tensors: the `list_*` operations of MIL's `control_flow.py`.
//!
//! Flow: rows of the table in `ops.rs`. The elements of a list have one shape, so a list is one
//! tensor with the elements along its first dimension; it grows when something is written behind
//! its end.

use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value, element_type};
use crate::onnx::{AttributeProto, ElementType};
use crate::op::Opset::CoreML5;
use crate::op::{Op, op, opt, req};
use crate::program::{TensorType, Type};
use crate::scope::Entry;
use coreml_spec::DataType;

/// The rows.
pub(super) const OPS: &[Op] = &[
    op("list_gather", &[CoreML5], &[req("ls"), req("indices")], |a, g| element(a, g, "indices")),
    op("list_length", &[CoreML5], &[req("ls")], list_length),
    op("list_read", &[CoreML5], &[req("ls"), req("index")], |a, g| element(a, g, "index")),
    op("list_scatter", &[CoreML5], &[req("ls"), req("indices"), req("value")], list_scatter),
    op("list_write", &[CoreML5], &[req("ls"), req("index"), req("value")], list_write),
    op(
        "make_list",
        &[CoreML5],
        &[opt("init_length"), opt("dynamic_length"), req("elem_shape"), opt("dtype")],
        make_list,
    ),
];

/// A list of zeros. Sizes that are not known yet are 0 until the first element is written.
fn make_list(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let Some(Type::List(ty)) = a.operation.outputs.first().map(|port| &port.ty) else {
        return Err(OpError::invalid("its output is not a list"));
    };
    let mut dims = Vec::new();
    for entry in a.entries("elem_shape")? {
        let Entry::Constant(constant) = entry else {
            return Err(OpError::invalid("its elem_shape is not constant"));
        };
        let constant = constant.value()?;
        match constant.data_type {
            DataType::String => dims.push(0),
            _ => dims.extend(constant.to_i64s().unwrap_or_default()),
        }
    }
    let length = if a.has("init_length") { a.shape_tensor(g, "init_length")? } else { g.int(1) };
    let length = g.reshape(&length, &[1]);
    let dims = g.ints(&dims);
    let shape = g.concat(&[&length, &dims], 0);
    let zero = g.scalar(ty.data_type, 0.0)?;
    let list = g.node("Expand", &[&zero, &shape], Vec::new());
    g.give(list);
    Ok(())
}

/// Number of elements.
fn list_length(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let list = a.tensor(g, "ls")?;
    let shape = g.shape(&list);
    let length = g.slice(&shape, &[0], &[1], &[0], &[1]);
    let length = g.squeeze(&length, &[0]);
    let y = g.cast(&length, ElementType::Int32);
    g.give(y);
    Ok(())
}

/// One element, or several as one tensor.
fn element(a: &Args<'_, '_>, g: &mut Graph, indices: &str) -> Result<(), OpError> {
    let (list, indices) = (a.tensor(g, "ls")?, a.tensor(g, indices)?);
    let y = g.node("Gather", &[&list, &indices], vec![AttributeProto::int("axis", 0)]);
    g.give(y);
    Ok(())
}

/// The list with one element replaced or appended.
fn list_write(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (index, value) = (a.shape_tensor(g, "index")?, a.tensor(g, "value")?);
    let index = g.reshape(&index, &[1]);
    let values = g.unsqueeze(&value, &[0]);
    written(a, g, &index, &values, &a.ty("value")?)
}

/// The list with several elements replaced or appended.
fn list_scatter(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (indices, values) = (a.shape_tensor(g, "indices")?, a.tensor(g, "value")?);
    let mut element = a.ty("value")?;
    if element.dims.is_empty() {
        return Err(OpError::invalid("its value is a scalar"));
    }
    element.dims.remove(0);
    written(a, g, &indices, &values, &element)
}

/// Gives the list with `values` at `indices`, grown as far as needed.
fn written(
    a: &Args<'_, '_>,
    g: &mut Graph,
    indices: &Value,
    values: &Value,
    element: &TensorType,
) -> Result<(), OpError> {
    let list = a.tensor(g, "ls")?;
    let last = g.reduce("ReduceMax", indices, &[0], true);
    let one = g.int(1);
    let needed = g.node("Add", &[&last, &one], Vec::new());
    let (have, shape) = (g.shape(&list), g.shape(values));
    let length = g.slice(&have, &[0], &[1], &[0], &[1]);
    let length = g.node("Max", &[&length, &needed], Vec::new());
    let sizes = g.slice(&shape, &[1], &[i64::from(i32::MAX)], &[0], &[1]);
    let wanted = g.concat(&[&length, &sizes], 0);
    let after = g.node("Sub", &[&wanted, &have], Vec::new());
    let before = g.ints(&vec![0; element.rank() + 1]);
    let pads = g.concat(&[&before, &after], 0);
    let fill = g.scalar(element.data_type, 0.0)?;
    let bools = element_type(element.data_type)? == ElementType::Bool;
    let mode = vec![AttributeProto::string("mode", "constant")];
    let grown = if bools {
        let (list, fill) = (g.cast(&list, ElementType::Int32), g.cast(&fill, ElementType::Int32));
        let grown = g.node("Pad", &[&list, &pads, &fill], mode);
        g.cast(&grown, ElementType::Bool)
    } else {
        g.node("Pad", &[&list, &pads, &fill], mode)
    };
    let rows = g.unsqueeze(indices, &[1]);
    let y = g.node(
        "ScatterND",
        &[&grown, &rows, values],
        vec![AttributeProto::string("reduction", "none")],
    );
    g.give(y);
    Ok(())
}
