//! The states of a model between predictions.
//!
//! Owns: [`State`], typed reading and writing of its tensors. Must not: know any backend.
//! Flow: a generated `State` wraps it; `model.rs` makes it and passes it to the backend.

use crate::backend::BackendState;
use crate::error::Error;
use crate::native::NativeState;
use crate::shape::FixedShape;
use crate::tensor::Tensor;
use crate::view::TensorView;
use coreml_spec::{Element, ElementsMut};

/// The states of one sequence of predictions, zero at first.
pub struct State {
    /// The tensors.
    backend: NativeState,
    /// Name of the model, for errors.
    model: String,
}

impl State {
    /// Wraps what a backend made.
    pub(crate) fn new(model: &str, backend: NativeState) -> Self {
        Self { backend, model: model.to_owned() }
    }

    /// Gives away what the backend made, for an asynchronous prediction.
    pub(crate) fn into_backend(self) -> NativeState {
        self.backend
    }

    /// Returns what the backend made, for a prediction.
    pub(crate) fn backend_mut(&mut self) -> &mut NativeState {
        &mut self.backend
    }

    /// Copies a state out.
    ///
    /// Called by: the getters of a generated `State`.
    /// Parameters: `index` — position in the function's states.
    pub fn get<T: Element, S: FixedShape>(&self, index: usize) -> Result<Tensor<T, S>, Error> {
        let mut tensor = Tensor::zeros();
        self.copy_to(index, tensor.as_elements_mut())?;
        Ok(tensor)
    }

    /// Copies a state out, under no type.
    ///
    /// Parameters: `index` — position in the function's states; `into` — of the state's type and
    /// length.
    pub(crate) fn copy_to(&self, index: usize, into: ElementsMut<'_>) -> Result<(), Error> {
        self.backend.copy_to(&self.model, index, into)
    }

    /// Replaces a state.
    ///
    /// Called by: the setters of a generated `State`.
    /// Parameters: `index` — position in the function's states.
    pub fn set<T: Element, S: FixedShape>(
        &mut self,
        index: usize,
        value: TensorView<'_, T, S>,
    ) -> Result<(), Error> {
        self.backend.copy_from(&self.model, index, value.as_tensor_ref().elements)
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "state of `{}`", self.model)
    }
}
