//! What predictions need to know about a function.
//!
//! Owns: names, kinds and labels as Objective-C objects, created once per model and never changed;
//! feature values of inputs.
//! Flow: `backend.rs` creates [`Features`] at load; every prediction reads it, on any thread.
#![allow(unsafe_code, reason = "calls Objective-C")]

use super::failure::CoreMlError;
use super::image_value::{of_image, of_planes};
use super::multi_array;
use super::state::CoreMlState;
use crate::owner::Owner;
use crate::slot::InputRef;
use coreml_spec::{Classifier, ColorSpace, FeatureKind, Function, Labels, TensorRef};
use objc2::AnyThread;
use objc2::rc::Retained;
use objc2::runtime::AnyObject;
use objc2_core_ml::{MLDictionaryFeatureProvider, MLFeatureValue};
use objc2_foundation::{NSArray, NSMutableDictionary, NSNumber, NSObject, NSString};

/// The features of a function.
pub(super) struct Features {
    /// Name of the model, for errors.
    pub(super) model: String,
    /// Inputs, in the function's order.
    inputs: Vec<Input>,
    /// Outputs, in the function's order.
    pub(super) outputs: Vec<Output>,
    /// The classes of a classifier, in the order of the network's output; otherwise empty.
    pub(super) labels: Vec<Retained<NSObject>>,
    /// The function, for its states.
    pub(super) function: Function,
}

// SAFETY: the objects are strings and numbers, which are immutable and belong to no thread; nothing
// here is ever changed.
unsafe impl Send for Features {}
// SAFETY: as above.
unsafe impl Sync for Features {}

/// An input of the model.
struct Input {
    /// Its name.
    name: Retained<NSString>,
    /// Colors of an image; `None` for a tensor.
    color_space: Option<ColorSpace>,
}

/// An output of the model.
pub(super) struct Output {
    /// Its name.
    pub(super) name: Retained<NSString>,
    /// Whether it is an array, an image, a label or probabilities.
    pub(super) kind: FeatureKind,
}

/// The sizes of the last tensor of an input: they seldom change, and making objects of them costs.
pub(super) struct Sizes {
    /// The sizes.
    dims: Vec<usize>,
    /// The same as Core ML takes them.
    shape: Retained<NSArray<NSNumber>>,
    /// The strides that go with them.
    strides: Retained<NSArray<NSNumber>>,
}

impl Features {
    /// Prepares a function.
    pub(super) fn of(model: &str, function: &Function) -> Self {
        let labels = match function.classifier.as_ref().map(|Classifier { labels, .. }| labels) {
            Some(Labels::Strings(labels)) => {
                labels.iter().map(|label| Retained::into_super(NSString::from_str(label))).collect()
            }
            Some(Labels::Int64s(labels)) => {
                labels.iter().map(|&label| object_of_number(label)).collect()
            }
            None => Vec::new(),
        };
        let input = |feature: &coreml_spec::Feature| Input {
            name: NSString::from_str(&feature.name),
            color_space: color_space(&feature.kind),
        };
        let output = |feature: &coreml_spec::Feature| Output {
            name: NSString::from_str(&feature.name),
            kind: feature.kind.clone(),
        };
        Self {
            model: model.to_owned(),
            inputs: function.inputs.iter().map(input).collect(),
            outputs: function.outputs.iter().map(output).collect(),
            labels,
            function: function.clone(),
        }
    }

    /// Copies the inputs of a prediction.
    ///
    /// Parameters: `state` — fed besides where the program keeps it; `sizes` — those of earlier
    /// predictions.
    pub(super) fn provider(
        &self,
        inputs: &[InputRef<'_>],
        state: Option<&CoreMlState>,
        sizes: &mut Vec<Sizes>,
    ) -> Result<Retained<MLDictionaryFeatureProvider>, CoreMlError> {
        if inputs.len() != self.inputs.len() {
            let (given, wanted) = (inputs.len(), self.inputs.len());
            return Err(CoreMlError::Unexpected(format!("{given} inputs for a model of {wanted}")));
        }
        sizes.resize_with(inputs.len(), Sizes::none);
        let features = NSMutableDictionary::<NSString, AnyObject>::new();
        for ((input, fed), sizes) in self.inputs.iter().zip(inputs).zip(sizes) {
            let value = match (fed, input.color_space) {
                (InputRef::Image(image), _) => of_image(image)?,
                (InputRef::Tensor(planes) | InputRef::Shared(planes, _), Some(color_space)) => {
                    of_planes(planes, color_space)?
                }
                (InputRef::Tensor(tensor), None) => sizes.value_of_tensor(tensor, None)?,
                (InputRef::Shared(tensor, owner), None) => {
                    sizes.value_of_tensor(tensor, Some(*owner))?
                }
            };
            features.insert(&*input.name, &value);
        }
        if let Some(state) = state {
            state.feed(&features);
        }
        // SAFETY: the dictionary's values are feature values; the provider copies it.
        unsafe {
            MLDictionaryFeatureProvider::initWithDictionary_error(
                MLDictionaryFeatureProvider::alloc(),
                &features,
            )
        }
        .map_err(CoreMlError::from)
    }
}

impl Sizes {
    /// Returns the sizes of a scalar.
    fn none() -> Self {
        Self {
            dims: Vec::new(),
            shape: multi_array::shape_of(&[]),
            strides: multi_array::shape_of(&[]),
        }
    }

    /// Makes a feature value from a tensor: on its own memory when it has an owner, otherwise on a
    /// copy.
    fn value_of_tensor(
        &mut self,
        tensor: &TensorRef<'_>,
        owner: Option<&dyn Owner>,
    ) -> Result<Retained<MLFeatureValue>, CoreMlError> {
        if self.dims != tensor.dims {
            self.shape = multi_array::shape_of(tensor.dims);
            self.strides = multi_array::strides_of(tensor.dims);
            self.dims.clear();
            self.dims.extend_from_slice(tensor.dims);
        }
        let data_type = tensor.elements.data_type();
        let array = match owner.map(Owner::share) {
            // SAFETY: a tensor has as many elements as its sizes say. They belong to the owner,
            // which allows no writes while it is shared.
            Some(owner) => unsafe {
                multi_array::of_owner(
                    multi_array::first(tensor.elements),
                    data_type,
                    &self.shape,
                    &self.strides,
                    owner,
                )
            },
            None => multi_array::of_tensor(tensor, &self.shape),
        }?;
        // SAFETY: the value keeps the array alive.
        Ok(unsafe { MLFeatureValue::featureValueWithMultiArray(&array) })
    }
}

/// Returns the colors of an image feature, or `None` for another feature.
pub(super) fn color_space(kind: &FeatureKind) -> Option<ColorSpace> {
    match kind {
        FeatureKind::Image { color_space, .. } => Some(*color_space),
        _ => None,
    }
}

/// Returns a number as an object that can be compared with any other.
pub(super) fn object_of_number(number: i64) -> Retained<NSObject> {
    Retained::into_super(Retained::into_super(NSNumber::new_i64(number)))
}
