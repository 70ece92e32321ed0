//! Changes of a program that leave it one that can be read: other operations, arguments, types,
//! shapes and constants.
//!
//! Owns: the kinds of change. Must not: know what operations mean.
//! Flow: `translate.rs` hands a specification in and gets another one.

use coreml_portable::operations;
use coreml_spec::proto::{
    Binding, BindingKind, Block, ConstantDimension, Dimension, DimensionKind, ImmediateKind, Model,
    Operation, TensorKind, TensorType, UnknownDimension, Value, ValueKind, ValueType,
    ValueTypeKind,
};
use prost::Message;

/// Numbers at which arithmetic goes wrong.
const EDGES: [i64; 16] = [
    0,
    1,
    -1,
    2,
    -2,
    5,
    -5,
    64,
    127,
    1 << 16,
    (1 << 31) - 1,
    -(1 << 31),
    1 << 32,
    i64::MAX,
    i64::MIN,
    1 << 20,
];

/// Names of element types, layouts and modes that operations take.
const WORDS: [&str; 18] = [
    "",
    "fp16",
    "fp32",
    "int32",
    "int8",
    "bool",
    "same",
    "same_lower",
    "valid",
    "custom",
    "constant",
    "reflect",
    "add",
    "mul",
    "forward",
    "bidirectional",
    "tanh",
    "NCHW",
];

/// A generator of the numbers that decide what is changed.
struct Random(u64);

impl Random {
    /// Returns a number below `limit`, or 0 when that is 0.
    fn below(&mut self, limit: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit.max(1)
    }

    /// Returns one of several things.
    fn pick<'a, T>(&mut self, things: &'a [T]) -> Option<&'a T> {
        things.get(self.below(things.len()))
    }
}

/// Returns a specification with one to four changes, or `None` when it holds no program.
pub(crate) fn mutate(specification: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut random = Random(u64::from(seed) << 1 | 1);
    let mut model = Model::decode(specification).ok()?;
    let program = model.ml_program.as_mut()?;
    for _ in 0..=random.below(4) {
        let functions = program.functions.len();
        let function = program.functions.values_mut().nth(random.below(functions))?;
        let blocks = function.block_specializations.len();
        let block = function.block_specializations.values_mut().nth(random.below(blocks))?;
        change_block(block, &mut random);
    }
    Some(model.encode_to_vec())
}

/// Changes one operation of a block, or of a block inside.
fn change_block(block: &mut Block, random: &mut Random) {
    let names: Vec<String> = block
        .operations
        .iter()
        .flat_map(|operation| &operation.outputs)
        .map(|output| output.name.clone())
        .collect();
    let at = random.below(block.operations.len());
    match random.below(16) {
        0 => {
            if at < block.operations.len() {
                block.operations.remove(at);
            }
            return;
        }
        1 => {
            if let Some(copy) = block.operations.get(at).cloned() {
                let to = random.below(block.operations.len());
                block.operations.insert(to, copy);
            }
            return;
        }
        2 => {
            if let (Some(output), Some(name)) = (block.outputs.first_mut(), random.pick(&names)) {
                output.clone_from(name);
            }
            return;
        }
        _ => {}
    }
    let Some(operation) = block.operations.get_mut(at) else { return };
    if !operation.blocks.is_empty() && random.below(2) == 0 {
        let inner = random.below(operation.blocks.len());
        change_block(&mut operation.blocks[inner], random);
        return;
    }
    change_operation(operation, &names, random);
}

/// Changes an operation.
fn change_operation(operation: &mut Operation, names: &[String], random: &mut Random) {
    let arguments = operation.inputs.len();
    match random.below(8) {
        0 => {
            let rows: Vec<&str> = operations().map(|row| row.name).collect();
            operation.r#type =
                random.pick(&rows).map_or_else(String::new, |name| (*name).to_owned());
        }
        1 => {
            if let Some(key) = operation.inputs.keys().nth(random.below(arguments)).cloned() {
                operation.inputs.remove(&key);
            }
        }
        2 => {
            let argument = operation.inputs.values_mut().nth(random.below(arguments));
            if let (Some(argument), Some(name)) = (argument, random.pick(names)) {
                let binding = Binding { kind: Some(BindingKind::Name(name.clone())) };
                match random.below(3) {
                    0 => argument.arguments.push(binding),
                    1 => argument.arguments = Vec::new(),
                    _ => argument.arguments = vec![binding],
                }
            }
        }
        3 => {
            let count = operation.outputs.len();
            if let Some(ty) = operation
                .outputs
                .get_mut(random.below(count))
                .and_then(|output| output.r#type.as_mut())
            {
                change_type(ty, random);
            }
        }
        4 => {
            let moved = operation.outputs.first().cloned();
            operation.outputs.extend(moved);
        }
        _ => {
            let in_place =
                operation.inputs.values_mut().flat_map(|argument| &mut argument.arguments);
            let in_place = in_place.filter_map(|binding| match &mut binding.kind {
                Some(BindingKind::Value(value)) => Some(value),
                _ => None,
            });
            let attributes = operation
                .attributes
                .iter_mut()
                .filter(|(key, _)| *key != "name")
                .map(|(_, value)| value);
            let mut values: Vec<&mut Value> = attributes.chain(in_place).collect();
            let at = random.below(values.len());
            if let Some(value) = values.get_mut(at) {
                change_value(value, random);
            }
        }
    }
}

/// Changes a type.
fn change_type(ty: &mut ValueType, random: &mut Random) {
    let tensor = match &mut ty.kind {
        Some(ValueTypeKind::Tensor(tensor)) => tensor,
        Some(ValueTypeKind::List(list)) => match list.r#type.as_mut() {
            Some(inner) => return change_type(inner, random),
            None => return,
        },
        Some(ValueTypeKind::State(state)) => match state.wrapped_type.as_mut() {
            Some(inner) => return change_type(inner, random),
            None => return,
        },
        _ => return,
    };
    change_tensor(tensor, random);
}

/// Changes element type, rank or a size.
fn change_tensor(tensor: &mut TensorType, random: &mut Random) {
    let at = random.below(tensor.dimensions.len());
    let size = |random: &mut Random| {
        let edge = EDGES[random.below(EDGES.len())];
        DimensionKind::Constant(ConstantDimension { size: edge as u64 })
    };
    match random.below(6) {
        0 => {
            tensor.data_type =
                [1, 2, 10, 11, 12, 13, 21, 22, 23, 31, 32, 33, 35, 40][random.below(14)]
        }
        1 => drop(tensor.dimensions.pop()),
        2 => tensor.dimensions.push(Dimension { kind: Some(size(random)) }),
        3 => {
            if let Some(dimension) = tensor.dimensions.get_mut(at) {
                dimension.kind = Some(DimensionKind::Unknown(UnknownDimension { variadic: false }));
            }
        }
        _ => {
            if let Some(dimension) = tensor.dimensions.get_mut(at) {
                dimension.kind = Some(size(random));
            }
        }
    }
    tensor.rank = tensor.dimensions.len() as i64;
}

/// Changes a constant: its type, its elements, or where they lie.
fn change_value(value: &mut Value, random: &mut Random) {
    if random.below(4) == 0
        && let Some(ty) = value.r#type.as_mut()
    {
        return change_type(ty, random);
    }
    match &mut value.kind {
        Some(ValueKind::BlobFile(blob)) => blob.offset = (random.below(32) * 64) as u64,
        Some(ValueKind::Immediate(immediate)) => {
            if let Some(ImmediateKind::Tensor(tensor)) = &mut immediate.kind {
                change_elements(tensor.kind.as_mut(), random);
            }
        }
        None => {}
    }
}

/// Changes an element, or how many there are.
fn change_elements(elements: Option<&mut TensorKind>, random: &mut Random) {
    let (edge, at) = (EDGES[random.below(EDGES.len())], random.below(8));
    /// Puts `element` at `at`, or at the end; now and then removes the last one.
    fn put<T>(elements: &mut Vec<T>, at: usize, element: T) {
        match elements.get_mut(at) {
            Some(old) => *old = element,
            None if at % 2 == 0 => elements.push(element),
            None => drop(elements.pop()),
        }
    }
    match elements {
        Some(TensorKind::Ints(ints)) => put(&mut ints.values, at, edge as i32),
        Some(TensorKind::LongInts(ints)) => put(&mut ints.values, at, edge),
        Some(TensorKind::Bools(bools)) => put(&mut bools.values, at, edge % 2 != 0),
        Some(TensorKind::Floats(floats)) => {
            let specials = [f32::NAN, f32::INFINITY, f32::MIN_POSITIVE, -0.0, 0.5, f32::MAX];
            let element = if random.below(2) == 0 {
                edge as f32
            } else {
                specials[random.below(specials.len())]
            };
            put(&mut floats.values, at, element);
        }
        Some(TensorKind::Doubles(doubles)) => put(&mut doubles.values, at, edge as f64),
        Some(TensorKind::Strings(strings)) => {
            put(&mut strings.values, at, WORDS[random.below(WORDS.len())].to_owned())
        }
        Some(TensorKind::Bytes(bytes)) => put(&mut bytes.values, at, edge as u8),
        None => {}
    }
}
