//! The keys of a model.
//!
//! Owns: which keys a model has beside those of its functions, what each may be, and what becomes
//! of them together.
//! Must not: know the keys of a table inside: each has a file of its own.
//! Flow: `manifest.rs` gives it the table of each model → a [`Model`], or one for each bucket.

use super::agreement;
use super::buckets::{BUCKETS, BucketKeys, buckets};
use super::classifier::{CLASSIFIER, classifier};
use super::compression::{PALETTIZE, PRUNE, QUANTIZE, palettize, prune, quantize};
use super::conversion::Conversion;
use super::function::{self, FUNCTIONS, Function, Functions, function, function_rows, functions};
use super::key::{Key, fill, read_section, rows, set};
use super::kind::{Absent, Goes, Kind, Row, Table, words};
use super::layers::Layers;
use super::metadata::{METADATA, metadata};
use super::model::{Model, Settings};
use super::parity::{PARITY, Parity, parity};
use super::precision::{PRECISION, Precision, precision};
use super::section::{Item, Reader, Section};
use super::source;
use super::target::{DeploymentTarget, TARGETS};
use crate::error::{Error, ErrorKind, Place};
use crate::python::Requirements;
use coreml_spec::{ComputeUnits, Tolerance};
use std::collections::BTreeMap;

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
static KEYS: &[Key<Keys>] = &[
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
        name: "embed",
        kind: Kind::Boolean,
        absent: Absent::Is("false"),
        goes: Goes::Build,
        text: "Whether the package is linked into the program.",
        read: |keys, item| set(&mut keys.settings.embed, item.boolean()),
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

/// The keys of a model as they were written.
#[derive(Default)]
struct Keys {
    /// What goes into the canonical table as it is.
    conversion: Conversion,
    /// What changes no conversion.
    settings: Settings,
    /// `parity`.
    parity: Parity,
    /// `buckets`.
    buckets: Option<BucketKeys>,
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

/// A model's table, to be read.
pub(super) struct Asked<'r, 'a> {
    /// The manifest.
    pub(super) reader: &'r Reader<'a>,
    /// The model's name.
    pub(super) name: &'r str,
    /// Where its table begins.
    pub(super) place: Place,
    /// Its table, and `[defaults]`.
    pub(super) layers: Layers<'r, 'a>,
    /// The Python packages of the manifest, if they are right.
    pub(super) requirements: Option<&'r Requirements>,
}

impl Asked<'_, '_> {
    /// Reads the model, or one for each bucket that is a package of its own.
    ///
    /// Returns: `None` when something needed is missing; it has been reported.
    pub(super) fn read(self) -> Option<Vec<Model>> {
        let Layers { own, defaults } = self.layers;
        own.refuse_others(model_rows().iter().map(|row| row.name));
        let report = |key: &str, message: String| self.report(key, message);
        let several = own.get("functions", &Kind::Table(&FUNCTIONS));
        let source = if several.is_some() { None } else { self.layers.source() };
        let mut keys = Keys::default();
        self.layers.read(KEYS, source.as_ref(), &mut keys, &report);
        let Keys { mut conversion, settings, parity, buckets } = keys;
        let target = conversion.minimum_deployment_target;
        agreement::check_compression(&conversion.compression, target, self.requirements, &report);
        let default_function = own.get("default-function", &Kind::Text);
        conversion.functions = match several {
            None => {
                if let Some(item) = default_function
                    && item.text().is_some()
                {
                    item.report("`default-function` names one of `functions`, and there are none");
                }
                function(self.layers, target, &report).map(Functions::One)
            }
            Some(several) => {
                function::check(own);
                for row in function_rows().iter().filter(|row| own.has(row.name)) {
                    let key = row.name;
                    report(
                        key,
                        format!(
                            "`{key}` belongs to each of `functions`: write it into their tables"
                        ),
                    );
                }
                agreement::check_functions(target, conversion.classifier.is_some(), &report);
                functions(&several, default_function.as_ref(), defaults, target, &report)
            }
        }?;
        let any = |is: fn(&Function) -> bool| conversion.functions.iter().any(|(_, one)| is(one));
        agreement::check_transformers(
            any(|function| function.source.is_transformers()),
            conversion.classifier.as_ref(),
            self.requirements,
            &report,
        );
        let mut in_one_package = true;
        conversion.buckets = match (buckets, &conversion.functions) {
            (None, _) => None,
            (Some(buckets), Functions::One(function)) => {
                let has_classifier = conversion.classifier.is_some();
                let (buckets, shares) =
                    buckets.complete(function, target, has_classifier, &report)?;
                in_one_package = shares;
                Some(buckets)
            }
            (Some(_), Functions::Several(_)) => {
                let message = "`buckets` has no place beside `functions`: nothing says which of \
                    them has the lengths. Make that function a model of its own, \
                    `[models.NAME]`, in the same manifest";
                report("buckets", message.into());
                return None;
            }
        };
        let has_states = any(|function| !function.states.is_empty());
        if parity.has_steps && !has_states {
            report(
                "parity.steps",
                "`steps` counts predictions of a model with `states`, and this has none".into(),
            );
        }
        conversion.parity = parity.samples.of(has_states);
        let half = conversion.compute_precision != Precision::Float32
            || has_states
            || any(Function::has_half_outputs);
        let model = Model {
            name: self.name.to_owned(),
            bucket_of: None,
            conversion,
            settings,
            tolerance: parity.tolerance.unwrap_or_else(|| Tolerance::of_precision(half)),
            metric: parity.metric,
            places: self.places(),
            place: self.place,
        };
        Some(if in_one_package { vec![model] } else { model.in_packages() })
    }

    /// Reports an error at a key, by its path inside the model: its own, else that of `[defaults]`,
    /// else at the model's table.
    fn report(&self, key: &str, message: String) {
        let Layers { own, defaults } = self.layers;
        let place = [Some(own), defaults]
            .into_iter()
            .flatten()
            .find_map(|section| self.reader.place(&format!("{}.{key}", section.path)))
            .unwrap_or_else(|| self.place.clone());
        let error = Error::new(ErrorKind::Manifest, message);
        self.reader.report(error.at(place).of_model(self.name));
    }

    /// Returns the places of the model's keys by their path inside the model; those of `[defaults]`
    /// where it has none itself, and those of `[python]`.
    fn places(&self) -> BTreeMap<String, Place> {
        let all = self.reader.places();
        let inside = |section: &Section<'_>| {
            let prefix = format!("{}.", section.path);
            let entry = |(path, place): (&String, &Place)| {
                Some((path.strip_prefix(&prefix)?.to_owned(), place.clone()))
            };
            all.iter().filter_map(entry).collect::<Vec<_>>()
        };
        let shared = all.iter().filter(|(path, _)| path.starts_with("python"));
        let shared = shared.map(|(path, place)| (path.clone(), place.clone()));
        let defaults = self.layers.defaults.map(inside).unwrap_or_default();
        shared.chain(defaults).chain(inside(self.layers.own)).collect()
    }
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
