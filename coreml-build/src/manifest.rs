//! The manifest: which models there are, where they come from, how they are converted.
//!
//! Owns: finding, parsing and validating a manifest; every error has its line and column, and all
//! are found at once.
//! Must not: look at the Python code, the weights or the cache.
//! Flow: `build/manifests.rs` → here → [`Model`]s, whose [`Conversion`] is hashed and sent to the
//! driver.
//!
//! Layout: a key is one row (`key`, `kind`) of the list beside the code that uses it: `keys` and
//! `function` have those of a model, one file each those of a table inside (`source`, `feature` for
//! inputs and outputs, `shape`, `image`, `state`, `classifier`, `compression`, `parity`, `buckets`,
//! `metadata`, `precision`, `python`). `text` and `section` walk a document by its places, `layers`
//! puts tables one over another, `completion` makes a `model` of its keys, `agreement` has the
//! rules between them.

mod agreement;
mod buckets;
mod classifier;
mod completion;
mod compression;
#[cfg(test)]
mod documents;
mod feature;
mod function;
mod image;
mod key;
mod keys;
mod kind;
mod layers;
mod metadata;
mod model;
mod named;
mod parity;
mod precision;
mod python;
mod sample;
mod section;
mod shape;
mod source;
mod state;
mod target;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use keys::{Conversion, file_name};
pub(crate) use model::Model;

use crate::error::{Error, ErrorKind};
use crate::nearest::nearest;
use crate::python::Requirements;
use classifier::wrong_line;
use completion::Asked;
use key::Key;
use keys::{MODEL, check_defaults};
use kind::{Absent, Kind, Table};
use layers::Layers;
use model::LABELS;
use python::{PYTHON, python};
use section::{Item, Reader, Section};
use std::path::{Path, PathBuf};
use text::Text;
use toml::de::DeTable;

/// The tables of a manifest, which [`Manifest::parse`] reads one after the other.
static KEYS: &[Key<()>] = &[
    Key {
        name: "model",
        kind: Kind::Table(&MODEL),
        absent: Absent::Means("`models` is needed"),
        text: "The only model. Its name is the manifest's file stem.",
        ..Key::PLAIN
    },
    Key {
        name: "models",
        kind: Kind::Table(&MODELS),
        absent: Absent::Means("`model` is needed"),
        text: "Several models by name. Each name is a Rust module: an identifier in snake_case.",
        ..Key::PLAIN
    },
    Key {
        name: "defaults",
        kind: Kind::Table(&MODEL),
        text: "Keys that every model takes where it has none itself. `inputs`, `outputs`, `states` \
            and `metadata` are merged entry by entry, the others are taken whole.",
        ..Key::PLAIN
    },
    Key {
        name: "python",
        kind: Kind::Table(&PYTHON),
        absent: Absent::Is("{}"),
        text: "The [Python](#python) that converts.",
        ..Key::PLAIN
    },
];

/// Several models.
static MODELS: Table =
    Table { name: "models", text: "Models by name.", rows: Vec::new, entries: Some(&MODEL) };

/// A manifest, complete and valid.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    /// Absolute path.
    pub(crate) path: PathBuf,
    /// Whether it has one `[model]` instead of `[models.NAME]` tables.
    pub(crate) single: bool,
    /// The Python packages that its models need.
    pub(crate) requirements: Requirements,
    /// Its models, in its order; never empty.
    pub(crate) models: Vec<Model>,
    /// What is odd about it, but no error.
    pub(crate) warnings: Vec<String>,
}

/// A manifest that cannot be built.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rejected {
    /// All that is wrong with it, in its order.
    pub(crate) errors: Vec<Error>,
    /// Names of its `[models.NAME]` tables, as far as they are known.
    pub(crate) models: Vec<String>,
}

impl From<Error> for Rejected {
    fn from(error: Error) -> Self {
        Self { errors: vec![error], models: Vec::new() }
    }
}

/// Returns the absolute path of the manifest `name`: relative to the package.
pub(crate) fn path(package_root: &Path, name: &str) -> PathBuf {
    package_root.join(name.strip_prefix("./").unwrap_or(name))
}

/// Returns whether the file at `path` looks like a manifest: TOML with a table of a model.
pub(crate) fn is_manifest(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| {
        text.parse::<toml::Table>()
            .is_ok_and(|table| table.contains_key("model") || table.contains_key("models"))
    })
}

impl Manifest {
    /// Reads the manifest `name` of the package at `package_root`.
    ///
    /// Parameters: `name` — as the user wrote it in `build.rs`, relative to the package.
    pub(crate) fn read(package_root: &Path, name: &str) -> Result<Self, Rejected> {
        let path = path(package_root, name);
        let content = std::fs::read_to_string(&path)
            .map_err(|error| unreadable(package_root, name, &path, &error))?;
        let mut manifest = Self::parse(&path, name, content)?;
        for model in &mut manifest.models {
            model.conversion.functions.expand_samples(package_root);
        }
        if !path.starts_with(package_root)
            || path.components().any(|part| part == std::path::Component::ParentDir)
        {
            manifest.warnings.push(format!(
                "{name} lies outside the package: builds work here, but a published package would \
                not contain it"
            ));
        }
        let mut unproved: Vec<_> =
            manifest.models.iter().filter(|model| !model.conversion.proof).collect();
        unproved.dedup_by(|one, other| one.manifest_name() == other.manifest_name());
        let warnings = unproved.into_iter().map(|model| {
            format!(
                "`proof = false`: `{}` is not executed before it is published, so a wrong \
                 translation would not show",
                model.manifest_name()
            )
        });
        manifest.warnings.extend(warnings.collect::<Vec<_>>());
        let mut odd: Vec<_> = manifest.models.iter().flat_map(odd_pixels).collect();
        odd.dedup();
        manifest.warnings.extend(odd);
        Ok(manifest)
    }

    /// Checks that the files that it names exist, and the labels in them.
    pub(crate) fn check_files(&self, package_root: &Path) -> Result<(), Rejected> {
        let mut errors: Vec<_> =
            self.models.iter().flat_map(|model| missing_files(package_root, model)).collect();
        errors.extend(self.models.iter().filter_map(|model| wrong_labels(package_root, model)));
        // Buckets in packages of their own have the same files.
        errors.dedup();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Rejected { errors, models: self.module_names() })
        }
    }

    /// Returns the names of its `[models.NAME]` tables.
    pub(crate) fn module_names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.models.iter().map(|model| model.manifest_name().to_owned()).collect();
        names.dedup();
        if self.single { Vec::new() } else { names }
    }

    /// Parses and validates `content`.
    fn parse(path: &Path, name: &str, content: String) -> Result<Self, Rejected> {
        let text = Text { manifest: name.to_owned(), content };
        let (document, faults) = DeTable::parse_recoverable(&text.content);
        let reader = Reader::new(&text);
        let syntax = |fault: &toml::de::Error| {
            let place = text.place(fault.span().map_or(0, |span| span.start));
            let message = format!("not valid TOML: {}", fault.message());
            Error::new(ErrorKind::Manifest, message).at(place)
        };
        let root = reader.root(document.get_ref());
        root.refuse_others(KEYS.iter().map(|key| key.name));
        let table = |key| root.get(key, &Kind::Arguments);
        let requirements =
            table("python").map_or_else(|| Some(Requirements::default()), |item| python(&item));
        let defaults = table("defaults").and_then(|item| item.section());
        defaults.iter().for_each(check_defaults);
        let (single, several) = (table("model"), table("models"));
        let is_single = single.is_some();
        let tables = match (single, several) {
            (Some(item), None) => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                vec![(stem, item)]
            }
            (None, Some(item)) => named_models(&item),
            (Some(item), Some(_)) => {
                item.report(
                    "a manifest has either one `[model]` or `[models.NAME]` tables, not both",
                );
                Vec::new()
            }
            (None, None) => {
                root.report(
                    "there is no model: add a `[model]` table, or `[models.NAME]` tables for \
                    several"
                        .into(),
                );
                Vec::new()
            }
        };
        let names = if is_single {
            Vec::new()
        } else {
            tables.iter().map(|(name, _)| name.clone()).collect()
        };
        let models = models(&reader, &tables, defaults.as_ref(), requirements.as_ref());
        // What stands behind a syntax error may have been read wrongly: it alone is worth showing.
        let errors =
            if faults.is_empty() { reader.errors() } else { faults.iter().map(syntax).collect() };
        match requirements {
            Some(requirements) if errors.is_empty() => Ok(Self {
                path: path.to_owned(),
                single: is_single,
                requirements,
                models,
                warnings: Vec::new(),
            }),
            _ => Err(Rejected { errors, models: names }),
        }
    }
}

/// Reads the tables of all models.
fn models(
    reader: &Reader<'_>,
    tables: &[(String, Item<'_>)],
    defaults: Option<&Section<'_>>,
    requirements: Option<&Requirements>,
) -> Vec<Model> {
    let read = |(name, item): &(String, Item<'_>)| {
        let (own, place) = (&item.section()?, item.place());
        let layers = Layers { defaults, own };
        Asked { reader, name, place, layers, requirements }.read()
    };
    let models: Vec<_> = tables.iter().filter_map(read).flatten().collect();
    for model in models.iter().filter(|model| model.bucket_of.is_none()) {
        let is_bucket = |other: &&Model| other.bucket_of.is_some() && other.name == model.name;
        if let Some(other) = models.iter().find(is_bucket) {
            let name = other.manifest_name();
            let message = format!(
                "the package of a bucket of `{name}` is called like this: rename one of them"
            );
            let error = Error::new(ErrorKind::Manifest, message).at(model.place(None));
            reader.report(error.of_model(&model.name));
        }
    }
    models
}

/// Reads the names of `[models.NAME]` tables, each of which becomes a Rust module.
fn named_models<'a>(models: &Item<'a>) -> Vec<(String, Item<'a>)> {
    let Some(section) = models.section() else { return Vec::new() };
    if !section.has_any() {
        models.report("`models` is empty: add a `[models.NAME]` table");
    }
    let mut named = Vec::new();
    for (name, item) in section.others(&[]) {
        let identifier = coreml_spec::rust_identifier(name);
        if identifier == name {
            named.push((name.to_owned(), item.clone()));
        } else {
            item.report(format!(
                "`{name}` cannot name a model, because it becomes a Rust module: call it for \
                example `{identifier}`"
            ));
        }
    }
    named
}

/// Returns the error for a manifest that cannot be read.
fn unreadable(package_root: &Path, name: &str, path: &Path, error: &std::io::Error) -> Error {
    if error.kind() != std::io::ErrorKind::NotFound {
        return Error::new(
            ErrorKind::Manifest,
            format!("the manifest {} cannot be read: {error}", path.display()),
        )
        .advise("a manifest is a text file in UTF-8");
    }
    let message = format!("there is no manifest `{name}`: looked for {}", path.display());
    let folder = path.parent().unwrap_or(package_root);
    let siblings = toml_files(folder);
    let wanted = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let found =
        nearest(&wanted, siblings.iter().map(String::as_str)).or(match siblings.as_slice() {
            [only] => Some(only),
            _ => None,
        });
    let error = Error::new(ErrorKind::Manifest, message);
    match found {
        Some(found) => {
            error.advise(format!("there is a `{found}` in that folder: did you mean it?"))
        }
        None => error
            .advise("paths in build.rs are relative to the package, the folder of its Cargo.toml"),
    }
}

/// Returns the names of the TOML files in `folder` that may be manifests.
fn toml_files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| {
            name.ends_with(".toml")
                && !["Cargo.toml", "rustfmt.toml", "clippy.toml"].contains(&name.as_str())
        })
        .collect();
    names.sort();
    names
}

/// Returns a warning for each image of `model` whose preprocessing is for other pixels.
fn odd_pixels(model: &Model) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, function) in model.conversion.functions.iter() {
        let table = name.map(|name| format!("functions.{name}.")).unwrap_or_default();
        for (input, image) in function.images() {
            let Some(question) = image.question() else { continue };
            let place = model.place(Some(&format!("{table}inputs.{input}.image.mean")));
            warnings.push(format!("{place}: {question}"));
        }
    }
    warnings
}

/// Returns the error of a file with labels of which one is empty or stands there twice.
fn wrong_labels(package_root: &Path, model: &Model) -> Option<Error> {
    let file = model.labels_file()?;
    // A file that is not there is reported already, and what is no text is Python's to say.
    let problem = wrong_line(&std::fs::read_to_string(package_root.join(file)).ok()?)?;
    let error = Error::new(ErrorKind::Manifest, format!("{file}: {problem}"));
    let error = error.of_model(model.manifest_name()).at(model.place(Some(LABELS)));
    Some(error.advise("give every class a label of its own, one to a line"))
}

/// Returns an error for each file that `model` names and that does not exist.
fn missing_files(package_root: &Path, model: &Model) -> Vec<Error> {
    let missing = |(key, file, is_folder): (String, &str, bool)| {
        let path = package_root.join(file);
        if if is_folder { path.is_dir() } else { path.is_file() } {
            return None;
        }
        if key.ends_with("sample.files") && file.contains('*') {
            let message = format!("`{key}`: no file is called like {}", path.display());
            let error = Error::new(ErrorKind::Manifest, message)
                .of_model(model.manifest_name())
                .at(model.place(Some(&key)));
            return Some(error.advise(
                "paths in a manifest are relative to the package, the folder of its Cargo.toml",
            ));
        }
        let kind = if is_folder { "is not a folder" } else { "is not a file" };
        let problem = if path.exists() { kind } else { "does not exist" };
        let message = format!("`{key}`: {} {problem}", path.display());
        let error = Error::new(ErrorKind::Manifest, message)
            .of_model(model.manifest_name())
            .at(model.place(Some(&key)));
        let error = error.advise(
            "paths in a manifest are relative to the package, the folder of its Cargo.toml",
        );
        Some(if key.ends_with("source.transformers") {
            error.advise(
                "a repository of the hub needs the commit: `revision = \"…\"`; with \"main\" the \
                error tells it",
            )
        } else {
            error
        })
    };
    let folders = model.declared_folders().into_iter().map(|(key, folder)| (key, folder, true));
    let files = model.declared_files().into_iter().map(|(key, file)| (key, file, false));
    let companions = model.settings.files.iter().map(|file| ("files".to_owned(), &**file, false));
    folders.chain(files).chain(companions).filter_map(missing).collect()
}
