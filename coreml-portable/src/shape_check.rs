//! Comparison of tensors with the features and ports that they are for.
//!
//! Owns: the messages about a wrong type or shape, which name the feature.
//! Flow: `session.rs` asks before and after each run.

use crate::engine::Tensor;
use crate::error::Error;
use crate::translation::Port;
use coreml_spec::{DataType, Feature, FeatureKind, Flexibility, Shape, SizeRange, TensorRef};

/// Compares an input with its feature.
pub(crate) fn check(feature: &Feature, input: &TensorRef<'_>) -> Result<(), Error> {
    let name = &feature.name;
    let given = input.elements.data_type();
    let count = input.dims.iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
    if count != Some(input.elements.len()) {
        let (dims, elements) = (input.dims, input.elements.len());
        return Err(Error::invalid(format!(
            "input `{name}` has shape {dims:?} but {elements} elements"
        )));
    }
    let wrong_type = |wanted: DataType| {
        Error::invalid(format!("input `{name}` must be {wanted}, but {given} was given"))
    };
    let wrong_shape = |wanted: String| {
        Error::invalid(format!(
            "input `{name}` must have shape {wanted}, but {:?} was given",
            input.dims
        ))
    };
    match &feature.kind {
        FeatureKind::MultiArray { data_type, shape } => {
            if given != *data_type {
                return Err(wrong_type(*data_type));
            }
            if !allows(shape, input.dims) {
                return Err(wrong_shape(describe(shape)));
            }
        }
        FeatureKind::Image { size, .. } => {
            if given != DataType::Float32 {
                return Err(wrong_type(DataType::Float32));
            }
            if input.dims.len() != 4 {
                return Err(wrong_shape(format!("[1, channels, {}, {}]", size.height, size.width)));
            }
        }
        _ => {
            return Err(Error::invalid(format!(
                "input `{name}` is of a kind that no function takes"
            )));
        }
    }
    Ok(())
}

/// Returns whether a shape allows these dimensions.
fn allows(shape: &Shape, dims: &[usize]) -> bool {
    match &shape.flexibility {
        Flexibility::Fixed => shape.default == dims,
        Flexibility::Enumerated(shapes) => shapes.iter().any(|shape| shape == dims),
        Flexibility::Ranges(ranges) => {
            let within = |(range, size): (&SizeRange, &usize)| {
                *size >= range.min && range.max.is_none_or(|max| *size <= max)
            };
            ranges.len() == dims.len() && ranges.iter().zip(dims).all(within)
        }
    }
}

/// Returns a shape as text: `[1, 3..=224]`, or `[1, 64] or [1, 128]`.
fn describe(shape: &Shape) -> String {
    match &shape.flexibility {
        Flexibility::Fixed => format!("{:?}", shape.default),
        Flexibility::Enumerated(shapes) => {
            shapes.iter().map(|shape| format!("{shape:?}")).collect::<Vec<_>>().join(" or ")
        }
        Flexibility::Ranges(ranges) => {
            let range = |range: &SizeRange| match range.max {
                Some(max) if max == range.min => max.to_string(),
                Some(max) => format!("{}..={max}", range.min),
                None => format!("{}..", range.min),
            };
            format!("[{}]", ranges.iter().map(range).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Compares what the engine gave with the program's own type of the output: a difference is a bug
/// of the translation.
pub(crate) fn check_output(output: &Tensor, port: &Port) -> Result<(), Error> {
    let fits =
        |(size, wanted): (&usize, &Option<usize>)| wanted.is_none_or(|wanted| *size == wanted);
    if output.dims.len() == port.ty.dims.len() && output.dims.iter().zip(&port.ty.dims).all(fits) {
        return Ok(());
    }
    let (name, given, wanted) = (&port.name, &output.dims, &port.ty.dims);
    Err(Error::invalid(format!(
        "output `{name}` has shape {given:?}, but the program says {wanted:?}"
    )))
}
