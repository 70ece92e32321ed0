//! Messages of `MIL.proto`: constants.

use super::ValueType;

/// A constant; [`crate::Package::constant`] reads tensors of it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Value {
    /// The author's text.
    #[prost(string, tag = "1")]
    pub doc_string: String,
    /// Type.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<ValueType>,
    /// Where the content is.
    #[prost(oneof = "ValueKind", tags = "3, 5")]
    pub kind: Option<ValueKind>,
}

/// Where the content of a constant is.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum ValueKind {
    /// Here.
    #[prost(message, tag = "3")]
    Immediate(ImmediateValue),
    /// In a weight file.
    #[prost(message, tag = "5")]
    BlobFile(BlobFileValue),
}

/// A constant in place.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ImmediateValue {
    /// The content.
    #[prost(oneof = "ImmediateKind", tags = "1, 2, 3, 4")]
    pub kind: Option<ImmediateKind>,
}

/// Content of a constant in place.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum ImmediateKind {
    /// A tensor.
    #[prost(message, tag = "1")]
    Tensor(TensorValue),
    /// A tuple.
    #[prost(message, tag = "2")]
    Tuple(TupleValue),
    /// A list.
    #[prost(message, tag = "3")]
    List(ListValue),
    /// A map.
    #[prost(message, tag = "4")]
    Dictionary(DictionaryValue),
}

/// A constant in a weight file.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct BlobFileValue {
    /// Name of the file: `@model_path/` and the path from the specification's folder.
    #[prost(string, tag = "1")]
    pub file_name: String,
    /// Where the blob's header stands, in bytes.
    #[prost(uint64, tag = "2")]
    pub offset: u64,
}

/// Elements of a tensor.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorValue {
    /// The elements.
    #[prost(oneof = "TensorKind", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub kind: Option<TensorKind>,
}

/// Elements of a tensor.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum TensorKind {
    /// For `Float32`.
    #[prost(message, tag = "1")]
    Floats(Floats),
    /// For `Int32` and the 16-bit integers.
    #[prost(message, tag = "2")]
    Ints(Ints),
    /// For `Bool`.
    #[prost(message, tag = "3")]
    Bools(Bools),
    /// For `String`.
    #[prost(message, tag = "4")]
    Strings(Strings),
    /// For the 64-bit integers.
    #[prost(message, tag = "5")]
    LongInts(LongInts),
    /// For `Float64`.
    #[prost(message, tag = "6")]
    Doubles(Doubles),
    /// For `Float16` and the integers of 8 bits and fewer: little endian, packed.
    #[prost(message, tag = "7")]
    Bytes(Bytes),
}

/// Single-precision floats.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Floats {
    /// The elements, row by row.
    #[prost(float, repeated, tag = "1")]
    pub values: Vec<f32>,
}

/// 32-bit integers.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Ints {
    /// The elements, row by row.
    #[prost(int32, repeated, tag = "1")]
    pub values: Vec<i32>,
}

/// Truth values.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Bools {
    /// The elements, row by row.
    #[prost(bool, repeated, tag = "1")]
    pub values: Vec<bool>,
}

/// Texts.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Strings {
    /// The elements, row by row.
    #[prost(string, repeated, tag = "1")]
    pub values: Vec<String>,
}

/// 64-bit integers.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LongInts {
    /// The elements, row by row.
    #[prost(int64, repeated, tag = "1")]
    pub values: Vec<i64>,
}

/// Double-precision floats.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Doubles {
    /// The elements, row by row.
    #[prost(double, repeated, tag = "1")]
    pub values: Vec<f64>,
}

/// Packed elements.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Bytes {
    /// The elements, row by row, little endian; several to a byte for types under 8 bits, low bits
    /// first.
    #[prost(bytes = "vec", tag = "1")]
    pub values: Vec<u8>,
}

/// Members of a tuple.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TupleValue {
    /// The members.
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Value>,
}

/// Elements of a list.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListValue {
    /// The elements.
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Value>,
}

/// Entries of a map.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DictionaryValue {
    /// The entries.
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<KeyValuePair>,
}

/// One entry of a map.
#[derive(Clone, PartialEq, prost::Message)]
pub struct KeyValuePair {
    /// The key.
    #[prost(message, optional, boxed, tag = "1")]
    pub key: Option<Box<Value>>,
    /// The value.
    #[prost(message, optional, boxed, tag = "2")]
    pub value: Option<Box<Value>>,
}
