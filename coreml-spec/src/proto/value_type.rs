//! Messages of `MIL.proto`: types of values.

use super::Value;
use crate::DataType;
use std::collections::BTreeMap;

/// A name with the type of its value.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NamedValueType {
    /// Name, unique in the function.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Type.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<ValueType>,
}

/// Type of a value.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ValueType {
    /// The type itself.
    #[prost(oneof = "ValueTypeKind", tags = "1, 2, 3, 4, 5")]
    pub kind: Option<ValueTypeKind>,
}

impl ValueType {
    /// Returns the tensor type, also of a state that holds a tensor; `None` for every other type.
    pub fn tensor(&self) -> Option<&TensorType> {
        match self.kind.as_ref()? {
            ValueTypeKind::Tensor(tensor) => Some(tensor),
            // The recursion ends: decoding limits the nesting.
            ValueTypeKind::State(state) => state.wrapped_type.as_deref()?.tensor(),
            _ => None,
        }
    }
}

/// Type of a value.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum ValueTypeKind {
    /// A tensor; a scalar has rank 0.
    #[prost(message, tag = "1")]
    Tensor(TensorType),
    /// A list of values of one type.
    #[prost(message, tag = "2")]
    List(Box<ListType>),
    /// Several values of different types.
    #[prost(message, tag = "3")]
    Tuple(TupleType),
    /// A map.
    #[prost(message, tag = "4")]
    Dictionary(Box<DictionaryType>),
    /// A state.
    #[prost(message, tag = "5")]
    State(Box<StateType>),
}

/// Type of a tensor.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorType {
    /// Element type ([`DataType::from_mil`]).
    #[prost(int32, tag = "1")]
    pub data_type: i32,
    /// Number of dimensions.
    #[prost(int64, tag = "2")]
    pub rank: i64,
    /// The dimensions.
    #[prost(message, repeated, tag = "3")]
    pub dimensions: Vec<Dimension>,
    /// Notes by the converter.
    #[prost(btree_map = "string, message", tag = "4")]
    pub attributes: BTreeMap<String, Value>,
}

impl TensorType {
    /// Returns the element type, or `None` for a code that is not known.
    pub fn element_type(&self) -> Option<DataType> {
        DataType::from_mil(self.data_type)
    }

    /// Returns the dimensions, `None` for each that is only known at run time; no list at all when
    /// even the rank is not known, or when a size does not fit in memory.
    pub fn dims(&self) -> Option<Vec<Option<usize>>> {
        let dim = |dimension: &Dimension| match dimension.kind.as_ref()? {
            DimensionKind::Constant(constant) => usize::try_from(constant.size).ok().map(Some),
            DimensionKind::Unknown(unknown) => (!unknown.variadic).then_some(None),
        };
        self.dimensions.iter().map(dim).collect()
    }
}

/// Type of a tuple.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TupleType {
    /// Types of the members.
    #[prost(message, repeated, tag = "1")]
    pub types: Vec<ValueType>,
}

/// Type of a list.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListType {
    /// Type of the elements.
    #[prost(message, optional, tag = "1")]
    pub r#type: Option<ValueType>,
    /// Number of elements.
    #[prost(message, optional, tag = "2")]
    pub length: Option<Dimension>,
}

/// Type of a map.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DictionaryType {
    /// Type of the keys.
    #[prost(message, optional, tag = "1")]
    pub key_type: Option<ValueType>,
    /// Type of the values.
    #[prost(message, optional, tag = "2")]
    pub value_type: Option<ValueType>,
}

/// Type of a state.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StateType {
    /// Type of what the state holds.
    #[prost(message, optional, boxed, tag = "1")]
    pub wrapped_type: Option<Box<ValueType>>,
}

/// One dimension.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Dimension {
    /// Known or not.
    #[prost(oneof = "DimensionKind", tags = "1, 2")]
    pub kind: Option<DimensionKind>,
}

/// A dimension, known or not.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum DimensionKind {
    /// A fixed size.
    #[prost(message, tag = "1")]
    Constant(ConstantDimension),
    /// A size that is only known at run time.
    #[prost(message, tag = "2")]
    Unknown(UnknownDimension),
}

/// A fixed size.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ConstantDimension {
    /// The size, in elements.
    #[prost(uint64, tag = "1")]
    pub size: u64,
}

/// A size that is only known at run time.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct UnknownDimension {
    /// Whether it stands for any number of dimensions.
    #[prost(bool, tag = "1")]
    pub variadic: bool,
}
