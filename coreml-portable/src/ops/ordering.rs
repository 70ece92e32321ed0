//! Order, counting and position: `argsort`, `topk`, `cumsum`, `one_hot`, `reverse` and others of
//! MIL's `tensor_operation.py` and `tensor_transformation.py`.
//!
//! Flow: rows of the table in `ops.rs`.

use super::elementwise::convert;
use super::nan;
use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value, element_type};
use crate::limit::LARGEST_IS_INFINITE;
use crate::onnx::{AttributeProto, ElementType};
use crate::op::Opset::{CoreML5, CoreML6, CoreML7};
use crate::op::{Op, Param, op, opt, req};
use coreml_spec::DataType;

/// More elements than a range of floats can tell apart, and fewer than 32 bits can count.
const LONGEST_RANGE: f32 = 1e9;

/// Parameters of `reverse`.
const REVERSE: &[Param] = &[req("x"), opt("axes")];
/// Parameters of `reverse_sequence`.
const REVERSE_SEQUENCE: &[Param] = &[req("x"), req("lengths"), opt("seq_axis"), opt("batch_axis")];

/// The rows.
pub(super) const OPS: &[Op] = &[
    op("argsort", &[CoreML5], &[req("x"), opt("axis"), opt("ascending")], argsort)
        .limited(&[LARGEST_IS_INFINITE]),
    op("band_part", &[CoreML5], &[req("x"), opt("lower"), opt("upper")], band_part),
    op("cumsum", &[CoreML5], &[req("x"), opt("axis"), opt("exclusive"), opt("reverse")], cumsum),
    op("non_zero", &[CoreML5], &[req("x")], non_zero),
    op(
        "one_hot",
        &[CoreML5],
        &[
            req("indices"),
            req("one_hot_vector_size"),
            opt("axis"),
            opt("on_value"),
            opt("off_value"),
        ],
        one_hot,
    ),
    op("range_1d", &[CoreML5], &[req("end"), req("start"), req("step")], range_1d),
    op("reverse", &[CoreML5, CoreML7], REVERSE, reverse),
    op("reverse_sequence", &[CoreML5, CoreML7], REVERSE_SEQUENCE, reverse_sequence),
    op("topk", &[CoreML5], &[req("x"), opt("k"), opt("axis"), opt("ascending")], topk)
        .limited(&[LARGEST_IS_INFINITE]),
    op(
        "topk",
        &[CoreML6],
        &[req("x"), opt("k"), opt("axis"), opt("ascending"), opt("sort"), opt("return_indices")],
        topk,
    )
    .limited(&[LARGEST_IS_INFINITE]),
    op(
        "topk",
        &[CoreML7],
        &[
            req("x"),
            opt("k"),
            opt("axis"),
            opt("ascending"),
            opt("sort"),
            opt("return_indices"),
            opt("output_indices_dtype"),
        ],
        topk,
    )
    .limited(&[LARGEST_IS_INFINITE]),
];

/// Positions of the elements along an axis in the order of their size.
fn argsort(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let axis = a.axis("axis", -1, a.rank("x")?)?;
    let shape = g.shape(&x);
    let count = g.slice(&shape, &[axis], &[axis + 1], &[0], &[1]);
    let [_, places] = best(a, g, &x, &count, axis)?;
    let y = g.cast(&places, ElementType::Int32);
    g.give(y);
    Ok(())
}

/// Returns the largest or smallest elements along an axis in order, the first of equals, and their
/// positions.
fn best(
    a: &Args<'_, '_>,
    g: &mut Graph,
    x: &Value,
    count: &Value,
    axis: i64,
) -> Result<[Value; 2], OpError> {
    let largest = AttributeProto::int("largest", i64::from(!a.get_or("ascending", false)?));
    let axis = AttributeProto::int("axis", axis);
    let is_float = element_type(a.ty("x")?.data_type)? == ElementType::Float;
    let keys = if is_float { nan::sortable(g, x) } else { x.clone() };
    let attributes = vec![axis.clone(), largest, AttributeProto::int("sorted", 1)];
    let sorted = g.nodes("TopK", &[&keys, count], 2, attributes);
    let places = sorted[1].clone();
    let values = if keys == *x {
        sorted[0].clone()
    } else {
        g.node("GatherElements", &[x, &places], vec![axis])
    };
    Ok([values, places])
}

/// The largest or smallest elements along an axis, in order, and where they were.
fn topk(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let axis = a.axis("axis", -1, a.rank("x")?)?;
    let count: i64 = a.get_or("k", 1)?;
    let count = if count == -1 {
        let shape = g.shape(&x);
        g.slice(&shape, &[axis], &[axis + 1], &[0], &[1])
    } else {
        g.ints(&[count])
    };
    let [values, places] = best(a, g, &x, &count, axis)?;
    g.give(values);
    if a.get_or("return_indices", true)? {
        let indices = convert(g, &places, ElementType::Int64, a.output(1)?.data_type)?;
        g.give(indices);
    }
    Ok(())
}

/// The innermost matrices with all but a band around the diagonal set to zero.
fn band_part(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let element = element_type(a.ty("x")?.data_type)?;
    let (lower, upper): (i64, i64) = (a.get_or("lower", -1)?, a.get_or("upper", -1)?);
    let mut y = if element == ElementType::Bool { g.cast(&x, ElementType::Int32) } else { x };
    for (keep_upper, diagonal, wanted) in [(1, -lower, lower >= 0), (0, upper, upper >= 0)] {
        if wanted {
            let diagonal = g.int(diagonal);
            y = g.node("Trilu", &[&y, &diagonal], vec![AttributeProto::int("upper", keep_upper)]);
        }
    }
    if element == ElementType::Bool {
        y = g.cast(&y, ElementType::Bool);
    }
    g.give(y);
    Ok(())
}

/// Sums of all elements up to each one along an axis.
fn cumsum(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let axis = g.int(a.axis("axis", 0, a.rank("x")?)?);
    let flag = |name: &str| Ok(AttributeProto::int(name, i64::from(a.get_or(name, false)?)));
    let y = g.node("CumSum", &[&x, &axis], vec![flag("exclusive")?, flag("reverse")?]);
    g.give(y);
    Ok(())
}

/// Coordinates of the elements that are not zero, one row each.
fn non_zero(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let columns = g.node("NonZero", &[&x], Vec::new());
    let rows = g.transpose(&columns, &[1, 0]);
    let y = g.cast(&rows, ElementType::Int32);
    g.give(y);
    Ok(())
}

/// For each index a vector with one element set.
fn one_hot(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let indices = a.tensor(g, "indices")?;
    let rank = a.rank("indices")?;
    let axis = a.axis("axis", -1, rank + 1)?;
    let depth = a.shape_tensor(g, "one_hot_vector_size")?;
    let depth = g.reshape(&depth, &[]);
    let (zero, one) = (g.int(0), g.int(1));
    let classes = g.node("Range", &[&zero, &depth, &one], Vec::new());
    // The classes along `axis`, the indices along all others.
    let classes = g.unsqueeze(&classes, &(1..rank as i64 + 1 - axis).collect::<Vec<_>>());
    let indices = g.cast(&indices, ElementType::Int64);
    let indices = g.unsqueeze(&indices, &[axis]);
    let hit = g.node("Equal", &[&indices, &classes], Vec::new());
    let data_type = a.output(0)?.data_type;
    let mut values = Vec::new();
    for (name, default) in [("on_value", 1.0), ("off_value", 0.0)] {
        values.push(if a.has(name) { a.tensor(g, name)? } else { g.scalar(data_type, default)? });
    }
    let y = g.choose(&hit, &values[0], &values[1], element_type(data_type)?);
    g.give(y);
    Ok(())
}

/// Numbers from a start in equal steps, up to but without an end.
///
/// Of floats that is `⌈(end − start) / step⌉` numbers, the quotient rounded to the precision of the
/// range, each `start + i · step`. ONNX Runtime's Range rounds otherwise, and rten's adds steps one
/// after another.
fn range_1d(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let mut parts = Vec::new();
    for name in ["start", "end", "step"] {
        let x = a.tensor(g, name)?;
        parts.push(if a.rank(name)? == 0 { x } else { g.reshape(&x, &[]) });
    }
    let ty = a.output(0)?;
    if element_type(ty.data_type)? != ElementType::Float {
        let y = g.node("Range", &parts.iter().collect::<Vec<_>>(), Vec::new());
        g.give(y);
        return Ok(());
    }
    let [start, end, step] = [&parts[0], &parts[1], &parts[2]];
    let span = g.node("Sub", &[end, start], Vec::new());
    let mut steps = g.node("Div", &[&span, step], Vec::new());
    if ty.data_type == DataType::Float16 {
        steps = rounded_to_half(g, &steps);
    }
    let count = g.node("Ceil", &[&steps], Vec::new());
    // A step of zero and a span without end have no count. Range refuses a step of zero.
    let limit = g.float(LONGEST_RANGE);
    let is_possible = g.node("Less", &[&count, &limit], Vec::new());
    let by = g.cast(&is_possible, ElementType::Int64);
    let (zero, count) = (g.int(0), g.cast(&count, ElementType::Int64));
    let positions = g.node("Range", &[&zero, &count, &by], Vec::new());
    let positions = g.cast(&positions, ElementType::Float);
    let distances = g.node("Mul", &[&positions, step], Vec::new());
    let y = g.node("Add", &[&distances, start], Vec::new());
    g.give(y);
    Ok(())
}

/// Rounds to the 11 significant bits of half precision, in single precision.
fn rounded_to_half(g: &mut Graph, x: &Value) -> Value {
    // x · (2¹³ + 1) has the upper 11 bits of x in its own 24; what is below them cancels.
    let shifted = g.scale(x, 8193.0);
    let low = g.node("Sub", &[&shifted, x], Vec::new());
    g.node("Sub", &[&shifted, &low], Vec::new())
}

/// Elements in the opposite order along some axes; along all when none are named.
fn reverse(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let rank = a.rank("x")?;
    let axes = a.axes("axes", rank)?.unwrap_or_else(|| (0..rank as i64).collect());
    let count = axes.len();
    let (last, before_first) = (i64::from(i32::MAX), -i64::from(i32::MAX));
    let y = if count == 0 {
        x
    } else {
        g.slice(&x, &vec![last; count], &vec![before_first; count], &axes, &vec![-1; count])
    };
    g.give(y);
    Ok(())
}

/// For each batch element, the first so many elements along an axis in the opposite order.
fn reverse_sequence(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let rank = a.rank("x")?;
    let (sequence, batch) = (a.axis("seq_axis", 0, rank)?, a.axis("batch_axis", 0, rank)?);
    if sequence == batch {
        return Err(OpError::invalid("its seq_axis is its batch_axis"));
    }
    let others = (0..rank as i64).filter(|axis| *axis != sequence && *axis != batch);
    let perm: Vec<i64> = [batch, sequence].into_iter().chain(others).collect();
    let mut back = vec![0; rank];
    perm.iter().zip(0..).for_each(|(from, to)| back[*from as usize] = to);
    let element = element_type(a.ty("x")?.data_type)?;
    let x = if element == ElementType::Bool { g.cast(&x, ElementType::Int32) } else { x };
    let moved = g.transpose(&x, &perm);
    let lengths = a.shape_tensor(g, "lengths")?;
    let attributes =
        vec![AttributeProto::int("batch_axis", 0), AttributeProto::int("time_axis", 1)];
    let reversed = g.node("ReverseSequence", &[&moved, &lengths], attributes);
    let mut y = g.transpose(&reversed, &back);
    if element == ElementType::Bool {
        y = g.cast(&y, ElementType::Bool);
    }
    g.give(y);
    Ok(())
}
