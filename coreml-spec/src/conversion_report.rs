//! What a conversion has left to be read beside its package: `report.json`.
//!
//! Owns: the names of what the driver writes there, where they are read. Must not: decide
//! anything about the model: a report may differ between two conversions that give the same
//! package.
//! Flow: written by `coreml_driver/report.py` → `coreml-build` lays it beside the package →
//! [`ConversionReport::read`].

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a conversion has left to be read; empty where an older driver, or none, has said nothing.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct ConversionReport {
    /// How the graph was captured: method, reason, largest difference, notes; of several functions
    /// one for each.
    pub capture: Value,
    /// What was rewritten before, by name.
    pub rewrites: BTreeMap<String, Value>,
    /// How many weights have each compressed form, by MIL's name of it.
    pub compressed_weights: BTreeMap<String, u64>,
    /// How long each stage took, in seconds.
    pub seconds: BTreeMap<String, f64>,
    /// What the conversion warned of.
    pub warnings: Vec<String>,
    /// What converted it, by package.
    pub versions: BTreeMap<String, String>,
    /// Where operations come from, by function and by name of the operation's first output.
    pub origins: Origins,
    /// What operations give for the predictions of one sample, by function.
    pub checkpoints: BTreeMap<String, Vec<Checkpoint>>,
}

/// A few numbers of a prediction: of a tensor with `count` elements at most 32, which are those at
/// `i * count / 32`. They are texts with blanks between.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Checkpoint {
    /// What was fed, by input.
    pub inputs: BTreeMap<String, String>,
    /// What the operations of the program gave, by name of the value.
    pub values: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Returns the numbers of an input or of a value.
    ///
    /// Returns: `None` for a text that is not made of numbers.
    pub fn numbers(text: &str) -> Option<Vec<f64>> {
        text.split_whitespace().map(|number| number.parse().ok()).collect()
    }
}

/// Where operations come from, by function and by name of the operation's first output.
pub type Origins = BTreeMap<String, BTreeMap<String, Origin>>;

/// Where an operation comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Path of the PyTorch module, `encoder.layers.0.linear1`; empty for the outermost one.
    pub module: String,
    /// The Python file, relative to the package with the manifest, or absolute; `None` where no
    /// line of the user's is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

impl ConversionReport {
    /// Reads the report.
    ///
    /// Errors: it is no JSON of this layout.
    pub fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }
}

impl Origin {
    /// Returns file and line, `python/net.py:12`, when both are known.
    pub fn place(&self) -> Option<String> {
        Some(format!("{}:{}", self.file.as_ref()?, self.line?))
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.module.as_str(), self.place()) {
            ("", Some(place)) => f.write_str(&place),
            (module, Some(place)) => write!(f, "{module} ({place})"),
            (module, None) => f.write_str(module),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_report_lacks_is_empty() {
        let report =
            ConversionReport::read(br#"{"source": "a.mlpackage", "warnings": ["w"]}"#).unwrap();
        assert_eq!(
            report,
            ConversionReport { warnings: vec!["w".to_owned()], ..ConversionReport::default() }
        );
        assert!(ConversionReport::read(b"{").is_err());
    }

    #[test]
    fn origins_as_people_read_them() {
        let text = |json: &str| serde_json::from_str::<Origin>(json).unwrap().to_string();
        assert_eq!(text(r#"{"module": "a.0", "file": "net.py", "line": 3}"#), "a.0 (net.py:3)");
        assert_eq!(text(r#"{"module": "", "file": "net.py", "line": 3}"#), "net.py:3");
        assert_eq!(text(r#"{"module": "a.0"}"#), "a.0");
    }
}
