//! Non-blocking predictions, and batches.
//!
//! Owns: loading on a thread, asynchronous predictions, batches. Must not: know which backend runs.
//! Flow: a generated `Model` → here → `awaited.rs` holds the outputs, `backend.rs` fills them,
//! `completion.rs` wakes the waiting side.

use super::Model;
use crate::awaited::{OutputSet, Waiting};
use crate::backend::Backend;
use crate::completion::{Completion, failed, pair, spawn};
use crate::description::Description;
use crate::error::Error;
use crate::native::NativeState;
use crate::options::LoadOptions;
use crate::slot::{InputRef, InputSlot, Outputs, Results};
use crate::state::State;

impl Model {
    /// Does the same as [`Self::load`] on a thread of its own: finding, checking and compiling a
    /// package also block.
    ///
    /// Called by: the generated `Model::load_async`.
    /// Parameters: `wrap` — makes the generated type.
    pub fn load_async<M: Send + 'static>(
        description: &'static Description,
        options: LoadOptions,
        wrap: fn(Self) -> M,
    ) -> Completion<M> {
        load_async(description.name, move || Self::load(description, &options).map(wrap))
    }

    /// Starts one prediction of a model without states and returns at once. The inputs are copied
    /// before.
    ///
    /// Called by: the generated `Model::predict_into_async`.
    /// Parameters: `inputs` — as for [`Self::predict`]; `outputs` — come back filled, in place
    /// where the backend can do that.
    pub fn predict_async<const INPUTS: usize, O: Outputs>(
        &self,
        inputs: [&dyn InputSlot; INPUTS],
        outputs: O,
    ) -> Completion<O> {
        self.predict_features_async(None, &self.fed(inputs), outputs, |outputs, _| Ok(outputs))
    }

    /// Starts one prediction of a model with states and returns at once. If it fails, the states
    /// are lost.
    ///
    /// Called by: the generated `Model::predict_into_async`.
    /// Parameters: as for [`Self::predict_async`]; `wrap` — makes the generated type of the states.
    pub fn predict_with_state_async<const INPUTS: usize, O: Outputs, S: Send + 'static>(
        &self,
        state: State,
        inputs: [&dyn InputSlot; INPUTS],
        outputs: O,
        wrap: fn(State) -> S,
    ) -> Completion<(S, O)> {
        let name = self.name.clone();
        let give = move |outputs, state: Option<NativeState>| match state {
            Some(state) => Ok((wrap(State::new(&name, state)), outputs)),
            None => {
                Err(Error::Engine { model: name, source: "the backend returned no states".into() })
            }
        };
        self.predict_features_async(Some(state.into_backend()), &self.fed(inputs), outputs, give)
    }

    /// Starts one prediction; the number of inputs is known only at run time.
    ///
    /// Parameters: `wrap` — makes the result from the outputs and the states, when the result is
    /// taken.
    pub(crate) fn predict_features_async<O: OutputSet, R: Send + 'static>(
        &self,
        state: Option<NativeState>,
        inputs: &[InputRef<'_>],
        outputs: O,
        wrap: impl FnOnce(O, Option<NativeState>) -> Result<R, Error> + Send + 'static,
    ) -> Completion<R> {
        let (completer, completion) = pair(&self.name);
        match self.checked(inputs) {
            Ok(fits) => {
                let fitted = fits.as_ref().map(|fits| fits.apply(inputs));
                let inputs = fitted.as_deref().unwrap_or(inputs);
                let waiting = Box::new(Waiting { outputs, completer, wrap });
                self.backend.predict_async(state, inputs, waiting);
            }
            Err(error) => completer.complete(Err(error)),
        }
        completion
    }

    /// Runs a model without states once for each element, as one request.
    ///
    /// Called by: the generated `Model::predict_batch`.
    /// Returns: one output for each element, in the same order.
    pub fn predict_batch<'a, const INPUTS: usize, O: Outputs>(
        &'a self,
        batch: impl IntoIterator<Item = [&'a dyn InputSlot; INPUTS]>,
    ) -> Result<Vec<O>, Error> {
        let fed: Vec<_> = batch.into_iter().map(|inputs| self.fed(inputs)).collect();
        let mut outputs = Vec::with_capacity(fed.len());
        if !fed.is_empty() {
            let requests: Vec<&[InputRef<'_>]> = fed.iter().map(|inputs| &inputs[..]).collect();
            self.predict_features_batch(&requests, &mut |results| {
                outputs.push(O::take(results)?);
                Ok(())
            })?;
        }
        Ok(outputs)
    }

    /// Runs a model without states once for each element; the number of inputs is known only at run
    /// time.
    ///
    /// Parameters: `take` — receives the results, in order.
    pub(crate) fn predict_features_batch(
        &self,
        batch: &[&[InputRef<'_>]],
        take: &mut dyn FnMut(&dyn Results) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let fits = batch.iter().map(|inputs| self.checked(inputs));
        let fits = fits.collect::<Result<Vec<_>, Error>>()?;
        if fits.iter().all(Option::is_none) {
            return self.backend.predict_batch(batch, take);
        }
        let fitted: Vec<Vec<InputRef<'_>>> = batch
            .iter()
            .zip(&fits)
            .map(|(inputs, fits)| match fits {
                Some(fits) => fits.apply(inputs),
                None => inputs.to_vec(),
            })
            .collect();
        let batch: Vec<&[InputRef<'_>]> = fitted.iter().map(Vec::as_slice).collect();
        self.backend.predict_batch(&batch, take)
    }
}

/// Loads one or several models on a thread of their own.
///
/// Called by: the generated `Models::load_async`.
/// Parameters: `name` — of what is loaded, for the thread and for errors.
pub fn load_async<M: Send + 'static>(
    name: &str,
    load: impl FnOnce() -> Result<M, Error> + Send + 'static,
) -> Completion<M> {
    let (completer, completion) = pair(name);
    match spawn(name, move || completer.complete(load())) {
        Ok(()) => completion,
        Err(error) => failed(name, error),
    }
}
