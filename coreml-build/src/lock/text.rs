//! The text of a lock: TOML in a fixed order, a line to each thing that can change.
//!
//! Owns: the format, in both directions. What is written is read back to the same [`Lock`].
//! Flow: [`Lock::text`] for `command/lock.rs`, [`Lock::parse`] for `lock.rs`.

use super::{Lock, LockedModel, LockedPackages};
use coreml_spec::{Buckets, Classifier, Feature, FeatureKind, Function, Interface, Labels, Symbol};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What stands above everything.
const HEADER: &str = "# What `cargo build` must find or make. Written by `cargo coreml lock`; \
    commit it, and do not edit it.\n";

/// Version of the format.
const VERSION: i64 = 1;

/// Why a text is no lock.
#[derive(Debug)]
pub(crate) enum ParseError {
    /// It is not TOML, or not of this form.
    Toml(toml::de::Error),
    /// It has another version.
    Version(i64),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Toml(error) => error.fmt(f),
            Self::Version(version) => {
                write!(f, "it has version {version}, and this coreml-build reads version {VERSION}")
            }
        }
    }
}

impl std::error::Error for ParseError {}

/// The file as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    /// Always [`VERSION`].
    version: i64,
    /// Python packages.
    python: PackagesTable,
    /// Models by name.
    #[serde(default)]
    models: BTreeMap<String, ModelTable>,
}

/// `[python]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PackagesTable {
    /// What was asked for.
    requirements: Vec<String>,
    /// What that came to.
    #[serde(default)]
    packages: Vec<String>,
    /// Digest of coreml-build's own lock.
    #[serde(default)]
    lock: Option<String>,
}

/// `[models.NAME]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ModelTable {
    /// Fingerprint.
    fingerprint: String,
    /// Content digest.
    digest: String,
    /// Files.
    inputs: Vec<String>,
    /// Specification version.
    specification_version: i32,
    /// The default function.
    default_function: String,
    /// How the functions are one model at several sizes.
    #[serde(default)]
    buckets: Option<Buckets>,
    /// Files that belong to it.
    #[serde(default)]
    files: Vec<FileRow>,
    /// Functions in the package's order.
    functions: Vec<FunctionTable>,
}

/// One file of a model, on one line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRow {
    /// Its path in the manifest.
    path: String,
    /// Its digest.
    sha256: String,
}

/// `[[models.NAME.functions]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FunctionTable {
    /// Name.
    name: String,
    /// Inputs.
    inputs: Vec<Row>,
    /// Outputs.
    outputs: Vec<Row>,
    /// States.
    #[serde(default)]
    states: Vec<Row>,
    /// Dimensions of one size.
    #[serde(default)]
    symbols: Vec<Symbol>,
    /// Classifier.
    #[serde(default)]
    classifier: Option<ClassifierTable>,
}

/// `[models.NAME.functions.classifier]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ClassifierTable {
    /// Name of the output with the label.
    label: String,
    /// Name of the output with the probabilities.
    probabilities: String,
    /// Text labels, on a line each.
    #[serde(default)]
    strings: Vec<String>,
    /// Number labels, on a line each.
    #[serde(default)]
    integers: Vec<i64>,
}

/// One feature, on one line.
#[derive(Serialize, Deserialize)]
struct Row {
    /// Name.
    name: String,
    /// What it holds.
    #[serde(flatten)]
    kind: FeatureKind,
    /// Value when the caller gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<f64>,
    /// The author's text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
}

impl Lock {
    /// Reads the text of a lock.
    ///
    /// Errors: what is wrong, with its line.
    pub(crate) fn parse(text: &str) -> Result<Self, ParseError> {
        let file: File = toml::from_str(text).map_err(ParseError::Toml)?;
        if file.version != VERSION {
            return Err(ParseError::Version(file.version));
        }
        let models = file.models.into_iter().map(|(name, model)| (name, model.into()));
        let PackagesTable { requirements, packages, lock } = file.python;
        Ok(Self {
            python: LockedPackages { requirements, packages, lock },
            models: models.collect(),
        })
    }

    /// Returns the text.
    ///
    /// Errors: something has no form in TOML, which the types rule out.
    pub(crate) fn text(&self) -> Result<String, toml::ser::Error> {
        let mut text = format!("{HEADER}version = {VERSION}\n\n[python]\n");
        list(&mut text, "requirements", &self.python.requirements)?;
        if !self.python.packages.is_empty() {
            list(&mut text, "packages", &self.python.packages)?;
        }
        if let Some(lock) = &self.python.lock {
            pair(&mut text, "lock", lock)?;
        }
        for (name, model) in &self.models {
            let name = key(name)?;
            text.push_str(&format!("\n[models.{name}]\n"));
            pair(&mut text, "fingerprint", &model.fingerprint)?;
            pair(&mut text, "digest", &model.digest)?;
            list(&mut text, "inputs", &model.inputs)?;
            pair(&mut text, "specification-version", &model.interface.specification_version)?;
            pair(&mut text, "default-function", &model.interface.default_function)?;
            if let Some(buckets) = &model.interface.buckets {
                pair(&mut text, "buckets", buckets)?;
            }
            if !model.files.is_empty() {
                let row = |(path, sha256): (&String, &String)| FileRow {
                    path: path.clone(),
                    sha256: sha256.clone(),
                };
                list(&mut text, "files", &model.files.iter().map(row).collect::<Vec<_>>())?;
            }
            for function in &model.interface.functions {
                text.push_str(&format!("\n[[models.{name}.functions]]\n"));
                pair(&mut text, "name", &function.name)?;
                list(&mut text, "inputs", &rows(&function.inputs))?;
                list(&mut text, "outputs", &rows(&function.outputs))?;
                if !function.states.is_empty() {
                    list(&mut text, "states", &rows(&function.states))?;
                }
                if !function.symbols.is_empty() {
                    list(&mut text, "symbols", &function.symbols)?;
                }
                if let Some(classifier) = &function.classifier {
                    text.push_str(&format!("\n[models.{name}.functions.classifier]\n"));
                    pair(&mut text, "label", &classifier.label)?;
                    pair(&mut text, "probabilities", &classifier.probabilities)?;
                    match &classifier.labels {
                        Labels::Strings(labels) => list(&mut text, "strings", labels)?,
                        Labels::Int64s(labels) => list(&mut text, "integers", labels)?,
                    }
                }
            }
        }
        Ok(text)
    }
}

/// Writes `key = value` on one line.
fn pair(text: &mut String, key: &str, value: &impl Serialize) -> Result<(), toml::ser::Error> {
    text.push_str(&format!("{key} = {}\n", inline(value)?));
    Ok(())
}

/// Writes an array with each element on a line of its own.
fn list(text: &mut String, key: &str, values: &[impl Serialize]) -> Result<(), toml::ser::Error> {
    if values.is_empty() {
        text.push_str(&format!("{key} = []\n"));
        return Ok(());
    }
    text.push_str(&format!("{key} = [\n"));
    for value in values {
        text.push_str(&format!("    {},\n", inline(value)?));
    }
    text.push_str("]\n");
    Ok(())
}

/// Returns a value in TOML on one line.
fn inline(value: &impl Serialize) -> Result<String, toml::ser::Error> {
    let mut text = String::new();
    value.serialize(toml::ser::ValueSerializer::new(&mut text))?;
    Ok(text)
}

/// Returns a name as a key: bare where TOML lets it be.
fn key(name: &str) -> Result<String, toml::ser::Error> {
    let bare = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if bare { Ok(name.to_owned()) } else { inline(&name) }
}

/// Returns features as rows.
fn rows(features: &[Feature]) -> Vec<Row> {
    let row = |Feature { name, description, kind, default }: &Feature| Row {
        name: name.clone(),
        kind: kind.clone(),
        default: *default,
        description: description.clone(),
    };
    features.iter().map(row).collect()
}

/// Returns rows as features.
fn features(rows: Vec<Row>) -> Vec<Feature> {
    let feature =
        |Row { name, kind, default, description }| Feature { name, description, kind, default };
    rows.into_iter().map(feature).collect()
}

impl From<ClassifierTable> for Classifier {
    fn from(ClassifierTable { label, probabilities, strings, integers }: ClassifierTable) -> Self {
        let labels =
            if integers.is_empty() { Labels::Strings(strings) } else { Labels::Int64s(integers) };
        Self { label, probabilities, labels }
    }
}

impl From<ModelTable> for LockedModel {
    fn from(model: ModelTable) -> Self {
        let function =
            |FunctionTable { name, inputs, outputs, states, symbols, classifier }| Function {
                name,
                inputs: features(inputs),
                outputs: features(outputs),
                states: features(states),
                // Whether Core ML keeps the states is not part of the types.
                state_outputs: Vec::new(),
                symbols,
                classifier: classifier.map(Classifier::from),
            };
        Self {
            fingerprint: model.fingerprint,
            digest: model.digest,
            inputs: model.inputs,
            interface: Interface {
                specification_version: model.specification_version,
                default_function: model.default_function,
                functions: model.functions.into_iter().map(function).collect(),
                buckets: model.buckets,
            },
            files: model.files.into_iter().map(|file| (file.path, file.sha256)).collect(),
        }
    }
}
