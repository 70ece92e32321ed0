//! Rules about single operations: ANE020 to ANE051.
//!
//! Flow: `checks.rs` → [`layer`], once per operation that computes something.

use crate::findings::Findings;
use crate::rules::{
    ANE020, ANE021, ANE022, ANE030, ANE031, ANE032, ANE040, ANE041, ANE042, ANE043, ANE044, ANE051,
};
use crate::scope::{Scope, Tensor};
use coreml_spec::Error;
use coreml_spec::proto::Operation;

/// Longest kernel, in elements along one axis.
const KERNEL_LIMIT: i64 = 13;

/// Strides that pooling is fast with.
const POOL_STRIDES: [i64; 3] = [1, 2, 4];

/// Elements from which `sin`, `cos` and `exp` are expensive; the sources say "large". An activation
/// of a small layer is below it, the phases of a vocoder are not.
const LARGE_ELEMENTS: usize = 1 << 16;

/// Applies the rules that belong to an operation's name.
///
/// Errors: an argument that must be a constant cannot be read.
pub(super) fn layer<'a>(
    scope: &Scope<'a>,
    operation: &'a Operation,
    findings: &mut Findings,
) -> Result<(), Error> {
    let kind = operation.r#type.as_str();
    let mut found = |rule, detail: String| {
        findings.of_operation(rule, scope, operation, detail);
    };
    match kind {
        "lstm" | "gru" | "rnn" | "while_loop" | "cond" => {
            found(ANE020, format!("the operation is {kind}"))
        }
        _ if kind.starts_with("custom") => found(ANE020, format!("the operation is {kind}")),
        "topk"
        | "argsort"
        | "gather_nd"
        | "gather_along_axis"
        | "tile"
        | "cumsum"
        | "one_hot"
        | "non_zero"
        | "non_maximum_suppression" => found(ANE021, format!("the operation is {kind}")),
        _ if kind.starts_with("scatter") || kind.starts_with("random_") => {
            found(ANE021, format!("the operation is {kind}"));
        }
        "gather" => {
            let table = scope.tensor(operation, "x").and_then(|tensor| tensor.shape());
            found(
                ANE022,
                table.map_or_else(String::new, |shape| format!("it looks up in {shape:?}")),
            );
        }
        "linear" => {
            let rank = scope.tensor(operation, "x").map_or(0, |tensor| tensor.dims.len());
            if rank >= 3 {
                found(ANE030, format!("its input has {rank} dimensions"));
            }
        }
        "softmax" => {
            if let Some(heads) = heads(scope, operation)? {
                found(ANE031, format!("{heads} heads at once"));
            }
        }
        "scaled_dot_product_attention" => found(ANE032, format!("the operation is {kind}")),
        "conv" | "conv_transpose" => convolution(scope, operation, findings)?,
        "max_pool" | "avg_pool" | "l2_pool" => pooling(scope, operation, findings)?,
        "sin" | "cos" | "exp" => {
            let shape = scope.tensor(operation, "x").and_then(|tensor| tensor.shape());
            let elements = shape.map_or(0, |shape| shape.iter().product::<usize>());
            if elements >= LARGE_ELEMENTS {
                let detail = format!("{kind} of {elements} elements");
                findings.of_operation(ANE051, scope, operation, detail).by(elements);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Returns the number of heads, when a softmax looks like that of attention with all heads
/// together.
fn heads<'a>(scope: &Scope<'a>, operation: &'a Operation) -> Result<Option<usize>, Error> {
    let output = operation.outputs.first().and_then(|output| output.r#type.as_ref()?.tensor());
    let Some(tensor) = output.and_then(Tensor::new).filter(|tensor| tensor.dims.len() == 4) else {
        return Ok(None);
    };
    let axis =
        scope.integers(operation, "axis")?.and_then(|axis| axis.first().copied()).unwrap_or(-1);
    Ok(tensor
        .dims
        .get(1)
        .copied()
        .flatten()
        .filter(|heads| *heads > 1 && (axis == -1 || axis == 3)))
}

/// Applies the rules about convolutions.
fn convolution<'a>(
    scope: &Scope<'a>,
    operation: &'a Operation,
    findings: &mut Findings,
) -> Result<(), Error> {
    let mut found = |rule, detail: String| {
        findings.of_operation(rule, scope, operation, detail);
    };
    if let Some(weight) = scope.argument(operation, "weight") {
        if !weight.is_constant() {
            found(ANE040, "its weight is the result of another operation".into());
        }
        // The first two dimensions are channels.
        let dims = weight
            .tensor()
            .and_then(Tensor::new)
            .and_then(|tensor| tensor.shape())
            .unwrap_or_default();
        let kernel = dims.get(2..).unwrap_or_default();
        if kernel.iter().any(|size| i64::try_from(*size).is_ok_and(|size| size > KERNEL_LIMIT)) {
            found(ANE041, format!("its kernel is {kernel:?}"));
        }
    }
    for (parameter, rule) in [("strides", ANE042), ("dilations", ANE043)] {
        let sizes = scope.integers(operation, parameter)?.unwrap_or_default();
        if sizes.iter().any(|size| !is_made_of_2_and_3(*size)) {
            found(rule, format!("its {parameter} are {sizes:?}"));
        }
    }
    Ok(())
}

/// Applies the rule about pooling.
fn pooling<'a>(
    scope: &Scope<'a>,
    operation: &'a Operation,
    findings: &mut Findings,
) -> Result<(), Error> {
    let strides = scope.integers(operation, "strides")?.unwrap_or_default();
    let kernel = scope.integers(operation, "kernel_sizes")?.unwrap_or_default();
    if strides.iter().any(|stride| !POOL_STRIDES.contains(stride))
        || kernel.iter().any(|size| *size > KERNEL_LIMIT)
    {
        let detail = format!("its strides are {strides:?}, its kernel is {kernel:?}");
        findings.of_operation(ANE044, scope, operation, detail);
    }
    Ok(())
}

/// Returns whether a number has no prime factor other than 2 and 3.
fn is_made_of_2_and_3(mut number: i64) -> bool {
    if number <= 0 {
        return false;
    }
    for factor in [2, 3] {
        while number % factor == 0 {
            number /= factor;
        }
    }
    number == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors() {
        let good: Vec<i64> = (-1..=13).filter(|number| is_made_of_2_and_3(*number)).collect();
        assert_eq!(good, [1, 2, 3, 4, 6, 8, 9, 12]);
    }
}
