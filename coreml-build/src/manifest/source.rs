//! Reading `source`: where the model comes from.
//!
//! Owns: the kinds of sources, their keys, and which other keys make no sense beside each.
//! Flow: called by `model.rs`; the driver's `source.py` makes the module, `ready.rs` takes a
//! package as it is.

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

    /// Returns why `key` makes no sense beside this source, if so.
    pub(super) fn refuses(&self, key: &str) -> Option<&'static str> {
        let own = ["weights", "capture", "rewrite"].contains(&key);
        match self {
            Self::File { .. } => None,
            Self::TorchScript { .. } if own => {
                Some("a TorchScript file has its weights and its graph already")
            }
            Self::Exported { .. } if own => {
                Some("an exported program has its weights and its graph already")
            }
            Self::Transformers { .. } if key == "weights" => {
                Some("a repository has its weights already")
            }
            Self::TorchScript { .. } | Self::Exported { .. } | Self::Transformers { .. } => None,
            Self::Mil { .. }
                if own
                    || ["inputs", "outputs", "states", "classifier", "parity", "proof"]
                        .contains(&key) =>
            {
                Some("a MIL program has its own inputs and outputs, and nothing to compare with")
            }
            Self::Mil { .. } => None,
            Self::Package { .. } => Some("a ready package is taken as it is"),
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

/// Reads `source`.
pub(super) fn source(item: &Item<'_>) -> Option<Source> {
    let section = item.section()?;
    let kinds = ["file", "mil", "torchscript", "exported", "transformers", "package"];
    let given: Vec<_> =
        kinds.iter().filter_map(|kind| Some((*kind, section.take(kind)?))).collect();
    let extras = ["entry", "args", "task", "revision"].map(|key| (key, section.take(key)));
    let source = match given.as_slice() {
        [(kind, path)] => {
            let strange = extras.iter().filter_map(|(key, item)| Some((*key, item.as_ref()?)));
            let mut strange = strange.filter(|(key, _)| !goes_with(key).contains(kind)).peekable();
            if strange.peek().is_some() {
                for (key, item) in strange {
                    let owners = goes_with(key).map(|owner| format!("`{owner}`"));
                    let owners = if owners[0] == owners[1] {
                        owners[0].clone()
                    } else {
                        owners.join(" and ")
                    };
                    item.report(format!("`{key}` goes with {owners}, not with `{kind}`"));
                }
                None
            } else {
                let [entry, args, task, revision] = extras.map(|(_, item)| item);
                match *kind {
                    "file" | "mil" => function(item, entry, args, kind, path),
                    "torchscript" => {
                        path.text().map(|file| Source::TorchScript { torchscript: file.to_owned() })
                    }
                    "exported" => {
                        path.text().map(|file| Source::Exported { exported: file.to_owned() })
                    }
                    "transformers" => transformers(item, path, task, revision),
                    _ => path.text().and_then(|folder| package(path, folder.to_owned())),
                }
            }
        }
        [] => {
            report_missing(item);
            None
        }
        [_, (_, second), ..] => {
            second.report(format!(
                "`source` has one of {}, not several",
                kinds.map(|kind| format!("`{kind}`")).join(", ")
            ));
            None
        }
    };
    section.finish();
    source
}

/// Returns the kinds of sources that a key of `source` belongs to; the same twice for one alone.
fn goes_with(key: &str) -> [&'static str; 2] {
    if ["entry", "args"].contains(&key) {
        ["file", "mil"]
    } else {
        ["transformers", "transformers"]
    }
}

/// Reads a repository of the hub, or a folder in its form.
fn transformers(
    item: &Item<'_>,
    name: &Item<'_>,
    task: Option<Item<'_>>,
    revision: Option<Item<'_>>,
) -> Option<Source> {
    if task.is_none() {
        item.report(
            "`transformers` needs a `task`: write for example `task = \"feature-extraction\"`",
        );
    }
    let task = task.and_then(|task| task.choice(&TASKS.map(|task| (task, task))));
    let revision = match revision {
        Some(revision) => Some(revision.text()?.to_owned()),
        None => None,
    };
    Some(Source::Transformers { revision, task: task?, transformers: name.text()?.to_owned() })
}

/// Reads a function of a Python file.
fn function(
    item: &Item<'_>,
    entry: Option<Item<'_>>,
    args: Option<Item<'_>>,
    kind: &str,
    path: &Item<'_>,
) -> Option<Source> {
    let Some(entry) = entry else {
        report_missing(item);
        return None;
    };
    let file = path.text();
    let entry = entry.text().filter(|name| {
        let valid = name.split('.').all(is_python_name);
        if !valid {
            entry.report(format!(
                "`entry` cannot be \"{name}\": it is the name of a function in the file"
            ));
        }
        valid
    });
    let args = match args {
        None => Some(Value::Object(serde_json::Map::new())),
        Some(item) if !item.is_table() => {
            item.report_type("a table of keyword arguments");
            None
        }
        Some(item) => item.json(),
    };
    let (args, entry, file) = (args?, entry?.to_owned(), file?.to_owned());
    Some(if kind == "mil" {
        Source::Mil { args, entry, mil: file }
    } else {
        Source::File { args, entry, file }
    })
}

/// Reads a ready package.
fn package(item: &Item<'_>, folder: String) -> Option<Source> {
    if !folder.trim_end_matches('/').ends_with(PACKAGE_ENDING) {
        item.report(format!(
            "`package` cannot be \"{folder}\": it is a folder that ends in {PACKAGE_ENDING}"
        ));
        return None;
    }
    Some(Source::Package { package: folder })
}

/// Reports a source that names no module.
fn report_missing(item: &Item<'_>) {
    item.report(
        "`source` needs `file` and `entry`: write for example `source = { file = \
        \"python/model.py\", entry = \
         \"model\" }`",
    );
}

/// Returns whether `name` can be the name of a Python function.
fn is_python_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}
