//! Division with its rounding: `floor_div`, `mod` and `real_div` of MIL's `elementwise_binary.py`.
//!
//! Owns: PyTorch's arithmetic of floats, and what keeps integer division from ending the process.
//! Flow: rows of the table in `elementwise.rs`.

use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value, element_type};
use crate::onnx::{AttributeProto, ElementType};
use coreml_spec::DataType;

/// Quotient rounded towards minus infinity.
pub(super) fn floor_div(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let quotient = if is_float(a, "x")? {
        let (x, y) = (a.tensor(g, "x")?, a.tensor(g, "y")?);
        floor_quotient(g, &x, &y)
    } else {
        // ONNX cuts integer quotients off towards zero. Where the remainder has the sign of the
        // divisor, that is the floor; elsewhere it is one more, unless there is no remainder.
        let Quotient { x, y, overflows } = Quotient::new(a, g)?;
        let zero = integer(g, 0)?;
        let quotient = g.node("Div", &[&x, &y], Vec::new());
        let multiple = g.node("Mul", &[&quotient, &y], Vec::new());
        let exact = g.node("Equal", &[&multiple, &x], Vec::new());
        let inexact = g.node("Not", &[&exact], Vec::new());
        let (x_below, y_below) =
            (g.node("Less", &[&x, &zero], Vec::new()), g.node("Less", &[&y, &zero], Vec::new()));
        let signs_differ = g.node("Xor", &[&x_below, &y_below], Vec::new());
        let is_above = g.node("And", &[&inexact, &signs_differ], Vec::new());
        let excess = g.cast(&is_above, ElementType::Int32);
        let floor = g.node("Sub", &[&quotient, &excess], Vec::new());
        wrapped(g, floor, overflows)?
    };
    g.give(quotient);
    Ok(())
}

/// Returns the quotient of floats rounded down as PyTorch computes it: by the remainder, since the
/// quotient itself may be rounded up to the next whole number.
fn floor_quotient(g: &mut Graph, x: &Value, y: &Value) -> Value {
    let (zero, one, half) = (g.float(0.0), g.float(1.0), g.float(0.5));
    let remainder = g.node("Mod", &[x, y], vec![AttributeProto::int("fmod", 1)]);
    let multiple = g.node("Sub", &[x, &remainder], Vec::new());
    let quotient = g.node("Div", &[&multiple, y], Vec::new());
    let correct = other_sign(g, &remainder, y);
    let lower = g.node("Sub", &[&quotient, &one], Vec::new());
    let quotient = g.node("Where", &[&correct, &lower, &quotient], Vec::new());
    // The quotient is a whole number but for rounding.
    let floor = g.node("Floor", &[&quotient], Vec::new());
    let above = g.node("Sub", &[&quotient, &floor], Vec::new());
    let is_above = g.node("Greater", &[&above, &half], Vec::new());
    let next = g.node("Add", &[&floor, &one], Vec::new());
    let whole = g.node("Where", &[&is_above, &next, &floor], Vec::new());
    // Zero has the sign of the quotient, and a divisor of zero gives infinity or NaN.
    let ratio = g.node("Div", &[x, y], Vec::new());
    let signed_zero = g.node("Mul", &[&ratio, &zero], Vec::new());
    let is_zero = g.node("Equal", &[&quotient, &zero], Vec::new());
    let whole = g.node("Where", &[&is_zero, &signed_zero, &whole], Vec::new());
    let by_zero = g.node("Equal", &[y, &zero], Vec::new());
    g.node("Where", &[&by_zero, &ratio, &whole], Vec::new())
}

/// Returns where a remainder is not zero and has not the sign of the divisor.
fn other_sign(g: &mut Graph, remainder: &Value, divisor: &Value) -> Value {
    let zero = g.float(0.0);
    let below = g.node("Less", &[remainder, &zero], Vec::new());
    let divisor_below = g.node("Less", &[divisor, &zero], Vec::new());
    let signs_differ = g.node("Xor", &[&below, &divisor_below], Vec::new());
    let exact = g.node("Equal", &[remainder, &zero], Vec::new());
    let inexact = g.node("Not", &[&exact], Vec::new());
    g.node("And", &[&signs_differ, &inexact], Vec::new())
}

/// The operands of an integer division that engines survive: the smallest integer divided by −1
/// ends the process with ONNX Runtime, and panics in rten.
struct Quotient {
    /// The dividend.
    x: Value,
    /// The divisor, 1 where the quotient overflows.
    y: Value,
    /// Where the quotient overflows; `None` when no divisor is −1.
    overflows: Option<Value>,
}

impl Quotient {
    /// Reads the operands.
    fn new(a: &Args<'_, '_>, g: &mut Graph) -> Result<Self, OpError> {
        let (x, y) = (a.tensor(g, "x")?, a.tensor(g, "y")?);
        let may_negate = |values: Vec<i64>| values.contains(&-1);
        if a.is_constant("y") && !a.constant("y")?.and_then(|y| y.to_i64s()).is_some_and(may_negate)
        {
            return Ok(Self { x, y, overflows: None });
        }
        let (smallest, minus_one, one) = (integer(g, i32::MIN)?, integer(g, -1)?, integer(g, 1)?);
        let is_smallest = g.node("Equal", &[&x, &smallest], Vec::new());
        let negates = g.node("Equal", &[&y, &minus_one], Vec::new());
        let overflows = g.node("And", &[&is_smallest, &negates], Vec::new());
        let y = g.node("Where", &[&overflows, &one, &y], Vec::new());
        Ok(Self { x, y, overflows: Some(overflows) })
    }
}

/// Returns a quotient, wrapped around to the smallest integer where it overflows.
fn wrapped(g: &mut Graph, quotient: Value, overflows: Option<Value>) -> Result<Value, OpError> {
    let Some(overflows) = overflows else { return Ok(quotient) };
    let smallest = integer(g, i32::MIN)?;
    Ok(g.node("Where", &[&overflows, &smallest, &quotient], Vec::new()))
}

/// Remainder with the sign of the divisor.
pub(super) fn modulo(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let remainder = if is_float(a, "x")? {
        let (x, y) = (a.tensor(g, "x")?, a.tensor(g, "y")?);
        // For floats ONNX has only the remainder with the dividend's sign. Adding the divisor and
        // taking the remainder again would lose precision, so the divisor is added only where the
        // signs differ.
        let remainder = g.node("Mod", &[&x, &y], vec![AttributeProto::int("fmod", 1)]);
        let correct = other_sign(g, &remainder, &y);
        let corrected = g.node("Add", &[&remainder, &y], Vec::new());
        g.node("Where", &[&correct, &corrected, &remainder], Vec::new())
    } else {
        // Any number has the remainder 0 by 1 and by −1.
        let Quotient { x, y, .. } = Quotient::new(a, g)?;
        g.node("Mod", &[&x, &y], Vec::new())
    };
    g.give(remainder);
    Ok(())
}

/// Quotient; of integers, the true quotient cut off towards zero.
pub(super) fn real_div(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    if is_float(a, "x")? {
        return a.binary(g, "Div");
    }
    let Quotient { x, y, overflows } = Quotient::new(a, g)?;
    let quotient = g.node("Div", &[&x, &y], Vec::new());
    let quotient = wrapped(g, quotient, overflows)?;
    g.give(quotient);
    Ok(())
}

/// Returns an integer of 32 bits.
fn integer(g: &mut Graph, value: i32) -> Result<Value, OpError> {
    g.scalar(DataType::Int32, f64::from(value))
}

/// Returns whether the tensor argument holds floating-point numbers.
fn is_float(a: &Args<'_, '_>, name: &str) -> Result<bool, OpError> {
    Ok(element_type(a.ty(name)?.data_type)? == ElementType::Float)
}

#[cfg(test)]
mod tests {
    use crate::engine_kind::EngineKind;
    use crate::onnx::{GraphProto, NodeProto};
    use crate::translate::{Settings, translate};
    use coreml_spec::Package;
    use safetensors::SafeTensors;
    use std::path::Path;

    /// Translates a case of `tests/cases/edges.py`.
    fn graph(case: &str, engine: Option<EngineKind>) -> GraphProto {
        let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/edges.safetensors");
        let bytes: &'static [u8] = std::fs::read(archive).unwrap().leak();
        let archive = SafeTensors::deserialize(bytes).unwrap();
        let prefix = format!("{case}/package/");
        let files: Vec<(&'static str, &'static [u8])> = archive
            .tensors()
            .into_iter()
            .filter_map(|(key, view)| {
                let path = key.strip_prefix(&prefix)?.to_owned().leak();
                Some((&*path, &*view.data().to_vec().leak()))
            })
            .collect();
        let package = Package::from_embedded(&files).unwrap();
        let function = &package.interface().unwrap().functions[0];
        let settings = Settings { engine, round_to_half: false };
        translate(&package, function, settings).unwrap().model.graph.unwrap()
    }

    /// Returns the node that gives a value.
    fn maker<'a>(graph: &'a GraphProto, value: &str) -> Option<&'a NodeProto> {
        graph.node.iter().find(|node| node.output[0] == value)
    }

    /// Returns the number that a constant holds; `None` for other values.
    fn number(graph: &GraphProto, value: &str) -> Option<i32> {
        let constant = graph.initializer.iter().find(|constant| constant.name == value)?;
        let bytes = constant.raw_data.as_deref()?.first_chunk()?;
        Some(i32::from_le_bytes(*bytes))
    }

    /// Returns whether a division never has the smallest integer and −1 as its operands: where they
    /// would be, the divisor is 1.
    fn is_guarded(graph: &GraphProto, division: &NodeProto) -> bool {
        let guard = || {
            let choice = maker(graph, &division.input[1]).filter(|node| node.op_type == "Where")?;
            let both = maker(graph, &choice.input[0]).filter(|node| node.op_type == "And")?;
            let [left, right] = [maker(graph, &both.input[0])?, maker(graph, &both.input[1])?];
            let equals = |node: &NodeProto, operand: &str, to: i32| {
                node.op_type == "Equal"
                    && node.input[0] == operand
                    && number(graph, &node.input[1]) == Some(to)
            };
            let overflow =
                equals(left, &division.input[0], i32::MIN) && equals(right, &choice.input[2], -1);
            Some(overflow && number(graph, &choice.input[1]) == Some(1))
        };
        guard().unwrap_or(false)
    }

    #[test]
    fn no_engine_divides_the_smallest_integer_by_minus_one() {
        let engines = EngineKind::ALL.map(Some).into_iter().chain([None]);
        for engine in engines {
            for (case, guarded) in [
                ("floor_div_int_iOS15", true),
                ("mod_int_iOS15", true),
                ("real_div_int_iOS15", true),
                ("floor_div_int_by_n1_iOS15", true),
                ("mod_int_by_n1_iOS15", true),
                ("floor_div_int_by_2_iOS15", false),
                ("mod_int_by_n3_iOS15", false),
            ] {
                let graph = graph(case, engine);
                let divisions: Vec<_> = graph
                    .node
                    .iter()
                    .filter(|node| matches!(node.op_type.as_str(), "Div" | "Mod"))
                    .collect();
                assert_eq!(divisions.len(), 1, "{case}");
                assert_eq!(is_guarded(&graph, divisions[0]), guarded, "{case} on {engine:?}");
            }
        }
    }
}
