//! What one run gave, and how its elements become those of a feature.
//!
//! Owns: conversions from the engine's two element types to those of multi-arrays.
//! Flow: `session.rs` makes [`Outputs`]; `state.rs` reads states by the same conversion.

use crate::engine::{Numbers, Tensor};
use crate::error::Error;
use coreml_spec::{DataType, ElementsMut, Feature, FeatureKind, Function};
use half::slice::HalfFloatSliceExt;
use std::sync::Arc;

/// What one run gave.
#[derive(Debug)]
pub struct Outputs {
    /// The interface; orders the outputs.
    pub(crate) function: Arc<Function>,
    /// For each output feature, its position in `outputs`.
    pub(crate) positions: Vec<usize>,
    /// The engine's tensors.
    pub(crate) outputs: Vec<Tensor>,
}

impl Outputs {
    /// Returns the size of each dimension of an output.
    ///
    /// Parameters: `index` — position in the function's outputs.
    /// Errors: there is no such output, or it is the label.
    pub fn dims(&self, index: usize) -> Result<&[usize], Error> {
        Ok(&self.tensor(index)?.dims)
    }

    /// Copies the elements of an output, row by row.
    ///
    /// Parameters: `index` — position in the function's outputs; `into` — of the output's own type
    /// and length.
    /// Errors: there is no such output, it is the label, or `into` does not fit.
    pub fn copy_to(&self, index: usize, into: ElementsMut<'_>) -> Result<(), Error> {
        copy(&self.function.outputs[index], self.tensor(index)?, into)
    }

    /// Returns the position of the most probable class in the classifier's labels.
    ///
    /// Errors: the function is no classifier.
    pub fn label(&self) -> Result<usize, Error> {
        let is_label = |feature: &Feature| {
            matches!(feature.kind, FeatureKind::StringLabel | FeatureKind::Int64Label)
        };
        let index = self.function.outputs.iter().position(is_label);
        let output = index.and_then(|index| self.outputs.get(self.positions[index]));
        match output.map(|output| output.buffer.numbers()) {
            Some(Numbers::Int(elements)) => match elements {
                [label] => {
                    usize::try_from(*label).map_err(|_| Error::invalid("the label is negative"))
                }
                _ => Err(Error::invalid("the label is not one number")),
            },
            _ => Err(Error::invalid(format!("function `{}` is no classifier", self.function.name))),
        }
    }

    /// Returns an output that is a tensor.
    fn tensor(&self, index: usize) -> Result<&Tensor, Error> {
        let feature = self.function.outputs.get(index).ok_or_else(|| {
            Error::invalid(format!(
                "there is no output {index}; there are {}",
                self.function.outputs.len()
            ))
        })?;
        if matches!(feature.kind, FeatureKind::StringLabel | FeatureKind::Int64Label) {
            return Err(Error::invalid(format!(
                "output `{}` is a label, not a tensor; ask for the label",
                feature.name
            )));
        }
        let output = self.positions.get(index).and_then(|position| self.outputs.get(*position));
        output
            .ok_or_else(|| Error::invalid(format!("the engine gave no output `{}`", feature.name)))
    }
}

/// Returns the element type in which a feature's tensors go in and out.
pub(crate) fn data_type(feature: &Feature) -> DataType {
    match &feature.kind {
        FeatureKind::MultiArray { data_type, .. } => *data_type,
        _ => DataType::Float32,
    }
}

/// Copies the elements of a feature's tensor, converted to the feature's type.
///
/// Errors: `into` is of another type or length.
pub(crate) fn copy(feature: &Feature, tensor: &Tensor, into: ElementsMut<'_>) -> Result<(), Error> {
    let (wanted, count): (DataType, usize) = (data_type(feature), tensor.dims.iter().product());
    if into.data_type() != wanted || into.len() != count {
        return Err(Error::invalid(format!(
            "`{}` has {count} elements of type {wanted}, but the buffer is for {} of type {}",
            feature.name,
            into.len(),
            into.data_type()
        )));
    }
    match (tensor.buffer.numbers(), into) {
        (Numbers::Float(from), ElementsMut::Float32(to)) => to.copy_from_slice(from),
        (Numbers::Float(from), ElementsMut::Float16(to)) => to.convert_from_f32_slice(from),
        (Numbers::Float(from), ElementsMut::Float64(to)) => {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = f64::from(*from));
        }
        (Numbers::Int(from), ElementsMut::Int32(to)) => to.copy_from_slice(from),
        (Numbers::Int(from), ElementsMut::Int8(to)) => {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from as i8);
        }
        _ => {
            return Err(Error::invalid(format!(
                "the program's `{}` is not {wanted}",
                feature.name
            )));
        }
    }
    Ok(())
}
