//! The rules: identifier, severity, what is wrong, what to do, and how well that is known.
//!
//! Owns: the only list of rules, and their advice by kind of model. Must not: detect; `checks/`
//! does, one function per family.
//! Flow: a check names a rule by its constant; `cargo coreml lint --rules` shows the list.

use crate::kind::Kind;
use serde::Serialize;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Likely slower, or off the Neural Engine.
    Warn,
    /// Keeps the operation or the whole model off the Neural Engine, as far as is known.
    Error,
}

impl Severity {
    /// Returns the word for it: `warn`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// How well a rule is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Grade {
    /// Apple's text or code, or a literal error of the Neural Engine's compiler.
    A,
    /// Measurements on devices, or several projects.
    B,
    /// One source, or an old one.
    C,
    /// Apple's text for one part, measurements for another.
    AB,
    /// Apple's text for one part, a single source for another.
    AC,
    /// Measurements for one part, a single source for another.
    BC,
    /// Apple's text, which measurements contradict at 2 million elements and more.
    AContradicted,
}

impl Grade {
    /// Returns it in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::A => "A: Apple's text or code",
            Self::B => "B: measured on devices",
            Self::C => "C: a single source",
            Self::AB => "A/B: Apple's text, and measured on devices",
            Self::AC => "A/C: Apple's text, and a single source",
            Self::BC => "B/C: measured on some devices, or a single source",
            Self::AContradicted => {
                "A: Apple's text; measurements contradict it from 2 million elements on"
            }
        }
    }
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Identifier: `ANE030`.
    pub id: &'static str,
    /// How much a finding matters at most.
    pub severity: Severity,
    /// What is found, as a headline.
    pub title: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// How well the rule is known.
    pub grade: Grade,
    /// Whether an operation with such a finding no longer counts as eligible for the Neural Engine.
    pub ineligible: bool,
}

/// Returns the rule with this identifier.
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.id == id)
}

/// Advice for one kind of model, where the rule's own does not fit it.
const FITTING: &[(&Rule, Kind, &str)] = &[
    (ANE001, Kind::Convolutional, "give pictures one size, and resize them in the program"),
    (
        ANE002,
        Kind::Convolutional,
        "the small maps at the end of a convolutional network are usual; if one side of a map is \
         longer, put it last",
    ),
    (ANE003, Kind::Convolutional, "fold one axis into the channels"),
    (
        ANE021,
        Kind::Convolutional,
        "end the model before it, and choose among the results in the program",
    ),
    (
        ANE030,
        Kind::Transformer,
        "rewrite = [\"ane\"] does it for nn.TransformerEncoderLayer; in another block of \
         (B, C, 1, S) tensors, make it a convolution with a 1 x 1 kernel",
    ),
    (ANE030, Kind::Convolutional, "make it a convolution with a 1 x 1 kernel"),
    (
        ANE031,
        Kind::Transformer,
        "rewrite = [\"ane\"] does it for nn.TransformerEncoderLayer; elsewhere compute attention \
         per head, with channels on the second axis",
    ),
];

/// Returns what to do about a rule in this kind of model.
pub(crate) fn advice(rule: &Rule, kind: Kind) -> &'static str {
    let fitting = FITTING.iter().find(|(other, of, _)| other.id == rule.id && *of == kind);
    fitting.map_or(rule.advice, |(_, _, advice)| advice)
}

/// Declares the rules and their list.
macro_rules! rules {
    ($(
        $name:ident $severity:ident $grade:ident $ineligible:literal
        $title:literal $advice:literal
    )*) => {
        $(
            #[doc = $title]
            pub(crate) const $name: &Rule = &Rule {
                id: stringify!($name),
                severity: Severity::$severity,
                title: $title,
                advice: $advice,
                grade: Grade::$grade,
                ineligible: $ineligible,
            };
        )*
        /// Every rule, by identifier.
        pub const RULES: &[&Rule] = &[$($name),*];
    };
}

rules! {
    ANE001 Error AB false "an input or output has no fixed shape"
        "convert one model per fixed size (buckets), and pad to the next"
    ANE002 Warn A false "padding makes a tensor at least twice as large"
        "put the long axis last, at least 32 elements at half precision, never a single one"
    ANE003 Info A false "a tensor has five dimensions or more"
        "split it into tensors of four dimensions"
    ANE004 Warn A true "single precision"
        "convert with compute-precision = \"float16\" and half-precision inputs and outputs"
    ANE005 Error A true "a dimension is too large for the Neural Engine"
        "split it; cut a waveform into frames on the CPU"
    ANE006 Info B true "a result of integers or truth values"
        "compute it in the program around the model"
    ANE010 Error BC false "the last axis of a state is no multiple of 32"
        "pad the state's last axis to a multiple of 32"
    ANE011 Info B false "states together with the compute units CPU_AND_NE"
        "try the variant without states: caches as inputs and outputs"
    ANE020 Error BC true "loops, conditions, recurrent layers and custom operations do not run on \
        the Neural Engine"
        "make it a model of its own for the CPU, or unroll it"
    ANE021 Warn BC true "an operation that usually runs on the CPU"
        "compute it in the program around the model; a scatter can be a multiplication with a \
        one-hot mask and an addition"
    ANE022 Info A true "a look-up by index"
        "keep embeddings at the edge of the model"
    ANE030 Info A false "a matrix product on a tensor of three dimensions or more"
        "inside a block of (B, C, 1, S) tensors, make it a convolution with a 1 x 1 kernel"
    ANE031 Info A false "one softmax over all heads, along the last axis"
        "compute attention per head, with channels on the second axis"
    ANE032 Warn AContradicted false "attention as one operation"
        "write it out as products and a softmax: einsum bchq,bkhc->bkhq"
    ANE040 Error C true "a convolution whose weight is computed"
        "make the weight a constant, or write a multiplication and a reduce_sum"
    ANE041 Warn A false "a convolution with a kernel longer than 13"
        "chain two shorter ones, with k = k1 + k2 - 1"
    ANE042 Warn A false "a stride with a prime factor other than 2 and 3"
        "use a stride of 2, 3, 4, 6, 8, 9 or 12"
    ANE043 Info A false "a dilation with a prime factor other than 2 and 3"
        "chain convolutions whose dilations are made of 2 and 3"
    ANE044 Warn AC false "a pooling with a stride other than 1, 2 and 4, or a kernel longer than 13"
        "pool in stages with strides of 2 and 4"
    ANE050 Warn A false "a constant that is infinite or beyond 65000"
        "use -1e4 to -4e4 in masks"
    ANE051 Warn B false "sin, cos or exp of a large tensor"
        "compute it beforehand, or on the CPU in single precision"
    ANE060 Warn AB false "operations that are not eligible stand between eligible ones"
        "move them to the beginning or the end of the model"
    ANE070 Info B false "a small model"
        "Core ML probably takes the CPU; that is no fault"
    ANE071 Info C false "a very large model of eligible operations"
        "test it on a device: it may load and then be killed"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_unique_and_in_order() {
        assert!(RULES.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert_eq!(rule("ANE030").map(|rule| rule.severity), Some(Severity::Info));
        assert_eq!(rule("ANE999"), None);
    }
}
