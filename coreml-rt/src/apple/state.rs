//! States that Core ML keeps between predictions.
//!
//! Owns: one `MLState`, and reading and writing its tensors. Must not: be used by two predictions at once; `&mut` sees to
//! that.
//! Flow: `session.rs` makes it and predicts with it; `crate::state` reads and writes it.
#![allow(unsafe_code, reason = "calls Objective-C")]

use super::failure::{CoreMlError, guard, translate};
use super::multi_array;
use crate::error::Error;
use block2::StackBlock;
use coreml_spec::{Elements, ElementsMut};
use objc2::rc::Retained;
use objc2::runtime::{NSObjectProtocol, ProtocolObject};
use objc2::sel;
use objc2_core_ml::{MLFeatureProvider, MLModel, MLMultiArray, MLPredictionOptions, MLState};
use objc2_foundation::NSString;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;

/// The states of one sequence of predictions.
pub(crate) struct State {
    /// What Core ML holds.
    state: Retained<MLState>,
    /// Names, in the order of the function's states.
    names: Vec<Retained<NSString>>,
}

// SAFETY: Apple declares MLState as sendable; the names are immutable strings. Concurrent use is undefined, and impossible:
// whoever predicts or writes needs `&mut`, and reading through `&` happens on one thread, since `State` is not `Sync`.
unsafe impl Send for State {}

impl State {
    /// Returns states of zeros.
    ///
    /// Errors: [`CoreMlError::Unavailable`] when the system has no states.
    pub(super) fn of(model: &MLModel, names: &[String]) -> Result<Self, CoreMlError> {
        if !model.respondsToSelector(sel!(newState)) {
            return Err(CoreMlError::Unavailable { api: "a model with states", since: "macOS 15 or iOS 18" });
        }
        // SAFETY: the system has the method, which gives an object of our own.
        let state = unsafe { model.newState() };
        Ok(Self { state, names: names.iter().map(|name| NSString::from_str(name)).collect() })
    }

    /// Returns what Core ML holds, for an asynchronous prediction.
    ///
    /// Parameters: `self` — kept by the caller until the prediction is over, and used by nobody else meanwhile.
    pub(super) fn object(&self) -> Retained<MLState> {
        self.state.clone()
    }

    /// Predicts, and leaves the states as they are after it.
    ///
    /// Parameters: `model` — the one that made the state, which no other thread uses now.
    pub(super) fn predict(
        &mut self,
        model: &MLModel,
        inputs: &ProtocolObject<dyn MLFeatureProvider>,
        options: Option<&MLPredictionOptions>,
    ) -> Result<Retained<ProtocolObject<dyn MLFeatureProvider>>, CoreMlError> {
        let results = match options {
            // SAFETY: the caller holds the model's lock, and `&mut self` makes this the only use of the state.
            None => unsafe { model.predictionFromFeatures_usingState_error(inputs, &self.state) },
            // SAFETY: as above; the backings hold what Core ML writes into.
            Some(options) => unsafe {
                model.predictionFromFeatures_usingState_options_error(inputs, &self.state, options)
            },
        };
        results.map_err(CoreMlError::from)
    }

    /// Copies state `index` out.
    ///
    /// Parameters: `model` — its name, for errors; `into` — of the state's type and length.
    pub(crate) fn copy_to(&self, model: &str, index: usize, into: ElementsMut<'_>) -> Result<(), Error> {
        let into = Cell::new(Some(into));
        self.with_array(model, index, |array| {
            let (mut shape, mut strides) = (Vec::new(), Vec::new());
            multi_array::layout(array, &mut shape, &mut strides);
            into.take().map_or(Ok(()), |into| multi_array::copy_to(array, &shape, &strides, into))
        })
    }

    /// Replaces state `index`.
    ///
    /// Parameters: `model` — its name, for errors; `from` — of the state's type and length.
    pub(crate) fn copy_from(&mut self, model: &str, index: usize, from: Elements<'_>) -> Result<(), Error> {
        self.with_array(model, index, |array| multi_array::overwrite(array, from))
    }

    /// Calls `access` with the array of a state, which is good inside of the call only.
    fn with_array(
        &self,
        model: &str,
        index: usize,
        access: impl Fn(&MLMultiArray) -> Result<(), CoreMlError>,
    ) -> Result<(), Error> {
        let result = RefCell::new(Err(CoreMlError::Unexpected(format!("Core ML showed no state {index}"))));
        let run = guard(|| {
            let Some(name) = self.names.get(index) else { return };
            let block = StackBlock::new(|array: NonNull<MLMultiArray>| {
                // SAFETY: Core ML shows the array for the duration of this call.
                let array = unsafe { array.as_ref() };
                *result.borrow_mut() = access(array);
            });
            // SAFETY: the handler runs before the call returns and is not kept, so what it borrows outlives it.
            unsafe { self.state.getMultiArrayForStateNamed_handler(name, &block) };
        });
        run.and_then(|()| result.into_inner()).map_err(|error| translate(model, error))
    }
}
