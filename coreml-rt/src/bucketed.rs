//! A model in several sizes, which together take every length up to the largest.
//!
//! Owns: the choice of the bucket, and loading each one on first use. Must not: know which backend
//! runs.
//! Flow: a generated `Model` wraps it; here → `padding.rs` around the [`Model`] of the bucket;
//! `bucketed/requests.rs` has asynchronous predictions and batches.

mod requests;

use crate::buffer::Buffer;
use crate::description::Description;
use crate::error::Error;
use crate::file::Files;
use crate::fitting::{Fits, Fitter};
use crate::model::{Model, types_of};
use crate::opened::OpenedModel;
use crate::options::LoadOptions;
use crate::padding::{PaddedTensor, trim};
use crate::search::{Surroundings, find_one_of, is_compiled};
use crate::shape::ShapeError;
use crate::slot::{InputRef, InputSlot, OutputSlot};
use coreml_spec::{Buckets, Feature, FeatureKind, Fitting, Function, Interface};
use std::cell::RefCell;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Loads one bucket.
type Load = Box<dyn Fn() -> Result<Model, Error> + Send + Sync>;

/// A model of which each size is loaded when it is first needed.
pub struct BucketedModel {
    /// The manifest's name, for errors.
    name: String,
    /// What is padded and trimmed.
    buckets: Buckets,
    /// The sizes, ascending.
    sizes: Vec<usize>,
    /// A model for each size.
    slots: Vec<Slot>,
    /// What becomes of each input of a function, in its order.
    inputs: Vec<Feed>,
    /// What is done to the caller's inputs that do not fit.
    fitter: Fitter,
    /// Memory of predictions that are over.
    scratch: Mutex<Vec<Scratch>>,
}

/// A bucket, loaded or not.
struct Slot {
    /// The model, once it is loaded.
    model: OnceLock<Model>,
    /// Held while it is loaded, so that it is loaded once.
    loading: Mutex<()>,
    /// How to load it.
    load: Load,
}

/// What a function's input is fed with.
enum Feed {
    /// The caller's input at this position.
    Given(usize),
    /// The same, padded in these dimensions with this value.
    Padded(usize, Vec<usize>, f64),
    /// Ones and zeros along this dimension.
    Mask(usize),
}

/// Memory of one prediction at a time.
struct Scratch {
    /// Padded inputs and the mask, in the order of the function's inputs; `None` for what is handed
    /// on as it is.
    inputs: Vec<Option<PaddedTensor>>,
    /// Outputs before they are trimmed.
    outputs: Vec<RefCell<Option<Buffer>>>,
}

impl Slot {
    /// Returns the model, loaded now if it was not.
    fn model(&self) -> Result<&Model, Error> {
        if let Some(model) = self.model.get() {
            return Ok(model);
        }
        let _loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = self.model.get() {
            return Ok(model);
        }
        let model = (self.load)()?;
        Ok(self.model.get_or_init(|| model))
    }
}

impl BucketedModel {
    /// Finds all buckets of a generated module, checks them, and loads the smallest.
    ///
    /// Called by: the generated `Model::load_with`.
    /// Parameters: `descriptions` — size and model of each bucket, ascending.
    pub fn load(
        descriptions: &'static [(usize, Description)],
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        refuse_one_of_many(descriptions, options)?;
        let surroundings = Surroundings::of_process();
        let mut packages: Vec<_> = descriptions.iter().map(|(_, model)| model.package).collect();
        packages.dedup();
        let packages = packages.join(", ");
        let mut loads = Vec::new();
        let mut interfaces: Vec<Arc<Interface>> = Vec::new();
        let mut last: Option<&str> = None;
        for (size, description) in descriptions {
            // Find all packages now: one that is missing must not show at the first long input.
            let found = find_one_of(description, &packages, options, &surroundings)?;
            let options = options.clone();
            // The buckets of one package have one interface.
            let types = match interfaces.last() {
                Some(types) if last == Some(description.interface) => Arc::clone(types),
                _ => Arc::new(types_of(description)?),
            };
            last = Some(description.interface);
            interfaces.push(Arc::clone(&types));
            let load = move || Model::load_found(description, found.clone(), &types, &options);
            loads.push((*size, Box::new(load) as Load));
        }
        let first = descriptions.first().zip(interfaces.first());
        let ((_, description), interface) =
            first.ok_or_else(|| invalid("", "it has no buckets"))?;
        Self::new(description.name, interface, loads)
    }

    /// Loads the buckets of an opened package.
    ///
    /// Parameters: `buckets` — of its interface.
    pub(crate) fn of_opened(
        opened: &Arc<OpenedModel>,
        buckets: &Buckets,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        let functions = &opened.interface.functions;
        let loads = buckets.sizes.iter().filter_map(|&size| {
            let function = buckets.function(functions, size)?.name.clone();
            let (opened, options) = (Arc::clone(opened), options.clone());
            let load = move || Model::of_opened(&opened, Some(&function), &options);
            Some((size, Box::new(load) as Load))
        });
        Self::new(&opened.name, &opened.interface, loads.collect())
    }

    /// Plans the predictions, and loads the smallest bucket: what no backend can run shows now.
    ///
    /// Parameters: `interface` — of any package of the model; `loads` — sizes, ascending, and how
    /// to load each.
    fn new(name: &str, interface: &Interface, loads: Vec<(usize, Load)>) -> Result<Self, Error> {
        let buckets = interface
            .buckets
            .clone()
            .ok_or_else(|| invalid(name, "its interface has no buckets"))?;
        buckets.check(&interface.functions).map_err(|problem| invalid(name, problem))?;
        let function =
            interface.function(None).ok_or_else(|| invalid(name, "it has no function"))?;
        let mut given = 0;
        let inputs = function.inputs.iter().map(|input| {
            if let Some(mask) = buckets.mask.as_ref().filter(|mask| mask.input == input.name) {
                return Feed::Mask(mask.axis);
            }
            given += 1;
            match buckets.padded.iter().find(|padded| padded.input == input.name) {
                Some(padded) => Feed::Padded(given - 1, padded.axes.clone(), padded.value),
                None => Feed::Given(given - 1),
            }
        });
        let inputs = inputs.collect();
        let (sizes, loads): (Vec<_>, Vec<_>) = loads.into_iter().unzip();
        let slot = |load| Slot { model: OnceLock::new(), loading: Mutex::new(()), load };
        let slots = loads.into_iter().map(slot).collect();
        let model = Self {
            name: name.to_owned(),
            buckets,
            sizes,
            slots,
            inputs,
            fitter: Fitter::default(),
            scratch: Mutex::new(Vec::new()),
        };
        // Finds here, and not at the first short input, a padding value that the input's type
        // cannot hold.
        let scratch = model.new_scratch(function)?;
        model.put_back(scratch);
        model.smallest()?;
        Ok(model)
    }

    /// Returns the smallest bucket, which is always loaded.
    fn smallest(&self) -> Result<&Model, Error> {
        self.slots.first().ok_or_else(|| invalid(&self.name, "it has no buckets"))?.model()
    }

    /// Returns what runs the model: `portable (rten 0.27)`.
    pub fn backend(&self) -> &str {
        self.smallest().map_or("", Model::backend)
    }

    /// Returns the folder of the package of the smallest bucket, or `None` when it is embedded in
    /// the program.
    pub fn path(&self) -> Option<&Path> {
        self.smallest().ok()?.path()
    }

    /// Returns the files that belong to the model, which lie where it was found.
    ///
    /// Called by: the generated `Model::files`.
    pub fn files(&self) -> Files {
        Files::new(&self.name, self.path())
    }

    /// Returns the function of the smallest bucket.
    pub(crate) fn function(&self) -> Result<&Function, Error> {
        self.smallest().map(Model::function)
    }

    /// Returns what is padded and trimmed.
    pub(crate) fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// Returns the value of the function's input `at` when it is left out.
    pub(crate) fn default_of(&self, at: usize) -> InputRef<'_> {
        self.smallest().map_or(InputRef::MISSING, |model| model.default_of(at))
    }

    /// Makes inputs fit from now on.
    ///
    /// Called by: the generated `Model::load_with`, if the manifest says so.
    /// Parameters: `fittings` — by the position of the caller's input.
    pub fn fitted(mut self, fittings: &'static [(usize, Fitting)]) -> Self {
        self.fitter = Fitter::new(fittings);
        self
    }

    /// Loads the bucket at a position, unless it is loaded already.
    ///
    /// Called by: the generated `Model::load_bucket`.
    pub fn load_bucket(&self, position: usize) -> Result<(), Error> {
        let slot =
            self.slots.get(position).ok_or_else(|| invalid(&self.name, "it has no such bucket"))?;
        slot.model().map(|_| ())
    }

    /// Returns whether the bucket at a position is loaded.
    ///
    /// Called by: the generated `Model::is_loaded`.
    pub fn is_loaded(&self, position: usize) -> bool {
        self.slots.get(position).is_some_and(|slot| slot.model.get().is_some())
    }

    /// Runs the smallest bucket that the inputs fit into.
    ///
    /// Called by: the generated `Model::predict_into`.
    /// Parameters: `inputs` — one for each feature except the mask; `outputs` — one for each
    /// feature; both in the package's order.
    /// Errors: [`Error::Shape`] when the inputs differ in length, or when no bucket takes their
    /// length.
    pub fn predict<const INPUTS: usize>(
        &self,
        inputs: [&dyn InputSlot; INPUTS],
        outputs: &mut [&mut dyn OutputSlot],
    ) -> Result<(), Error> {
        self.predict_features(&self.fed(&inputs), outputs)
    }

    /// Erases the input types and fills in defaults for omitted inputs.
    fn fed<'a, const INPUTS: usize>(
        &'a self,
        inputs: &[&'a dyn InputSlot; INPUTS],
    ) -> [InputRef<'a>; INPUTS] {
        let place = |at: usize| {
            let given = |feed: &Feed| matches!(feed, Feed::Given(position) if *position == at);
            self.inputs
                .iter()
                .position(given)
                .map_or(InputRef::MISSING, |place| self.default_of(place))
        };
        std::array::from_fn(|at| inputs[at].feature(place(at)))
    }

    /// Runs the smallest bucket that the inputs fit into; their number is known only at run time.
    ///
    /// Parameters: as for [`Self::predict`].
    pub(crate) fn predict_features(
        &self,
        inputs: &[InputRef<'_>],
        outputs: &mut [&mut dyn OutputSlot],
    ) -> Result<(), Error> {
        let fits = self.checked(inputs)?;
        let fitted = fits.as_ref().map(|fits| fits.apply(inputs));
        let inputs = fitted.as_deref().unwrap_or(inputs);
        let length = self.length(inputs)?;
        let position = self.position(length)?;
        let (size, slot) = (self.sizes[position], &self.slots[position]);
        let model = slot.model()?;
        let function = model.function();
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let scratch = match &mut scratch {
            Some(scratch) => scratch,
            None => scratch.insert(self.new_scratch(function)?),
        };
        let done = self.predict_with(scratch, model, inputs, outputs, size, length);
        let scratch =
            std::mem::replace(scratch, Scratch { inputs: Vec::new(), outputs: Vec::new() });
        self.put_back(scratch);
        done
    }

    /// Pads, predicts and trims.
    fn predict_with(
        &self,
        scratch: &mut Scratch,
        model: &Model,
        inputs: &[InputRef<'_>],
        outputs: &mut [&mut dyn OutputSlot],
        size: usize,
        length: usize,
    ) -> Result<(), Error> {
        let function = model.function();
        self.pad(scratch, function, inputs, size, length)?;
        let fed = self.feed(scratch, inputs, size == length);
        if size == length {
            return model.predict_features(None, &fed, outputs);
        }
        let mut done = Ok(());
        trim(outputs, &self.trimmed_axes(function), length, &scratch.outputs, &mut |slots| {
            done = model.predict_features(None, &fed, slots);
        });
        done
    }

    /// Pads the inputs into memory of this prediction, and makes the mask.
    fn pad(
        &self,
        scratch: &mut Scratch,
        function: &Function,
        inputs: &[InputRef<'_>],
        size: usize,
        length: usize,
    ) -> Result<(), Error> {
        let wrong = |input: &Feature| {
            invalid(&self.name, format!("input `{}` is not {}", input.name, input.kind))
        };
        for ((feed, padded), input) in
            self.inputs.iter().zip(&mut scratch.inputs).zip(&function.inputs)
        {
            let Some(padded) = padded else { continue };
            let done = match (feed, &input.kind) {
                (Feed::Mask(axis), FeatureKind::MultiArray { shape, .. }) => {
                    padded.mask(&shape.default, *axis, length)
                }
                (Feed::Padded(at, axes, value), _) if size != length => {
                    match inputs.get(*at).and_then(InputRef::tensor) {
                        Some(tensor) => padded.pad(tensor, axes, size, *value),
                        None => None,
                    }
                }
                _ => Some(()),
            };
            done.ok_or_else(|| wrong(input))?;
        }
        Ok(())
    }

    /// Returns the inputs of a function: padded where needed, otherwise as given.
    ///
    /// Parameters: `is_full` — whether the inputs have the bucket's own length.
    fn feed<'a>(
        &self,
        scratch: &'a Scratch,
        inputs: &[InputRef<'a>],
        is_full: bool,
    ) -> Vec<InputRef<'a>> {
        let given = |at: usize| inputs.get(at).copied().unwrap_or(InputRef::MISSING);
        let fed =
            self.inputs.iter().zip(&scratch.inputs).map(|(feed, padded)| match (feed, padded) {
                (Feed::Given(at), _) => given(*at),
                (Feed::Padded(at, ..), _) if is_full => given(*at),
                (_, Some(padded)) => InputRef::Tensor(padded.tensor()),
                (_, None) => InputRef::MISSING,
            });
        fed.collect()
    }

    /// Returns the dimensions of each output that have the length.
    fn trimmed_axes(&self, function: &Function) -> Vec<&[usize]> {
        let axes = |output: &Feature| self.buckets.trimmed_axes(&output.name).unwrap_or_default();
        function.outputs.iter().map(axes).collect()
    }

    /// Refuses inputs of unequal lengths, and makes those fit that do not.
    fn checked(&self, inputs: &[InputRef<'_>]) -> Result<Option<Fits>, Error> {
        self.length(inputs)?;
        self.fitter.fit(inputs)
    }

    /// Returns the length that all padded inputs have.
    fn length(&self, inputs: &[InputRef<'_>]) -> Result<usize, Error> {
        let mut found: Option<(usize, usize)> = None;
        for feed in &self.inputs {
            let Feed::Padded(at, axes, _) = feed else { continue };
            let Some(tensor) = inputs.get(*at).and_then(InputRef::tensor) else {
                return Err(invalid(&self.name, format!("its input {at} has no length")));
            };
            for &axis in axes {
                let length = tensor.dims.get(axis).copied().unwrap_or(0);
                match found {
                    Some((_, first)) if first == length => {}
                    None => found = Some((*at, length)),
                    Some((other, first)) => {
                        let lengths =
                            [(self.input_name(other), first), (self.input_name(*at), length)];
                        return Err(ShapeError::UnequalLengths { lengths }.into());
                    }
                }
            }
        }
        found
            .map(|(_, length)| length)
            .ok_or_else(|| invalid(&self.name, "none of its inputs is padded"))
    }

    /// Returns the name of the caller's input at a position.
    fn input_name(&self, at: usize) -> String {
        let is = |feed: &Feed| match feed {
            Feed::Padded(position, ..) | Feed::Given(position) => *position == at,
            Feed::Mask(_) => false,
        };
        let place = self.inputs.iter().position(is);
        let input = place.and_then(|place| self.function().ok()?.inputs.get(place));
        input.map_or_else(String::new, |input| input.name.clone())
    }

    /// Returns the position of the smallest bucket that takes `length`.
    fn position(&self, length: usize) -> Result<usize, Error> {
        let fits = length >= self.buckets.min;
        self.sizes.iter().position(|&size| fits && length <= size).ok_or_else(|| {
            ShapeError::NoBucket { length, min: self.buckets.min, sizes: self.sizes.clone() }.into()
        })
    }

    /// Allocates the memory of a prediction.
    ///
    /// Errors: an input's type cannot hold its padding value.
    fn new_scratch(&self, function: &Function) -> Result<Scratch, Error> {
        let memory = |(feed, input): (&Feed, &Feature)| {
            let value = match feed {
                Feed::Given(_) => return Ok(None),
                Feed::Padded(_, _, value) => *value,
                Feed::Mask(_) => 1.0,
            };
            let buffer = match &input.kind {
                FeatureKind::MultiArray { data_type, .. } => {
                    Buffer::from_f64s(*data_type, &[value])
                }
                _ => None,
            };
            let problem = || {
                invalid(&self.name, format!("input `{}` cannot be padded with {value}", input.name))
            };
            buffer.map(|buffer| Some(PaddedTensor::new(buffer))).ok_or_else(problem)
        };
        let inputs =
            self.inputs.iter().zip(&function.inputs).map(memory).collect::<Result<_, Error>>()?;
        Ok(Scratch {
            inputs,
            outputs: function.outputs.iter().map(|_| RefCell::new(None)).collect(),
        })
    }

    /// Keeps memory for the next prediction.
    fn put_back(&self, scratch: Scratch) {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
    }
}

impl std::fmt::Debug for BucketedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let loaded = self
            .sizes
            .iter()
            .enumerate()
            .filter(|(at, _)| self.is_loaded(*at))
            .map(|(_, size)| size);
        let loaded: Vec<_> = loaded.collect();
        write!(
            f,
            "buckets {:?} of `{}`, loaded {loaded:?}, on {}",
            self.sizes,
            self.name,
            self.backend()
        )
    }
}

/// Refuses the path of one compiled model for buckets in several packages: it would be loaded for
/// each, and a compiled model does not say of which size it is.
fn refuse_one_of_many(
    descriptions: &[(usize, Description)],
    options: &LoadOptions,
) -> Result<(), Error> {
    let Some((path, (_, first))) = options.chosen_path().zip(descriptions.first()) else {
        return Ok(());
    };
    if !is_compiled(path) || descriptions.iter().all(|(_, other)| other.package == first.package) {
        return Ok(());
    }
    let path = path.display();
    let problem = format!(
        "it has one package for each size, and {path} can be only one of them: give the folder \
         that holds them all"
    );
    Err(Error::Options { model: first.name.to_owned(), source: problem.into() })
}

/// Makes the error of a model with inconsistent buckets.
fn invalid(name: &str, problem: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Invalid { model: name.to_owned(), source: problem.into() }
}
