//! Constant tensors of a program, wherever they are stored.
//!
//! Owns: turning immediate values and blobs into one form, checking their size, decoding elements.
//! Must not: expand `constexpr_*` operations; that is a translator's work.
//! Flow: [`Package::constant`] → `package.rs` for the weight file → `blob.rs`.

use crate::data_type::DataType;
use crate::error::Error;
use crate::package::Package;
use crate::proto::{ImmediateKind, TensorKind, Value, ValueKind};
use half::{bf16, f16};
use std::borrow::Cow;

/// A constant tensor.
#[derive(Clone, Debug)]
pub struct Constant<'a> {
    /// Element type.
    pub data_type: DataType,
    /// Size of each dimension, in elements; empty for a scalar.
    pub dims: Vec<usize>,
    /// The elements row by row, little endian, packed with the low bits first for types under 8
    /// bits, without any alignment; empty for `String`.
    pub bytes: Cow<'a, [u8]>,
    /// The elements of a `String` tensor; otherwise empty.
    pub strings: &'a [String],
}

impl Package {
    /// Returns a tensor, read from the specification or from a weight file.
    ///
    /// Parameters: `value` — of this package's program.
    /// Errors: [`Error::Unsupported`] when it is a list, tuple or map; [`Error::Damaged`] when its
    /// size, type or place in the weight file is wrong; [`Error::Io`] when the weight file cannot
    /// be mapped.
    pub fn constant<'a>(&'a self, value: &'a Value) -> Result<Constant<'a>, Error> {
        read(self, value)
    }
}

/// Reads a tensor, with the errors of [`Package::constant`].
fn read<'a>(package: &'a Package, value: &'a Value) -> Result<Constant<'a>, Error> {
    let damaged = |what: String| package.damaged(what);
    let tensor = value.r#type.as_ref().and_then(|value_type| value_type.tensor());
    let tensor = tensor.ok_or_else(|| {
        package.unsupported("a constant is not a tensor", "read its parts instead")
    })?;
    let code = tensor.data_type;
    let data_type = tensor
        .element_type()
        .ok_or_else(|| damaged(format!("a constant has the unknown element type {code}")))?;
    let dims = tensor.dims().and_then(|dims| dims.into_iter().collect::<Option<Vec<usize>>>());
    let dims = dims.ok_or_else(|| damaged("a constant has no fixed shape".into()))?;
    let count = dims.iter().try_fold(1_usize, |count, dim| count.checked_mul(*dim));
    let count =
        count.ok_or_else(|| damaged(format!("a constant has the impossible shape {dims:?}")))?;
    let mut strings: &[String] = &[];
    let bytes: Cow<'a, [u8]> = match &value.kind {
        Some(ValueKind::BlobFile(reference)) => {
            let file = package.weight_file(&reference.file_name)?;
            let blob = file.blob(reference.offset)?;
            if blob.data_type != data_type {
                let what =
                    format!("the tensor at offset {} is {}", reference.offset, blob.data_type);
                return Err(Error::damaged(
                    file.path(),
                    format!("{what}, but the program says {data_type}"),
                ));
            }
            Cow::Borrowed(blob.bytes)
        }
        Some(ValueKind::Immediate(immediate)) => {
            let tensor = match &immediate.kind {
                Some(ImmediateKind::Tensor(tensor)) => tensor.kind.as_ref(),
                // An empty message: a tensor without elements.
                None => None,
                Some(_) => {
                    return Err(damaged("a tensor constant holds a list, tuple or map".into()));
                }
            };
            match tensor {
                Some(TensorKind::Strings(values)) if data_type == DataType::String => {
                    strings = &values.values;
                    Cow::Borrowed(&[])
                }
                Some(elements) => immediate_bytes(elements, data_type).ok_or_else(|| {
                    damaged(format!("the elements of a constant do not fit its type {data_type}"))
                })?,
                None => Cow::Borrowed(&[]),
            }
        }
        None => return Err(damaged("a constant has no value".into())),
    };
    let right_size = match data_type {
        DataType::String => strings.len() == count,
        _ => {
            count.checked_mul(data_type.bits()).is_some_and(|bits| bits.div_ceil(8) == bytes.len())
        }
    };
    if !right_size {
        let have = if data_type == DataType::String { strings.len() } else { bytes.len() };
        let unit = if data_type == DataType::String { "elements" } else { "bytes" };
        return Err(damaged(format!(
            "a constant of type {data_type} and shape {dims:?} has {have} {unit}"
        )));
    }
    Ok(Constant { data_type, dims, bytes, strings })
}

/// Returns the elements of an immediate tensor as bytes, or `None` when they are not of
/// `data_type`.
fn immediate_bytes(elements: &TensorKind, data_type: DataType) -> Option<Cow<'_, [u8]>> {
    use DataType as D;
    Some(match (elements, data_type) {
        (TensorKind::Floats(floats), D::Float32) => {
            floats.values.iter().flat_map(|x| x.to_le_bytes()).collect()
        }
        (TensorKind::Doubles(doubles), D::Float64) => {
            doubles.values.iter().flat_map(|x| x.to_le_bytes()).collect()
        }
        (TensorKind::Bools(bools), D::Bool) => bools.values.iter().map(|x| u8::from(*x)).collect(),
        (TensorKind::LongInts(ints), D::Int64 | D::UInt64) => {
            ints.values.iter().flat_map(|x| x.to_le_bytes()).collect()
        }
        (TensorKind::Ints(ints), D::Int32 | D::UInt32) => {
            ints.values.iter().flat_map(|x| x.to_le_bytes()).collect()
        }
        (TensorKind::Ints(ints), D::Int16) => {
            let narrow = ints.values.iter().map(|x| i16::try_from(*x).ok());
            narrow.collect::<Option<Vec<_>>>()?.into_iter().flat_map(i16::to_le_bytes).collect()
        }
        (TensorKind::Ints(ints), D::UInt16) => {
            let narrow = ints.values.iter().map(|x| u16::try_from(*x).ok());
            narrow.collect::<Option<Vec<_>>>()?.into_iter().flat_map(u16::to_le_bytes).collect()
        }
        (TensorKind::Bytes(bytes), data_type) if data_type != D::String => {
            Cow::Borrowed(&bytes.values[..])
        }
        _ => return None,
    })
}

impl Constant<'_> {
    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Returns whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the elements as single-precision floats, rounded where they do not fit; `None` for
    /// text.
    pub fn to_f32s(&self) -> Option<Vec<f32>> {
        let bytes = &*self.bytes;
        Some(match self.data_type {
            DataType::String => return None,
            DataType::Float16 => {
                words(bytes).map(|word| f16::from_le_bytes(word).to_f32()).collect()
            }
            DataType::BFloat16 => {
                words(bytes).map(|word| bf16::from_le_bytes(word).to_f32()).collect()
            }
            DataType::Float32 => words(bytes).map(f32::from_le_bytes).collect(),
            DataType::Float64 => words(bytes).map(|word| f64::from_le_bytes(word) as f32).collect(),
            DataType::Float8E4M3FN => bytes.iter().map(|byte| float8_e4m3fn(*byte)).collect(),
            // E5M2 is the upper byte of a half.
            DataType::Float8E5M2 => {
                bytes.iter().map(|byte| f16::from_le_bytes([0, *byte]).to_f32()).collect()
            }
            DataType::UInt64 => words(bytes).map(|word| u64::from_le_bytes(word) as f32).collect(),
            _ => self.to_i64s()?.into_iter().map(|integer| integer as f32).collect(),
        })
    }

    /// Returns the elements as integers, truth values as 0 and 1; `None` for text and floats, and
    /// when an element of `UInt64` does not fit.
    pub fn to_i64s(&self) -> Option<Vec<i64>> {
        let bytes = &*self.bytes;
        Some(match self.data_type {
            DataType::Bool | DataType::UInt8 => bytes.iter().map(|byte| i64::from(*byte)).collect(),
            DataType::Int8 => {
                bytes.iter().map(|byte| i64::from(i8::from_le_bytes([*byte]))).collect()
            }
            DataType::Int16 => {
                words(bytes).map(|word| i64::from(i16::from_le_bytes(word))).collect()
            }
            DataType::UInt16 => {
                words(bytes).map(|word| i64::from(u16::from_le_bytes(word))).collect()
            }
            DataType::Int32 => {
                words(bytes).map(|word| i64::from(i32::from_le_bytes(word))).collect()
            }
            DataType::UInt32 => {
                words(bytes).map(|word| i64::from(u32::from_le_bytes(word))).collect()
            }
            DataType::Int64 => words(bytes).map(i64::from_le_bytes).collect(),
            DataType::UInt64 => words(bytes)
                .map(|word| i64::try_from(u64::from_le_bytes(word)).ok())
                .collect::<Option<_>>()?,
            DataType::UInt1
            | DataType::UInt2
            | DataType::UInt3
            | DataType::UInt4
            | DataType::UInt6 => {
                unpacked(bytes, self.data_type.bits(), self.len()).map(i64::from).collect()
            }
            // Shifting left and arithmetically back extends the sign of the four bits.
            DataType::Int4 => unpacked(bytes, 4, self.len())
                .map(|code| i64::from((code << 4) as i8 >> 4))
                .collect(),
            DataType::String
            | DataType::Float16
            | DataType::BFloat16
            | DataType::Float32
            | DataType::Float64
            | DataType::Float8E4M3FN
            | DataType::Float8E5M2 => return None,
        })
    }
}

/// Splits little-endian bytes into words of `N` bytes.
fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// Returns `count` codes of `bits` (1 to 8) bits each, packed with the low bits first.
fn unpacked(bytes: &[u8], bits: usize, count: usize) -> impl Iterator<Item = u8> + '_ {
    (0..count).map(move |index| {
        let bit = index * bits;
        let low = u16::from(bytes.get(bit / 8).copied().unwrap_or(0));
        let high = u16::from(bytes.get(bit / 8 + 1).copied().unwrap_or(0));
        let code = (high << 8 | low) >> (bit % 8) & ((1 << bits) - 1);
        code.to_le_bytes()[0]
    })
}

/// Decodes an 8-bit float with 4 exponent bits (bias 7) and 3 mantissa bits.
fn float8_e4m3fn(byte: u8) -> f32 {
    let mantissa = f32::from(byte & 7);
    let magnitude = match (byte >> 3) & 15 {
        15 if byte & 7 == 7 => f32::NAN,
        0 => mantissa * 2_f32.powi(-9),
        exponent => (8.0 + mantissa) * 2_f32.powi(i32::from(exponent) - 10),
    };
    if byte & 0x80 == 0 { magnitude } else { -magnitude }
}
