//! What a backend is.
//!
//! Owns: the contract between this crate and what runs a model: [`Backend`], the states that it
//! keeps ([`BackendState`]), and what an asynchronous prediction answers ([`Awaited`]).
//! Must not: know any backend; `native.rs` chooses one for each system.
//! Flow: `apple/backend.rs` and `portable.rs` implement it; `model.rs` calls it.
//!
//! The backend is a type that `native.rs` names, so every call is static, and rustc checks on each
//! system that its backend has the whole contract. Code outside a backend can only call what
//! stands here.

use crate::compute_plan::ComputePlan;
use crate::error::Error;
use crate::opened::OpenedModel;
use crate::options::LoadOptions;
use crate::slot::{InputRef, OutputSlot, Results};
use coreml_spec::{Elements, ElementsMut, Function};
use std::any::Any;
use std::sync::Arc;

/// One function of a model, loaded and ready to run.
///
/// Inputs, outputs and states are always in the order of the function's features. The caller has
/// checked that the shapes of the inputs agree with each other; a backend checks each input alone.
pub(crate) trait Backend: Sized + Send + Sync {
    /// The states of one sequence of predictions.
    type State: BackendState;

    /// Loads a function of a model.
    ///
    /// Parameters: `function` — one of `model`'s interface.
    /// Errors: [`Error::Unsupported`] names everything that this backend lacks.
    fn load(model: &OpenedModel, function: &Function, options: &LoadOptions)
    -> Result<Self, Error>;

    /// Returns the name of the backend: `portable (rten 0.27)`.
    fn name(&self) -> &str;

    /// Returns states of zeros.
    fn new_state(&self) -> Result<Self::State, Error>;

    /// Runs the model once.
    ///
    /// Parameters: `state` — of a model with states, which then holds those after the prediction;
    /// `outputs` — may be fewer than the function has.
    fn predict(
        &self,
        state: Option<&mut Self::State>,
        inputs: &[InputRef<'_>],
        outputs: &mut [&mut dyn OutputSlot],
    ) -> Result<(), Error>;

    /// Starts to run the model once. The inputs are copied before this returns.
    ///
    /// Parameters: `state` — as for [`Self::predict`]; `awaited` — gets exactly one answer, in
    /// this call or later, on any thread.
    fn predict_async(
        &self,
        state: Option<Self::State>,
        inputs: &[InputRef<'_>],
        awaited: Box<dyn Awaited<Self::State>>,
    );

    /// Runs a model without states once for each element.
    ///
    /// Parameters: `batch` — the inputs of each element; `take` — is given the results of each, in
    /// the same order.
    fn predict_batch(
        &self,
        batch: &[&[InputRef<'_>]],
        take: &mut dyn FnMut(&dyn Results) -> Result<(), Error>,
    ) -> Result<(), Error>;

    /// Returns on which device each operation would run.
    ///
    /// Errors: [`Error::Unsupported`] where nothing plans that.
    fn compute_plan(&self) -> Result<ComputePlan, Error>;
}

/// The states of one sequence of predictions, in a backend's own memory.
pub(crate) trait BackendState: Send + 'static {
    /// Copies state `index` out.
    ///
    /// Parameters: `model` — its name, for errors; `into` — of the state's type and length.
    fn copy_to(&self, model: &str, index: usize, into: ElementsMut<'_>) -> Result<(), Error>;

    /// Replaces state `index`.
    ///
    /// Parameters: `model` — its name, for errors; `from` — of the state's type and length.
    fn copy_from(&mut self, model: &str, index: usize, from: Elements<'_>) -> Result<(), Error>;
}

/// Memory of an output that was written in place: its position, and what keeps it alive.
pub(crate) type Written = (usize, Arc<dyn Any + Send + Sync>);

/// The outputs of an asynchronous prediction, and the future that waits for them.
///
/// When it is dropped without an answer, the future gets an error.
pub(crate) trait Awaited<S>: Send {
    /// Calls `with` with the outputs, in the order of the function's.
    fn slots(&mut self, with: &mut dyn FnMut(&mut [&mut dyn OutputSlot]));

    /// Ends the wait, on any thread.
    ///
    /// Parameters: `answer` — the state that the prediction was given. Every output is filled,
    /// except those of `written`, whose memory returns to them when the result is taken. By then
    /// the backend may have released it, and nothing needs to be copied.
    fn finish(self: Box<Self>, answer: Result<Option<S>, Error>, written: Vec<Written>);
}
