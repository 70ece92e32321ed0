//! Messages of `Model.proto` and `FeatureTypes.proto`: the model's description.

use super::Program;
use std::collections::BTreeMap;

/// A whole specification.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Model {
    /// Version of the format; 6 is iOS 15 (see [`crate::Interface::specification_version`]).
    #[prost(int32, tag = "1")]
    pub specification_version: i32,
    /// What goes in and out.
    #[prost(message, optional, tag = "2")]
    pub description: Option<ModelDescription>,
    /// The program, when the model is an ML Program; the other model types are not read.
    #[prost(message, optional, tag = "502")]
    pub ml_program: Option<Program>,
}

/// Interface and metadata of a model.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ModelDescription {
    /// Inputs; empty when `functions` is not.
    #[prost(message, repeated, tag = "1")]
    pub input: Vec<FeatureDescription>,
    /// Outputs; empty when `functions` is not.
    #[prost(message, repeated, tag = "10")]
    pub output: Vec<FeatureDescription>,
    /// Name of the output with a classifier's label.
    #[prost(string, tag = "11")]
    pub predicted_feature_name: String,
    /// Name of the output with a classifier's probabilities.
    #[prost(string, tag = "12")]
    pub predicted_probabilities_name: String,
    /// States; empty when `functions` is not.
    #[prost(message, repeated, tag = "13")]
    pub state: Vec<FeatureDescription>,
    /// The functions of a multifunction model; otherwise empty.
    #[prost(message, repeated, tag = "20")]
    pub functions: Vec<FunctionDescription>,
    /// The function that runs when none is named; empty unless multifunction.
    #[prost(string, tag = "21")]
    pub default_function_name: String,
    /// Texts about the model.
    #[prost(message, optional, tag = "100")]
    pub metadata: Option<Metadata>,
}

/// Interface of one function of a multifunction model.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FunctionDescription {
    /// Name in the program.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Inputs.
    #[prost(message, repeated, tag = "2")]
    pub input: Vec<FeatureDescription>,
    /// Outputs.
    #[prost(message, repeated, tag = "3")]
    pub output: Vec<FeatureDescription>,
    /// Name of the output with a classifier's label.
    #[prost(string, tag = "4")]
    pub predicted_feature_name: String,
    /// Name of the output with a classifier's probabilities.
    #[prost(string, tag = "5")]
    pub predicted_probabilities_name: String,
    /// States.
    #[prost(message, repeated, tag = "6")]
    pub state: Vec<FeatureDescription>,
}

/// Texts about a model.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Metadata {
    /// What the model does.
    #[prost(string, tag = "1")]
    pub short_description: String,
    /// The author's version.
    #[prost(string, tag = "2")]
    pub version_string: String,
    /// Who made it.
    #[prost(string, tag = "3")]
    pub author: String,
    /// Under which terms.
    #[prost(string, tag = "4")]
    pub license: String,
    /// Everything else, by key; converters note their versions here.
    #[prost(btree_map = "string, string", tag = "100")]
    pub user_defined: BTreeMap<String, String>,
}

/// A named input, output or state.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FeatureDescription {
    /// Name in the program.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The author's text.
    #[prost(string, tag = "2")]
    pub short_description: String,
    /// What it holds.
    #[prost(message, optional, tag = "3")]
    pub r#type: Option<FeatureType>,
}

/// What a feature holds.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FeatureType {
    /// The type itself.
    #[prost(oneof = "FeatureTypeKind", tags = "1, 2, 3, 4, 5, 6, 7, 8")]
    pub kind: Option<FeatureTypeKind>,
    /// Whether a caller may leave the feature out.
    #[prost(bool, tag = "1000")]
    pub is_optional: bool,
}

/// The type of a feature.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum FeatureTypeKind {
    /// One integer.
    #[prost(message, tag = "1")]
    Int64(Empty),
    /// One float.
    #[prost(message, tag = "2")]
    Double(Empty),
    /// One text.
    #[prost(message, tag = "3")]
    String(Empty),
    /// A picture.
    #[prost(message, tag = "4")]
    Image(ImageFeatureType),
    /// A tensor.
    #[prost(message, tag = "5")]
    MultiArray(ArrayFeatureType),
    /// A map to floats.
    #[prost(message, tag = "6")]
    Dictionary(DictionaryFeatureType),
    /// A list of integers or texts; its element type is not read.
    #[prost(message, tag = "7")]
    Sequence(Empty),
    /// A state.
    #[prost(message, tag = "8")]
    State(StateFeatureType),
}

/// A message whose fields do not matter here.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Empty {}

/// A tensor, its shape and element type.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ArrayFeatureType {
    /// Default shape; empty for an output of flexible shape.
    #[prost(int64, repeated, tag = "1")]
    pub shape: Vec<i64>,
    /// Element type ([`crate::DataType::from_multi_array`]).
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// How the shape may vary.
    #[prost(oneof = "ShapeFlexibilityKind", tags = "21, 31")]
    pub shape_flexibility: Option<ShapeFlexibilityKind>,
    /// Value of every element when the caller leaves the feature out.
    #[prost(oneof = "DefaultValueKind", tags = "41, 51, 61")]
    pub default_value: Option<DefaultValueKind>,
}

/// How the shape of a tensor may vary.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum ShapeFlexibilityKind {
    /// One of several shapes.
    #[prost(message, tag = "21")]
    Enumerated(EnumeratedShapes),
    /// A range per dimension.
    #[prost(message, tag = "31")]
    Range(ShapeRange),
}

/// The value of an optional tensor that was left out.
#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub enum DefaultValueKind {
    /// For integer tensors.
    #[prost(int32, tag = "41")]
    Int(i32),
    /// For half- and single-precision tensors.
    #[prost(float, tag = "51")]
    Float(f32),
    /// For double-precision tensors.
    #[prost(double, tag = "61")]
    Double(f64),
}

/// One shape.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ArrayShape {
    /// Size of each dimension.
    #[prost(int64, repeated, tag = "1")]
    pub shape: Vec<i64>,
}

/// Several shapes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EnumeratedShapes {
    /// The shapes, usually the default first.
    #[prost(message, repeated, tag = "1")]
    pub shapes: Vec<ArrayShape>,
}

/// A range per dimension.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ShapeRange {
    /// The ranges, one per dimension.
    #[prost(message, repeated, tag = "1")]
    pub size_ranges: Vec<SizeBounds>,
}

/// Bounds of one dimension (`SizeRange` in Core ML's files).
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct SizeBounds {
    /// Smallest size.
    #[prost(uint64, tag = "1")]
    pub lower_bound: u64,
    /// Largest size; negative when unbounded.
    #[prost(int64, tag = "2")]
    pub upper_bound: i64,
}

/// A picture, its size and pixel layout.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ImageFeatureType {
    /// Default width in pixels.
    #[prost(int64, tag = "1")]
    pub width: i64,
    /// Default height in pixels.
    #[prost(int64, tag = "2")]
    pub height: i64,
    /// Pixel layout: 10 grayscale, 20 RGB, 30 BGR, 40 half-precision grayscale.
    #[prost(int32, tag = "3")]
    pub color_space: i32,
    /// How the size may vary.
    #[prost(oneof = "SizeFlexibilityKind", tags = "21, 31")]
    pub size_flexibility: Option<SizeFlexibilityKind>,
}

/// How the size of a picture may vary.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum SizeFlexibilityKind {
    /// One of several sizes.
    #[prost(message, tag = "21")]
    Enumerated(EnumeratedImageSizes),
    /// Ranges of width and height.
    #[prost(message, tag = "31")]
    Range(ImageSizeRange),
}

/// Several picture sizes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EnumeratedImageSizes {
    /// The sizes.
    #[prost(message, repeated, tag = "1")]
    pub sizes: Vec<ImageSizePixels>,
}

/// One picture size (`ImageSize` in Core ML's files).
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ImageSizePixels {
    /// Width in pixels.
    #[prost(uint64, tag = "1")]
    pub width: u64,
    /// Height in pixels.
    #[prost(uint64, tag = "2")]
    pub height: u64,
}

/// Ranges of a picture's sides.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ImageSizeRange {
    /// Range of the width in pixels.
    #[prost(message, optional, tag = "1")]
    pub width_range: Option<SizeBounds>,
    /// Range of the height in pixels.
    #[prost(message, optional, tag = "2")]
    pub height_range: Option<SizeBounds>,
}

/// A map from keys to floats: a classifier's probabilities.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct DictionaryFeatureType {
    /// Type of the keys.
    #[prost(oneof = "DictionaryKeyKind", tags = "1, 2")]
    pub key: Option<DictionaryKeyKind>,
}

/// Type of a map's keys.
#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub enum DictionaryKeyKind {
    /// Integers.
    #[prost(message, tag = "1")]
    Int64(Empty),
    /// Texts.
    #[prost(message, tag = "2")]
    String(Empty),
}

/// A state.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StateFeatureType {
    /// The tensor that the state holds.
    #[prost(message, optional, tag = "1")]
    pub array_type: Option<ArrayFeatureType>,
}
