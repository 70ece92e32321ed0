//! What is compared: a model, or the buckets of one.
//!
//! Owns: [`Subject`]. Must not: judge.
//! Flow: `parity.rs` loads one and runs samples through it.

use crate::bucketed::BucketedModel;
use crate::error::Error;
use crate::model::Model;
use crate::opened::OpenedModel;
use crate::options::LoadOptions;
use crate::slot::{InputRef, OutputSlot};
use crate::state::State;
use coreml_spec::Function;
use std::sync::Arc;

/// What a sample is run through.
pub(super) enum Subject {
    /// One function of a package.
    Model(Box<Model>),
    /// All buckets of a model, behind padding, mask and trimming.
    Buckets(Box<BucketedModel>),
}

impl Subject {
    /// Loads an opened package.
    ///
    /// Parameters: `function` — of a multifunction package; `None` for its default, or for all of
    /// its buckets.
    pub(super) fn load(
        opened: &Arc<OpenedModel>,
        function: Option<&str>,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        if function.is_none()
            && let Some(buckets) = &opened.interface.buckets
        {
            let model = BucketedModel::of_opened(opened, buckets, options)?;
            return Ok(Self::Buckets(Box::new(model)));
        }
        Ok(Self::Model(Box::new(Model::of_opened(opened, function, options)?)))
    }

    /// Returns what runs it.
    pub(super) fn backend(&self) -> &str {
        match self {
            Self::Model(model) => model.backend(),
            Self::Buckets(model) => model.backend(),
        }
    }

    /// Returns its features; of buckets those of one of them.
    pub(super) fn function(&self) -> Result<&Function, Error> {
        match self {
            Self::Model(model) => Ok(model.function()),
            Self::Buckets(model) => model.function(),
        }
    }

    /// Returns whether it fills the input at a position itself: the mask of buckets.
    pub(super) fn fills(&self, at: usize) -> bool {
        let Self::Buckets(model) = self else { return false };
        let input = model.function().ok().and_then(|function| function.inputs.get(at));
        let mask = model.buckets().mask.as_ref();
        input.zip(mask).is_some_and(|(input, mask)| input.name == mask.input)
    }

    /// Returns its features without the inputs that it fills itself.
    pub(super) fn given(&self) -> Result<Function, Error> {
        let mut function = self.function()?.clone();
        let inputs = std::mem::take(&mut function.inputs).into_iter().enumerate();
        function.inputs =
            inputs.filter(|(at, _)| !self.fills(*at)).map(|(_, input)| input).collect();
        Ok(function)
    }

    /// Returns the value of input `at` when it is left out.
    pub(super) fn default_of(&self, at: usize) -> InputRef<'_> {
        match self {
            Self::Model(model) => model.default_of(at),
            Self::Buckets(model) => model.default_of(at),
        }
    }

    /// Returns states of zeros.
    pub(super) fn new_state(&self) -> Result<State, Error> {
        match self {
            Self::Model(model) => model.new_state(),
            Self::Buckets(model) => {
                let problem = "buckets have no states".into();
                Err(Error::Invalid { model: format!("{model:?}"), source: problem })
            }
        }
    }

    /// Runs it once.
    ///
    /// Parameters: `inputs` — all but those that it [`fills`](Self::fills).
    pub(super) fn predict(
        &self,
        state: Option<&mut State>,
        inputs: &[InputRef<'_>],
        outputs: &mut [&mut dyn OutputSlot],
    ) -> Result<(), Error> {
        match self {
            Self::Model(model) => model.predict_features(state, inputs, outputs),
            Self::Buckets(model) => model.predict_features(inputs, outputs),
        }
    }
}
