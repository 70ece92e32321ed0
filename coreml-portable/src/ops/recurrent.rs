//! Recurrent layers: MIL's `recurrent.py`.
//!
//! Flow: rows of the table in `ops.rs`. An LSTM with the usual activations becomes ONNX's LSTM. All
//! others become a loop over time, whose products with the input are taken out and computed at
//! once: engines know few variants.

use super::linear::all_zero;
use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value, declared};
use crate::onnx::{AttributeProto, ElementType, ValueInfoProto};
use crate::op::Opset::{CoreML5, CoreML7, CoreML8};
use crate::op::{Op, Param, op, opt, req};

/// Parameters of `gru`.
const GRU: &[Param] = &[
    req("x"),
    req("initial_h"),
    req("weight_ih"),
    req("weight_hh"),
    opt("bias"),
    opt("direction"),
    opt("output_sequence"),
    opt("recurrent_activation"),
    opt("activation"),
];
/// The same since iOS 18.
const GRU_8: &[Param] = &[
    req("x"),
    req("initial_h"),
    req("weight_ih"),
    req("weight_hh"),
    opt("bias"),
    opt("direction"),
    opt("output_sequence"),
    opt("recurrent_activation"),
    opt("activation"),
    opt("reset_after"),
    opt("input_bias"),
];
/// Parameters of `lstm`.
const LSTM: &[Param] = &[
    req("x"),
    req("initial_h"),
    req("initial_c"),
    req("weight_ih"),
    req("weight_hh"),
    opt("bias"),
    opt("peephole"),
    opt("weight_ih_back"),
    opt("weight_hh_back"),
    opt("bias_back"),
    opt("peephole_back"),
    opt("direction"),
    opt("output_sequence"),
    opt("recurrent_activation"),
    opt("cell_activation"),
    opt("activation"),
    opt("clip"),
];
/// Parameters of `rnn`.
const RNN: &[Param] = &[
    req("x"),
    req("initial_h"),
    req("weight_ih"),
    req("weight_hh"),
    opt("bias"),
    opt("direction"),
    opt("output_sequence"),
    opt("activation"),
];

/// The rows.
pub(super) const OPS: &[Op] = &[
    op("gru", &[CoreML5, CoreML7], GRU, gru),
    op("gru", &[CoreML8], GRU_8, gru),
    op("lstm", &[CoreML5, CoreML7], LSTM, lstm),
    op("rnn", &[CoreML5, CoreML7], RNN, rnn),
];

/// Returns the input in the order in which a layer of one direction reads it.
fn directed(a: &Args<'_, '_>, g: &mut Graph) -> Result<Value, OpError> {
    let x = a.tensor(g, "x")?;
    match a.get_or("direction", "forward".to_owned())?.as_str() {
        "forward" => Ok(x),
        "reverse" => Ok(backwards(g, &x)),
        other => Err(OpError::unsupported(format!("its direction `{other}` is unknown"))),
    }
}

/// Reverses the first dimension.
fn backwards(g: &mut Graph, x: &Value) -> Value {
    let beyond = i64::from(i32::MAX);
    g.slice(x, &[beyond], &[-beyond], &[0], &[-1])
}

/// Appends an activation by the name that recurrent layers give it.
fn activation(g: &mut Graph, name: &str, x: &Value) -> Result<Value, OpError> {
    Ok(match name {
        "linear" => x.clone(),
        "relu" => g.node("Relu", &[x], Vec::new()),
        "sigmoid" => g.node("Sigmoid", &[x], Vec::new()),
        "tanh" => g.node("Tanh", &[x], Vec::new()),
        "sigmoid_hard" | "hard_sigmoid" => {
            let attributes =
                vec![AttributeProto::float("alpha", 0.2), AttributeProto::float("beta", 0.5)];
            g.node("HardSigmoid", &[x], attributes)
        }
        _ => {
            return Err(OpError::unsupported(format!(
                "the activation `{name}` in a recurrent layer"
            )));
        }
    })
}

/// Returns `x · weightᵀ + bias` for a whole sequence, or a step.
fn projected(
    a: &Args<'_, '_>,
    g: &mut Graph,
    x: &Value,
    weight: &str,
    bias: &str,
) -> Result<Value, OpError> {
    let weight = a.transposed(g, weight)?;
    let y = g.node("MatMul", &[x, &weight], Vec::new());
    if !a.has(bias) || all_zero(a, bias)? {
        return Ok(y);
    }
    let bias = a.tensor(g, bias)?;
    Ok(g.node("Add", &[&y, &bias], Vec::new()))
}

/// What a loop over time gives: the states after each step, and those after the last.
struct Unrolled {
    /// Hidden states of all steps.
    sequence: Value,
    /// The states at the end; the hidden state first.
    last: Vec<Value>,
}

/// Runs `step` for each element of the first dimension of `inputs`.
///
/// Parameters: `states` — at the start; `step` — from the graph, a step's input and the states
/// before it, to the states after it.
fn over_time(
    g: &mut Graph,
    inputs: &Value,
    states: &[Value],
    step: impl FnOnce(&mut Graph, &Value, &[Value]) -> Result<Vec<Value>, OpError>,
) -> Result<Unrolled, OpError> {
    let shape = g.shape(inputs);
    let count = g.slice(&shape, &[0], &[1], &[0], &[1]);
    let count = g.squeeze(&count, &[0]);
    let always = g.int(1);
    let always = g.cast(&always, ElementType::Bool);
    let body = g.body(|g| {
        let (number, proceed) = (g.input("step"), g.input("proceed"));
        let before: Vec<Value> = states.iter().map(|_| g.input("state")).collect();
        let input = g.node("Gather", &[inputs, &number], vec![AttributeProto::int("axis", 0)]);
        let mut outputs = vec![g.node("Identity", &[&proceed], Vec::new())];
        let after = step(g, &input, &before)?;
        // A graph's outputs need names of their own even where values coincide.
        outputs.extend(after.iter().map(|state| g.node("Identity", &[state], Vec::new())));
        outputs.push(g.node("Identity", &[&after[0]], Vec::new()));
        let mut ports: Vec<ValueInfoProto> = vec![
            declared(&number, ElementType::Int64, Some(0)),
            declared(&proceed, ElementType::Bool, Some(0)),
        ];
        ports.extend(before.iter().map(|state| declared(state, ElementType::Float, None)));
        let types = outputs.iter().enumerate().map(|(i, output)| match i {
            0 => declared(output, ElementType::Bool, Some(0)),
            _ => declared(output, ElementType::Float, None),
        });
        Ok::<_, OpError>((ports, types.collect()))
    })?;
    let operands: Vec<&Value> = [&count, &always].into_iter().chain(states).collect();
    let mut outputs =
        g.nodes("Loop", &operands, states.len() + 1, vec![AttributeProto::graph("body", body)]);
    let sequence = outputs.pop().unwrap_or_else(Value::none);
    Ok(Unrolled { sequence, last: outputs })
}

/// Gives the results of a layer of one direction: the sequence or its end, then the last states.
fn give(a: &Args<'_, '_>, g: &mut Graph, unrolled: Unrolled) -> Result<(), OpError> {
    let first = if a.get_or("output_sequence", false)? {
        unrolled.sequence
    } else {
        g.unsqueeze(&unrolled.last[0], &[0])
    };
    g.give(first);
    unrolled.last.into_iter().for_each(|state| g.give(state));
    Ok(())
}

/// `h' = activation(W x + R h + b)`.
fn rnn(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, h) = (directed(a, g)?, a.tensor(g, "initial_h")?);
    let name = a.get_or("activation", "tanh".to_owned())?;
    let inputs = projected(a, g, &x, "weight_ih", "bias")?;
    let recurrent = a.transposed(g, "weight_hh")?;
    let unrolled = over_time(g, &inputs, &[h], |g, input, states| {
        let product = g.node("MatMul", &[&states[0], &recurrent], Vec::new());
        let sum = g.node("Add", &[input, &product], Vec::new());
        Ok(vec![activation(g, &name, &sum)?])
    })?;
    give(a, g, unrolled)
}

/// `h' = (1 − z) o + z h`, with reset gate `r`, output `o` and update gate `z` in this order in the
/// weights.
fn gru(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, h) = (directed(a, g)?, a.tensor(g, "initial_h")?);
    let inner = a.get_or("recurrent_activation", "sigmoid".to_owned())?;
    let outer = a.get_or("activation", "tanh".to_owned())?;
    let hidden = hidden_size(a)?;
    let after = a.get_or("reset_after", false)?;
    // The bias belongs to the recurrent product, where `reset_after` resets it too; otherwise all
    // biases just add up.
    let mut inputs = projected(a, g, &x, "weight_ih", if after { "input_bias" } else { "bias" })?;
    if !after && a.has("input_bias") {
        let bias = a.tensor(g, "input_bias")?;
        inputs = g.node("Add", &[&inputs, &bias], Vec::new());
    }
    let recurrent = a.transposed(g, "weight_hh")?;
    let sizes = g.ints(&[hidden; 3]);
    let parts = g.nodes("Split", &[&recurrent, &sizes], 3, vec![AttributeProto::int("axis", 1)]);
    let bias = if after && a.has("bias") { Some(a.tensor(g, "bias")?) } else { None };
    let one = g.float(1.0);
    let unrolled = over_time(g, &inputs, &[h], |g, input, states| {
        let h = &states[0];
        let inputs = g.nodes("Split", &[input, &sizes], 3, vec![AttributeProto::int("axis", 1)]);
        let biases = match &bias {
            Some(bias) => {
                g.nodes("Split", &[bias, &sizes], 3, vec![AttributeProto::int("axis", 0)])
            }
            None => Vec::new(),
        };
        let product = |g: &mut Graph, h: &Value, gate: usize| {
            let product = g.node("MatMul", &[h, &parts[gate]], Vec::new());
            match biases.get(gate) {
                Some(bias) => g.node("Add", &[&product, bias], Vec::new()),
                None => product,
            }
        };
        let mut gates = Vec::new();
        for gate in [0, 2] {
            let product = product(g, h, gate);
            let sum = g.node("Add", &[&inputs[gate], &product], Vec::new());
            gates.push(activation(g, &inner, &sum)?);
        }
        let (reset, update) = (&gates[0], &gates[1]);
        let remembered = if after {
            let product = product(g, h, 1);
            g.node("Mul", &[reset, &product], Vec::new())
        } else {
            let kept = g.node("Mul", &[reset, h], Vec::new());
            product(g, &kept, 1)
        };
        let sum = g.node("Add", &[&inputs[1], &remembered], Vec::new());
        let output = activation(g, &outer, &sum)?;
        let rest = g.node("Sub", &[&one, update], Vec::new());
        let new = g.node("Mul", &[&rest, &output], Vec::new());
        let old = g.node("Mul", &[update, h], Vec::new());
        Ok(vec![g.node("Add", &[&new, &old], Vec::new())])
    })?;
    give(a, g, unrolled)
}

/// Returns the number of hidden units.
fn hidden_size(a: &Args<'_, '_>) -> Result<i64, OpError> {
    let size = a.ty("weight_hh")?.dims.get(1).copied().flatten();
    size.and_then(|size| i64::try_from(size).ok())
        .ok_or_else(|| OpError::invalid("its weight_hh is not a matrix"))
}

/// Long short-term memory in one or both directions.
fn lstm(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let name = |key: &str, default: &str| a.get_or(key, default.to_owned());
    let activations = [
        name("recurrent_activation", "sigmoid")?,
        name("cell_activation", "tanh")?,
        name("activation", "tanh")?,
    ];
    let both = name("direction", "forward")? == "bidirectional";
    let usual = activations == ["sigmoid", "tanh", "tanh"].map(str::to_owned);
    let plain = !["peephole", "peephole_back", "clip"].into_iter().any(|name| a.has(name));
    if usual && plain {
        return usual_lstm(a, g, both);
    }
    if !both {
        let x = directed(a, g)?;
        let states = [a.tensor(g, "initial_h")?, a.tensor(g, "initial_c")?];
        let unrolled = unusual_lstm(a, g, &x, states, "", &activations)?;
        return give(a, g, unrolled);
    }
    let x = a.tensor(g, "x")?;
    let (h, c) = (a.tensor(g, "initial_h")?, a.tensor(g, "initial_c")?);
    let attributes = || vec![AttributeProto::int("axis", 1), AttributeProto::int("num_outputs", 2)];
    let (h, c) =
        (g.nodes("Split", &[&h], 2, attributes()), g.nodes("Split", &[&c], 2, attributes()));
    let forth = unusual_lstm(a, g, &x, [h[0].clone(), c[0].clone()], "", &activations)?;
    let reversed = backwards(g, &x);
    let back = unusual_lstm(a, g, &reversed, [h[1].clone(), c[1].clone()], "_back", &activations)?;
    let back_sequence = backwards(g, &back.sequence);
    let sequence = g.concat(&[&forth.sequence, &back_sequence], 2);
    let last = (0..2).map(|i| g.concat(&[&forth.last[i], &back.last[i]], 1)).collect();
    give(a, g, Unrolled { sequence, last })
}

/// An LSTM as ONNX knows it.
fn usual_lstm(a: &Args<'_, '_>, g: &mut Graph, both: bool) -> Result<(), OpError> {
    let x = if both { a.tensor(g, "x")? } else { directed(a, g)? };
    let hidden = hidden_size(a)?;
    let suffixes: &[&str] = if both { &["", "_back"] } else { &[""] };
    let mut stacked = Vec::new();
    for name in ["weight_ih", "weight_hh", "bias"] {
        let mut parts = Vec::new();
        for suffix in suffixes {
            let key = format!("{name}{suffix}");
            let part = match (name, a.has(&key)) {
                ("bias", false) => g.filled(&[8 * usize::try_from(hidden).unwrap_or(0)], 0.0)?,
                ("bias", true) => {
                    let bias = reordered(a, g, &key, hidden)?;
                    let zeros = g.filled(&[4 * usize::try_from(hidden).unwrap_or(0)], 0.0)?;
                    g.concat(&[&bias, &zeros], 0)
                }
                _ => reordered(a, g, &key, hidden)?,
            };
            parts.push(g.unsqueeze(&part, &[0]));
        }
        stacked.push(g.concat(&parts.iter().collect::<Vec<_>>(), 0));
    }
    let mut states = Vec::new();
    for name in ["initial_h", "initial_c"] {
        let state = a.tensor(g, name)?;
        let split = g.reshape(&state, &[0, suffixes.len() as i64, hidden]);
        states.push(g.transpose(&split, &[1, 0, 2]));
    }
    let direction = if both { "bidirectional" } else { "forward" };
    let attributes = vec![
        AttributeProto::int("hidden_size", hidden),
        AttributeProto::string("direction", direction),
    ];
    let lengths = Value::none();
    let operands = [&x, &stacked[0], &stacked[1], &stacked[2], &lengths, &states[0], &states[1]];
    let outputs = g.nodes("LSTM", &operands, 3, attributes);
    let sequence = g.transpose(&outputs[0], &[0, 2, 1, 3]);
    let sequence = g.reshape(&sequence, &[0, 0, -1]);
    let mut last = Vec::new();
    for state in &outputs[1..] {
        let joined = g.transpose(state, &[1, 0, 2]);
        last.push(g.reshape(&joined, &[0, -1]));
    }
    give(a, g, Unrolled { sequence, last })
}

/// Returns a weight or bias with its gates in ONNX's order (input, output, forget, cell) instead of
/// MIL's (input, forget, output, cell).
fn reordered(a: &Args<'_, '_>, g: &mut Graph, name: &str, hidden: i64) -> Result<Value, OpError> {
    let weight = a.tensor(g, name)?;
    let sizes = g.ints(&[hidden; 4]);
    let gates = g.nodes("Split", &[&weight, &sizes], 4, vec![AttributeProto::int("axis", 0)]);
    Ok(g.concat(&[&gates[0], &gates[2], &gates[1], &gates[3]], 0))
}

/// One direction of an LSTM with any activations, peepholes, and a limit of the cell's magnitude.
fn unusual_lstm(
    a: &Args<'_, '_>,
    g: &mut Graph,
    x: &Value,
    states: [Value; 2],
    suffix: &str,
    [inner, cell, outer]: &[String; 3],
) -> Result<Unrolled, OpError> {
    let key = |name: &str| format!("{name}{suffix}");
    let sizes = g.ints(&[hidden_size(a)?; 4]);
    let inputs = projected(a, g, x, &key("weight_ih"), &key("bias"))?;
    let recurrent = a.transposed(g, &key("weight_hh"))?;
    let peepholes = if a.has(&key("peephole")) {
        let all = a.tensor(g, &key("peephole"))?;
        let attributes =
            vec![AttributeProto::int("axis", 0), AttributeProto::int("num_outputs", 3)];
        g.nodes("Split", &[&all], 3, attributes)
    } else {
        Vec::new()
    };
    let limits = a.get::<f32>("clip")?.map(|clip| (g.float(-clip), g.float(clip)));
    over_time(g, &inputs, &states, |g, input, states| {
        let (h, c) = (&states[0], &states[1]);
        let product = g.node("MatMul", &[h, &recurrent], Vec::new());
        let sum = g.node("Add", &[input, &product], Vec::new());
        let gates = g.nodes("Split", &[&sum, &sizes], 4, vec![AttributeProto::int("axis", 1)]);
        let peeked = |g: &mut Graph, gate: usize, c: &Value| match peepholes.get(gate) {
            Some(weight) => {
                let glance = g.node("Mul", &[weight, c], Vec::new());
                g.node("Add", &[&gates[gate], &glance], Vec::new())
            }
            None => gates[gate].clone(),
        };
        let (input, forget) = (peeked(g, 0, c), peeked(g, 1, c));
        let (input, forget) = (activation(g, inner, &input)?, activation(g, inner, &forget)?);
        let candidate = activation(g, cell, &gates[3])?;
        let kept = g.node("Mul", &[&forget, c], Vec::new());
        let added = g.node("Mul", &[&input, &candidate], Vec::new());
        let mut c = g.node("Add", &[&kept, &added], Vec::new());
        if let Some((low, high)) = &limits {
            c = g.node("Clip", &[&c, low, high], Vec::new());
        }
        let output = peeked(g, 2, &c);
        let output = activation(g, inner, &output)?;
        let shown = activation(g, outer, &c)?;
        Ok(vec![g.node("Mul", &[&output, &shown], Vec::new()), c])
    })
}
