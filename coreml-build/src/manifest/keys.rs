//! The keys of a model, and the canonical table that they are read into: all that decides what its
//! conversion gives, and nothing else.
//!
//! Owns: which keys a model has beside those of its functions, and what each may be; the JSON form
//! that is hashed into the fingerprint and sent to the driver. Its fields stand in one fixed order;
//! functions, inputs and outputs keep the manifest's, which is the order of the model's own.
//! Must not: know the keys of a table inside: each has a file of its own. Put what only concerns
//! the Rust side (`embed`, `compute-units`, tolerances) into the table: it converts nothing.
//! Flow: `completion.rs` reads a model's keys and adds what several of them make together;
//! `build/fingerprint.rs` hashes the table, `python/driver.rs` sends it.

use super::buckets::{BUCKETS, BucketKeys, Buckets, buckets};
use super::classifier::{CLASSIFIER, Classifier, classifier};
use super::compression::{Compression, PALETTIZE, PRUNE, QUANTIZE, palettize, prune, quantize};
use super::function::{self, FUNCTIONS, Functions, function_rows};
use super::key::{Key, fill, read_section, rows, set};
use super::kind::{Absent, Goes, Kind, Row, Table, words};
use super::metadata::{METADATA, Metadata, metadata};
use super::parity::{PARITY, Parity, Samples, parity};
use super::precision::{PRECISION, Precision, precision};
use super::section::{Item, Section};
use super::source;
use super::target::{DeploymentTarget, TARGETS};
use coreml_spec::ComputeUnits;
use serde::Serialize;

/// The table of a model.
pub(super) static MODEL: Table =
    Table { name: "model", text: "A model.", rows: model_rows, entries: None };

/// Returns the rows of a model of one function, and of one with several.
pub(super) fn model_rows() -> Vec<Row> {
    function_rows().into_iter().chain(rows(KEYS)).collect()
}

/// Compute units by their words.
const COMPUTE_UNITS: [(&str, ComputeUnits); 4] = [
    ("all", ComputeUnits::All),
    ("cpu-only", ComputeUnits::CpuOnly),
    ("cpu-and-gpu", ComputeUnits::CpuAndGpu),
    ("cpu-and-ne", ComputeUnits::CpuAndNeuralEngine),
];

/// The words of compute units.
const COMPUTE_UNITS_WORDS: &[&str] = &words(&COMPUTE_UNITS);

/// Keys of a model beside those of its functions.
pub(super) static KEYS: &[Key<Keys>] = &[
    Key {
        name: "ops",
        text: "A Python file that registers [operations](#operations-of-your-own) for coremltools.",
        read: |keys, item| fill(&mut keys.conversion.ops, item.text().map(str::to_owned)),
        ..Key::PLAIN
    },
    Key {
        name: "minimum-deployment-target",
        kind: Kind::Word(TARGETS),
        absent: Absent::Is("\"iOS18\""),
        text: "The oldest system that must run the model, by coremltools' names.",
        read: |keys, item| {
            set(&mut keys.conversion.minimum_deployment_target, DeploymentTarget::read(item))
        },
        ..Key::PLAIN
    },
    Key {
        name: "format",
        kind: Kind::Word(&["mlprogram"]),
        absent: Absent::Is("\"mlprogram\""),
        text: "What is written.",
        read: |keys, item| set(&mut keys.conversion.format, item.word()),
        ..Key::PLAIN
    },
    Key {
        name: "compute-precision",
        kind: PRECISION,
        absent: Absent::Is("\"float16\""),
        text: "In which precision the program computes. The [table](#mixed-precision) names what \
            stays in single precision.",
        read: |keys, item| set(&mut keys.conversion.compute_precision, precision(item)),
        ..Key::PLAIN
    },
    Key {
        name: "compute-units",
        kind: Kind::Word(COMPUTE_UNITS_WORDS),
        absent: Absent::Is("\"all\""),
        goes: Goes::Index,
        text: "What Core ML may use unless the program chooses. The portable backend uses the CPU.",
        read: |keys, item| set(&mut keys.settings.compute_units, item.choice(&COMPUTE_UNITS)),
        ..Key::PLAIN
    },
    Key {
        name: "quantize",
        kind: Kind::Table(&QUANTIZE),
        text: "[Smaller weights](#smaller-weights): fewer bits.",
        read: |keys, item| fill(&mut keys.conversion.compression.quantize, quantize(item)),
        ..Key::PLAIN
    },
    Key {
        name: "palettize",
        kind: Kind::Table(&PALETTIZE),
        text: "[Smaller weights](#smaller-weights): look-up tables.",
        read: |keys, item| fill(&mut keys.conversion.compression.palettize, palettize(item)),
        ..Key::PLAIN
    },
    Key {
        name: "prune",
        kind: Kind::Table(&PRUNE),
        text: "[Smaller weights](#smaller-weights): zeros.",
        read: |keys, item| fill(&mut keys.conversion.compression.prune, prune(item)),
        ..Key::PLAIN
    },
    Key {
        name: "rewrite",
        kind: Kind::List(&Kind::Word(&["ane"]), 0, usize::MAX),
        refused: source::GRAPHS,
        text: "[Rewrites](#rewrites) of known modules into what the Neural Engine likes.",
        read: |keys, item| set(&mut keys.conversion.rewrite, rewrite(item)),
        ..Key::PLAIN
    },
    Key {
        name: "classifier",
        kind: Kind::Table(&CLASSIFIER),
        refused: source::PROGRAMS,
        text: "The model is a [classifier](#classifiers).",
        read: |keys, item| fill(&mut keys.conversion.classifier, classifier(item)),
        ..Key::PLAIN
    },
    Key {
        name: "functions",
        kind: Kind::Table(&FUNCTIONS),
        absent: Absent::Means("none: the model is one function"),
        shared: false,
        text: "[Several functions](#several-functions-in-one-package) in one package, by name.",
        // Read with `[defaults]`, when the model's target is known.
        ..Key::PLAIN
    },
    Key {
        name: "default-function",
        absent: Absent::Means("needed with `functions`"),
        shared: false,
        text: "The function that runs where the caller names none.",
        // Read with `functions`.
        ..Key::PLAIN
    },
    Key {
        name: "buckets",
        kind: Kind::Table(&BUCKETS),
        shared: false,
        text: "[Several fixed sizes](#buckets) instead of a range.",
        read: |keys, item| fill(&mut keys.buckets, buckets(item)),
        ..Key::PLAIN
    },
    Key {
        name: "metadata",
        kind: Kind::Table(&METADATA),
        text: "[Texts](#metadata) in the package.",
        read: |keys, item| metadata(item, &mut keys.conversion.metadata),
        ..Key::PLAIN
    },
    Key {
        name: "parity",
        kind: Kind::Table(&PARITY),
        absent: Absent::Is("{}"),
        refused: source::PROGRAMS,
        text: "When the generated test calls a result [equal to PyTorch's](#parity), and what is \
            kept to compare with.",
        read: |keys, item| set(&mut keys.parity, parity(item)),
        ..Key::PLAIN
    },
    Key {
        name: "proof",
        kind: Kind::Boolean,
        absent: Absent::Is("true"),
        refused: source::PROGRAMS,
        text: "Whether the converted program is executed and compared with PyTorch before it is \
            published.",
        read: |keys, item| set(&mut keys.conversion.proof, item.boolean()),
        ..Key::PLAIN
    },
    Key {
        name: "embed",
        kind: Kind::Boolean,
        absent: Absent::Is("false"),
        goes: Goes::Build,
        text: "Whether the package is linked into the program.",
        read: |keys, item| set(&mut keys.settings.embed, item.boolean()),
        ..Key::PLAIN
    },
    Key {
        name: "files",
        kind: Kind::List(&Kind::Text, 0, usize::MAX),
        goes: Goes::Index,
        text: "[Files](#files-of-a-model) that the program needs with the model, such as its \
            tokenizer: watched, locked, embedded and bundled with it.",
        read: |keys, item| set(&mut keys.settings.files, companions(item)),
        ..Key::PLAIN
    },
    Key {
        name: "allow",
        kind: Kind::List(&Kind::Matching("^ANE[0-9]{3}$"), 0, usize::MAX),
        goes: Goes::Index,
        text: "Rules of `cargo coreml lint` whose findings are not wanted for this model.",
        read: |keys, item| set(&mut keys.settings.allow, allow(item)),
        ..Key::PLAIN
    },
];

/// The canonical table of a model. Its JSON keys are the manifest's.
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
    /// Whether the package is executed and compared with PyTorch before it is published.
    #[serde(skip_serializing_if = "is_true")]
    pub(crate) proof: bool,
    /// How the weights are made smaller.
    #[serde(flatten)]
    pub(crate) compression: Compression,
    /// Which rewrites of the module were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) rewrite: Vec<&'static str>,
}

/// What of a model's keys changes no conversion.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Compute units to ask of Core ML.
    pub(crate) compute_units: ComputeUnits,
    /// Whether the package is linked into the program.
    pub(crate) embed: bool,
    /// Files that belong to the model, relative to the package.
    pub(crate) files: Vec<String>,
    /// Rules of `cargo coreml lint` whose findings are not wanted.
    pub(crate) allow: Vec<String>,
}

/// The keys of a model as they were written.
#[derive(Default)]
pub(super) struct Keys {
    /// What goes into the canonical table as it is.
    pub(super) conversion: Conversion,
    /// What changes no conversion.
    pub(super) settings: Settings,
    /// `parity`.
    pub(super) parity: Parity,
    /// `buckets`.
    pub(super) buckets: Option<BucketKeys>,
}

/// Checks `[defaults]`, which no model might take.
pub(super) fn check_defaults(defaults: &Section<'_>) {
    defaults.refuse_others(model_rows().iter().map(|row| row.name));
    for key in KEYS.iter().filter(|key| !key.shared) {
        if let Some(item) = defaults.get(key.name, &key.kind) {
            item.report(format!("`{}` belongs to one model", key.name));
        }
    }
    function::check(defaults);
    read_section(defaults, KEYS.iter().filter(|key| key.shared), &mut Keys::default());
}

/// Reads `rewrite`.
fn rewrite(item: &Item<'_>) -> Option<Vec<&'static str>> {
    let mut words: Vec<_> = item.array()?.iter().map(Item::word).collect::<Option<_>>()?;
    words.dedup();
    Some(words)
}

/// Reads `allow`. Which rules there are, only `cargo coreml lint` knows.
fn allow(item: &Item<'_>) -> Option<Vec<String>> {
    let rule = |item: &Item<'_>| -> Option<String> {
        let text = item.text()?;
        let digits = text.strip_prefix("ANE");
        if digits.is_none_or(|digits| {
            digits.len() != 3 || digits.bytes().any(|byte| !byte.is_ascii_digit())
        }) {
            item.report(format!(
                "`{text}` is no rule: `cargo coreml lint --rules` lists them, such as \"ANE030\""
            ));
            return None;
        }
        Some(text.to_owned())
    };
    let mut rules: Vec<_> = item.array()?.iter().map(rule).collect::<Option<_>>()?;
    rules.sort_unstable();
    rules.dedup();
    Some(rules)
}

/// Reads `files`. They lie in one folder at run time, so that each has a name of its own.
fn companions(item: &Item<'_>) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    let mut file = |item: &Item<'_>| -> Option<String> {
        let text = item.text()?;
        let name = file_name(text).to_lowercase();
        if name.is_empty() || name == "." || name == ".." {
            item.report(format!("`{text}` names a folder: `files` has files alone"));
            return None;
        }
        if names.contains(&name) {
            item.report(format!(
                "two of `files` are called `{}`, and they lie in one folder when the program runs: \
                rename one of them",
                file_name(text)
            ));
            return None;
        }
        names.push(name);
        Some(text.to_owned())
    };
    item.array()?.iter().map(&mut file).collect()
}

/// Returns the last part of a path of the manifest; nothing for one that ends in a slash.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Returns whether a key has the value `true`, which the table leaves out.
fn is_true(value: &bool) -> bool {
    *value
}
