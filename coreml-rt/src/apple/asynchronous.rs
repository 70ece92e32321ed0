//! Non-blocking predictions.
//!
//! Owns: the completion handler, which runs on a thread of Core ML. Must not: let an Objective-C
//! object out of it; results are copied inside.
//! Flow: `backend.rs` makes a [`Request`] and starts it, at once or when `gate.rs` lets it in; the
//! handler reads its outputs through `results.rs` and answers through `awaited.rs`.
#![allow(unsafe_code, reason = "calls Objective-C")]

use super::backing::{Backings, Refused};
use super::failure::{CoreMlError, guard, translate};
use super::features::Features;
use super::gate::Pass;
use super::results::{CoreMlResults, read};
use super::state::CoreMlState;
use crate::backend::Awaited;
use block2::RcBlock;
use objc2::rc::Retained;
use objc2::runtime::{NSObjectProtocol, ProtocolObject};
use objc2::{Message, sel};
use objc2_core_ml::{MLDictionaryFeatureProvider, MLFeatureProvider, MLModel, MLPredictionOptions};
use objc2_foundation::NSError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A completion handler: its arguments are an object, or an error.
pub(super) type Handler<T> = RcBlock<dyn Fn(*mut T, *mut NSError)>;

/// A prediction that is ready to start.
pub(super) struct Request {
    /// The model.
    model: Retained<MLModel>,
    /// Its features.
    features: Arc<Features>,
    /// Copies of the inputs.
    inputs: Retained<MLDictionaryFeatureProvider>,
    /// With the backings of outputs.
    options: Retained<MLPredictionOptions>,
    /// Which outputs Core ML does not write in place.
    refused: Arc<Refused>,
    /// What waits for the answer.
    pending: Pending,
}

// SAFETY: Apple allows asynchronous predictions of a model on any thread and at any time; the
// inputs and the options belong to the request alone and are given to Core ML once; what the others
// hold is `Send`.
unsafe impl Send for Request {}

/// A prediction without an answer, taken by the side that answers: the handler, or a call that
/// fails to start it.
type Pending = Arc<Mutex<Option<PendingPrediction>>>;

/// What a prediction returns when it ends.
struct PendingPrediction {
    /// Keeps other models from predicting meanwhile.
    pass: Option<Pass>,
    /// The outputs, and the future that waits for them.
    awaited: Box<dyn Awaited<CoreMlState>>,
    /// The states.
    state: Option<CoreMlState>,
    /// Memory of outputs that Core ML may write in place. It is kept until the prediction ends,
    /// even if the future was dropped.
    backings: Backings,
}

impl PendingPrediction {
    /// Answers with an error.
    fn fail(self, features: &Features, error: CoreMlError) {
        // Before the answer wakes anyone: the longest waiter at the gate is next.
        let _ = guard(|| drop((self.backings, self.state)));
        drop(self.pass);
        self.awaited.finish(Err(translate(&features.model, error)), Vec::new());
    }
}

impl Request {
    /// Prepares a prediction. If that fails, answers with the error and returns `None`.
    ///
    /// Parameters: `feed` — copies the inputs, and the states that the program keeps.
    pub(super) fn new(
        model: &Retained<MLModel>,
        features: Arc<Features>,
        refused: Arc<Refused>,
        mut awaited: Box<dyn Awaited<CoreMlState>>,
        state: Option<CoreMlState>,
        feed: impl FnOnce(
            &Features,
            Option<&CoreMlState>,
        ) -> Result<Retained<MLDictionaryFeatureProvider>, CoreMlError>,
    ) -> Option<Self> {
        let mut backings = Backings::default();
        let ready = guard(|| {
            if !model.respondsToSelector(sel!(predictionFromFeatures:options:completionHandler:)) {
                let api = "an asynchronous prediction";
                return Err(CoreMlError::Unavailable { api, since: "macOS 14 or iOS 17" });
            }
            let inputs = feed(&features, state.as_ref())?;
            let mut options = Ok(None);
            awaited.slots(&mut |slots| options = backings.lend(&features, slots, &refused));
            // SAFETY: `new` of a class without demands on its caller.
            Ok((inputs, options?.unwrap_or_else(|| unsafe { MLPredictionOptions::new() })))
        });
        let prediction = PendingPrediction { awaited, state, backings, pass: None };
        match ready.flatten() {
            Ok((inputs, options)) => {
                let (model, pending) = (model.clone(), Arc::new(Mutex::new(Some(prediction))));
                Some(Self { model, features, inputs, options, refused, pending })
            }
            Err(error) => {
                prediction.fail(&features, error);
                None
            }
        }
    }

    /// Starts it.
    ///
    /// Parameters: `pass` — kept until it is over.
    pub(super) fn start(self, pass: Option<Pass>) {
        let Self { model, features, inputs, options, refused, pending } = self;
        let state = lock(&pending).as_mut().and_then(|prediction| {
            prediction.pass = pass;
            prediction.state.as_ref().and_then(CoreMlState::object)
        });
        let started = guard(|| {
            let handler = handler(&features, refused, &pending);
            let inputs = ProtocolObject::from_ref(&*inputs);
            match state {
                // SAFETY: Core ML copies the handler, which owns all it uses and may run on any
                // thread: what it holds is `Send`. The state is in `pending` until the handler has
                // it back, so nobody else uses it; so is the memory of the backings.
                Some(state) => unsafe {
                    model.predictionFromFeatures_usingState_options_completionHandler(
                        inputs, &state, &options, &handler,
                    );
                },
                // SAFETY: as above. Apple allows any number of asynchronous predictions at a time.
                None => unsafe {
                    model.predictionFromFeatures_options_completionHandler(
                        inputs, &options, &handler,
                    );
                },
            }
        });
        if let Err(error) = started
            && let Some(prediction) = take(&pending)
        {
            prediction.fail(&features, error);
        }
        // What Core ML does not need any more goes in a pool.
        let _ = guard(|| drop((inputs, options, model)));
    }
}

/// Makes the handler of a prediction.
fn handler(
    features: &Arc<Features>,
    refused: Arc<Refused>,
    pending: &Pending,
) -> Handler<ProtocolObject<dyn MLFeatureProvider>> {
    let (features, pending) = (Arc::clone(features), Arc::clone(pending));
    RcBlock::new(move |results: *mut ProtocolObject<dyn MLFeatureProvider>, error: *mut NSError| {
        let Some(mut prediction) = take(&pending) else { return };
        let PendingPrediction { awaited, state, backings, .. } = &mut prediction;
        let read = guard(|| {
            let mut values = Vec::new();
            // SAFETY: Core ML's own arguments.
            let results = unsafe { answer(results, error) }.and_then(|results| {
                state.as_mut().map_or(Ok(()), |state| state.advance(&results))?;
                read(&features, &results, &mut values)
            });
            results.map_err(|error| translate(&features.model, error))?;
            backings.compare(&values, &refused);
            let results = CoreMlResults { features: &features, values: &values };
            let mut copied = Ok(());
            awaited.slots(&mut |slots| copied = backings.copy_rest(&results, slots));
            copied
        });
        let PendingPrediction { awaited, state, backings, pass } = prediction;
        let read = read.unwrap_or_else(|error| Err(translate(&features.model, error)));
        let written = guard(|| backings.into_written()).unwrap_or_default();
        // Before the answer wakes anyone: the longest waiter at the gate is next.
        drop(pass);
        awaited.finish(read.map(|()| state), written);
    })
}

/// Returns the argument of a completion handler that is not null.
///
/// # Safety
/// Both must be arguments of a completion handler that is running: objects that live during the
/// call, or null.
pub(super) unsafe fn answer<T: Message>(
    object: *mut T,
    error: *mut NSError,
) -> Result<Retained<T>, CoreMlError> {
    // SAFETY: the caller's promise. They are not ours, so a reference is added, not taken over.
    let (object, error) = unsafe { (Retained::retain(object), Retained::retain(error)) };
    match (object, error) {
        (Some(object), _) => Ok(object),
        (None, Some(error)) => Err(error.into()),
        (None, None) => {
            Err(CoreMlError::Unexpected("Core ML gave neither a result nor an error".to_owned()))
        }
    }
}

/// Locks the prediction; no code panics while it holds the lock.
fn lock(pending: &Pending) -> MutexGuard<'_, Option<PendingPrediction>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the prediction, unless it was answered.
fn take(pending: &Pending) -> Option<PendingPrediction> {
    lock(pending).take()
}
