//! Tensors that own their elements.
//!
//! Owns: [`Tensor`], contiguous and row-major. Must not: compute anything but an element's
//! position.
//! Flow: fields of a generated `Output`; `view.rs` borrows them as fields of a generated `Input`.

use crate::shape::{
    FixedShape, Shape, ShapeError, check_length, checked_len, element_count, offset,
};
use coreml_spec::{Element, ElementsMut};

/// A contiguous row-major tensor with element type and shape in its type.
///
/// ```
/// use coreml_rt::{Fixed, Tensor};
///
/// let mut scores: Tensor<f32, (Fixed<2>, Fixed<3>)> = [[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]].into();
/// assert_eq!(scores.get([0, 2]), Some(&0.7));
/// scores.as_mut_slice()[5] = 0.25;
/// assert_eq!(scores.into_vec(), [0.1, 0.2, 0.7, 0.5, 0.3, 0.25]);
/// ```
#[derive(Clone, PartialEq)]
pub struct Tensor<T, S: Shape> {
    /// The elements; as many as the product of `dims`.
    elements: Vec<T>,
    /// Sizes, within the bounds of `S`.
    dims: S::Dims,
}

impl<T: Element, S: FixedShape> Tensor<T, S> {
    /// Returns a tensor of zeros.
    pub fn zeros() -> Self {
        Self { elements: vec![T::default(); S::LEN], dims: S::DIMS }
    }

    /// Takes `elements` in row-major order.
    ///
    /// Errors: [`ShapeError::Length`] when there are too many or too few.
    pub fn from_vec(elements: Vec<T>) -> Result<Self, ShapeError> {
        check_length(S::DIMS.as_ref(), S::LEN, elements.len())?;
        Ok(Self { elements, dims: S::DIMS })
    }

    /// Copies `elements`, given in row-major order.
    ///
    /// Errors: [`ShapeError::Length`] when there are too many or too few.
    pub fn from_slice(elements: &[T]) -> Result<Self, ShapeError> {
        check_length(S::DIMS.as_ref(), S::LEN, elements.len())?;
        Ok(Self { elements: elements.to_vec(), dims: S::DIMS })
    }

    /// Calls `element` with every index, in row-major order.
    ///
    /// ```
    /// # use coreml_rt::{Fixed, Tensor};
    /// type Ramp = Tensor<i32, (Fixed<2>, Fixed<3>)>;
    /// let ramp = Ramp::from_fn(|[row, column]| (10 * row + column) as i32);
    /// assert_eq!(ramp.as_slice(), [0, 1, 2, 10, 11, 12]);
    /// ```
    pub fn from_fn(element: impl FnMut(S::Dims) -> T) -> Self {
        Self { elements: fill(S::DIMS, S::LEN, element), dims: S::DIMS }
    }

    /// Gives the same elements another shape; a different number of elements is a compile error.
    ///
    /// ```
    /// # use coreml_rt::{Fixed, Tensor};
    /// let flat: Tensor<f32, (Fixed<6>,)> = [0.0; 6].into();
    /// let image = flat.reshape::<(Fixed<1>, Fixed<2>, Fixed<3>)>();
    /// assert_eq!(image.dims(), [1, 2, 3]);
    /// ```
    /// ```compile_fail
    /// # use coreml_rt::{Fixed, Tensor};
    /// let flat: Tensor<f32, (Fixed<6>,)> = [0.0; 6].into();
    /// let image = flat.reshape::<(Fixed<4>, Fixed<2>)>();
    /// ```
    pub fn reshape<To: FixedShape>(self) -> Tensor<T, To> {
        const { assert!(S::LEN == To::LEN, "the shapes have different numbers of elements") };
        Tensor { elements: self.elements, dims: To::DIMS }
    }
}

impl<T: Element, S: Shape> Tensor<T, S> {
    /// Returns a tensor of zeros with the given sizes.
    ///
    /// Errors: [`ShapeError::Dimension`] when a size is out of its bounds.
    pub fn zeros_with_dims(dims: S::Dims) -> Result<Self, ShapeError> {
        let len = checked_len::<S>(dims)?;
        Ok(Self { elements: vec![T::default(); len], dims })
    }

    /// Returns a tensor of zeros with the smallest sizes that the shape allows: something to
    /// predict into.
    ///
    /// ```
    /// use coreml_rt::{Fixed, Range, Tensor};
    ///
    /// assert_eq!(Tensor::<f32, (Fixed<4>, Range<2, 9>)>::smallest().dims(), [4, 2]);
    /// ```
    pub fn smallest() -> Self {
        let mut dims = S::Dims::default();
        dims.as_mut().iter_mut().zip(S::BOUNDS).for_each(|(dim, bounds)| *dim = bounds.min);
        // A type of more elements than memory holds has no value; the first prediction into it
        // fails.
        let len = element_count(dims.as_ref()).unwrap_or_default();
        Self { elements: vec![T::default(); len], dims }
    }

    /// Takes `elements` in row-major order, for a shape with flexible dimensions.
    ///
    /// ```
    /// use coreml_rt::{Fixed, Range, Tensor};
    ///
    /// type Tokens = Tensor<i32, (Fixed<1>, Range<1, 512>)>;
    /// assert!(Tokens::from_vec_with_dims(vec![7; 9], [1, 9]).is_ok());
    /// let error = Tokens::from_vec_with_dims(vec![7; 600], [1, 600]).unwrap_err();
    /// let message = "dimension 1 of shape [1, 600] is 600, but it must be 1 to 512";
    /// assert_eq!(error.to_string(), message);
    /// ```
    ///
    /// Errors: [`ShapeError::Dimension`] when a size is out of its bounds, [`ShapeError::Length`]
    /// when `elements` are not as many as `dims` say.
    pub fn from_vec_with_dims(elements: Vec<T>, dims: S::Dims) -> Result<Self, ShapeError> {
        check_length(dims.as_ref(), checked_len::<S>(dims)?, elements.len())?;
        Ok(Self { elements, dims })
    }

    /// Calls `element` with every index, in row-major order, for a shape with flexible dimensions.
    ///
    /// Errors: [`ShapeError::Dimension`] when a size is out of its bounds.
    pub fn from_fn_with_dims(
        dims: S::Dims,
        element: impl FnMut(S::Dims) -> T,
    ) -> Result<Self, ShapeError> {
        let len = checked_len::<S>(dims)?;
        Ok(Self { elements: fill(dims, len, element), dims })
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
    pub fn get(&self, index: S::Dims) -> Option<&T> {
        self.elements.get(offset(self.dims.as_ref(), index.as_ref())?)
    }

    /// Returns the element at `index` to change it, or `None` when it is out of bounds.
    pub fn get_mut(&mut self, index: S::Dims) -> Option<&mut T> {
        self.elements.get_mut(offset(self.dims.as_ref(), index.as_ref())?)
    }

    /// Returns the elements in row-major order.
    pub fn as_slice(&self) -> &[T] {
        &self.elements
    }

    /// Returns the elements in row-major order, to change them.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.elements
    }

    /// Gives the elements away, in row-major order.
    pub fn into_vec(self) -> Vec<T> {
        self.elements
    }

    /// Erases the type, for a backend to write.
    pub(crate) fn as_elements_mut(&mut self) -> ElementsMut<'_> {
        T::elements_mut(&mut self.elements)
    }

    /// Puts together what is known to fit.
    pub(crate) fn from_parts(elements: Vec<T>, dims: S::Dims) -> Self {
        Self { elements, dims }
    }
}

/// Calls `element` for each of the `len` indices of `dims`, in row-major order.
fn fill<T, D>(dims: D, len: usize, mut element: impl FnMut(D) -> T) -> Vec<T>
where
    D: Copy + Default + AsRef<[usize]> + AsMut<[usize]>,
{
    let mut index = D::default();
    let mut elements = Vec::with_capacity(len);
    for _ in 0..len {
        elements.push(element(index));
        for (position, &dim) in index.as_mut().iter_mut().zip(dims.as_ref()).rev() {
            *position += 1;
            if *position < dim {
                break;
            }
            *position = 0;
        }
    }
    elements
}

impl<T: Element, S: FixedShape> Default for Tensor<T, S> {
    fn default() -> Self {
        Self::zeros()
    }
}

impl<T: Element, S: FixedShape> TryFrom<Vec<T>> for Tensor<T, S> {
    type Error = ShapeError;

    fn try_from(elements: Vec<T>) -> Result<Self, ShapeError> {
        Self::from_vec(elements)
    }
}

impl<T: Element, S: FixedShape> TryFrom<&[T]> for Tensor<T, S> {
    type Error = ShapeError;

    fn try_from(elements: &[T]) -> Result<Self, ShapeError> {
        Self::from_slice(elements)
    }
}

impl<T: Element, S: Shape> std::fmt::Debug for Tensor<T, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        debug(f, &self.elements, self.dims)
    }
}

/// How many elements the `Debug` form of a tensor shows.
const DEBUG_ELEMENTS: usize = 8;

/// Writes element type, sizes and the first elements.
pub(crate) fn debug<T: Element>(
    f: &mut std::fmt::Formatter<'_>,
    elements: &[T],
    dims: impl std::fmt::Debug,
) -> std::fmt::Result {
    write!(f, "{}{dims:?} ", T::DATA_TYPE)?;
    let shown = &elements[..elements.len().min(DEBUG_ELEMENTS)];
    let mut list = f.debug_list();
    list.entries(shown);
    if shown.len() < elements.len() { list.finish_non_exhaustive() } else { list.finish() }
}
