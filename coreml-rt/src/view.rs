//! Tensors that borrow their elements.
//!
//! Owns: [`TensorView`]. Must not: copy, except where the name says so.
//! Flow: fields of a generated `Input`; `slot.rs` passes them to a backend.

use crate::owner::Owner;
use crate::shape::{FixedShape, Shape, ShapeError, check_length, checked_len, offset};
use crate::tensor::{Tensor, debug};
use coreml_spec::{Element, TensorRef};
use std::sync::Arc;

/// A contiguous row-major tensor that borrows its elements, with element type and shape in its
/// type.
///
/// Made from a slice, from a nested array, or from a [`Tensor`]:
/// ```
/// use coreml_rt::{Fixed, ShapeError, TensorView};
///
/// type Image<'a> = TensorView<'a, f32, (Fixed<28>, Fixed<28>)>;
/// let pixels = [[0.0; 28]; 28];
/// let image: Image = (&pixels).into();
/// let same = Image::from_slice(pixels.as_flattened())?;
/// assert_eq!(image, same);
///
/// let error = Image::from_slice(&[0.0; 700]).unwrap_err();
/// assert_eq!(error.to_string(), "a tensor of shape [28, 28] takes 784 elements, got 700");
/// # Ok::<(), ShapeError>(())
/// ```
///
/// Core ML may read an input after the prediction has returned, so borrowed memory is copied for
/// it. A tensor in an [`Arc`] is not copied; Core ML keeps the `Arc` instead:
/// ```
/// # use coreml_rt::{Fixed, Tensor, TensorView};
/// # use std::sync::Arc;
/// let image = Arc::new(Tensor::<f32, (Fixed<28>, Fixed<28>)>::zeros());
/// let view = TensorView::from(&image);
/// # assert_eq!(view.len(), 784);
/// ```
/// [`TensorView::shared`] does the same for a tensor inside another value in an `Arc`, such as a
/// model's output. The portable backend never copies inputs for this reason. It widens a
/// half-precision tensor in an `Arc` once, even if several predictions take it.
#[derive(Clone, Copy)]
pub struct TensorView<'a, T, S: Shape> {
    /// The elements; as many as the product of `dims`.
    elements: &'a [T],
    /// Sizes, within the bounds of `S`.
    dims: S::Dims,
    /// Keeps the elements alive beyond `'a`; `None` for memory that is only borrowed.
    owner: Option<&'a dyn Owner>,
}

impl<T: PartialEq, S: Shape> PartialEq for TensorView<'_, T, S> {
    fn eq(&self, other: &Self) -> bool {
        self.dims == other.dims && self.elements == other.elements
    }
}

impl<'a, T: Element, S: FixedShape> TensorView<'a, T, S> {
    /// Borrows `elements`, given in row-major order.
    ///
    /// Errors: [`ShapeError::Length`] when there are too many or too few.
    pub fn from_slice(elements: &'a [T]) -> Result<Self, ShapeError> {
        check_length(S::DIMS.as_ref(), S::LEN, elements.len())?;
        Ok(Self { elements, dims: S::DIMS, owner: None })
    }

    /// Gives the same elements another shape; a different number of elements is a compile error.
    ///
    /// ```
    /// # use coreml_rt::{Fixed, TensorView};
    /// let pixels = [[0.5; 8]; 8];
    /// let image = TensorView::from(&pixels).reshape::<(Fixed<1>, Fixed<1>, Fixed<8>, Fixed<8>)>();
    /// assert_eq!(image.dims(), [1, 1, 8, 8]);
    /// ```
    pub fn reshape<To: FixedShape>(self) -> TensorView<'a, T, To> {
        const { assert!(S::LEN == To::LEN, "the shapes have different numbers of elements") };
        TensorView { elements: self.elements, dims: To::DIMS, owner: self.owner }
    }
}

impl<'a, T: Element, S: Shape> TensorView<'a, T, S> {
    /// Borrows `elements`, given in row-major order, for a shape with flexible dimensions.
    ///
    /// Errors: [`ShapeError::Dimension`] when a size is out of its bounds, [`ShapeError::Length`]
    /// when `elements` are not as many as `dims` say.
    pub fn from_slice_with_dims(elements: &'a [T], dims: S::Dims) -> Result<Self, ShapeError> {
        check_length(dims.as_ref(), checked_len::<S>(dims)?, elements.len())?;
        Ok(Self { elements, dims, owner: None })
    }

    /// Returns the same elements and sizes with another shape type, checked now: for passing a
    /// flexible output of one model to another model.
    ///
    /// ```
    /// use coreml_rt::{Fixed, Range, Tensor};
    ///
    /// type Given = Tensor<f32, (Fixed<1>, Range<0, 4096>)>;
    /// let given = Given::from_vec_with_dims(vec![0.5; 3], [1, 3])?;
    /// let taken = given.view().with_bounds::<(Fixed<1>, Range<1, 512>)>()?;
    /// assert_eq!(taken.dims(), [1, 3]);
    /// # Ok::<(), coreml_rt::ShapeError>(())
    /// ```
    ///
    /// Errors: [`ShapeError::Dimension`] when a size is out of the other bounds.
    pub fn with_bounds<To: Shape<Dims = S::Dims>>(
        self,
    ) -> Result<TensorView<'a, T, To>, ShapeError> {
        TensorView::from_slice_with_dims(self.elements, self.dims)
    }

    /// Puts together what is known to fit.
    pub(crate) fn from_parts(elements: &'a [T], dims: S::Dims) -> Self {
        Self { elements, dims, owner: None }
    }

    /// Returns what keeps the elements alive beyond their borrow, if anything does.
    pub(crate) fn owner(&self) -> Option<&'a dyn Owner> {
        self.owner
    }

    /// Returns the sizes.
    pub fn dims(&self) -> S::Dims {
        self.dims
    }

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Returns whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Returns the element at `index`, or `None` when it is out of bounds.
    pub fn get(&self, index: S::Dims) -> Option<&'a T> {
        self.elements.get(offset(self.dims.as_ref(), index.as_ref())?)
    }

    /// Returns the elements in row-major order.
    pub fn as_slice(&self) -> &'a [T] {
        self.elements
    }

    /// Copies the elements.
    pub fn to_tensor(&self) -> Tensor<T, S> {
        Tensor::from_parts(self.elements.to_vec(), self.dims)
    }

    /// Erases the type, for a backend to read.
    pub(crate) fn as_tensor_ref(&self) -> TensorRef<'_> {
        TensorRef { dims: self.dims.as_ref(), elements: T::elements(self.elements) }
    }
}

impl<'a, T: Element, S: Shape> TensorView<'a, T, S> {
    /// Borrows a tensor of something in an [`Arc`], which Core ML keeps then instead of copying the
    /// tensor.
    ///
    /// Parameters: `tensor` — returns the tensor of the owner.
    /// ```
    /// # use coreml_rt::{Fixed, Tensor, TensorView};
    /// # use std::sync::Arc;
    /// #[derive(Debug)]
    /// struct Heard {
    ///     keys: Tensor<f32, (Fixed<2>, Fixed<3>)>,
    /// }
    /// let heard = Arc::new(Heard { keys: Tensor::zeros() });
    /// let view = TensorView::shared(&heard, |heard| &heard.keys);
    /// # assert_eq!(view.len(), 6);
    /// ```
    pub fn shared<O>(
        owner: &'a Arc<O>,
        tensor: impl for<'o> FnOnce(&'o O) -> &'o Tensor<T, S>,
    ) -> Self
    where
        O: std::any::Any + std::fmt::Debug + Send + Sync,
    {
        Self { owner: Some(owner), ..tensor(owner).view() }
    }
}

impl<T: Element, S: Shape> Tensor<T, S> {
    /// Borrows the tensor, for the input of a model.
    pub fn view(&self) -> TensorView<'_, T, S> {
        TensorView { elements: self.as_slice(), dims: self.dims(), owner: None }
    }
}

impl<'a, T: Element, S: Shape> TensorView<'a, T, S> {
    /// Borrows a tensor that may be kept alive beyond the borrow.
    pub(crate) fn owned_by(tensor: &'a Arc<Tensor<T, S>>) -> Self {
        Self { owner: Some(tensor), ..tensor.view() }
    }
}

impl<'a, T: Element, S: FixedShape> TryFrom<&'a [T]> for TensorView<'a, T, S> {
    type Error = ShapeError;

    fn try_from(elements: &'a [T]) -> Result<Self, ShapeError> {
        Self::from_slice(elements)
    }
}

impl<T: Element, S: Shape> std::fmt::Debug for TensorView<'_, T, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        debug(f, self.elements, self.dims)
    }
}
