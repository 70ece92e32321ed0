//! One dimension of a shape, as a type.
//!
//! Owns: [`Fixed`], [`Range`], and their bounds. Must not: hold sizes at run time.
//! Flow: generated code names them in the tuples of `shape.rs`.

/// A dimension that always has `N` elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fixed<const N: usize>;

/// A dimension of `MIN` to `MAX` elements, both included; `usize::MAX` means that there is no upper
/// bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range<const MIN: usize, const MAX: usize>;

/// A dimension of a [`Shape`](crate::Shape): [`Fixed`] or [`Range`].
pub trait Dim:
    Copy + std::fmt::Debug + PartialEq + Send + Sync + private::Sealed + 'static
{
    /// What sizes the dimension may have.
    const BOUNDS: Bounds;
}

/// Inclusive bounds of a dimension, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Smallest size.
    pub min: usize,
    /// Largest size; `usize::MAX` when there is none.
    pub max: usize,
}

impl Bounds {
    /// Returns whether `size` is within the bounds.
    pub const fn contain(self, size: usize) -> bool {
        self.min <= size && size <= self.max
    }
}

impl std::fmt::Display for Bounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.min, self.max) {
            (min, max) if min == max => write!(f, "exactly {min}"),
            (min, usize::MAX) => write!(f, "{min} or more"),
            (min, max) => write!(f, "{min} to {max}"),
        }
    }
}

impl<const N: usize> Dim for Fixed<N> {
    const BOUNDS: Bounds = Bounds { min: N, max: N };
}

impl<const MIN: usize, const MAX: usize> Dim for Range<MIN, MAX> {
    const BOUNDS: Bounds = Bounds { min: MIN, max: MAX };
}

/// Keeps [`Dim`] to the two types above.
mod private {
    /// Implemented in this file only.
    pub trait Sealed {}
}

impl<const N: usize> private::Sealed for Fixed<N> {}
impl<const MIN: usize, const MAX: usize> private::Sealed for Range<MIN, MAX> {}
