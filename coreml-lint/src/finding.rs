//! What a rule found, and where.
//!
//! Flow: made by `checks/`, collected in [`crate::Report`], shown by the command line and
//! `sarif.rs`.

use crate::{Rule, Severity};
use coreml_spec::Origin;
use serde::{Serialize, Serializer};

/// What a rule found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The rule; in JSON its identifier, under `rule`.
    #[serde(serialize_with = "identifier")]
    pub rule: &'static Rule,
    /// How much it matters in this model: the rule's own severity, or less.
    pub severity: Severity,
    /// What to do, for this kind of model.
    #[serde(skip)]
    pub advice: &'static str,
    /// How bad it is, to compare it with other findings of the rule: bytes or elements too many;
    /// 0 where nothing is counted.
    #[serde(skip)]
    pub excess: u64,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What exactly, with numbers; a sentence without a full stop.
    pub detail: String,
}

/// Where something was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The function; empty for the package as a whole.
    pub function: String,
    /// MIL's name of the operation, `conv`; empty for an input, output or state, and for a whole
    /// function.
    pub operation: String,
    /// Name of the operation's first output, or of the input, output or state.
    pub name: String,
    /// Name of the first tensor in a weight file that the operation uses; empty when there is none.
    /// coremltools makes it of the parameter's path in the PyTorch module:
    /// `encoder_layers_0_linear1_weight`.
    pub weight: String,
    /// The module and the line of Python that the operation comes from, where the conversion has
    /// noted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Writes a rule as its identifier.
fn identifier<S: Serializer>(rule: &&'static Rule, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(rule.id)
}
