//! States between predictions: those that Core ML keeps, and those that are inputs and outputs of
//! the model.
//!
//! Owns: one `MLState`, or the arrays that replace it, and reading and writing its tensors. Must
//! not: be used by two predictions at once; `&mut` prevents that.
//! Flow: `backend.rs` creates it and predicts with it; `crate::state` reads and writes it.
#![allow(unsafe_code, reason = "calls Objective-C")]

use super::failure::{CoreMlError, guard, translate};
use super::multi_array;
use crate::backend::BackendState;
use crate::buffer::Buffer;
use crate::error::Error;
use crate::shape::element_count;
use block2::StackBlock;
use coreml_spec::{DataType, Elements, ElementsMut, FeatureKind, Function, TensorRef};
use objc2::rc::Retained;
use objc2::runtime::{AnyObject, NSObjectProtocol, ProtocolObject};
use objc2::sel;
use objc2_core_ml::{
    MLFeatureProvider, MLFeatureValue, MLModel, MLMultiArray, MLPredictionOptions, MLState,
};
use objc2_foundation::{NSMutableDictionary, NSString};
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;

/// The states of one sequence of predictions.
pub(crate) struct CoreMlState(Kept);

/// Where the states are kept.
enum Kept {
    /// Core ML.
    ByCoreMl {
        /// What it holds.
        state: Retained<MLState>,
        /// Names, in the order of the function's states.
        names: Vec<Retained<NSString>>,
    },
    /// The program, in the order of the function's states: each is fed, and taken from an output
    /// afterwards.
    AsArrays(Vec<Held>),
}

/// A state that is an input and an output of the model.
struct Held {
    /// Name of the input.
    input: Retained<NSString>,
    /// Name of the output.
    output: Retained<NSString>,
    /// What it holds. Never written to: Core ML may still read what an earlier prediction was fed
    /// with.
    array: Retained<MLMultiArray>,
    /// Element type.
    data_type: DataType,
    /// Size of each dimension.
    dims: Vec<usize>,
}

// SAFETY: Apple declares MLState as sendable; names are immutable strings, and arrays are only
// read. Concurrent use would be undefined, but predicting and writing need `&mut`, and reading
// through `&` happens on one thread, since `CoreMlState` is not `Sync`.
unsafe impl Send for CoreMlState {}

impl CoreMlState {
    /// Returns states of zeros.
    ///
    /// Errors: [`CoreMlError::Unavailable`] when the system has no states.
    pub(super) fn of(model: &MLModel, function: &Function) -> Result<Self, CoreMlError> {
        if !function.state_outputs.is_empty() {
            let pairs = function.states.iter().zip(&function.state_outputs);
            let held = pairs.map(|(state, output)| Held::zero(&state.name, output, &state.kind));
            return Ok(Self(Kept::AsArrays(held.collect::<Result<_, _>>()?)));
        }
        if !model.respondsToSelector(sel!(newState)) {
            return Err(CoreMlError::Unavailable {
                api: "a model with states",
                since: "macOS 15 or iOS 18",
            });
        }
        // SAFETY: the system has the method, which gives an object of our own.
        let state = unsafe { model.newState() };
        let names = function.states.iter().map(|state| NSString::from_str(&state.name)).collect();
        Ok(Self(Kept::ByCoreMl { state, names }))
    }

    /// Adds to the inputs of a prediction what the states are fed with.
    pub(super) fn feed(&self, features: &NSMutableDictionary<NSString, AnyObject>) {
        let Kept::AsArrays(held) = &self.0 else { return };
        for state in held {
            // SAFETY: the value keeps the array alive.
            let value = unsafe { MLFeatureValue::featureValueWithMultiArray(&state.array) };
            features.insert(&*state.input, &value);
        }
    }

    /// Returns Core ML's state for an asynchronous prediction; `None` for states that are inputs
    /// and outputs.
    ///
    /// Parameters: `self` — kept by the caller until the prediction ends, without another use
    /// meanwhile.
    pub(super) fn object(&self) -> Option<Retained<MLState>> {
        match &self.0 {
            Kept::ByCoreMl { state, .. } => Some(state.clone()),
            Kept::AsArrays(_) => None,
        }
    }

    /// Predicts, and leaves the states as they are after it.
    ///
    /// Parameters: `model` — the one that made the state, which no other thread uses now; `inputs`
    /// — those of [`Self::feed`] among them; `options` — with the backings of outputs.
    pub(super) fn predict(
        &mut self,
        model: &MLModel,
        inputs: &ProtocolObject<dyn MLFeatureProvider>,
        options: Option<&MLPredictionOptions>,
    ) -> Result<Retained<ProtocolObject<dyn MLFeatureProvider>>, CoreMlError> {
        let results = match (&mut self.0, options) {
            (Kept::ByCoreMl { state, .. }, None) => {
                // SAFETY: the caller holds the model's lock, and `&mut self` makes this the only
                // use of the state.
                unsafe { model.predictionFromFeatures_usingState_error(inputs, state) }?
            }
            (Kept::ByCoreMl { state, .. }, Some(options)) => {
                // SAFETY: as above; the backings hold what Core ML writes into.
                unsafe {
                    model.predictionFromFeatures_usingState_options_error(inputs, state, options)
                }?
            }
            (Kept::AsArrays(_), None) => {
                // SAFETY: the caller holds the model's lock.
                unsafe { model.predictionFromFeatures_error(inputs) }?
            }
            (Kept::AsArrays(_), Some(options)) => {
                // SAFETY: as above; the backings hold what Core ML writes into.
                unsafe { model.predictionFromFeatures_options_error(inputs, options) }?
            }
        };
        self.advance(&results)?;
        Ok(results)
    }

    /// Takes what the states are after a prediction from its results, where Core ML does not keep
    /// them.
    pub(super) fn advance(
        &mut self,
        results: &ProtocolObject<dyn MLFeatureProvider>,
    ) -> Result<(), CoreMlError> {
        let Kept::AsArrays(held) = &mut self.0 else { return Ok(()) };
        // All of them before the first is replaced: after an error the states are those before.
        let arrays: Vec<_> =
            held.iter().map(|state| state.next(results)).collect::<Result<_, _>>()?;
        held.iter_mut().zip(arrays).for_each(|(state, array)| state.array = array);
        Ok(())
    }

    /// Calls `access` with the array of a state, which is valid only during the call.
    fn with_array(
        &self,
        model: &str,
        index: usize,
        access: impl Fn(&MLMultiArray) -> Result<(), CoreMlError>,
    ) -> Result<(), Error> {
        let (state, names) = match &self.0 {
            Kept::ByCoreMl { state, names } => (state, names),
            Kept::AsArrays(held) => {
                let held = held.get(index).ok_or_else(|| missing(index));
                let read = held.and_then(|state| guard(|| access(&state.array)).flatten());
                return read.map_err(|error| translate(model, error));
            }
        };
        let result = RefCell::new(Err(missing(index)));
        let run = guard(|| {
            let Some(name) = names.get(index) else { return };
            let block = StackBlock::new(|array: NonNull<MLMultiArray>| {
                // SAFETY: Core ML shows the array for the duration of this call.
                let array = unsafe { array.as_ref() };
                *result.borrow_mut() = access(array);
            });
            // SAFETY: the handler runs before the call returns and is not kept, so what it borrows
            // outlives it.
            unsafe { state.getMultiArrayForStateNamed_handler(name, &block) };
        });
        run.and_then(|()| result.into_inner()).map_err(|error| translate(model, error))
    }
}

impl BackendState for CoreMlState {
    fn copy_to(&self, model: &str, index: usize, into: ElementsMut<'_>) -> Result<(), Error> {
        let into = Cell::new(Some(into));
        self.with_array(model, index, |array| {
            let (mut shape, mut strides) = (Vec::new(), Vec::new());
            multi_array::layout(array, &mut shape, &mut strides);
            into.take().map_or(Ok(()), |into| multi_array::copy_to(array, &shape, &strides, into))
        })
    }

    fn copy_from(&mut self, model: &str, index: usize, from: Elements<'_>) -> Result<(), Error> {
        let Kept::AsArrays(held) = &mut self.0 else {
            return self.with_array(model, index, |array| multi_array::overwrite(array, from));
        };
        let replaced = match held.get_mut(index) {
            Some(state) => guard(|| state.replace(from)).flatten(),
            None => Err(missing(index)),
        };
        replaced.map_err(|error| translate(model, error))
    }
}

impl Held {
    /// Returns a state of zeros.
    fn zero(input: &str, output: &str, kind: &FeatureKind) -> Result<Self, CoreMlError> {
        let no_tensor = || {
            CoreMlError::Unexpected(format!("the state `{input}` is not a tensor of a fixed size"))
        };
        let FeatureKind::MultiArray { data_type, shape } = kind else { return Err(no_tensor()) };
        let (data_type, dims) = (*data_type, shape.default.clone());
        let count = element_count(&dims).ok_or_else(no_tensor)?;
        let zeros = Buffer::from_f64s(data_type, &vec![0.0; count]).ok_or_else(no_tensor)?;
        let zeros = TensorRef { dims: &dims, elements: zeros.elements() };
        let array = multi_array::of_tensor(&zeros, &multi_array::shape_of(&dims))?;
        Ok(Self {
            input: NSString::from_str(input),
            output: NSString::from_str(output),
            array,
            data_type,
            dims,
        })
    }

    /// Returns what the state is after a prediction.
    fn next(
        &self,
        results: &ProtocolObject<dyn MLFeatureProvider>,
    ) -> Result<Retained<MLMultiArray>, CoreMlError> {
        // SAFETY: the results are ours alone, and the getters give objects that are kept alive
        // here.
        let array = unsafe {
            results.featureValueForName(&self.output).and_then(|value| value.multiArrayValue())
        };
        array.ok_or_else(|| {
            CoreMlError::Unexpected(format!(
                "no array `{}` for the state `{}`",
                self.output, self.input
            ))
        })
    }

    /// Replaces the state by other elements.
    fn replace(&mut self, from: Elements<'_>) -> Result<(), CoreMlError> {
        if from.data_type() != self.data_type || Some(from.len()) != element_count(&self.dims) {
            let (name, given, count) = (&self.input, from.data_type(), from.len());
            let problem = format!(
                "{count} elements of type {given} for the state `{name}` of shape {:?}",
                self.dims
            );
            return Err(CoreMlError::Unexpected(problem));
        }
        let tensor = TensorRef { dims: &self.dims, elements: from };
        self.array = multi_array::of_tensor(&tensor, &multi_array::shape_of(&self.dims))?;
        Ok(())
    }
}

/// Returns the error for a state that is not there.
fn missing(index: usize) -> CoreMlError {
    CoreMlError::Unexpected(format!("Core ML showed no state {index}"))
}
