//! Outputs and states whose type is known only at run time.
//!
//! Owns: [`Output`], the slot for any output of any model. Must not: judge.
//! Flow: `parity.rs` makes one for each output and predicts into it.

use crate::buffer::Buffer;
use crate::error::Error;
use crate::shape::element_count;
use crate::slot::{OutputSlot, Results};
use coreml_spec::{DataType, ElementsMut, Feature, FeatureKind};

/// An output whose type is known only at run time.
pub(super) enum Output {
    /// A tensor or the probabilities of a classifier.
    Tensor {
        /// Element type in the interface.
        data_type: DataType,
        /// Sizes after the prediction.
        dims: Vec<usize>,
        /// The elements; `None` before the prediction.
        elements: Option<Buffer>,
    },
    /// Position of the predicted class.
    Label(usize),
}

impl Output {
    /// Makes the slot for one output of the interface.
    pub(super) fn of(feature: &Feature) -> Self {
        match &feature.kind {
            FeatureKind::StringLabel | FeatureKind::Int64Label => Self::Label(0),
            FeatureKind::MultiArray { data_type, .. } => {
                Self::Tensor { data_type: *data_type, dims: Vec::new(), elements: None }
            }
            FeatureKind::Probabilities | FeatureKind::Image { .. } => {
                Self::Tensor { data_type: DataType::Float32, dims: Vec::new(), elements: None }
            }
        }
    }
}

impl Output {
    /// Returns the type and the elements of a tensor that was predicted.
    pub(super) fn tensor(&self) -> Option<(DataType, Vec<f64>)> {
        match self {
            Self::Tensor { data_type, elements: Some(elements), .. } => {
                Some((*data_type, elements.to_f64s()))
            }
            _ => None,
        }
    }
}

impl OutputSlot for Output {
    fn take(&mut self, results: &dyn Results, index: usize) -> Result<(), Error> {
        match self {
            Self::Label(label) => *label = results.label()?,
            Self::Tensor { data_type, dims, elements } => {
                *dims = results.dims(index)?.to_vec();
                let buffer = self::elements(*data_type, dims, |into| results.copy_to(index, into));
                let problem = || {
                    format!("output {index} of type {data_type} and shape {dims:?} cannot be read")
                };
                *elements = Some(buffer.unwrap_or_else(|| Err(results.mismatch(problem())))?);
            }
        }
        Ok(())
    }
}

/// Makes a buffer and lets `copy` fill it; `None` when no model has tensors of such a type and
/// size.
pub(super) fn elements(
    data_type: DataType,
    dims: &[usize],
    copy: impl FnOnce(ElementsMut<'_>) -> Result<(), Error>,
) -> Option<Result<Buffer, Error>> {
    let mut buffer = Buffer::from_f64s(data_type, &vec![0.0; element_count(dims)?])?;
    Some(copy(buffer.elements_mut()).map(|()| buffer))
}
