//! Nested arrays as tensors; the compiler checks the shape.
//!
//! Owns: `From<[[T; B]; A]>` and the like, rank 1 to 6.
//! Flow: callers write such arrays in the fields of a generated `Input`.

use crate::dimension::Fixed;
use crate::tensor::Tensor;
use crate::view::TensorView;
use coreml_spec::Element;

/// Implements the conversions for arrays nested to one depth; `$flat` is one `as_flattened` per
/// level below the first.
macro_rules! array {
    ($($size:ident)*; $array:ty; $($flat:ident)*) => {
        impl<T: Element, $(const $size: usize),*> From<$array> for Tensor<T, ($(Fixed<$size>,)*)> {
            fn from(array: $array) -> Self {
                Tensor::from_parts(array$(.$flat())*.to_vec(), [$($size),*])
            }
        }

        impl<'a, T: Element, $(const $size: usize),*> From<&'a $array>
            for TensorView<'a, T, ($(Fixed<$size>,)*)>
        {
            fn from(array: &'a $array) -> Self {
                TensorView::from_parts(array$(.$flat())*, [$($size),*])
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
