//! One function of a model: its inputs, outputs and states.
//!
//! Owns: [`Function`] and its features, as plain data with a JSON form.
//! Flow: the parts of [`crate::Interface`]; `describe.rs` makes them from a package.

use crate::data_type::DataType;
use crate::symbols::Symbol;
use serde::{Deserialize, Serialize};

/// One entry point of a package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// Name in the ML Program.
    pub name: String,
    /// Inputs, in the package's order.
    pub inputs: Vec<Feature>,
    /// Outputs, in the package's order.
    pub outputs: Vec<Feature>,
    /// States that a prediction reads and writes; empty for a stateless function.
    pub states: Vec<Feature>,
    /// For states that are inputs and outputs of the package, and neither in `inputs` nor in
    /// `outputs` here: the output that each has after a prediction, in the order of `states`. Empty
    /// when Core ML keeps them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub state_outputs: Vec<String>,
    /// Ranges of inputs and outputs that always have the same size; empty for fixed shapes, and for
    /// a package that does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<Symbol>,
    /// Present when the function ends in a classifier.
    pub classifier: Option<Classifier>,
}

/// A named input, output or state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// Name in the package, which need not be a Rust identifier.
    pub name: String,
    /// The author's text; empty when there is none.
    pub description: String,
    /// What the feature holds.
    pub kind: FeatureKind,
    /// Value that an optional input takes when the caller gives none; `None` for a required input.
    pub default: Option<f64>,
}

/// What a feature holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum FeatureKind {
    /// A tensor.
    MultiArray {
        /// Element type.
        data_type: DataType,
        /// Shape, in elements.
        shape: Shape,
    },
    /// A picture.
    Image {
        /// Size in pixels; the first is the default.
        size: ImageSize,
        /// Pixel layout.
        color_space: ColorSpace,
    },
    /// The predicted class of a classifier, as text.
    StringLabel,
    /// The predicted class of a classifier, as a number.
    Int64Label,
    /// One probability per class of a classifier.
    Probabilities,
}

/// Shape of a multi-array, in elements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The shape when fixed, and the default shape when flexible; for a flexible output, whose
    /// shape Core ML does not record, the dimensions that are known, and 0 where they are not.
    pub default: Vec<usize>,
    /// How the shape may differ from the default.
    pub flexibility: Flexibility,
}

impl Shape {
    /// Returns a shape that never varies.
    pub fn fixed(dims: impl Into<Vec<usize>>) -> Self {
        Self { default: dims.into(), flexibility: Flexibility::Fixed }
    }
}

/// How a shape may differ from its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flexibility {
    /// Not at all.
    Fixed,
    /// Each dimension within its own range (`RangeDim`), one range per dimension.
    Ranges(Vec<SizeRange>),
    /// One of these whole shapes (`EnumeratedShapes`), the default first.
    Enumerated(Vec<Vec<usize>>),
}

/// Inclusive bounds of a dimension, in elements or pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeRange {
    /// Smallest size.
    pub min: usize,
    /// Largest size; `None` when unbounded.
    pub max: Option<usize>,
}

/// Size of an image feature, in pixels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSize {
    /// Default width.
    pub width: usize,
    /// Default height.
    pub height: usize,
    /// Ranges of width and height when the size is ranged.
    pub ranges: Option<(SizeRange, SizeRange)>,
    /// All sizes as (width, height) when they are enumerated; otherwise empty.
    pub enumerated: Vec<(usize, usize)>,
}

/// Pixel layout of an image feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColorSpace {
    /// One byte per pixel.
    Grayscale,
    /// Three channels, red first.
    Rgb,
    /// Three channels, blue first.
    Bgr,
    /// One half-precision float per pixel (iOS 16).
    GrayscaleFloat16,
}

/// The classifier at the end of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classifier {
    /// Name of the output that holds the predicted label.
    pub label: String,
    /// Name of the output that holds the probabilities.
    pub probabilities: String,
    /// The classes, in the order of the network's output.
    pub labels: Labels,
}

/// Class labels of a classifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Labels {
    /// Text labels.
    Strings(Vec<String>),
    /// Number labels.
    Int64s(Vec<i64>),
}

impl Labels {
    /// Returns the number of classes.
    pub fn len(&self) -> usize {
        match self {
            Self::Strings(labels) => labels.len(),
            Self::Int64s(labels) => labels.len(),
        }
    }

    /// Returns whether there is no class at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
