//! Slots between typed fields and the backends: one for each feature.
//!
//! Owns: [`InputSlot`], [`InputRef`], [`OutputSlot`], [`Outputs`], [`Results`], and memory that an
//! output lends to a backend ([`Lent`]). Must not: know any backend.
//! Flow: generated `predict_into` passes its fields as slots to `model.rs`; a backend reads and
//! fills them.

use crate::dimension::Dim;
use crate::error::Error;
use crate::image::{Color, Image, ImageRef, ImageView, PixelsMut};
use crate::label::ClassLabel;
use crate::owner::Owner;
use crate::probabilities::Probabilities;
use crate::shape::{Shape, checked_len};
use crate::tensor::Tensor;
use crate::view::TensorView;
use coreml_spec::{DataType, Element, Elements, ElementsMut, TensorRef};
use std::any::Any;
use std::sync::Arc;

/// What an input holds, under no type.
#[derive(Clone, Copy, Debug)]
pub enum InputRef<'a> {
    /// A tensor. For an image feature its planes: `[1, channels, height, width]` of float32, 0 to
    /// 255, in the model's order of channels; parity samples come so.
    Tensor(TensorRef<'a>),
    /// A tensor whose memory a backend may keep as long as needed, instead of copying it.
    Shared(TensorRef<'a>, &'a dyn Owner),
    /// Pixels.
    Image(ImageRef<'a>),
}

impl InputRef<'_> {
    /// Stands for a missing value: an empty tensor, which every backend refuses.
    pub(crate) const MISSING: Self =
        Self::Tensor(TensorRef { dims: &[0], elements: Elements::Float32(&[]) });

    /// Returns the tensor; `None` for pixels.
    pub(crate) fn tensor(&self) -> Option<&TensorRef<'_>> {
        match self {
            Self::Tensor(tensor) | Self::Shared(tensor, _) => Some(tensor),
            Self::Image(_) => None,
        }
    }
}

/// A field of a generated `Input`.
pub trait InputSlot {
    /// Returns the tensor or image to feed.
    ///
    /// Parameters: `default` — the value for an omitted input; empty for a required one.
    fn feature<'s>(&'s self, default: InputRef<'s>) -> InputRef<'s>;
}

impl<T: Element, S: Shape> InputSlot for TensorView<'_, T, S> {
    fn feature<'s>(&'s self, _default: InputRef<'s>) -> InputRef<'s> {
        match self.owner() {
            Some(owner) => InputRef::Shared(self.as_tensor_ref(), owner),
            None => InputRef::Tensor(self.as_tensor_ref()),
        }
    }
}

impl<C: Color, W: Dim, H: Dim> InputSlot for ImageView<'_, C, W, H> {
    fn feature<'s>(&'s self, _default: InputRef<'s>) -> InputRef<'s> {
        InputRef::Image(self.as_image_ref())
    }
}

impl<I: InputSlot> InputSlot for Option<I> {
    fn feature<'s>(&'s self, default: InputRef<'s>) -> InputRef<'s> {
        self.as_ref().map_or(default, |slot| slot.feature(default))
    }
}

/// The results of one prediction, in a backend's own memory. Outputs count in the order of the
/// model's function.
pub trait Results {
    /// Returns the sizes of output `index`; of an image `[1, channels, height, width]`.
    fn dims(&self, index: usize) -> Result<&[usize], Error>;

    /// Copies output `index`; `into` has as many elements as it, and its element type. An image is
    /// copied as planes of float32 in the model's order of channels.
    fn copy_to(&self, index: usize, into: ElementsMut<'_>) -> Result<(), Error>;

    /// Copies the pixels of output `index`, an image; `into` has as many as it.
    fn copy_pixels(&self, index: usize, into: PixelsMut<'_>) -> Result<(), Error>;

    /// Returns the position of the predicted class in the classifier's labels.
    fn label(&self) -> Result<usize, Error>;

    /// Makes the error of results that do not match the interface.
    fn mismatch(&self, problem: String) -> Error;
}

/// A field of a generated `Output`.
pub trait OutputSlot {
    /// Takes output `index` of the results.
    fn take(&mut self, results: &dyn Results, index: usize) -> Result<(), Error>;

    /// Gives its memory away for a backend to write, when it is of one size only and has at least
    /// `bytes`. Until [`restore`](Self::restore) the slot is empty.
    fn lend(&mut self, _bytes: usize) -> Option<Lent> {
        None
    }

    /// Gives the slot memory again after [`lend`](Self::lend): `memory`, or a copy of it while
    /// another owner still holds it; new memory when it is `None`.
    fn restore(&mut self, _memory: Option<Arc<dyn Any + Send + Sync>>) {}
}

/// Memory of an output that a backend writes in place.
#[derive(Debug)]
#[cfg_attr(
    not(target_vendor = "apple"),
    expect(dead_code, reason = "engines have outputs of their own")
)]
pub struct Lent {
    /// Sizes of the output.
    pub(crate) dims: Vec<usize>,
    /// The type of its elements.
    pub(crate) data_type: DataType,
    /// The first element; the others follow in row-major order. Good as long as `memory` lives.
    pub(crate) elements: *mut std::ffi::c_void,
    /// What holds them.
    pub(crate) memory: Arc<dyn Any + Send + Sync>,
}

/// A generated `Output`.
pub trait Outputs: Default + Send + 'static {
    /// Calls `with` with all fields, in the order of the function's outputs.
    fn slots(&mut self, with: &mut dyn FnMut(&mut [&mut dyn OutputSlot]));

    /// Takes all outputs of a prediction.
    fn take(results: &dyn Results) -> Result<Self, Error> {
        let (mut output, mut taken) = (Self::default(), Ok(()));
        output.slots(&mut |slots| taken = take_all(slots, results));
        taken.map(|()| output)
    }
}

/// Fills each slot with its output.
pub(crate) fn take_all(
    slots: &mut [&mut dyn OutputSlot],
    results: &dyn Results,
) -> Result<(), Error> {
    slots.iter_mut().enumerate().try_for_each(|(index, slot)| slot.take(results, index))
}

impl<T: Element, S: Shape> OutputSlot for Tensor<T, S> {
    fn take(&mut self, results: &dyn Results, index: usize) -> Result<(), Error> {
        let found = results.dims(index)?;
        if found != self.dims().as_ref() {
            resize(self, found).map_err(|problem| results.mismatch(problem))?;
        }
        results.copy_to(index, self.as_elements_mut())
    }

    fn lend(&mut self, bytes: usize) -> Option<Lent> {
        let is_fixed = S::BOUNDS.iter().all(|bounds| bounds.min == bounds.max);
        if !is_fixed || size_of_val(self.as_slice()) < bytes {
            return None;
        }
        let dims = self.dims();
        let mut elements = std::mem::replace(self, Tensor::from_parts(Vec::new(), dims)).into_vec();
        let first = elements.as_mut_ptr().cast();
        let (dims, memory) = (dims.as_ref().to_vec(), Arc::new(elements));
        Some(Lent { dims, data_type: T::DATA_TYPE, elements: first, memory })
    }

    fn restore(&mut self, memory: Option<Arc<dyn Any + Send + Sync>>) {
        let memory = memory.and_then(|memory| memory.downcast::<Vec<T>>().ok());
        let elements = match memory {
            Some(memory) => Arc::try_unwrap(memory).unwrap_or_else(|kept| kept.to_vec()),
            None => vec![T::default(); self.dims().as_ref().iter().product()],
        };
        *self = Tensor::from_parts(elements, self.dims());
    }
}

/// Gives `tensor` other sizes, when its type allows them; its elements are then arbitrary.
fn resize<T: Element, S: Shape>(tensor: &mut Tensor<T, S>, sizes: &[usize]) -> Result<(), String> {
    let wrong =
        || format!("it returned an output of shape {sizes:?}, but the types allow {:?}", S::BOUNDS);
    let dims = S::Dims::try_from(sizes.to_vec()).map_err(|_| wrong())?;
    let len = checked_len::<S>(dims).map_err(|error| error.to_string())?;
    let mut elements = std::mem::replace(tensor, Tensor::from_parts(Vec::new(), dims)).into_vec();
    elements.resize(len, T::default());
    *tensor = Tensor::from_parts(elements, dims);
    Ok(())
}

impl<C: Color, W: Dim, H: Dim> OutputSlot for Image<C, W, H> {
    fn take(&mut self, results: &dyn Results, index: usize) -> Result<(), Error> {
        let &[1, _, height, width] = results.dims(index)? else {
            return Err(results
                .mismatch(format!("it returned an image of shape {:?}", results.dims(index)?)));
        };
        self.resize(width, height).map_err(|problem| results.mismatch(problem.to_string()))?;
        results.copy_pixels(index, self.as_pixels_mut())
    }
}

impl<L: ClassLabel> OutputSlot for Probabilities<L> {
    fn take(&mut self, results: &dyn Results, index: usize) -> Result<(), Error> {
        results.copy_to(index, ElementsMut::Float32(self.as_mut_slice()))
    }
}

impl<L: ClassLabel> OutputSlot for L {
    fn take(&mut self, results: &dyn Results, _index: usize) -> Result<(), Error> {
        let index = results.label()?;
        *self = L::from_index(index).ok_or_else(|| {
            results.mismatch(format!("it returned class {index} of {}", L::ALL.len()))
        })?;
        Ok(())
    }
}
