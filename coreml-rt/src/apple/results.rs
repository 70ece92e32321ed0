//! The results of a prediction, in Core ML's memory.
//!
//! Owns: finding the outputs in what Core ML returned, and copying them out. Must not: keep them
//! longer than one prediction.
//! Flow: `backend.rs` and `asynchronous.rs` → here → `multi_array.rs` and `pixel_buffer.rs`.
#![allow(unsafe_code, reason = "calls Objective-C")]

use super::failure::CoreMlError;
use super::features::{Features, Output, color_space, object_of_number};
use super::image_value::OwnedImage;
use super::{multi_array, pixel_buffer};
use crate::error::Error;
use crate::image::PixelsMut;
use crate::planes;
use crate::slot::Results;
use coreml_spec::{ColorSpace, ElementsMut, FeatureKind};
use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_core_ml::{MLFeatureProvider, MLFeatureValue, MLMultiArray};
use objc2_core_video::CVPixelBuffer;

/// One output of one prediction. Its vectors keep their memory between predictions.
#[derive(Default)]
pub(super) struct Value {
    /// Sizes of the array, or the number of probabilities.
    shape: Vec<usize>,
    /// Strides of the array, in elements.
    strides: Vec<usize>,
    /// What Core ML returned; `None` between predictions.
    value: Option<Retained<MLFeatureValue>>,
    /// The array of `value`, if it is one.
    array: Option<Retained<MLMultiArray>>,
    /// The image of `value`, if it is one.
    image: Option<Retained<CVPixelBuffer>>,
}

impl Value {
    /// Takes an output from what Core ML returned.
    fn read(
        &mut self,
        output: &Output,
        labels: usize,
        results: &ProtocolObject<dyn MLFeatureProvider>,
    ) -> Result<(), CoreMlError> {
        // SAFETY: the results are ours alone, and the getters give objects that are kept alive
        // here.
        let value = unsafe { results.featureValueForName(&output.name) }
            .ok_or_else(|| CoreMlError::Unexpected(format!("no output `{}`", output.name)))?;
        if matches!(output.kind, FeatureKind::MultiArray { .. }) {
            // SAFETY: as above.
            let array = unsafe { value.multiArrayValue() }.ok_or_else(|| {
                CoreMlError::Unexpected(format!("the output `{}` is not an array", output.name))
            })?;
            multi_array::layout(&array, &mut self.shape, &mut self.strides);
            self.array = Some(array);
        } else if color_space(&output.kind).is_some() {
            // SAFETY: as above.
            let image = unsafe { value.imageBufferValue() }.ok_or_else(|| {
                CoreMlError::Unexpected(format!("the output `{}` is not an image", output.name))
            })?;
            self.layout_image(&output.kind, &image);
            self.image = Some(image);
        } else {
            self.shape.clear();
            self.shape.push(labels);
        }
        self.value = Some(value);
        Ok(())
    }

    /// Notes the sizes of an image as those of its planes.
    fn layout_image(&mut self, kind: &FeatureKind, image: &CVPixelBuffer) {
        let (width, height) = pixel_buffer::size(image);
        let is_color = matches!(color_space(kind), Some(ColorSpace::Rgb | ColorSpace::Bgr));
        self.shape.clear();
        self.shape.extend([1, if is_color { 3 } else { 1 }, height, width]);
    }

    /// Returns the array, if it is one.
    pub(super) fn array(&self) -> Option<&Retained<MLMultiArray>> {
        self.array.as_ref()
    }

    /// Releases what Core ML returned.
    pub(super) fn clear(&mut self) {
        self.value = None;
        self.array = None;
        self.image = None;
    }
}

/// Takes all outputs from what Core ML returned.
pub(super) fn read(
    features: &Features,
    results: &ProtocolObject<dyn MLFeatureProvider>,
    values: &mut Vec<Value>,
) -> Result<(), CoreMlError> {
    values.resize_with(features.outputs.len(), Value::default);
    let mut outputs = features.outputs.iter().zip(values);
    outputs.try_for_each(|(output, value)| value.read(output, features.labels.len(), results))
}

/// Results of one prediction, in Core ML's memory.
pub(super) struct CoreMlResults<'a> {
    /// The features of the model.
    pub(super) features: &'a Features,
    /// One for each output.
    pub(super) values: &'a [Value],
}

impl CoreMlResults<'_> {
    /// Returns an output and its value.
    fn output(&self, index: usize) -> Result<(&Output, &Value), Error> {
        let output = self.features.outputs.get(index).zip(self.values.get(index));
        output.ok_or_else(|| self.mismatch(format!("it has no output {index}")))
    }

    /// Returns what Core ML returned.
    fn given<'v>(&self, output: &Output, value: &'v Value) -> Result<&'v MLFeatureValue, Error> {
        value
            .value
            .as_deref()
            .ok_or_else(|| self.mismatch(format!("its output `{}` has no value", output.name)))
    }

    /// Copies an image as planes.
    fn copy_planes(
        &self,
        index: usize,
        color_space: ColorSpace,
        into: ElementsMut<'_>,
    ) -> Result<(), Error> {
        let (ElementsMut::Float32(into), &[1, _, height, width]) = (into, self.dims(index)?) else {
            return Err(self.mismatch("the planes of an image are read as float32 only".to_owned()));
        };
        let image = OwnedImage::read(color_space, [width, height], |pixels| {
            self.copy_pixels(index, pixels)
        })?;
        let mut planes = Vec::new();
        match planes::of_image(&image.borrow(), color_space, &mut planes) {
            Some(_) if planes.len() == into.len() => into.copy_from_slice(&planes),
            _ => {
                return Err(
                    self.mismatch(format!("its output {index} is an image of another size"))
                );
            }
        }
        Ok(())
    }

    /// Copies the probability of each label.
    fn copy_probabilities(
        &self,
        value: &MLFeatureValue,
        into: ElementsMut<'_>,
    ) -> Result<(), Error> {
        let ElementsMut::Float32(into) = into else {
            return Err(self.mismatch("probabilities are read as float32 only".to_owned()));
        };
        if into.len() != self.features.labels.len() {
            let (wanted, given) = (into.len(), self.features.labels.len());
            return Err(self.mismatch(format!(
                "{wanted} probabilities were requested, but there are {given}"
            )));
        }
        // SAFETY: a getter; the dictionary lives as long as it is held here.
        let probabilities = unsafe { value.dictionaryValue() };
        for (into, label) in into.iter_mut().zip(&self.features.labels) {
            let probability = probabilities.objectForKey(label).ok_or_else(|| {
                self.mismatch(format!("it returned no probability for the label {label:?}"))
            })?;
            *into = probability.as_f32();
        }
        Ok(())
    }
}

impl Results for CoreMlResults<'_> {
    fn dims(&self, index: usize) -> Result<&[usize], Error> {
        let (output, value) = self.output(index)?;
        match output.kind {
            FeatureKind::MultiArray { .. }
            | FeatureKind::Probabilities
            | FeatureKind::Image { .. } => Ok(&value.shape),
            _ => Err(self.mismatch(format!("its output `{}` has no shape", output.name))),
        }
    }

    fn copy_to(&self, index: usize, into: ElementsMut<'_>) -> Result<(), Error> {
        let (output, value) = self.output(index)?;
        match (&output.kind, &value.array) {
            (FeatureKind::Image { color_space, .. }, _) => {
                self.copy_planes(index, *color_space, into)
            }
            (FeatureKind::Probabilities, _) => {
                self.copy_probabilities(self.given(output, value)?, into)
            }
            (_, Some(array)) => multi_array::copy_to(array, &value.shape, &value.strides, into)
                .map_err(|error| self.mismatch(format!("its output `{}`: {error}", output.name))),
            (_, None) => {
                Err(self.mismatch(format!("its output `{}` is not a tensor", output.name)))
            }
        }
    }

    fn copy_pixels(&self, index: usize, into: PixelsMut<'_>) -> Result<(), Error> {
        let (output, value) = self.output(index)?;
        let image = value.image.as_ref();
        let image = image.ok_or_else(|| {
            self.mismatch(format!("its output `{}` is not an image", output.name))
        })?;
        pixel_buffer::copy_to(image, into)
            .map_err(|error| self.mismatch(format!("its output `{}`: {error}", output.name)))
    }

    fn label(&self) -> Result<usize, Error> {
        let is_label = |output: &Output| {
            matches!(output.kind, FeatureKind::StringLabel | FeatureKind::Int64Label)
        };
        let index = self.features.outputs.iter().position(is_label);
        let (output, value) = self.output(index.unwrap_or(usize::MAX))?;
        let value = self.given(output, value)?;
        let found = match output.kind {
            // SAFETY: a getter; for a value of another kind Core ML raises an exception, which is
            // caught, or returns "".
            FeatureKind::StringLabel => Retained::into_super(unsafe { value.stringValue() }),
            // SAFETY: a getter; for a value of another kind it returns 0 or raises an exception.
            _ => object_of_number(unsafe { value.int64Value() }),
        };
        let found = self.features.labels.iter().position(|label| **label == *found);
        found.ok_or_else(|| {
            self.mismatch(format!("its output `{}` is not one of its labels", output.name))
        })
    }

    fn mismatch(&self, problem: String) -> Error {
        Error::Invalid { model: self.features.model.clone(), source: problem.into() }
    }
}
