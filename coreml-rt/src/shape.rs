//! Shapes as types: tuples of [`Fixed`] and [`Range`](crate::Range) dimensions, rank 0 to 6.
//!
//! Owns: [`Shape`], [`FixedShape`], the check of sizes against a shape, and its error.
//! Flow: `tensor.rs` and `view.rs` are generic over it; generated code names the tuples.

use crate::dimension::{Bounds, Dim, Fixed};

/// A shape known to the compiler: a tuple of [`Dim`]s, such as
/// `(Fixed<1>, Fixed<80>, Range<1, 3000>)`.
pub trait Shape:
    Copy + std::fmt::Debug + PartialEq + Send + Sync + private::Sealed + 'static
{
    /// The sizes at run time: `[usize; RANK]`.
    type Dims: Copy
        + Default
        + Eq
        + std::fmt::Debug
        + AsRef<[usize]>
        + AsMut<[usize]>
        + TryFrom<Vec<usize>>
        + Send
        + Sync
        + 'static;

    /// Bounds of each dimension; as many as the rank.
    const BOUNDS: &'static [Bounds];
}

/// A shape whose dimensions are all [`Fixed`].
pub trait FixedShape: Shape {
    /// The sizes.
    const DIMS: Self::Dims;

    /// Number of elements.
    const LEN: usize;
}

/// Sizes or lengths that do not fit a shape.
///
/// Its `Debug` form is the message too, as that of [`Error`](crate::Error): `main` prints it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// A slice has another length than its shape asks for.
    Length {
        /// The shape, in elements.
        dims: Vec<usize>,
        /// The product of `dims`.
        expected: usize,
        /// Length of the slice.
        got: usize,
    },
    /// A dimension is out of its bounds.
    Dimension {
        /// The sizes that were asked for.
        dims: Vec<usize>,
        /// Which of them is wrong, counted from 0.
        axis: usize,
        /// What the type allows there.
        bounds: Bounds,
    },
    /// A shape has another number of dimensions.
    Rank {
        /// The sizes that were given.
        dims: Vec<usize>,
        /// The number of dimensions of the type.
        expected: usize,
    },
    /// More elements than an address space holds.
    TooLarge {
        /// The sizes that were asked for.
        dims: Vec<usize>,
    },
    /// A shape is not one that the model enumerates.
    NotEnumerated {
        /// The sizes that were given.
        dims: Vec<usize>,
        /// The shapes that the model takes.
        shapes: Vec<Vec<usize>>,
    },
    /// Enumerated shapes of two inputs that do not go together.
    Unpaired {
        /// Names and shapes of the two.
        shapes: [(String, Vec<usize>); 2],
    },
    /// A length that no bucket of a model takes.
    NoBucket {
        /// The length that was given.
        length: usize,
        /// The smallest length that the model takes.
        min: usize,
        /// The sizes of the buckets, ascending.
        sizes: Vec<usize>,
    },
    /// Inputs whose lengths must be equal are not.
    UnequalLengths {
        /// Names and lengths of two inputs.
        lengths: [(String, usize); 2],
    },
    /// Dimensions of two inputs that must have one size (the same `symbol`) do not.
    UnequalSizes {
        /// Name, dimension and size of the two; an image counts as `[1, channels, height, width]`.
        sizes: [(String, usize, usize); 2],
    },
    /// An image is larger or smaller than a model takes.
    ImageSize {
        /// Width that was given, in pixels.
        width: usize,
        /// Height that was given, in pixels.
        height: usize,
        /// What the type allows for the width.
        widths: Bounds,
        /// What the type allows for the height.
        heights: Bounds,
    },
    /// The elements are not contiguous in row-major order (`ndarray` views can be sliced or
    /// transposed).
    NotContiguous {
        /// The sizes of the view.
        dims: Vec<usize>,
    },
}

impl std::fmt::Debug for ShapeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Display for ShapeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Length { dims, expected, got } => {
                write!(f, "a tensor of shape {dims:?} takes {expected} elements, got {got}")
            }
            Self::Dimension { dims, axis, bounds } => {
                let size = dims.get(*axis).copied().unwrap_or_default();
                write!(f, "dimension {axis} of shape {dims:?} is {size}, but it must be {bounds}")
            }
            Self::Rank { dims, expected } => {
                write!(
                    f,
                    "shape {dims:?} has {} dimensions, but the type has {expected}",
                    dims.len()
                )
            }
            Self::TooLarge { dims } => {
                write!(f, "shape {dims:?} has more elements than memory can hold")
            }
            Self::NotEnumerated { dims, shapes } => {
                let shapes: Vec<String> = shapes.iter().map(|shape| format!("{shape:?}")).collect();
                write!(f, "the model does not take shape {dims:?}, only {}", shapes.join(", "))
            }
            Self::Unpaired { shapes: [(one, dims), (other, dims_of_other)] } => write!(
                f,
                "enumerated shapes of several inputs must have the same position in their lists: \
                 `{one}` has shape {dims:?}, `{other}` has {dims_of_other:?}"
            ),
            Self::NoBucket { length, min, sizes } => {
                let largest = sizes.last().copied().unwrap_or_default();
                write!(
                    f,
                    "a length of {length} fits no bucket: the model takes {min} to {largest}"
                )?;
                write!(
                    f,
                    ", in buckets of {}",
                    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
                )
            }
            Self::UnequalLengths { lengths: [(one, length), (other, length_of_other)] } => {
                write!(
                    f,
                    "the inputs must have the same length: `{one}` has {length}, `{other}` has \
                     {length_of_other}"
                )
            }
            Self::UnequalSizes {
                sizes: [(one, axis, size), (other, axis_of_other, size_of_other)],
            } => write!(
                f,
                "dimension {axis} of `{one}` and dimension {axis_of_other} of `{other}` must have \
                 the same size, but have {size} and {size_of_other}"
            ),
            Self::ImageSize { width, height, widths, heights } => write!(
                f,
                "an image of {width}x{height} pixels does not fit: the width must be {widths}, the \
                 height {heights}"
            ),
            Self::NotContiguous { dims } => write!(
                f,
                "the view of shape {dims:?} is not contiguous in row-major order; copy it first, \
                 with `as_standard_layout()`"
            ),
        }
    }
}

impl std::error::Error for ShapeError {}

/// Checks `dims` against the bounds of `S`, and returns the number of elements.
pub(crate) fn checked_len<S: Shape>(dims: S::Dims) -> Result<usize, ShapeError> {
    let sizes = dims.as_ref();
    for (axis, (&size, &bounds)) in sizes.iter().zip(S::BOUNDS).enumerate() {
        if !bounds.contain(size) {
            return Err(ShapeError::Dimension { dims: sizes.to_vec(), axis, bounds });
        }
    }
    element_count(sizes).ok_or_else(|| ShapeError::TooLarge { dims: sizes.to_vec() })
}

/// Checks that `got` elements are `expected` ones.
pub(crate) fn check_length(dims: &[usize], expected: usize, got: usize) -> Result<(), ShapeError> {
    if expected == got {
        Ok(())
    } else {
        Err(ShapeError::Length { dims: dims.to_vec(), expected, got })
    }
}

/// Returns the product of `dims`, or `None` when it overflows.
pub(crate) fn element_count(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |len, &dim| len.checked_mul(dim))
}

/// Returns the row-major position of `index` in a tensor of `dims`, or `None` when it is out of
/// bounds.
pub(crate) fn offset(dims: &[usize], index: &[usize]) -> Option<usize> {
    let mut offset = 0;
    for (&dim, &position) in dims.iter().zip(index) {
        if position >= dim {
            return None;
        }
        offset = offset * dim + position;
    }
    Some(offset)
}

/// Implements [`Shape`] and [`FixedShape`] for tuples of one rank.
macro_rules! shape {
    ($rank:literal: $($dim:ident $size:ident),*) => {
        impl<$($dim: Dim),*> private::Sealed for ($($dim,)*) {}

        impl<$($dim: Dim),*> Shape for ($($dim,)*) {
            type Dims = [usize; $rank];
            const BOUNDS: &'static [Bounds] = &[$($dim::BOUNDS),*];
        }

        impl<$(const $size: usize),*> FixedShape for ($(Fixed<$size>,)*) {
            const DIMS: [usize; $rank] = [$($size),*];
            const LEN: usize = 1 $(* $size)*;
        }
    };
}

shape!(0:);
shape!(1: A NA);
shape!(2: A NA, B NB);
shape!(3: A NA, B NB, C NC);
shape!(4: A NA, B NB, C NC, D ND);
shape!(5: A NA, B NB, C NC, D ND, E NE);
shape!(6: A NA, B NB, C NC, D ND, E NE, F NF);

/// Keeps [`Shape`] to tuples.
mod private {
    /// Implemented for tuples of dimensions only.
    pub trait Sealed {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Range;

    #[test]
    fn main_prints_a_message() {
        let error = crate::TensorView::<f32, (Fixed<1>, Fixed<3>)>::from_slice(&[1.0, 2.0]);
        let error = error.map(|_| ()).unwrap_err();
        // `Termination` prints the `Debug` form.
        assert_eq!(format!("{error:?}"), "a tensor of shape [1, 3] takes 3 elements, got 2");
    }

    #[test]
    fn bounds_are_named() {
        type S = (Fixed<1>, Range<2, 8>, Range<1, { usize::MAX }>);
        assert_eq!(checked_len::<S>([1, 8, 100]), Ok(800));
        let message = |dims| checked_len::<S>(dims).unwrap_err().to_string();
        assert_eq!(
            message([1, 9, 1]),
            "dimension 1 of shape [1, 9, 1] is 9, but it must be 2 to 8"
        );
        assert_eq!(
            message([3, 2, 1]),
            "dimension 0 of shape [3, 2, 1] is 3, but it must be exactly 1"
        );
        assert_eq!(
            message([1, 2, 0]),
            "dimension 2 of shape [1, 2, 0] is 0, but it must be 1 or more"
        );
        assert!(matches!(checked_len::<S>([1, 2, usize::MAX]), Err(ShapeError::TooLarge { .. })));
    }

    #[test]
    fn offsets_are_row_major() {
        assert_eq!(offset(&[2, 3, 4], &[1, 2, 3]), Some(23));
        assert_eq!(offset(&[2, 3, 4], &[1, 3, 0]), None);
        assert_eq!(offset(&[], &[]), Some(0));
    }

    #[test]
    fn fixed_shapes_know_their_size() {
        assert_eq!(<(Fixed<2>, Fixed<3>)>::LEN, 6);
        assert_eq!(<()>::LEN, 1);
        assert_eq!(<(Fixed<2>, Fixed<3>)>::DIMS, [2, 3]);
    }
}
