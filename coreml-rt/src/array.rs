//! What becomes a tensor at compile time: nested arrays and tensors of the right shape.
//!
//! Owns: `From<&[[T; B]; A]>` and the like, rank 1 to 6, and what rustc says where it does not fit.
//! Flow: callers write such arrays in the fields of a generated `Input`.

use crate::dimension::Fixed;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::view::TensorView;
use coreml_spec::Element;
use std::sync::Arc;

/// An array or a tensor whose elements and shape the compiler knows to be `T` and `S`: what
/// `(&value).into()` makes a [`TensorView`] of.
///
/// Implemented for nested arrays, [`Tensor`] and `Arc<Tensor>`. Other values are checked when the
/// program runs: slices by `.try_into()`, lengths of flexible shapes by
/// [`TensorView::from_slice_with_dims`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no array of `{T}` of the shape `{S}`",
    label = "the model's input has the shape `{S}`",
    note = "an array has exactly the sizes of the shape: `[[T; B]; A]` for `(Fixed<A>, Fixed<B>)`",
    note = "a vector or a slice is checked when the program runs: `values.as_slice().try_into()?`; \
            with a `Range` in the shape, `TensorView::from_slice_with_dims(&values, dims)?`",
    note = "an array of the crate `ndarray`: `array.view().try_into()?`, with coreml-rt's feature \
            `ndarray`: `coreml-rt = {{ …, features = [\"ndarray\"] }}` in Cargo.toml"
)]
pub trait ArrayOf<T: Element, S: Shape> {
    /// Borrows the elements.
    #[doc(hidden)]
    fn borrowed(&self) -> TensorView<'_, T, S>;
}

impl<'a, T: Element, S: Shape, A: ArrayOf<T, S>> From<&'a A> for TensorView<'a, T, S> {
    fn from(array: &'a A) -> Self {
        array.borrowed()
    }
}

impl<T: Element, S: Shape> ArrayOf<T, S> for Tensor<T, S> {
    fn borrowed(&self) -> TensorView<'_, T, S> {
        self.view()
    }
}

impl<T: Element, S: Shape> ArrayOf<T, S> for Arc<Tensor<T, S>> {
    fn borrowed(&self) -> TensorView<'_, T, S> {
        TensorView::owned_by(self)
    }
}

/// Implements the conversions for arrays nested to one depth; `$flat` is one `as_flattened` per
/// level below the first.
macro_rules! array {
    ($($size:ident)*; $array:ty; $($flat:ident)*) => {
        impl<T: Element, $(const $size: usize),*> From<$array> for Tensor<T, ($(Fixed<$size>,)*)> {
            fn from(array: $array) -> Self {
                Tensor::from_parts(array$(.$flat())*.to_vec(), [$($size),*])
            }
        }

        impl<T: Element, $(const $size: usize),*> ArrayOf<T, ($(Fixed<$size>,)*)> for $array {
            fn borrowed(&self) -> TensorView<'_, T, ($(Fixed<$size>,)*)> {
                TensorView::from_parts(self$(.$flat())*, [$($size),*])
            }
        }
    };
}

array!(A; [T; A]; as_slice);
array!(A B; [[T; B]; A]; as_flattened);
array!(A B C; [[[T; C]; B]; A]; as_flattened as_flattened);
array!(A B C D; [[[[T; D]; C]; B]; A]; as_flattened as_flattened as_flattened);
array!(A B C D E; [[[[[T; E]; D]; C]; B]; A]; as_flattened as_flattened as_flattened as_flattened);
array!(
    A B C D E F; [[[[[[T; F]; E]; D]; C]; B]; A];
    as_flattened as_flattened as_flattened as_flattened as_flattened
);
