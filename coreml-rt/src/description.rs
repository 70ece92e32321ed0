//! What generated code knows about its model.
//!
//! Owns: [`Description`], a constant in every generated module.
//! Flow: `coreml-macros` writes it; `search.rs`, `opened.rs` and `model.rs` read it.

use coreml_spec::ComputeUnits;

/// The files of an embedded package: path inside the package, and bytes.
pub type EmbeddedFiles = Vec<(&'static str, &'static [u8])>;

/// A model as the build left it.
#[derive(Debug)]
pub struct Description {
    /// The manifest's name for the model.
    pub name: &'static str,
    /// The manifest, as the attribute names it.
    pub manifest: &'static str,
    /// The JSON form of the [`coreml_spec::Interface`] that the types were generated from.
    pub interface: &'static str,
    /// The function that runs; `None` for the package's default one.
    pub function: Option<&'static str>,
    /// Folder name of the package: `encoder.mlpackage`.
    pub package: &'static str,
    /// The package in `OUT_DIR`, absolute; on another machine it does not exist.
    pub built: &'static str,
    /// What a compiled model of the same content is called, without its ending; `None` where the
    /// build did not say.
    pub content_digest: Option<&'static str>,
    /// The manifest's `compute-units`.
    pub compute_units: ComputeUnits,
    /// Returns the files of the package, when it is embedded.
    pub embedded: Option<fn() -> EmbeddedFiles>,
}
