//! The nouns of a Core ML model package, known to every other crate of the workspace.
//!
//! Owns: [`Interface`] (what goes in and out of a model), [`Index`] (what the build tells the
//! macro), [`DataType`], borrowed tensors ([`TensorRef`]), and reading an `.mlpackage` into them.
//! Must not: read the environment, start processes, print, or know objc2, Cargo or Python.
//! Flow: `coreml-build` reads a fresh package into an [`Interface`] and writes an [`Index`];
//! `coreml-macros` turns the [`Index`] into code; `coreml-rt` and `coreml-portable` open the same
//! package at run time.

#[cfg(feature = "package")]
mod blob;
mod buckets;
mod built;
#[cfg(feature = "package")]
mod constant;
mod conversion_report;
mod data_type;
#[cfg(feature = "package")]
mod describe;
#[cfg(feature = "package")]
mod difference;
#[cfg(feature = "package")]
mod digest;
#[cfg(feature = "package")]
mod error;
mod fitting;
mod function;
mod identifier;
mod index;
mod interface;
#[cfg(feature = "package")]
mod intermediate;
#[cfg(feature = "package")]
mod manifest;
mod notation;
#[cfg(feature = "package")]
mod package;
#[cfg(feature = "package")]
pub mod proto;
#[cfg(feature = "package")]
mod shape;
#[cfg(feature = "package")]
mod summary;
mod symbols;
#[cfg(feature = "package")]
mod tensor;
#[cfg(feature = "package")]
mod weight;

#[cfg(feature = "package")]
pub use blob::WeightFile;
pub use buckets::{Buckets, Mask, Padded, Trimmed};
pub use built::{BUILT_PREFIX, built_manifest, built_value, built_variable};
#[cfg(feature = "package")]
pub use constant::Constant;
pub use conversion_report::{Checkpoint, ConversionReport, Origin, Origins};
pub use data_type::DataType;
#[cfg(feature = "package")]
pub use difference::{Change, Difference, difference, interface_difference};
#[cfg(feature = "package")]
pub use digest::{COMPILED_EXTENSION, digest_of_files, digest_of_folder};
#[cfg(feature = "package")]
pub use error::Error;
pub use fitting::{Fitting, InputFitting, Kept, Resize};
pub use function::{
    Classifier, ColorSpace, Feature, FeatureKind, Flexibility, Function, ImageSize, Labels, Shape,
    SizeRange,
};
pub use identifier::{rust_identifier, rust_identifiers, rust_type_name, rust_type_names};
pub use index::{
    ABSENT_ENDING, Bound, BuildError, ComputeUnits, EmbeddedFile, INDEX_FILE, INDEX_VERSION, Index,
    IndexedFile, IndexedModel, Metric, Models, Outcome, Tolerance, files_folder, index_folder,
};
pub use interface::Interface;
#[cfg(feature = "package")]
pub use intermediate::IntermediateValue;
#[cfg(feature = "package")]
pub use package::Package;
#[cfg(feature = "package")]
pub use summary::{FunctionSummary, Summary, Weights, deployment_target};
pub use symbols::{Dimension, Symbol};
#[cfg(feature = "package")]
pub use tensor::{Element, Elements, ElementsMut, TensorRef};
#[cfg(feature = "package")]
pub use weight::Weight;
