//! Element types of tensors, and the three numberings that Core ML files use for them.
//!
//! Owns: the mapping from MIL, weight-blob and multi-array codes to one enum.
//! Flow: read by the package reader (`package.rs`, `blob.rs`), carried in every [`crate::Feature`].

use serde::{Deserialize, Serialize};

/// Element type of a tensor: every type that MIL, a weight blob or a multi-array can hold.
///
/// The names are MIL's. Only `Float16`, `Float32`, `Float64`, `Int32` and `Int8` occur as inputs
/// and outputs of a model; the others occur in weights and inside programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataType {
    /// True or false, one byte each.
    Bool,
    /// Text; never in a weight blob.
    String,
    /// IEEE 754 half precision.
    Float16,
    /// IEEE 754 single precision.
    Float32,
    /// IEEE 754 double precision.
    Float64,
    /// The upper half of a `Float32`.
    BFloat16,
    /// 8-bit float, 4 exponent bits, 3 mantissa bits, no infinity.
    Float8E4M3FN,
    /// 8-bit float, 5 exponent bits, 2 mantissa bits.
    Float8E5M2,
    /// Signed, 4 bits, two to a byte, low nibble first.
    Int4,
    /// Signed, 8 bits.
    Int8,
    /// Signed, 16 bits.
    Int16,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
    /// Unsigned, 1 bit, eight to a byte, low bit first.
    UInt1,
    /// Unsigned, 2 bits, low bits first.
    UInt2,
    /// Unsigned, 3 bits, packed across byte borders.
    UInt3,
    /// Unsigned, 4 bits, low nibble first.
    UInt4,
    /// Unsigned, 6 bits, packed across byte borders.
    UInt6,
    /// Unsigned, 8 bits.
    UInt8,
    /// Unsigned, 16 bits.
    UInt16,
    /// Unsigned, 32 bits.
    UInt32,
    /// Unsigned, 64 bits.
    UInt64,
}

impl DataType {
    /// Returns the type for a `MILSpec.DataType` code, or `None` for a code that coremltools 9.0
    /// does not define.
    pub fn from_mil(code: i32) -> Option<Self> {
        Some(match code {
            1 => Self::Bool,
            2 => Self::String,
            10 => Self::Float16,
            11 => Self::Float32,
            12 => Self::Float64,
            13 => Self::BFloat16,
            21 => Self::Int8,
            22 => Self::Int16,
            23 => Self::Int32,
            24 => Self::Int64,
            25 => Self::Int4,
            31 => Self::UInt8,
            32 => Self::UInt16,
            33 => Self::UInt32,
            34 => Self::UInt64,
            35 => Self::UInt4,
            36 => Self::UInt2,
            37 => Self::UInt1,
            38 => Self::UInt6,
            39 => Self::UInt3,
            40 => Self::Float8E4M3FN,
            41 => Self::Float8E5M2,
            _ => return None,
        })
    }

    /// Returns the type for a `BlobDataType` code of weight blob format 2, or `None` for an unknown
    /// code.
    pub fn from_blob(code: u32) -> Option<Self> {
        Some(match code {
            1 => Self::Float16,
            2 => Self::Float32,
            3 => Self::UInt8,
            4 => Self::Int8,
            5 => Self::BFloat16,
            6 => Self::Int16,
            7 => Self::UInt16,
            8 => Self::Int4,
            9 => Self::UInt1,
            10 => Self::UInt2,
            11 => Self::UInt4,
            12 => Self::UInt3,
            13 => Self::UInt6,
            14 => Self::Int32,
            15 => Self::UInt32,
            16 => Self::Float8E4M3FN,
            17 => Self::Float8E5M2,
            _ => return None,
        })
    }

    /// Returns the type for an `ArrayFeatureType.ArrayDataType` code (the types that a multi-array
    /// can have).
    pub fn from_multi_array(code: i32) -> Option<Self> {
        Some(match code {
            65552 => Self::Float16,
            65568 => Self::Float32,
            65600 => Self::Float64,
            131080 => Self::Int8,
            131104 => Self::Int32,
            _ => return None,
        })
    }

    /// Returns the size of one element in bits; 0 for `String`, whose elements have no fixed size.
    pub fn bits(self) -> usize {
        match self {
            Self::String => 0,
            Self::UInt1 => 1,
            Self::UInt2 => 2,
            Self::UInt3 => 3,
            Self::Int4 | Self::UInt4 => 4,
            Self::UInt6 => 6,
            Self::Bool | Self::Int8 | Self::UInt8 | Self::Float8E4M3FN | Self::Float8E5M2 => 8,
            Self::Float16 | Self::BFloat16 | Self::Int16 | Self::UInt16 => 16,
            Self::Float32 | Self::Int32 | Self::UInt32 => 32,
            Self::Float64 | Self::Int64 | Self::UInt64 => 64,
        }
    }

    /// Returns the name that manifests, messages and the JSON forms use: `float16`, `int32`, …
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::String => "string",
            Self::Float16 => "float16",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::BFloat16 => "bfloat16",
            Self::Float8E4M3FN => "float8e4m3fn",
            Self::Float8E5M2 => "float8e5m2",
            Self::Int4 => "int4",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::UInt1 => "uint1",
            Self::UInt2 => "uint2",
            Self::UInt3 => "uint3",
            Self::UInt4 => "uint4",
            Self::UInt6 => "uint6",
            Self::UInt8 => "uint8",
            Self::UInt16 => "uint16",
            Self::UInt32 => "uint32",
            Self::UInt64 => "uint64",
        }
    }
}

impl std::fmt::Display for DataType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_name_is_the_display_name() {
        for code in 0..64 {
            if let Some(data_type) = DataType::from_mil(code) {
                assert_eq!(serde_json::to_value(data_type).unwrap(), data_type.name());
            }
        }
    }
}
