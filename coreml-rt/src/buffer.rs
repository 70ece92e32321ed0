//! Tensors whose type is known only at run time.
//!
//! Owns: [`Buffer`], an owned slice of any element type, and its conversions. Must not: appear in
//! the public API.
//! Flow: `model.rs` keeps the values of optional inputs in it, `padding.rs` padded inputs,
//! `parity/` the inputs and outputs of a sample.

use coreml_spec::{DataType, Elements, ElementsMut};
use half::f16;

/// Owned elements of one type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Buffer {
    /// Half precision.
    Float16(Vec<f16>),
    /// Single precision.
    Float32(Vec<f32>),
    /// Double precision.
    Float64(Vec<f64>),
    /// 32-bit signed.
    Int32(Vec<i32>),
    /// 8-bit signed.
    Int8(Vec<i8>),
}

impl Buffer {
    /// Converts `values` to `data_type`, floats with rounding.
    ///
    /// Returns: `None` when the type cannot be a model's input or output, or when an integer type
    /// does not hold a value.
    pub(crate) fn from_f64s(data_type: DataType, values: &[f64]) -> Option<Self> {
        let is_integer = |value: &f64, min: i32, max: i32| {
            value.fract() == 0.0 && f64::from(min) <= *value && *value <= f64::from(max)
        };
        match data_type {
            DataType::Float16 => {
                Some(Self::Float16(values.iter().copied().map(f16::from_f64).collect()))
            }
            DataType::Float32 => {
                Some(Self::Float32(values.iter().map(|&value| value as f32).collect()))
            }
            DataType::Float64 => Some(Self::Float64(values.to_vec())),
            DataType::Int32 => values
                .iter()
                .map(|value| is_integer(value, i32::MIN, i32::MAX).then_some(*value as i32))
                .collect::<Option<_>>()
                .map(Self::Int32),
            DataType::Int8 => values
                .iter()
                .map(|value| {
                    is_integer(value, i8::MIN.into(), i8::MAX.into()).then_some(*value as i8)
                })
                .collect::<Option<_>>()
                .map(Self::Int8),
            _ => None,
        }
    }

    /// Makes a buffer of zeros.
    ///
    /// Returns: `None` when the type cannot be a model's input or output.
    pub(crate) fn zeros(data_type: DataType, len: usize) -> Option<Self> {
        let mut buffer = Self::from_f64s(data_type, &[])?;
        buffer.reset(len, 0.0);
        Some(buffer)
    }

    /// Sets the buffer to `len` times `value`, which its type can hold; allocates only when it must
    /// grow.
    pub(crate) fn reset(&mut self, len: usize, value: f64) {
        /// Writes `value` everywhere.
        fn fill<T: Copy>(elements: &mut Vec<T>, len: usize, value: T) {
            elements.clear();
            elements.resize(len, value);
        }
        match self {
            Self::Float16(elements) => fill(elements, len, f16::from_f64(value)),
            Self::Float32(elements) => fill(elements, len, value as f32),
            Self::Float64(elements) => fill(elements, len, value),
            Self::Int32(elements) => fill(elements, len, value as i32),
            Self::Int8(elements) => fill(elements, len, value as i8),
        }
    }

    /// Copies elements.
    #[cfg(not(target_vendor = "apple"))] // Core ML's own arrays hold copies there
    pub(crate) fn of(elements: Elements<'_>) -> Self {
        match elements {
            Elements::Float16(elements) => Self::Float16(elements.to_vec()),
            Elements::Float32(elements) => Self::Float32(elements.to_vec()),
            Elements::Float64(elements) => Self::Float64(elements.to_vec()),
            Elements::Int32(elements) => Self::Int32(elements.to_vec()),
            Elements::Int8(elements) => Self::Int8(elements.to_vec()),
        }
    }

    /// Returns the elements to read.
    pub(crate) fn elements(&self) -> Elements<'_> {
        match self {
            Self::Float16(elements) => Elements::Float16(elements),
            Self::Float32(elements) => Elements::Float32(elements),
            Self::Float64(elements) => Elements::Float64(elements),
            Self::Int32(elements) => Elements::Int32(elements),
            Self::Int8(elements) => Elements::Int8(elements),
        }
    }

    /// Returns the elements to write.
    pub(crate) fn elements_mut(&mut self) -> ElementsMut<'_> {
        match self {
            Self::Float16(elements) => ElementsMut::Float16(elements),
            Self::Float32(elements) => ElementsMut::Float32(elements),
            Self::Float64(elements) => ElementsMut::Float64(elements),
            Self::Int32(elements) => ElementsMut::Int32(elements),
            Self::Int8(elements) => ElementsMut::Int8(elements),
        }
    }

    /// Converts each element to double precision, which holds all of them exactly.
    pub(crate) fn to_f64s(&self) -> Vec<f64> {
        match self {
            Self::Float16(elements) => elements.iter().map(|element| element.to_f64()).collect(),
            Self::Float32(elements) => elements.iter().map(|&element| f64::from(element)).collect(),
            Self::Float64(elements) => elements.clone(),
            Self::Int32(elements) => elements.iter().map(|&element| f64::from(element)).collect(),
            Self::Int8(elements) => elements.iter().map(|&element| f64::from(element)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_never_rounded_or_wrapped() {
        assert_eq!(
            Buffer::from_f64s(DataType::Int8, &[-128.0, 127.0]),
            Some(Buffer::Int8(vec![-128, 127]))
        );
        assert_eq!(Buffer::from_f64s(DataType::Int8, &[128.0]), None);
        assert_eq!(Buffer::from_f64s(DataType::Int32, &[0.5]), None);
        assert_eq!(Buffer::from_f64s(DataType::Int32, &[f64::NAN]), None);
        assert_eq!(Buffer::from_f64s(DataType::Int32, &[2147483648.0]), None);
        assert_eq!(Buffer::from_f64s(DataType::Bool, &[1.0]), None);
    }

    #[test]
    fn floats_are_rounded() {
        let buffer = Buffer::from_f64s(DataType::Float16, &[2049.0]).unwrap();
        assert_eq!(buffer.to_f64s(), [2048.0]);
    }
}
