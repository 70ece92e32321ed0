//! A model that Core ML has loaded.
//!
//! Owns: loading, one prediction at a time, and reading its results. Must not: know typed tensors.
//! Flow: `backend.rs` → here → `compiled.rs`, `configuration.rs`, `multi_array.rs`.
#![allow(unsafe_code, reason = "calls Objective-C")]

use super::failure::{CoreMlError, guard};
use super::image_value::{OwnedImage, of_image, of_planes};
use super::state::State;
use super::{compiled, configuration, multi_array, pixel_buffer};
use crate::error::Error;
use crate::image::PixelsMut;
use crate::options::LoadOptions;
use crate::planes;
use crate::search::Found;
use crate::slot::{InputRef, OutputSlot, Results};
use coreml_spec::{Classifier, ColorSpace, ElementsMut, FeatureKind, Function, Labels, Package, TensorRef};
use objc2::AnyThread;
use objc2::rc::Retained;
use objc2::runtime::{AnyObject, ProtocolObject};
use objc2_core_ml::{
    MLDictionaryFeatureProvider, MLFeatureProvider, MLFeatureValue, MLModel, MLModelErrorDomain, MLMultiArray,
};
use objc2_core_video::CVPixelBuffer;
use objc2_foundation::{
    NSArray, NSMutableDictionary, NSNumber, NSObject, NSSearchPathDirectory, NSSearchPathDomainMask,
    NSSearchPathForDirectoriesInDomains, NSString, NSURL,
};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Folder of compiled models in the user's Application Support, shared by all programs that use this crate.
const FOLDER: &str = "coreml-rt";

/// `MLModelErrorFeatureType`: the model got an input of a wrong kind or shape.
const FEATURE_TYPE_ERROR: isize = 1;

/// A loaded model.
///
/// Apple: "Use an MLModel instance on one thread or one dispatch queue at a time." So it stands behind a lock.
pub(crate) struct Session {
    /// Name of the model, for errors.
    name: String,
    /// What Core ML holds.
    loaded: Mutex<Loaded>,
}

/// Objects of Core ML, and memory that each prediction uses again.
struct Loaded {
    /// The model.
    model: Retained<MLModel>,
    /// Inputs, in the function's order.
    inputs: Vec<Input>,
    /// Outputs, in the function's order.
    outputs: Vec<Output>,
    /// The classes of a classifier, in the order of the network's output; otherwise empty.
    labels: Vec<Retained<NSObject>>,
    /// The function, for its states.
    function: Function,
}

// SAFETY: none of these objects belongs to a thread: Apple allows an MLModel on any thread as long as it is one at a time;
// strings, numbers and arrays of numbers are immutable; the values of outputs are this session's alone. `Session` gives
// them out only under its lock, and to one thread at a time is all that `Send` claims.
unsafe impl Send for Loaded {}

/// An input of the model.
struct Input {
    /// Its name.
    name: Retained<NSString>,
    /// Colors of an image; `None` for a tensor.
    color_space: Option<ColorSpace>,
    /// The sizes of the last tensor.
    dims: Vec<usize>,
    /// The same as Core ML takes it.
    shape: Retained<NSArray<NSNumber>>,
}

/// An output of the model, and what the running prediction gave for it.
struct Output {
    /// Its name.
    name: Retained<NSString>,
    /// Whether it is an array, a label or probabilities.
    kind: FeatureKind,
    /// Sizes of the array, or the number of probabilities.
    shape: Vec<usize>,
    /// Strides of the array, in elements.
    strides: Vec<usize>,
    /// What Core ML gave; `None` between predictions.
    value: Option<Retained<MLFeatureValue>>,
    /// The array of `value`, if it is one.
    array: Option<Retained<MLMultiArray>>,
    /// The image of `value`, if it is one.
    image: Option<Retained<CVPixelBuffer>>,
}

impl Session {
    /// Loads a function of a model.
    ///
    /// Called by: [`crate::model::Model`], as the [`crate::backend::Backend`] of Apple's systems.
    /// Parameters: `found` — the package, which Core ML reads by itself; `function` — one of its functions.
    pub(crate) fn load(
        name: &str,
        package: &Package,
        found: &Found,
        function: &Function,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        // Only packages of several functions may be asked for one by name.
        let several = package.interface().is_ok_and(|interface| interface.functions.len() > 1);
        let load = || {
            let configuration = configuration::of(name, options.chosen_compute_units())?;
            if several {
                configuration::choose_function(&configuration, &function.name)?;
            }
            let path = compiled::model(found, &application_support()?, compile)?;
            // SAFETY: a URL and a configuration that nobody else changes.
            let model = unsafe { MLModel::modelWithContentsOfURL_configuration_error(&*url(&path)?, &configuration) }?;
            Ok(Loaded::of(model, function))
        };
        let loaded = guard(load).flatten().map_err(|error| translate(name, error))?;
        Ok(Self { name: name.to_owned(), loaded: Mutex::new(loaded) })
    }

    /// Returns what runs the model.
    pub(crate) fn name(&self) -> &str {
        "Core ML"
    }

    /// Returns states of zeros.
    pub(crate) fn new_state(&self) -> Result<State, Error> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        guard(|| State::of(&loaded.model, &loaded.function)).flatten().map_err(|error| translate(&self.name, error))
    }

    /// Runs the model once.
    ///
    /// Parameters: `state` — for a model that has states; `inputs`, `outputs` — in the order of the function's features.
    pub(crate) fn predict(
        &self,
        state: Option<&mut State>,
        inputs: &[InputRef<'_>],
        outputs: &mut [&mut dyn OutputSlot],
    ) -> Result<(), Error> {
        // After a panic the scratch holds values of an earlier prediction, and this one overwrites them.
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let run = guard(|| {
            loaded.run(state, inputs).map_err(|error| translate(&self.name, error))?;
            let results = CoreMlResults { loaded: &loaded, name: &self.name };
            outputs.iter_mut().enumerate().try_for_each(|(index, slot)| slot.take(&results, index))
        });
        // Inside a pool of its own, since letting go of an array may autorelease others.
        let cleared = guard(|| loaded.clear());
        run.and_then(|run| cleared.map(|()| run)).map_err(|error| translate(&self.name, error))?
    }
}

impl Loaded {
    /// Prepares what predictions need of a function.
    fn of(model: Retained<MLModel>, function: &Function) -> Self {
        let labels = match function.classifier.as_ref().map(|Classifier { labels, .. }| labels) {
            Some(Labels::Strings(labels)) => {
                labels.iter().map(|label| Retained::into_super(NSString::from_str(label))).collect()
            }
            Some(Labels::Int64s(labels)) => labels.iter().map(|&label| object_of_number(label)).collect(),
            None => Vec::new(),
        };
        let inputs = function.inputs.iter().map(|input| Input {
            name: NSString::from_str(&input.name),
            color_space: color_space(&input.kind),
            dims: Vec::new(),
            shape: multi_array::shape_of(&[]),
        });
        let outputs = function.outputs.iter().map(|output| Output {
            name: NSString::from_str(&output.name),
            kind: output.kind.clone(),
            shape: if output.kind == FeatureKind::Probabilities { vec![labels.len()] } else { Vec::new() },
            strides: Vec::new(),
            value: None,
            array: None,
            image: None,
        });
        Self { model, inputs: inputs.collect(), outputs: outputs.collect(), labels, function: function.clone() }
    }

    /// Feeds the inputs, predicts, and keeps the values of all outputs.
    fn run(&mut self, state: Option<&mut State>, inputs: &[InputRef<'_>]) -> Result<(), CoreMlError> {
        if inputs.len() != self.inputs.len() {
            let (given, wanted) = (inputs.len(), self.inputs.len());
            return Err(CoreMlError::Unexpected(format!("{given} inputs for a model of {wanted}")));
        }
        let features = NSMutableDictionary::<NSString, AnyObject>::new();
        for (input, fed) in self.inputs.iter_mut().zip(inputs) {
            let value = match (fed, input.color_space) {
                (InputRef::Image(image), _) => of_image(image)?,
                (InputRef::Tensor(planes), Some(color_space)) => of_planes(planes, color_space)?,
                (InputRef::Tensor(tensor), None) => input.value_of_tensor(tensor)?,
            };
            features.insert(&*input.name, &value);
        }
        if let Some(state) = &state {
            state.feed(&features);
        }
        // SAFETY: the dictionary's values are feature values; the provider copies it.
        let provider = unsafe {
            MLDictionaryFeatureProvider::initWithDictionary_error(MLDictionaryFeatureProvider::alloc(), &features)
        }?;
        let results = match state {
            Some(state) => state.predict(&self.model, &provider),
            // SAFETY: the caller holds the lock, so no other thread uses the model.
            None => unsafe { self.model.predictionFromFeatures_error(ProtocolObject::from_ref(&*provider)) }
                .map_err(CoreMlError::from),
        }?;
        for output in &mut self.outputs {
            // SAFETY: the results are ours alone, and the getters give objects that are kept alive here.
            let value = unsafe { results.featureValueForName(&output.name) }
                .ok_or_else(|| CoreMlError::Unexpected(format!("no output `{}`", output.name)))?;
            if matches!(output.kind, FeatureKind::MultiArray { .. }) {
                // SAFETY: as above.
                let array = unsafe { value.multiArrayValue() }
                    .ok_or_else(|| CoreMlError::Unexpected(format!("the output `{}` is no array", output.name)))?;
                multi_array::layout(&array, &mut output.shape, &mut output.strides);
                output.array = Some(array);
            }
            if color_space(&output.kind).is_some() {
                // SAFETY: as above.
                let image = unsafe { value.imageBufferValue() }
                    .ok_or_else(|| CoreMlError::Unexpected(format!("the output `{}` is no image", output.name)))?;
                output.layout_image(&image);
                output.image = Some(image);
            }
            output.value = Some(value);
        }
        Ok(())
    }

    /// Lets go of the values of a prediction.
    fn clear(&mut self) {
        for output in &mut self.outputs {
            output.value = None;
            output.array = None;
            output.image = None;
        }
    }
}

/// Results of one prediction, in Core ML's memory.
struct CoreMlResults<'a> {
    /// What holds them.
    loaded: &'a Loaded,
    /// Name of the model, for errors.
    name: &'a str,
}

impl CoreMlResults<'_> {
    /// Returns an output and its value.
    fn output(&self, index: usize) -> Result<(&Output, &MLFeatureValue), Error> {
        let output = self.loaded.outputs.get(index);
        output
            .and_then(|output| Some((output, output.value.as_deref()?)))
            .ok_or_else(|| self.mismatch(format!("it has no output {index}")))
    }

    /// Copies an image as planes.
    fn copy_planes(&self, index: usize, color_space: ColorSpace, into: ElementsMut<'_>) -> Result<(), Error> {
        let (ElementsMut::Float32(into), &[1, _, height, width]) = (into, self.dims(index)?) else {
            return Err(self.mismatch("the planes of an image are read as float32 only".to_owned()));
        };
        let image = OwnedImage::read(color_space, [width, height], |pixels| self.copy_pixels(index, pixels))?;
        let mut planes = Vec::new();
        match planes::of_image(&image.borrow(), color_space, &mut planes) {
            Some(_) if planes.len() == into.len() => into.copy_from_slice(&planes),
            _ => return Err(self.mismatch(format!("its output {index} is an image of another size"))),
        }
        Ok(())
    }

    /// Copies the probability of each label.
    fn copy_probabilities(&self, value: &MLFeatureValue, into: ElementsMut<'_>) -> Result<(), Error> {
        let ElementsMut::Float32(into) = into else {
            return Err(self.mismatch("probabilities are read as float32 only".to_owned()));
        };
        if into.len() != self.loaded.labels.len() {
            let (wanted, given) = (into.len(), self.loaded.labels.len());
            return Err(self.mismatch(format!("{wanted} probabilities are asked for, there are {given}")));
        }
        // SAFETY: a getter; the dictionary lives as long as it is held here.
        let probabilities = unsafe { value.dictionaryValue() };
        for (into, label) in into.iter_mut().zip(&self.loaded.labels) {
            let probability = probabilities
                .objectForKey(label)
                .ok_or_else(|| self.mismatch(format!("it gave no probability for the label {label:?}")))?;
            *into = probability.as_f32();
        }
        Ok(())
    }
}

impl Results for CoreMlResults<'_> {
    fn dims(&self, index: usize) -> Result<&[usize], Error> {
        let (output, _) = self.output(index)?;
        match output.kind {
            FeatureKind::MultiArray { .. } | FeatureKind::Probabilities | FeatureKind::Image { .. } => {
                Ok(&output.shape)
            }
            _ => Err(self.mismatch(format!("its output `{}` has no shape", output.name))),
        }
    }

    fn copy_to(&self, index: usize, into: ElementsMut<'_>) -> Result<(), Error> {
        let (output, value) = self.output(index)?;
        match (&output.kind, &output.array) {
            (FeatureKind::Image { color_space, .. }, _) => self.copy_planes(index, *color_space, into),
            (FeatureKind::Probabilities, _) => self.copy_probabilities(value, into),
            (_, Some(array)) => multi_array::copy_to(array, &output.shape, &output.strides, into)
                .map_err(|error| self.mismatch(format!("its output `{}`: {error}", output.name))),
            (_, None) => Err(self.mismatch(format!("its output `{}` is no tensor", output.name))),
        }
    }

    fn copy_pixels(&self, index: usize, into: PixelsMut<'_>) -> Result<(), Error> {
        let (output, _) = self.output(index)?;
        let image = output.image.as_ref();
        let image = image.ok_or_else(|| self.mismatch(format!("its output `{}` is no image", output.name)))?;
        pixel_buffer::copy_to(image, into)
            .map_err(|error| self.mismatch(format!("its output `{}`: {error}", output.name)))
    }

    fn label(&self) -> Result<usize, Error> {
        let is_label = |output: &Output| matches!(output.kind, FeatureKind::StringLabel | FeatureKind::Int64Label);
        let index = self.loaded.outputs.iter().position(is_label);
        let (output, value) = self.output(index.unwrap_or(usize::MAX))?;
        let found = match output.kind {
            // SAFETY: a getter; for a value of another kind Core ML raises an exception, which is caught, or gives "".
            FeatureKind::StringLabel => Retained::into_super(unsafe { value.stringValue() }),
            // SAFETY: a getter; for a value of another kind it gives 0 or raises an exception.
            _ => object_of_number(unsafe { value.int64Value() }),
        };
        let found = self.loaded.labels.iter().position(|label| **label == *found);
        found.ok_or_else(|| self.mismatch(format!("its output `{}` is none of its labels", output.name)))
    }

    fn mismatch(&self, problem: String) -> Error {
        Error::Invalid { model: self.name.to_owned(), source: problem.into() }
    }
}

impl Input {
    /// Makes a feature value of a tensor.
    fn value_of_tensor(&mut self, tensor: &TensorRef<'_>) -> Result<Retained<MLFeatureValue>, CoreMlError> {
        if self.dims != tensor.dims {
            self.shape = multi_array::shape_of(tensor.dims);
            self.dims.clear();
            self.dims.extend_from_slice(tensor.dims);
        }
        let array = multi_array::of_tensor(tensor, &self.shape)?;
        // SAFETY: the value keeps the array alive.
        Ok(unsafe { MLFeatureValue::featureValueWithMultiArray(&array) })
    }
}

impl Output {
    /// Notes the sizes of an image as those of its planes.
    fn layout_image(&mut self, image: &CVPixelBuffer) {
        let (width, height) = pixel_buffer::size(image);
        let is_color = matches!(color_space(&self.kind), Some(ColorSpace::Rgb | ColorSpace::Bgr));
        self.shape.clear();
        self.shape.extend([1, if is_color { 3 } else { 1 }, height, width]);
    }
}

/// Returns the colors of an image feature, or `None` when the feature is none.
fn color_space(kind: &FeatureKind) -> Option<ColorSpace> {
    match kind {
        FeatureKind::Image { color_space, .. } => Some(*color_space),
        _ => None,
    }
}

/// Returns a number as an object that can be compared with any other.
fn object_of_number(number: i64) -> Retained<NSObject> {
    Retained::into_super(Retained::into_super(NSNumber::new_i64(number)))
}

/// Compiles a package into a temporary folder.
fn compile(package: &Path) -> Result<PathBuf, CoreMlError> {
    // SAFETY: a URL of a folder; the call returns when the compiler is done.
    #[expect(deprecated, reason = "its successor is asynchronous and needs macOS 13")]
    let compiled = unsafe { MLModel::compileModelAtURL_error(&*url(package)?) }?;
    compiled.to_file_path().ok_or_else(|| CoreMlError::Unexpected("a compiled model that is no file".to_owned()))
}

/// Returns the URL of a folder.
fn url(folder: &Path) -> Result<Retained<NSURL>, CoreMlError> {
    NSURL::from_directory_path(folder).ok_or_else(|| CoreMlError::File {
        action: format!("name {} by a URL", folder.display()),
        problem: "the path is no text".to_owned(),
    })
}

/// Returns the folder of compiled models; inside the container of an app that has one.
fn application_support() -> Result<PathBuf, CoreMlError> {
    let folders = NSSearchPathForDirectoriesInDomains(
        NSSearchPathDirectory::ApplicationSupportDirectory,
        NSSearchPathDomainMask::UserDomainMask,
        true,
    );
    let folder = folders.firstObject().ok_or_else(|| CoreMlError::File {
        action: "find the user's Application Support folder".to_owned(),
        problem: "the system names none".to_owned(),
    })?;
    Ok(PathBuf::from(folder.to_string()).join(FOLDER))
}

/// Keeps "not on this system", "wrong" and "failed" apart.
pub(super) fn translate(model: &str, error: CoreMlError) -> Error {
    let model = model.to_owned();
    // SAFETY: a constant of Core ML, initialised when the framework is loaded and never written again.
    let core_ml = unsafe { MLModelErrorDomain };
    match &error {
        CoreMlError::Unavailable { .. } => Error::Unsupported { model, source: error.into() },
        CoreMlError::Unexpected(_) => Error::Invalid { model, source: error.into() },
        CoreMlError::Framework { domain, code: FEATURE_TYPE_ERROR, .. } if *domain == core_ml.to_string() => {
            Error::Invalid { model, source: error.into() }
        }
        _ => Error::Engine { model, source: error.into() },
    }
}
