//! Reading `source`: where the model comes from.
//!
//! Owns: the kinds of sources, their keys, and which other keys make no sense beside each.
//! Flow: `function.rs` reads sources with it; the driver's `source.py` makes the module, a package
//! is used as it is.

use super::key::{self, Key, Read, fill, rows};
use super::kind::{Absent, Goes, Kind, Table};
use super::section::Item;
use serde::Serialize;
use serde_json::Value;
use std::fmt;

/// Ending of a model package.
const PACKAGE_ENDING: &str = ".mlpackage";

/// What a model of transformers may be to do, by the hub's names; the driver's `pretrained.py`
/// knows the class of each.
pub(super) const TASKS: [&str; 14] = [
    "audio-classification",
    "automatic-speech-recognition",
    "depth-estimation",
    "feature-extraction",
    "fill-mask",
    "image-classification",
    "image-feature-extraction",
    "image-segmentation",
    "object-detection",
    "question-answering",
    "text-classification",
    "text-generation",
    "text2text-generation",
    "token-classification",
];

/// Kinds of sources, by their keys; the first are the usual ones.
const KINDS: [&str; 6] = ["file", "mil", "torchscript", "exported", "transformers", "package"];

/// Kinds of sources that have their graph already.
pub(super) const GRAPHS: &[&str] = &["torchscript", "exported", "mil"];

/// Kinds of sources that have their weights already.
pub(super) const WEIGHTS: &[&str] = &["torchscript", "exported", "mil", "transformers"];

/// The kind of source without a module in PyTorch.
pub(super) const PROGRAMS: &[&str] = &["mil"];

/// The table of a source.
pub(super) static SOURCE: Table = Table {
    name: "source",
    text: "Where a model comes from: one of `file`, `mil`, `torchscript`, `exported`, \
        `transformers` and `package`, and what belongs to it.",
    rows: || rows(KEYS),
    entries: None,
};

/// Keys of a source.
static KEYS: &[Key<Keys>] = &[
    Key {
        name: "file",
        absent: Absent::Means("one source is needed"),
        text: "A Python file. Its function `entry` returns an `nn.Module`.",
        read: |keys, item| fill(&mut keys.file, owned(item)),
        ..Key::PLAIN
    },
    Key {
        name: "entry",
        absent: Absent::Means("needed with `file` and `mil`"),
        text: "The function of the file.",
        read: |keys, item| fill(&mut keys.entry, entry(item)),
        ..Key::PLAIN
    },
    Key {
        name: "args",
        kind: Kind::Arguments,
        absent: Absent::Is("{}"),
        text: "Keyword arguments of the function.",
        read: |keys, item| fill(&mut keys.args, arguments(item)),
        ..Key::PLAIN
    },
    Key {
        name: "torchscript",
        text: "A module that `torch.jit.save` wrote, traced or scripted.",
        read: |keys, item| fill(&mut keys.torchscript, owned(item)),
        ..Key::PLAIN
    },
    Key {
        name: "exported",
        text: "A program that `torch.export.save` wrote.",
        read: |keys, item| fill(&mut keys.exported, owned(item)),
        ..Key::PLAIN
    },
    Key {
        name: "transformers",
        text: "A [model of transformers](#models-of-transformers): a repository of the Hugging \
            Face hub, or, without `revision`, a folder of the package that holds one's files.",
        read: |keys, item| fill(&mut keys.transformers, owned(item)),
        ..Key::PLAIN
    },
    Key {
        name: "task",
        kind: Kind::Word(&TASKS),
        absent: Absent::Means("needed with `transformers`"),
        text: "What the model of transformers does, by the hub's names.",
        read: |keys, item| fill(&mut keys.task, task(item)),
        ..Key::PLAIN
    },
    Key {
        name: "revision",
        kind: Kind::Matching("^[0-9a-f]{40}$"),
        absent: Absent::Means("none: `transformers` is a folder"),
        text: "The whole commit hash of the repository. A branch, a tag or a short hash is an \
            error that names the commit.",
        read: |keys, item| fill(&mut keys.revision, owned(item)),
        ..Key::PLAIN
    },
    Key {
        name: "mil",
        text: "A Python file. Its function `entry` returns what coremltools' `@mb.program(…)` \
            makes.",
        read: |keys, item| fill(&mut keys.mil, owned(item)),
        ..Key::PLAIN
    },
    Key {
        name: "package",
        text: "A ready `NAME.mlpackage`, which needs no conversion and no Python.",
        read: |keys, item| fill(&mut keys.package, package(item)),
        ..Key::PLAIN
    },
];

/// A source as it was written.
#[derive(Default)]
struct Keys {
    /// `file`.
    file: Option<String>,
    /// `mil`.
    mil: Option<String>,
    /// `torchscript`.
    torchscript: Option<String>,
    /// `exported`.
    exported: Option<String>,
    /// `transformers`.
    transformers: Option<String>,
    /// `package`.
    package: Option<String>,
    /// `entry`.
    entry: Option<String>,
    /// `args`.
    args: Option<Value>,
    /// `task`.
    task: Option<&'static str>,
    /// `revision`.
    revision: Option<String>,
}

/// Digits of a commit in documentation.
const SHOWN_DIGITS: usize = 12;

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Source {
    /// A function that returns an `nn.Module`.
    File {
        /// Keyword arguments of the function.
        args: Value,
        /// Name of the function.
        entry: String,
        /// Python file, relative to the package.
        file: String,
    },
    /// A function that returns a MIL program.
    Mil {
        /// Keyword arguments of the function.
        args: Value,
        /// Name of the function.
        entry: String,
        /// Python file, relative to the package.
        mil: String,
    },
    /// A module that `torch.jit.save` wrote.
    TorchScript {
        /// The file, relative to the package.
        torchscript: String,
    },
    /// A program that `torch.export.save` wrote.
    Exported {
        /// The file, relative to the package.
        exported: String,
    },
    /// A repository of the Hugging Face hub, or a folder in its form.
    Transformers {
        /// The commit; a folder has none.
        #[serde(skip_serializing_if = "Option::is_none")]
        revision: Option<String>,
        /// What the model is to do.
        task: &'static str,
        /// The repository's name on the hub, or the folder, relative to the package.
        transformers: String,
    },
    /// A model package that needs no conversion.
    Package {
        /// The folder, relative to the package.
        package: String,
    },
}

impl Source {
    /// Returns the file, folder or repository with its key.
    pub(crate) fn path(&self) -> (&'static str, &str) {
        match self {
            Self::File { file, .. } => ("source.file", file),
            Self::Mil { mil, .. } => ("source.mil", mil),
            Self::TorchScript { torchscript } => ("source.torchscript", torchscript),
            Self::Exported { exported } => ("source.exported", exported),
            Self::Transformers { transformers, .. } => ("source.transformers", transformers),
            Self::Package { package } => ("source.package", package),
        }
    }

    /// Returns whether it is a folder of the package.
    pub(crate) fn is_folder(&self) -> bool {
        matches!(self, Self::Package { .. } | Self::Transformers { revision: None, .. })
    }

    /// Returns whether it lies below the package at all.
    pub(crate) fn is_local(&self) -> bool {
        !matches!(self, Self::Transformers { revision: Some(_), .. })
    }

    /// Returns whether it is a model of the library transformers.
    pub(super) fn is_transformers(&self) -> bool {
        matches!(self, Self::Transformers { .. })
    }

    /// Returns the folder of a ready package.
    pub(crate) fn package(&self) -> Option<&str> {
        match self {
            Self::Package { package } => Some(package),
            _ => None,
        }
    }

    /// Returns whether the manifest has to declare inputs.
    pub(super) fn declares_inputs(&self) -> bool {
        !matches!(self, Self::Package { .. } | Self::Mil { .. })
    }

    /// Returns the key of `source` that makes it of its kind.
    fn kind(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Mil { .. } => "mil",
            Self::TorchScript { .. } => "torchscript",
            Self::Exported { .. } => "exported",
            Self::Transformers { .. } => "transformers",
            Self::Package { .. } => "package",
        }
    }

    /// Returns whether a key makes no sense beside it: a ready package leaves nothing to convert.
    pub(super) fn refuses<K>(&self, key: &Key<K>) -> bool {
        key.name != "source"
            && (matches!(self, Self::Package { .. }) && key.goes == Goes::Conversion
                || key.refused.contains(&self.kind()))
    }

    /// Returns why it refuses keys.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::File { .. } => "a Python function leaves every choice",
            Self::Mil { .. } => {
                "a MIL program has its own inputs and outputs, and nothing to compare with"
            }
            Self::TorchScript { .. } => "a TorchScript file has its weights and its graph already",
            Self::Exported { .. } => "an exported program has its weights and its graph already",
            Self::Transformers { .. } => "a repository has its weights already",
            Self::Package { .. } => "a ready package is taken as it is",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, entry, .. } | Self::Mil { mil: file, entry, .. } => {
                write!(f, "{file}:{entry}")
            }
            Self::Transformers { revision: Some(revision), transformers, .. } => {
                write!(f, "{transformers}@{}", revision.get(..SHOWN_DIGITS).unwrap_or(revision))
            }
            _ => f.write_str(self.path().1),
        }
    }
}

/// Other names of tasks: the aliases of transformers' pipelines, and what the hub calls models of
/// one that has no class of its own.
const OTHER_TASKS: [(&str, &str); 6] = [
    ("ner", "token-classification"),
    ("sentence-similarity", "feature-extraction"),
    ("sentiment-analysis", "text-classification"),
    ("summarization", "text2text-generation"),
    ("translation", "text2text-generation"),
    ("zero-shot-classification", "text-classification"),
];

/// Reads `task`.
fn task(item: &Item<'_>) -> Option<&'static str> {
    let word = if item.is_string() { item.string()? } else { "" };
    if let Some((_, name)) = OTHER_TASKS.iter().find(|(other, _)| *other == word) {
        item.report(format!(
            "`task` cannot be \"{word}\": such a model is one of the task \"{name}\", so write that"
        ));
        return None;
    }
    item.word()
}

/// Reads `source`.
pub(super) fn source(item: &Item<'_>) -> Option<Source> {
    let mut keys = Keys::default();
    let table = key::read(item, KEYS, &mut keys)?;
    let given: Vec<_> = KINDS.into_iter().filter(|kind| table.has(kind)).collect();
    let kind = match given.as_slice() {
        [kind] => kind,
        [] => {
            report_missing(&table);
            return None;
        }
        [_, second, ..] => {
            let kinds = KINDS.map(|kind| format!("`{kind}`")).join(", ");
            table.report(second, format!("`source` has one of {kinds}, not several"));
            return None;
        }
    };
    let is_function = ["file", "mil"].contains(kind);
    if !fits(&table, kind) {
        return None;
    }
    if is_function && !table.has("entry") {
        report_missing(&table);
        return None;
    }
    if *kind == "transformers" && !table.has("task") {
        table.report_itself(
            "`transformers` needs a `task`: write for example `task = \"feature-extraction\"`",
        );
        return None;
    }
    table.right()?;
    Some(match *kind {
        "file" => Source::File { args: keys.args?, entry: keys.entry?, file: keys.file? },
        "mil" => Source::Mil { args: keys.args?, entry: keys.entry?, mil: keys.mil? },
        "torchscript" => Source::TorchScript { torchscript: keys.torchscript? },
        "exported" => Source::Exported { exported: keys.exported? },
        "transformers" => Source::Transformers {
            revision: keys.revision,
            task: keys.task?,
            transformers: keys.transformers?,
        },
        _ => Source::Package { package: keys.package? },
    })
}

/// Reports the keys that belong to other kinds of sources; returns whether there are none.
fn fits(table: &Read<'_>, kind: &str) -> bool {
    let mut fits = true;
    for (key, owners) in [
        ("entry", ["file", "mil"].as_slice()),
        ("args", &["file", "mil"]),
        ("task", &["transformers"]),
        ("revision", &["transformers"]),
    ] {
        if table.has(key) && !owners.contains(&kind) {
            let owners: Vec<_> = owners.iter().map(|owner| format!("`{owner}`")).collect();
            let owners = owners.join(" and ");
            table.report(key, format!("`{key}` goes with {owners}, not with `{kind}`"));
            fits = false;
        }
    }
    fits
}

/// Reads a string that is not empty.
fn owned(item: &Item<'_>) -> Option<String> {
    item.text().map(str::to_owned)
}

/// Reads the name of a function, which may be one of a class.
fn entry(item: &Item<'_>) -> Option<String> {
    let name = item.text()?;
    if !name.split('.').all(is_python_name) {
        item.report(format!(
            "`entry` cannot be \"{name}\": it is the name of a function in the file"
        ));
        return None;
    }
    Some(name.to_owned())
}

/// Reads the arguments of a function.
fn arguments(item: &Item<'_>) -> Option<Value> {
    if !item.is_table() {
        item.report_type("a table of keyword arguments");
        return None;
    }
    item.json()
}

/// Reads the folder of a ready package.
fn package(item: &Item<'_>) -> Option<String> {
    let folder = item.text()?;
    if !folder.trim_end_matches('/').ends_with(PACKAGE_ENDING) {
        item.report(format!(
            "`package` cannot be \"{folder}\": it is a folder that ends in {PACKAGE_ENDING}"
        ));
        return None;
    }
    Some(folder.to_owned())
}

/// Reports a source that names no module.
fn report_missing(table: &Read<'_>) {
    table.report_itself(
        "`source` needs `file` and `entry`: write for example `source = { file = \
        \"python/model.py\", entry = \"model\" }`",
    );
}

/// Returns whether `name` can be the name of a Python function.
fn is_python_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}
