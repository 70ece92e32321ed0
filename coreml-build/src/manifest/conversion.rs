//! The canonical table of a model: all that decides what its conversion gives, and nothing else.
//!
//! Owns: the JSON form that is hashed into the fingerprint and sent to the driver. Fields stand in
//! one fixed order; functions, inputs and outputs keep the manifest's, which is the order of the
//! model's own.
//! Must not: hold what only concerns the Rust side (`embed`, `compute-units`, tolerances): changing
//! those converts nothing.
//! Flow: made by `model.rs`; `fingerprint.rs` hashes it, `driver.rs` sends it.

use super::buckets::Buckets;
use super::compression::{Palettize, Prune, Quantize};
use super::image::{Image, OutputImage};
use super::shape::Dimension;
use super::source::Source;
use super::state::{State, StatesMode};
use coreml_spec::DataType;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Number;

/// The canonical table of a model. Its JSON keys are the manifest's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Conversion {
    /// The sizes that the model is made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) buckets: Option<Buckets>,
    /// The classifier at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) classifier: Option<Classifier>,
    /// In which precision the program computes.
    pub(crate) compute_precision: Precision,
    /// What is written.
    pub(crate) format: Format,
    /// Its one function, or several.
    #[serde(flatten)]
    pub(crate) functions: Functions,
    /// What the package says about itself.
    pub(crate) metadata: Metadata,
    /// Oldest system that must run the model, by coremltools' name.
    pub(crate) minimum_deployment_target: String,
    /// Python file with operations and fixes of the user's own, relative to the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ops: Option<String>,
    /// How many samples to keep.
    pub(crate) parity: Parity,
    /// Weights become look-up tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) palettize: Option<Palettize>,
    /// Whether the package is executed and compared with PyTorch before it is published.
    #[serde(skip_serializing_if = "is_default_proof")]
    pub(crate) proof: bool,
    /// Small weights become zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prune: Option<Prune>,
    /// Weights get fewer bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quantize: Option<Quantize>,
    /// Which rewrites of the module were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) rewrite: Vec<Rewrite>,
}

/// Returns whether `proof` is what it is without the key.
fn is_default_proof(proof: &bool) -> bool {
    *proof
}

/// The functions of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Functions {
    /// One, whose keys are the model's.
    One(Function),
    /// Several in one package.
    Several(Several),
}

impl Functions {
    /// Returns all functions with their names; the only one of a model has none.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<&str>, &Function)> {
        let (one, several) = match self {
            Self::One(function) => (Some(function), None),
            Self::Several(several) => (None, Some(several)),
        };
        let named = several.into_iter().flat_map(|several| &several.functions.0);
        one.into_iter()
            .map(|function| (None, function))
            .chain(named.map(|(name, one)| (Some(name.as_str()), one)))
    }

    /// Returns the folder of a ready package.
    pub(crate) fn package(&self) -> Option<&str> {
        self.iter().find_map(|(_, function)| function.source.package())
    }

    /// Returns where they come from, for documentation.
    pub(crate) fn sources(&self) -> String {
        let mut sources: Vec<_> =
            self.iter().map(|(_, function)| function.source.to_string()).collect();
        sources.dedup();
        sources.join(", ")
    }
}

/// Several functions in one package, which share their weights.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Several {
    /// The one that runs unless the program chooses.
    pub(crate) default_function: String,
    /// The functions, in the manifest's order.
    pub(crate) functions: Named<Function>,
}

/// One function.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Function {
    /// How the graph is captured.
    pub(crate) capture: Capture,
    /// Inputs, in the order of the module's arguments.
    pub(crate) inputs: Named<Input>,
    /// Outputs, in the order of the module's results; empty when the manifest names none.
    pub(crate) outputs: Named<Output>,
    /// Where it comes from.
    pub(crate) source: Source,
    /// What is kept between predictions.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub(crate) states: Named<State>,
    /// Who keeps them.
    #[serde(rename = "states-mode", skip_serializing_if = "StatesMode::is_default")]
    pub(crate) states_mode: StatesMode,
    /// State dict to load into the module, relative to the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) weights: Option<String>,
}

/// Named things whose order matters; an object in JSON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named<T>(pub(crate) Vec<(String, T)>);

impl<T> Named<T> {
    /// Returns whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// How the graph is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Capture {
    /// `torch.jit.trace`, and `torch.export` when that fails.
    Auto,
    /// `torch.jit.trace` only.
    Trace,
    /// `torch.export` only.
    Export,
}

/// A rewrite of the module before its graph is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Rewrite {
    /// Known modules become blocks as the Neural Engine likes them.
    Ane,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// An ML Program in a model package.
    MlProgram,
}

/// In which precision the program computes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Precision {
    /// Half precision.
    Float16,
    /// Single precision.
    Float32,
    /// Half precision, except for some operations.
    #[serde(untagged)]
    Mixed(MixedPrecision),
}

/// Which operations stay in single precision.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct MixedPrecision {
    /// MIL operation types.
    pub(crate) float32_ops: Vec<String>,
    /// Names of operations' results.
    pub(crate) float32_outputs: Vec<String>,
}

/// One input.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Input {
    /// Value when the caller gives none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<Number>,
    /// Element type; an image has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dtype: Option<DataType>,
    /// How samples are drawn; the driver's default where the manifest is silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sample: Option<Sample>,
    /// What the caller gives.
    #[serde(flatten)]
    pub(crate) form: Form,
}

/// What the caller of a model gives as an input; the variant's name is the key.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// A picture.
    Image(Image),
    /// A tensor of this shape.
    Shape(Vec<Dimension>),
    /// A tensor of one of these shapes, the first of which is the default (`EnumeratedShapes`).
    Shapes(Vec<Vec<usize>>),
}

/// How sample values of an input are drawn; the variant's name is the key.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sample {
    /// At random between the smallest and the largest value, both included.
    Range([Number; 2]),
    /// This number in the first step of a sample, and one more in each next step.
    Start(Number),
}

/// One output.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Output {
    /// Element type; the module's own where the manifest is silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dtype: Option<DataType>,
    /// Present when the output is a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<OutputImage>,
}

/// What the package says about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Metadata {
    /// Who made the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) author: Option<String>,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// Its licence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) license: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
}

/// The classifier at the end of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Classifier {
    /// The classes, in the order of the network's output; `None`: those of the source's own
    /// configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) labels: Option<Labels>,
    /// Name of the output that holds the label.
    pub(crate) predicted_feature_name: String,
    /// Name of the output that holds the probabilities.
    pub(crate) predicted_probabilities_output: String,
}

/// Class labels as the manifest gives them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Labels {
    /// A text file with one label to a line, relative to the package.
    File(String),
    /// Text labels.
    Strings(Vec<String>),
    /// Number labels.
    Integers(Vec<i64>),
}

/// What to keep for the parity tests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Parity {
    /// Number of samples.
    pub(crate) samples: usize,
    /// Predictions in a row that make a sample of a model with states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) steps: Option<usize>,
}
