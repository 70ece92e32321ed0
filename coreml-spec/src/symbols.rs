//! Symbols: dimensions of a function that always have the same size, though each is a range.
//!
//! Owns: [`Symbol`], and its form in the metadata of a package. Must not: compare the sizes of a
//! prediction; `coreml-rt` does.
//! Flow: the driver writes it into the package → `describe/symbols.rs` checks it →
//! [`crate::Function`] → types, runtime, `inspect`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Dimensions of one size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Symbol {
    /// The manifest's name for the size; `None` for that of one input, which outputs follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Dimensions of inputs; never none.
    pub inputs: Vec<Dimension>,
    /// Dimensions of outputs.
    pub outputs: Vec<Dimension>,
}

/// One dimension of a feature.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    /// Name of the feature.
    pub feature: String,
    /// Which of its dimensions, counted from 0; of an image `[1, channels, height, width]`.
    pub axis: usize,
}

impl Symbol {
    /// Begins the key of the package's own metadata under which the symbols of a function stand, as
    /// JSON.
    pub const METADATA_KEY: &str = "coreml-build.symbols.";
}

impl fmt::Display for Dimension {
    /// Writes ``dimension 1 of `ids` ``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dimension {} of `{}`", self.axis, self.feature)
    }
}

impl fmt::Display for Symbol {
    /// Writes
    /// ``T: dimension 1 of `ids`, dimension 1 of `mask`; outputs: dimension 1 of `scores` ``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |dimensions: &[Dimension]| {
            dimensions.iter().map(Dimension::to_string).collect::<Vec<_>>().join(", ")
        };
        if let Some(name) = &self.name {
            write!(f, "{name}: ")?;
        }
        f.write_str(&join(&self.inputs))?;
        if self.outputs.is_empty() {
            Ok(())
        } else {
            write!(f, "; outputs: {}", join(&self.outputs))
        }
    }
}
