//! What kind of network a function is, which decides what advice fits.
//!
//! Owns: how attention and convolutions are told. Must not: judge.
//! Flow: `report.rs` → [`Kind::of`], once per function → `findings.rs`, `checks/tensors.rs`.

use crate::scope::{Given, Scope, Tensor};
use coreml_spec::proto::Operation;

/// What kind of network a function is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It has attention, whatever else it has.
    Transformer,
    /// It has convolutions over more than one element, and no attention.
    Convolutional,
    /// Neither, or it is not known.
    #[default]
    Other,
}

impl Kind {
    /// Returns the kind of a function.
    pub(crate) fn of<'a>(scope: &Scope<'a>) -> Self {
        let has = |what: &dyn Fn(&'a Operation) -> bool| {
            scope.operations.iter().any(|operation| what(operation))
        };
        let product = |operation: &'a Operation| {
            operation.r#type == "matmul"
                && ["x", "y"].iter().all(|side| {
                    scope.argument(operation, side).is_some_and(|given| !given.is_constant())
                })
        };
        let fused = |operation: &'a Operation| operation.r#type == "scaled_dot_product_attention";
        let softmax = |operation: &'a Operation| operation.r#type == "softmax";
        if has(&fused) || (has(&product) && has(&softmax)) {
            Self::Transformer
        } else if has(&|operation| is_spatial(scope, operation)) {
            Self::Convolutional
        } else {
            Self::Other
        }
    }
}

/// Returns whether an operation is a convolution with a kernel of more than one element.
fn is_spatial<'a>(scope: &Scope<'a>, operation: &'a Operation) -> bool {
    let weight = ["conv", "conv_transpose"]
        .contains(&operation.r#type.as_str())
        .then(|| scope.argument(operation, "weight"))
        .flatten();
    let shape = weight.and_then(Given::tensor).and_then(Tensor::new);
    // The first two dimensions are channels.
    shape.is_some_and(|tensor| tensor.dims.iter().skip(2).any(|size| *size != Some(1)))
}
