//! A tensor of a sample, as numbers.
//!
//! Owns: the element types that a sample may have, and their conversion to the type that a model
//! declares.
//! Flow: `sample.rs` reads each tensor of a file into an [`Array`]; `step.rs` converts the inputs.

use super::file::Entry;
use crate::buffer::Buffer;
use coreml_spec::DataType;
use half::{bf16, f16};

/// Integers up to this one are exact in double precision: 2⁵³.
const LARGEST_EXACT: u64 = 1 << f64::MANTISSA_DIGITS;

/// A tensor of any type, as numbers that hold each of its values exactly.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    /// Sizes.
    pub(super) dims: Vec<usize>,
    /// The elements, in row-major order.
    pub(super) values: Vec<f64>,
    /// The type in the file, for messages.
    dtype: String,
}

impl Array {
    /// Reads a tensor of a file.
    ///
    /// Returns: what is wrong with its type or values, to follow the tensor's key.
    pub(super) fn read(tensor: &Entry<'_>) -> Result<Self, String> {
        let values = values(&tensor.dtype, tensor.bytes)?;
        Ok(Self { dims: tensor.dims.clone(), values, dtype: tensor.dtype.clone() })
    }

    /// Makes a tensor of numbers that single precision holds.
    pub(super) fn made(dims: Vec<usize>, values: Vec<f64>) -> Self {
        Self { dims, values, dtype: "F32".to_owned() }
    }

    /// Converts to the type that an input declares.
    ///
    /// Floats are rounded to a declared float type; nothing else loses anything.
    /// Returns: the elements and whether one was rounded, or what does not fit, to follow the
    /// tensor's key.
    pub(super) fn convert(&self, data_type: DataType) -> Result<(Buffer, bool), String> {
        let buffer = Buffer::from_f64s(data_type, &self.values);
        let buffer = buffer
            .ok_or_else(|| format!("has values that do not fit the input's type {data_type}"))?;
        let converted = buffer.to_f64s();
        let pairs = || self.values.iter().zip(&converted);
        if let Some((value, _)) =
            pairs().find(|(value, converted)| value.is_finite() && !converted.is_finite())
        {
            return Err(format!("has {value}, which is beyond the input's type {data_type}"));
        }
        Ok((buffer, pairs().any(|(value, converted)| value.is_finite() && value != converted)))
    }

    /// Returns the type in the file.
    pub(super) fn dtype(&self) -> &str {
        &self.dtype
    }
}

/// Converts little-endian elements.
///
/// Returns: what is wrong, for a type that is no number, and for a value that is not exact in
/// double precision.
fn values(dtype: &str, bytes: &[u8]) -> Result<Vec<f64>, String> {
    /// Converts elements of `N` bytes each.
    fn each<const N: usize>(
        bytes: &[u8],
        element: impl Fn([u8; N]) -> f64,
    ) -> Result<Vec<f64>, String> {
        Ok(bytes.as_chunks::<N>().0.iter().map(|&chunk| element(chunk)).collect())
    }
    /// Converts integers of 64 bits.
    fn exact(bytes: &[u8], element: impl Fn([u8; 8]) -> i128) -> Result<Vec<f64>, String> {
        let number = |chunk: &[u8; 8]| {
            let value = element(*chunk);
            let fits = value.unsigned_abs() <= u128::from(LARGEST_EXACT);
            fits.then_some(value as f64)
                .ok_or_else(|| format!("has {value}, and parity compares integers up to 2⁵³"))
        };
        bytes.as_chunks::<8>().0.iter().map(number).collect()
    }
    match dtype {
        "BOOL" | "U8" => each(bytes, |[byte]| f64::from(byte)),
        "I8" => each(bytes, |chunk| f64::from(i8::from_le_bytes(chunk))),
        "I16" => each(bytes, |chunk| f64::from(i16::from_le_bytes(chunk))),
        "U16" => each(bytes, |chunk| f64::from(u16::from_le_bytes(chunk))),
        "I32" => each(bytes, |chunk| f64::from(i32::from_le_bytes(chunk))),
        "U32" => each(bytes, |chunk| f64::from(u32::from_le_bytes(chunk))),
        "I64" => exact(bytes, |chunk| i64::from_le_bytes(chunk).into()),
        "U64" => exact(bytes, |chunk| u64::from_le_bytes(chunk).into()),
        "F16" => each(bytes, |chunk| f16::from_le_bytes(chunk).to_f64()),
        "BF16" => each(bytes, |chunk| bf16::from_le_bytes(chunk).to_f64()),
        "F32" => each(bytes, |chunk| f64::from(f32::from_le_bytes(chunk))),
        "F64" => each(bytes, f64::from_le_bytes),
        other => Err(format!("is of type {other}; use a float or integer type of 8 to 64 bits")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An array of the given type.
    fn array(dtype: &str, bytes: &[u8]) -> Result<Array, String> {
        Array::read(&Entry { dtype: dtype.to_owned(), dims: vec![bytes.len()], bytes })
    }

    #[test]
    fn what_is_exact_is_converted() {
        let ids = array("I64", [7i64, -1].map(i64::to_le_bytes).as_flattened()).unwrap();
        assert_eq!(ids.convert(DataType::Int32), Ok((Buffer::Int32(vec![7, -1]), false)));
        assert!(!ids.convert(DataType::Float16).unwrap().1);
        let flags = array("BOOL", &[0, 1]).unwrap();
        assert_eq!(flags.convert(DataType::Int8), Ok((Buffer::Int8(vec![0, 1]), false)));
        let odd = array("F32", [f32::NAN, f32::INFINITY, 0.5].map(f32::to_le_bytes).as_flattened())
            .unwrap();
        assert!(!odd.convert(DataType::Float16).unwrap().1);
    }

    #[test]
    fn floats_are_rounded_to_a_declared_type_and_nothing_else_is() {
        let third = array("F32", &(1.0f32 / 3.0).to_le_bytes()).unwrap();
        assert!(third.convert(DataType::Float16).unwrap().1);
        assert!(!third.convert(DataType::Float32).unwrap().1);
        let message = third.convert(DataType::Int32).unwrap_err();
        assert_eq!(message, "has values that do not fit the input's type int32");
        let large = array("F32", &70_000.0f32.to_le_bytes()).unwrap();
        assert_eq!(
            large.convert(DataType::Float16).unwrap_err(),
            "has 70000, which is beyond the input's type float16"
        );
    }

    #[test]
    fn integers_that_a_double_would_round_are_refused() {
        let value = (1i64 << 53) + 1;
        let message = array("I64", &value.to_le_bytes()).unwrap_err();
        assert_eq!(message, "has 9007199254740993, and parity compares integers up to 2⁵³");
        assert!(array("U64", &u64::MAX.to_le_bytes()).is_err());
        assert_eq!(
            array("I64", &(1i64 << 53).to_le_bytes()).unwrap().values,
            [9_007_199_254_740_992.0]
        );
    }
}
