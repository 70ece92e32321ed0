//! The ONNX file format, write side: the messages that a translated program needs.
//!
//! Owns: prost declarations of `onnx.proto` (IR version 10), and constructors of attributes.
//! Must not: know MIL or an engine.
//! Flow: `graph.rs` fills them, an engine or `export.rs` takes the encoded bytes.
//!
//! Repeated numbers in attributes are declared unpacked, as `onnx.proto` (proto2) declares them.

use prost::{Message, Oneof};

/// Version of the file format: the first whose tensors may be 4-bit, and that both engines read.
pub(crate) const IR_VERSION: i64 = 10;

/// Version of the default operator set that the emitters write: the first with `Gelu` and
/// `GridSample` in five dimensions.
pub(crate) const OPSET: i64 = 20;

/// A whole file.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ModelProto {
    /// Always [`IR_VERSION`].
    #[prost(int64, tag = "1")]
    pub(crate) ir_version: i64,
    /// The program that wrote the file.
    #[prost(string, tag = "2")]
    pub(crate) producer_name: String,
    /// Its version.
    #[prost(string, tag = "3")]
    pub(crate) producer_version: String,
    /// The main graph.
    #[prost(message, optional, tag = "7")]
    pub(crate) graph: Option<GraphProto>,
    /// The operator sets in use.
    #[prost(message, repeated, tag = "8")]
    pub(crate) opset_import: Vec<OperatorSetId>,
}

/// A name and version of an operator set.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OperatorSetId {
    /// Empty for ONNX's own operators.
    #[prost(string, tag = "1")]
    pub(crate) domain: String,
    /// Version of the set.
    #[prost(int64, tag = "2")]
    pub(crate) version: i64,
}

/// A graph: the main one, or a body of `If` and `Loop`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct GraphProto {
    /// Nodes in an order in which they can run.
    #[prost(message, repeated, tag = "1")]
    pub(crate) node: Vec<NodeProto>,
    /// Name; required by the format.
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    /// Constants.
    #[prost(message, repeated, tag = "5")]
    pub(crate) initializer: Vec<TensorProto>,
    /// Inputs.
    #[prost(message, repeated, tag = "11")]
    pub(crate) input: Vec<ValueInfoProto>,
    /// Outputs.
    #[prost(message, repeated, tag = "12")]
    pub(crate) output: Vec<ValueInfoProto>,
}

/// One application of an operator.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct NodeProto {
    /// Names of the operands; an empty name is an absent optional one.
    #[prost(string, repeated, tag = "1")]
    pub(crate) input: Vec<String>,
    /// Names of the results.
    #[prost(string, repeated, tag = "2")]
    pub(crate) output: Vec<String>,
    /// Name, for error messages of engines: the MIL operation's output.
    #[prost(string, tag = "3")]
    pub(crate) name: String,
    /// Operator.
    #[prost(string, tag = "4")]
    pub(crate) op_type: String,
    /// Attributes.
    #[prost(message, repeated, tag = "5")]
    pub(crate) attribute: Vec<AttributeProto>,
    /// Operator set; empty for ONNX's own.
    #[prost(string, tag = "7")]
    pub(crate) domain: String,
}

/// Kind of an attribute's value, as `AttributeProto.AttributeType` numbers it.
mod kind {
    /// A float.
    pub(super) const FLOAT: i32 = 1;
    /// An integer.
    pub(super) const INT: i32 = 2;
    /// Text.
    pub(super) const STRING: i32 = 3;
    /// A graph.
    pub(super) const GRAPH: i32 = 5;
    /// Integers.
    pub(super) const INTS: i32 = 7;
}

/// A named constant of a node.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttributeProto {
    /// Name.
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// The value of a float.
    #[prost(float, optional, tag = "2")]
    pub(crate) f: Option<f32>,
    /// The value of an integer.
    #[prost(int64, optional, tag = "3")]
    pub(crate) i: Option<i64>,
    /// The value of a text.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(crate) s: Option<Vec<u8>>,
    /// The value of a graph.
    #[prost(message, optional, tag = "6")]
    pub(crate) g: Option<GraphProto>,
    /// The value of integers.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub(crate) ints: Vec<i64>,
    /// Which of the fields above holds, see [`kind`].
    #[prost(int32, tag = "20")]
    pub(crate) r#type: i32,
}

impl AttributeProto {
    /// Returns an attribute that holds a float.
    pub(crate) fn float(name: &str, value: f32) -> Self {
        Self { name: name.into(), f: Some(value), r#type: kind::FLOAT, ..Self::default() }
    }

    /// Returns an attribute that holds an integer.
    pub(crate) fn int(name: &str, value: i64) -> Self {
        Self { name: name.into(), i: Some(value), r#type: kind::INT, ..Self::default() }
    }

    /// Returns an attribute that holds text.
    pub(crate) fn string(name: &str, value: &str) -> Self {
        Self { name: name.into(), s: Some(value.into()), r#type: kind::STRING, ..Self::default() }
    }

    /// Returns an attribute that holds a list of integers.
    pub(crate) fn ints(name: &str, values: &[i64]) -> Self {
        Self { name: name.into(), ints: values.to_vec(), r#type: kind::INTS, ..Self::default() }
    }

    /// Returns an attribute that holds a graph.
    pub(crate) fn graph(name: &str, value: GraphProto) -> Self {
        Self { name: name.into(), g: Some(value), r#type: kind::GRAPH, ..Self::default() }
    }
}

/// Where the elements of a [`TensorProto`] are: in an external file or buffer instead of
/// `raw_data`.
pub(crate) const DATA_LOCATION_EXTERNAL: i32 = 1;

/// A constant tensor.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorProto {
    /// Size of each dimension.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub(crate) dims: Vec<i64>,
    /// Element type, an [`ElementType`].
    #[prost(int32, tag = "2")]
    pub(crate) data_type: i32,
    /// Name.
    #[prost(string, tag = "8")]
    pub(crate) name: String,
    /// The elements, little endian, unless external.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub(crate) raw_data: Option<Vec<u8>>,
    /// `location`, `offset` and `length` when external.
    #[prost(message, repeated, tag = "13")]
    pub(crate) external_data: Vec<StringStringEntry>,
    /// 0, or [`DATA_LOCATION_EXTERNAL`].
    #[prost(int32, tag = "14")]
    pub(crate) data_location: i32,
}

/// A key and its value.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StringStringEntry {
    /// Key.
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    /// Value.
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

/// Name and type of a graph's input or output.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ValueInfoProto {
    /// Name.
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// Type.
    #[prost(message, optional, tag = "2")]
    pub(crate) r#type: Option<TypeProto>,
}

/// Type of a value.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TypeProto {
    /// Which type.
    #[prost(oneof = "TypeValue", tags = "1, 4")]
    pub(crate) value: Option<TypeValue>,
}

/// The types that a value of a translated program can have.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum TypeValue {
    /// A tensor.
    #[prost(message, tag = "1")]
    Tensor(TensorTypeProto),
    /// A sequence.
    #[prost(message, tag = "4")]
    Sequence(Box<SequenceTypeProto>),
}

/// Type of a tensor.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorTypeProto {
    /// Element type, an [`ElementType`].
    #[prost(int32, tag = "1")]
    pub(crate) elem_type: i32,
    /// Shape; absent when not even the rank is known.
    #[prost(message, optional, tag = "2")]
    pub(crate) shape: Option<TensorShapeProto>,
}

/// Type of a sequence.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SequenceTypeProto {
    /// Type of its elements.
    #[prost(message, optional, boxed, tag = "1")]
    pub(crate) elem_type: Option<Box<TypeProto>>,
}

/// Shape of a tensor.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorShapeProto {
    /// The dimensions.
    #[prost(message, repeated, tag = "1")]
    pub(crate) dim: Vec<DimensionProto>,
}

/// Size of one dimension.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DimensionProto {
    /// Which.
    #[prost(oneof = "DimensionValue", tags = "1, 2")]
    pub(crate) value: Option<DimensionValue>,
}

/// A dimension's size, or its name.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum DimensionValue {
    /// The size.
    #[prost(int64, tag = "1")]
    Value(i64),
    /// A name, equal wherever the size is equal.
    #[prost(string, tag = "2")]
    Param(String),
}

/// Element types of ONNX that translated programs use, by `TensorProto.DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub(crate) enum ElementType {
    /// Single precision.
    Float = 1,
    /// Unsigned, 8 bits.
    Uint8 = 2,
    /// Signed, 8 bits.
    Int8 = 3,
    /// Signed, 32 bits.
    Int32 = 6,
    /// Signed, 64 bits.
    Int64 = 7,
    /// True or false.
    Bool = 9,
    /// Half precision.
    Float16 = 10,
}

impl ElementType {
    /// Returns the code that the format uses.
    pub(crate) fn code(self) -> i32 {
        self as i32
    }
}
