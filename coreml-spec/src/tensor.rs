//! Borrowed tensors: the currency between the typed runtime and the backends that run a model.
//!
//! Owns: the mapping from Rust's element types to [`DataType`]. Must not: allocate or compute.
//! Flow: `coreml-rt` makes them from typed tensors, `coreml-portable` consumes them.

use crate::DataType;
use half::f16;

/// A contiguous row-major tensor that the caller owns.
#[derive(Clone, Copy, Debug)]
pub struct TensorRef<'a> {
    /// Size of each dimension, in elements.
    pub dims: &'a [usize],
    /// The elements; as many as the product of `dims`.
    pub elements: Elements<'a>,
}

/// Elements of a tensor, to read.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a> {
    /// Half precision.
    Float16(&'a [f16]),
    /// Single precision.
    Float32(&'a [f32]),
    /// Double precision.
    Float64(&'a [f64]),
    /// 32-bit signed.
    Int32(&'a [i32]),
    /// 8-bit signed.
    Int8(&'a [i8]),
}

/// Elements of a tensor, to write.
#[derive(Debug)]
pub enum ElementsMut<'a> {
    /// Half precision.
    Float16(&'a mut [f16]),
    /// Single precision.
    Float32(&'a mut [f32]),
    /// Double precision.
    Float64(&'a mut [f64]),
    /// 32-bit signed.
    Int32(&'a mut [i32]),
    /// 8-bit signed.
    Int8(&'a mut [i8]),
}

/// Defines the accessors that differ only by variant.
macro_rules! for_each_variant {
    ($self:ident, $slice:ident => $result:expr) => {
        match $self {
            Self::Float16($slice) => $result,
            Self::Float32($slice) => $result,
            Self::Float64($slice) => $result,
            Self::Int32($slice) => $result,
            Self::Int8($slice) => $result,
        }
    };
}

impl Elements<'_> {
    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        for_each_variant!(self, slice => slice.len())
    }

    /// Returns whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the element type.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Float16(_) => DataType::Float16,
            Self::Float32(_) => DataType::Float32,
            Self::Float64(_) => DataType::Float64,
            Self::Int32(_) => DataType::Int32,
            Self::Int8(_) => DataType::Int8,
        }
    }
}

impl ElementsMut<'_> {
    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        for_each_variant!(self, slice => slice.len())
    }

    /// Returns whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the element type.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Float16(_) => DataType::Float16,
            Self::Float32(_) => DataType::Float32,
            Self::Float64(_) => DataType::Float64,
            Self::Int32(_) => DataType::Int32,
            Self::Int8(_) => DataType::Int8,
        }
    }
}

/// A Rust type that can be an element of an input, an output or a state.
pub trait Element:
    Copy + Default + PartialEq + Send + Sync + std::fmt::Debug + private::Sealed + 'static
{
    /// The type as Core ML names it.
    const DATA_TYPE: DataType;

    /// Wraps a slice for a backend to read.
    fn elements(slice: &[Self]) -> Elements<'_>;

    /// Wraps a slice for a backend to write.
    fn elements_mut(slice: &mut [Self]) -> ElementsMut<'_>;
}

/// Keeps [`Element`] to the types that Core ML has.
mod private {
    /// Implemented here only.
    pub trait Sealed {}
}

/// Implements [`Element`] for a Rust type and its variant.
macro_rules! element {
    ($type:ty, $variant:ident) => {
        impl private::Sealed for $type {}
        impl Element for $type {
            const DATA_TYPE: DataType = DataType::$variant;
            fn elements(slice: &[Self]) -> Elements<'_> {
                Elements::$variant(slice)
            }
            fn elements_mut(slice: &mut [Self]) -> ElementsMut<'_> {
                ElementsMut::$variant(slice)
            }
        }
    };
}

element!(f16, Float16);
element!(f32, Float32);
element!(f64, Float64);
element!(i32, Int32);
element!(i8, Int8);
