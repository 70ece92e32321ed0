//! Predictions that nobody waits for.
//!
//! Owns: the completion handler, which runs on a thread of Core ML's. Must not: let an object of Objective-C out of it; what
//! the application gets is copied inside.
//! Flow: called by `session.rs`; the handler reads its outputs through `results.rs` and calls what `model.rs` waits with.
#![allow(unsafe_code, reason = "calls Objective-C")]

use super::failure::{CoreMlError, guard, translate};
use super::features::Features;
use super::results::{CoreMlResults, read};
use super::state::State;
use crate::backend::Finish;
use block2::RcBlock;
use objc2::rc::Retained;
use objc2::runtime::{NSObjectProtocol, ProtocolObject};
use objc2::{Message, sel};
use objc2_core_ml::{MLDictionaryFeatureProvider, MLFeatureProvider, MLModel, MLPredictionOptions};
use objc2_foundation::NSError;
use std::sync::{Arc, Mutex, PoisonError};

/// What a completion handler is given: an object, or an error.
pub(super) type Handler<T> = RcBlock<dyn Fn(*mut T, *mut NSError)>;

/// What is waiting for an answer, taken by whoever has one: the handler, or the call that failed to start.
type Pending = Arc<Mutex<Option<(Finish, Option<State>)>>>;

/// Starts a prediction.
///
/// Parameters: `feed` — copies the inputs, and the states that the program keeps; `finish` — is called once.
pub(super) fn predict(
    model: &MLModel,
    features: &Arc<Features>,
    state: Option<State>,
    feed: impl FnOnce(&Features, Option<&State>) -> Result<Retained<MLDictionaryFeatureProvider>, CoreMlError>,
    finish: Finish,
) {
    let pending: Pending = Arc::new(Mutex::new(Some((finish, state))));
    let started = guard(|| {
        if !model.respondsToSelector(sel!(predictionFromFeatures:options:completionHandler:)) {
            return Err(CoreMlError::Unavailable { api: "an asynchronous prediction", since: "macOS 14 or iOS 17" });
        }
        let provider = feed(features, lock(&pending).as_ref().and_then(|(_, state)| state.as_ref()))?;
        let inputs = ProtocolObject::from_ref(&*provider);
        let handler = handler(features, &pending);
        // SAFETY: `new` of a class without demands on its caller.
        let options = unsafe { MLPredictionOptions::new() };
        let state = lock(&pending).as_ref().and_then(|(_, state)| state.as_ref().and_then(State::object));
        match state {
            // SAFETY: Core ML copies the handler, which owns all it uses and may run on any thread: an `Arc`, and what
            // it holds is `Send`. The state is in `pending` until the handler has it back, so nobody else uses it.
            Some(state) => unsafe {
                model.predictionFromFeatures_usingState_options_completionHandler(inputs, &state, &options, &handler);
            },
            // SAFETY: as above. Apple allows any number of asynchronous predictions at a time.
            None => unsafe {
                model.predictionFromFeatures_options_completionHandler(inputs, &options, &handler);
            },
        }
        Ok(())
    });
    if let Err(error) = started.flatten()
        && let Some((finish, _)) = take(&pending)
    {
        finish(Err(translate(&features.model, error)));
    }
}

/// Makes the handler of a prediction.
fn handler(features: &Arc<Features>, pending: &Pending) -> Handler<ProtocolObject<dyn MLFeatureProvider>> {
    let (features, pending) = (Arc::clone(features), Arc::clone(pending));
    RcBlock::new(move |results: *mut ProtocolObject<dyn MLFeatureProvider>, error: *mut NSError| {
        let Some((finish, mut state)) = take(&pending) else { return };
        // When reading raises, `finish` is dropped, which whoever waits is told.
        let _ = guard(|| {
            let mut values = Vec::new();
            // SAFETY: Core ML's own arguments.
            let results = unsafe { answer(results, error) }.and_then(|results| {
                state.as_mut().map_or(Ok(()), |state| state.advance(&results))?;
                read(&features, &results, &mut values)
            });
            match results {
                Ok(()) => finish(Ok((&CoreMlResults { features: &features, values: &values }, state))),
                Err(error) => finish(Err(translate(&features.model, error))),
            }
        });
    })
}

/// Returns what a completion handler was given.
///
/// # Safety
/// Both must be arguments of a completion handler that is running: objects that live during the call, or null.
pub(super) unsafe fn answer<T: Message>(object: *mut T, error: *mut NSError) -> Result<Retained<T>, CoreMlError> {
    // SAFETY: the caller's promise. They are not ours, so a reference is added, not taken over.
    let (object, error) = unsafe { (Retained::retain(object), Retained::retain(error)) };
    match (object, error) {
        (Some(object), _) => Ok(object),
        (None, Some(error)) => Err(error.into()),
        (None, None) => Err(CoreMlError::Unexpected("Core ML gave neither a result nor an error".to_owned())),
    }
}

/// Looks at what is pending; nobody panics while holding it.
fn lock(pending: &Pending) -> std::sync::MutexGuard<'_, Option<(Finish, Option<State>)>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes what is pending, unless somebody has.
fn take(pending: &Pending) -> Option<(Finish, Option<State>)> {
    lock(pending).take()
}
