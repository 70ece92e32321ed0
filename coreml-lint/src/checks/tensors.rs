//! Rules about results and constants, whatever the operation: ANE002 to ANE006, ANE050.
//!
//! Flow: `checks.rs` → [`constants`], [`results`], once per operation.

use crate::Options;
use crate::findings::Findings;
use crate::kind::Kind;
use crate::padding::{Padding, Tally};
use crate::rules::{ANE002, ANE003, ANE004, ANE005, ANE006, ANE050, Severity};
use crate::scope::{Given, Named, Scope, Tensor, is_in_weight_file};
use coreml_spec::proto::{Operation, Value};
use coreml_spec::{DataType, Error};
use std::collections::HashSet;

/// Most dimensions that the Neural Engine handles well.
const RANK_LIMIT: usize = 4;

/// Largest first and second dimension (batch and channels), in elements.
const OUTER_LIMIT: usize = 65_536;

/// Largest further dimension (depth, height, width), in elements.
const SPATIAL_LIMIT: usize = 16_384;

/// Magnitude beyond which half precision is about to overflow; its largest number is 65504.
const MAGNITUDE_LIMIT: f32 = 65_000.0;

/// Largest constant in a weight file that is read, in elements: masks are smaller, and gigabytes
/// stay on disk.
const READ_LIMIT: usize = 1 << 20;

/// Operations whose constants are masks and the like rather than weights.
const ELEMENTWISE: [&str; 8] =
    ["add", "sub", "mul", "maximum", "minimum", "select", "where", "real_div"];

/// Operations that only lay out a mask, or change its type.
const LAYOUT: [&str; 8] = [
    "cast",
    "expand_dims",
    "reshape",
    "slice_by_index",
    "slice_by_size",
    "squeeze",
    "tile",
    "transpose",
];

/// Applies the rule about constants: those in place, and those in weight files that elementwise
/// operations take.
///
/// Masks of attention are left out where the results are compared with PyTorch's at each build.
///
/// Errors: a constant cannot be read.
pub(super) fn constants<'a>(
    scope: &Scope<'a>,
    operation: &'a Operation,
    options: &Options,
    findings: &mut Findings,
) -> Result<(), Error> {
    let elementwise = ELEMENTWISE.contains(&operation.r#type.as_str());
    for (parameter, given) in scope.given(operation) {
        let Some(value) = given.constant() else { continue };
        if is_in_weight_file(value) && !elementwise {
            continue;
        }
        if let Some(extreme) = extreme(scope, value)? {
            if options.compared && elementwise && is_mask(scope, operation) {
                continue;
            }
            let name = match given {
                Given::Named(Named { operation: Some(source), .. }) => source
                    .outputs
                    .first()
                    .map(|output| format!(" {}", output.name))
                    .unwrap_or_default(),
                _ => String::new(),
            };
            let detail = format!("the constant{name}, given as {parameter}, holds {extreme}");
            findings.of_operation(ANE050, scope, operation, detail);
        }
    }
    Ok(())
}

/// Returns whether all that becomes of an operation's result is what attention is masked with: it
/// goes through other elementwise operations into a softmax, or into attention as one operation.
fn is_mask<'a>(scope: &Scope<'a>, operation: &'a Operation) -> bool {
    let (mut waiting, mut seen) = (vec![operation], HashSet::new());
    let mut meets_softmax = false;
    while let Some(operation) = waiting.pop() {
        for output in &operation.outputs {
            let name = output.name.as_str();
            if scope.outputs.contains(&output.name) || scope.uses(name).is_empty() {
                return false;
            }
            if !seen.insert(name) {
                continue;
            }
            for user in scope.uses(name) {
                let kind = user.r#type.as_str();
                if ["softmax", "scaled_dot_product_attention"].contains(&kind) {
                    meets_softmax = true;
                } else if ELEMENTWISE.contains(&kind) || LAYOUT.contains(&kind) {
                    waiting.push(user);
                } else {
                    return false;
                }
            }
        }
    }
    meets_softmax
}

/// Returns the first element of a constant that is not finite or too large; `None` when there is
/// none, or the constant holds no floats or is too large to be read.
fn extreme(scope: &Scope<'_>, value: &Value) -> Result<Option<f32>, Error> {
    let tensor = value.r#type.as_ref().and_then(|kind| kind.tensor()).and_then(Tensor::new);
    let Some(tensor) = tensor else { return Ok(None) };
    let floats =
        matches!(tensor.data_type, DataType::Float16 | DataType::Float32 | DataType::BFloat16);
    let elements = tensor
        .shape()
        .and_then(|shape| shape.iter().try_fold(1_usize, |all, dim| all.checked_mul(*dim)));
    if !floats || elements.is_none_or(|elements| elements > READ_LIMIT) {
        return Ok(None);
    }
    let elements = scope.package.constant(value)?.to_f32s().unwrap_or_default();
    Ok(elements
        .into_iter()
        .find(|element| element.is_infinite() || element.abs() > MAGNITUDE_LIMIT))
}

/// Applies the rules about the tensors that an operation gives.
///
/// Returns: whether all shapes are known.
pub(super) fn results<'a>(
    scope: &Scope<'a>,
    operation: &'a Operation,
    findings: &mut Findings,
    tally: &mut Tally,
) -> bool {
    let mut shapes_are_known = true;
    for output in &operation.outputs {
        let Some(tensor) =
            output.r#type.as_ref().and_then(|kind| kind.tensor()).and_then(Tensor::new)
        else {
            continue;
        };
        shapes_are_known &= tensor.shape().is_some();
        let notation = notation(&tensor);
        let kind = findings.kind;
        let mut found = |rule, detail, excess| {
            findings.of_operation(rule, scope, operation, detail).by(excess);
        };
        let elements = tensor.shape().map_or(0, |shape| shape.iter().product());
        match tensor.data_type {
            // coremltools puts it at the end of a half-precision program. Of an output it is the
            // output's own finding, of a classifier's probabilities it cannot be chosen.
            DataType::Float32 | DataType::Float64 if scope.is_last_cast(operation) => {}
            DataType::Float32 | DataType::Float64 => {
                found(ANE004, format!("{} is {notation}", output.name), elements);
            }
            DataType::Bool | DataType::Int32 | DataType::Int64 | DataType::UInt32 => {
                found(ANE006, format!("{} is {notation}", output.name), elements);
            }
            _ => {}
        }
        if tensor.dims.len() > RANK_LIMIT {
            found(ANE003, format!("{} is {notation}", output.name), elements);
        }
        let limit = |axis: usize| if axis < 2 { OUTER_LIMIT } else { SPATIAL_LIMIT };
        let dims = tensor.dims.iter().enumerate();
        if let Some((axis, size)) = dims
            .filter_map(|(axis, dim)| Some((axis, (*dim)?)))
            .find(|(axis, size)| *size > limit(*axis))
        {
            let detail = format!(
                "{} is {notation}: axis {axis} has {size}, the limit is {}",
                output.name,
                limit(axis)
            );
            found(ANE005, detail, size);
        }
        let padding = tensor
            .shape()
            .and_then(|shape| Padding::of(scope.name, &output.name, tensor.data_type, &shape));
        let Some(padding) = padding else { continue };
        if padding.is_wasteful() {
            let (bytes, padded, growth) = (padding.bytes, padding.padded, padding.growth());
            let detail = format!(
                "{} is {notation}: {bytes} bytes become up to {padded}, {growth:.1} times",
                output.name
            );
            let found = findings
                .of_operation(ANE002, scope, operation, detail)
                .by(usize::try_from(padded - bytes).unwrap_or(usize::MAX));
            if kind == Kind::Convolutional && !has_longer_side(&padding.shape) {
                found.only(Severity::Info);
            }
        }
        tally.add(padding);
    }
    shapes_are_known
}

/// Returns whether another side of a picture or a sequence is longer than the last one, so that
/// another order would lose less. The first two dimensions are batch and channels.
fn has_longer_side(shape: &[usize]) -> bool {
    let sides = shape.get(2..).unwrap_or_default();
    sides.last().is_some_and(|last| sides.iter().any(|side| side > last))
}

/// Returns a type as people read it: `float16 [1, ?, 3]`.
fn notation(tensor: &Tensor) -> String {
    let dim = |dim: &Option<usize>| dim.map_or_else(|| "?".to_owned(), |size| size.to_string());
    format!("{} [{}]", tensor.data_type, tensor.dims.iter().map(dim).collect::<Vec<_>>().join(", "))
}
