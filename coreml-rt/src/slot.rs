//! Where the typed world meets the backends: one slot per feature.
//!
//! Owns: [`InputSlot`], [`OutputSlot`], [`Results`]. Must not: know any backend.
//! Flow: generated `predict_into` passes its fields as slots to `model.rs`; a backend reads and fills them.

use crate::error::Error;
use crate::label::ClassLabel;
use crate::probabilities::Probabilities;
use crate::shape::{Shape, checked_len};
use crate::tensor::Tensor;
use crate::view::TensorView;
use coreml_spec::{Element, ElementsMut, TensorRef};

/// A field of a generated `Input`.
pub trait InputSlot {
    /// Returns the tensor to feed.
    ///
    /// Parameters: `default` — what the model takes when the caller gives nothing; empty for a required input.
    fn tensor<'s>(&'s self, default: TensorRef<'s>) -> TensorRef<'s>;
}

impl<T: Element, S: Shape> InputSlot for TensorView<'_, T, S> {
    fn tensor<'s>(&'s self, _default: TensorRef<'s>) -> TensorRef<'s> {
        self.as_tensor_ref()
    }
}

impl<T: Element, S: Shape> InputSlot for Option<TensorView<'_, T, S>> {
    fn tensor<'s>(&'s self, default: TensorRef<'s>) -> TensorRef<'s> {
        self.as_ref().map_or(default, TensorView::as_tensor_ref)
    }
}

/// The results of one prediction, in a backend's own memory. Outputs count in the order of the model's function.
pub trait Results {
    /// Returns the sizes of output `index`.
    fn dims(&self, index: usize) -> Result<&[usize], Error>;

    /// Copies output `index`; `into` has as many elements as it, and its element type.
    fn copy_to(&self, index: usize, into: ElementsMut<'_>) -> Result<(), Error>;

    /// Returns the position of the predicted class in the classifier's labels.
    fn label(&self) -> Result<usize, Error>;

    /// Makes the error for results that are not what the interface says.
    fn mismatch(&self, problem: String) -> Error;
}

/// A field of a generated `Output`.
pub trait OutputSlot {
    /// Takes output `index` of the results.
    fn take(&mut self, results: &dyn Results, index: usize) -> Result<(), Error>;
}

impl<T: Element, S: Shape> OutputSlot for Tensor<T, S> {
    fn take(&mut self, results: &dyn Results, index: usize) -> Result<(), Error> {
        let found = results.dims(index)?;
        if found != self.dims().as_ref() {
            resize(self, found).map_err(|problem| results.mismatch(problem))?;
        }
        results.copy_to(index, self.as_elements_mut())
    }
}

/// Gives `tensor` other sizes, when its type allows them; its elements are then arbitrary.
fn resize<T: Element, S: Shape>(tensor: &mut Tensor<T, S>, sizes: &[usize]) -> Result<(), String> {
    let wrong = || format!("it gave an output of shape {sizes:?} where the types allow {:?}", S::BOUNDS);
    let dims = S::Dims::try_from(sizes.to_vec()).map_err(|_| wrong())?;
    let len = checked_len::<S>(dims).map_err(|error| error.to_string())?;
    let mut elements = std::mem::replace(tensor, Tensor::from_parts(Vec::new(), dims)).into_vec();
    elements.resize(len, T::default());
    *tensor = Tensor::from_parts(elements, dims);
    Ok(())
}

impl<L: ClassLabel> OutputSlot for Probabilities<L> {
    fn take(&mut self, results: &dyn Results, index: usize) -> Result<(), Error> {
        results.copy_to(index, ElementsMut::Float32(self.as_mut_slice()))
    }
}

impl<L: ClassLabel> OutputSlot for L {
    fn take(&mut self, results: &dyn Results, _index: usize) -> Result<(), Error> {
        let index = results.label()?;
        *self = L::from_index(index)
            .ok_or_else(|| results.mismatch(format!("it gave class {index} of {}", L::ALL.len())))?;
        Ok(())
    }
}
