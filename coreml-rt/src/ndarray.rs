//! Tensors from and to `ndarray` (feature `ndarray`).
//!
//! Owns: the conversions. Must not: copy; a view that is not contiguous is an error.
//! Flow: for applications that already use `ndarray`.

use crate::shape::{Shape, ShapeError};
use crate::tensor::Tensor;
use crate::view::TensorView;
use coreml_spec::Element;
use ndarray::{ArrayView, ArrayViewMut, Dimension, IntoDimension};

impl<'a, T: Element, S: Shape, D: Dimension> TryFrom<ArrayView<'a, T, D>> for TensorView<'a, T, S> {
    type Error = ShapeError;

    /// Borrows the elements of `view`.
    ///
    /// ```
    /// use coreml_rt::{Fixed, TensorView};
    ///
    /// let array = ndarray::arr2(&[[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// let view: TensorView<'_, f32, (Fixed<2>, Fixed<3>)> = array.view().try_into()?;
    /// assert_eq!(view.get([1, 0]), Some(&4.0));
    /// # Ok::<(), coreml_rt::ShapeError>(())
    /// ```
    fn try_from(view: ArrayView<'a, T, D>) -> Result<Self, ShapeError> {
        let sizes = view.shape().to_vec();
        let wrong_rank =
            || ShapeError::Rank { dims: view.shape().to_vec(), expected: S::BOUNDS.len() };
        let dims = S::Dims::try_from(sizes).map_err(|_| wrong_rank())?;
        let elements = view
            .to_slice()
            .ok_or_else(|| ShapeError::NotContiguous { dims: view.shape().to_vec() })?;
        Self::from_slice_with_dims(elements, dims)
    }
}

impl<T: Element, S: Shape> Tensor<T, S>
where
    S::Dims: IntoDimension,
{
    /// Borrows the tensor as an `ndarray` view of the same rank.
    ///
    /// ```
    /// use coreml_rt::{Fixed, Tensor};
    ///
    /// let tensor: Tensor<f32, (Fixed<2>, Fixed<2>)> = [[1.0, 2.0], [3.0, 4.0]].into();
    /// assert_eq!(tensor.to_ndarray()?.row(1).sum(), 7.0);
    /// # Ok::<(), ndarray::ShapeError>(())
    /// ```
    ///
    /// Errors: only for a tensor of more than `isize::MAX` bytes, which cannot exist.
    pub fn to_ndarray(
        &self,
    ) -> Result<ArrayView<'_, T, <S::Dims as IntoDimension>::Dim>, ndarray::ShapeError> {
        ArrayView::from_shape(self.dims().into_dimension(), self.as_slice())
    }

    /// Borrows the tensor as an `ndarray` view of the same rank, to change it; see
    /// [`to_ndarray`](Self::to_ndarray).
    pub fn to_ndarray_mut(
        &mut self,
    ) -> Result<ArrayViewMut<'_, T, <S::Dims as IntoDimension>::Dim>, ndarray::ShapeError> {
        ArrayViewMut::from_shape(self.dims().into_dimension(), self.as_mut_slice())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Fixed, Range, ShapeError, TensorView};
    use ndarray::{Array2, ArrayD, IxDyn};

    #[test]
    fn only_contiguous_views_of_the_right_shape_are_borrowed() {
        type View<'a> = TensorView<'a, i32, (Fixed<2>, Range<1, 3>)>;
        let array = Array2::from_shape_vec((2, 3), vec![1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(View::try_from(array.view()).unwrap().as_slice(), [1, 2, 3, 4, 5, 6]);
        assert!(matches!(View::try_from(array.t()), Err(ShapeError::NotContiguous { .. })));
        let dynamic = ArrayD::<i32>::zeros(IxDyn(&[2, 3, 1]));
        assert_eq!(
            View::try_from(dynamic.view()),
            Err(ShapeError::Rank { dims: vec![2, 3, 1], expected: 2 })
        );
        let wide = Array2::<i32>::zeros((2, 4));
        assert!(matches!(View::try_from(wide.view()), Err(ShapeError::Dimension { axis: 1, .. })));
    }
}
