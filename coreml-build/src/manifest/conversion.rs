//! The canonical table of a model: all that decides what its conversion gives, and nothing else.
//!
//! Owns: the JSON form that is hashed into the fingerprint and sent to the driver. Fields stand in
//! one fixed order; functions, inputs and outputs keep the manifest's, which is the order of the
//! model's own.
//! Must not: hold what only concerns the Rust side (`embed`, `compute-units`, tolerances): changing
//! those converts nothing.
//! Flow: the rows of `keys.rs` read into it; `fingerprint.rs` hashes it, `driver.rs` sends it.

use super::buckets::Buckets;
use super::classifier::Classifier;
use super::compression::Compression;
use super::function::Functions;
use super::metadata::Metadata;
use super::parity::Samples;
use super::precision::Precision;
use super::target::DeploymentTarget;
use serde::Serialize;

/// The canonical table of a model. Its JSON keys are the manifest's. What is read into it first are
/// the defaults of the keys, in `keys.rs`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
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
    /// What is written: `mlprogram`.
    pub(crate) format: &'static str,
    /// Its one function, or several.
    #[serde(flatten)]
    pub(crate) functions: Functions,
    /// What the package says about itself.
    pub(crate) metadata: Metadata,
    /// Oldest system that must run the model.
    pub(crate) minimum_deployment_target: DeploymentTarget,
    /// Python file with operations and fixes of the user's own, relative to the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ops: Option<String>,
    /// What is kept to compare with.
    pub(crate) parity: Samples,
    /// How the weights are made smaller.
    #[serde(flatten)]
    pub(crate) compression: Compression,
    /// Which rewrites of the module were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) rewrite: Vec<&'static str>,
}
