//! The nouns of a Core ML model package, known to every other crate of the workspace.
//!
//! Owns: [`Interface`] (what goes in and out of a model), [`Index`] (what the build tells the macro), [`DataType`],
//! borrowed tensors ([`TensorRef`]), and reading an `.mlpackage` into them.
//! Must not: read the environment, start processes, print, or know objc2, Cargo or Python.
//! Flow: `coreml-build` reads a fresh package into an [`Interface`] and writes an [`Index`]; `coreml-macros` turns the
//! [`Index`] into code; `coreml-rt` and `coreml-portable` open the same package at run time.

mod blob;
mod buckets;
mod constant;
mod conversion_report;
mod data_type;
mod describe;
mod difference;
mod digest;
mod error;
mod identifier;
mod index;
mod interface;
mod manifest;
mod notation;
mod package;
pub mod proto;
mod shape;
mod summary;
mod symbols;
mod tensor;
mod weight;

pub use blob::WeightFile;
pub use buckets::{Buckets, Mask, Padded, Trimmed};
pub use constant::Constant;
pub use conversion_report::{ConversionReport, Origin, Origins};
pub use data_type::DataType;
pub use difference::{Change, Difference, difference, interface_difference};
pub use digest::{COMPILED_EXTENSION, digest_of_files, digest_of_folder};
pub use error::Error;
pub use identifier::{rust_identifier, rust_identifiers, rust_type_name, rust_type_names};
pub use index::{
    ABSENT_ENDING, BuildError, ComputeUnits, EmbeddedFile, INDEX_FILE, INDEX_VERSION, Index, IndexedModel, Models,
    Outcome, Tolerance, index_folder,
};
pub use interface::{
    Classifier, ColorSpace, Feature, FeatureKind, Flexibility, Function, ImageSize, Interface, Labels, Shape, SizeRange,
};
pub use package::Package;
pub use summary::{FunctionSummary, Summary, Weights, deployment_target};
pub use symbols::{Dimension, Symbol};
pub use tensor::{Element, Elements, ElementsMut, TensorRef};
pub use weight::Weight;
