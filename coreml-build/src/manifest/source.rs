//! Reading `source`: where the model comes from.
//!
//! Owns: the kinds of sources, their keys, and which other keys make no sense beside each.
//! Flow: called by `model.rs`; the driver's `source.py` makes the module, `ready.rs` takes a package as it is.

use super::later;
use super::section::Item;
use serde::Serialize;
use serde_json::Value;
use std::fmt;

/// Ending of a model package.
const PACKAGE_ENDING: &str = ".mlpackage";

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
    /// A model package that needs no conversion.
    Package {
        /// The folder, relative to the package.
        package: String,
    },
}

impl Source {
    /// Returns the file or folder with its key.
    pub(crate) fn path(&self) -> (&'static str, &str) {
        match self {
            Self::File { file, .. } => ("source.file", file),
            Self::Mil { mil, .. } => ("source.mil", mil),
            Self::TorchScript { torchscript } => ("source.torchscript", torchscript),
            Self::Exported { exported } => ("source.exported", exported),
            Self::Package { package } => ("source.package", package),
        }
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
            Self::TorchScript { .. } if own => Some("a TorchScript file has its weights and its graph already"),
            Self::Exported { .. } if own => Some("an exported program has its weights and its graph already"),
            Self::TorchScript { .. } | Self::Exported { .. } => None,
            Self::Mil { .. } if own || ["inputs", "outputs", "states", "classifier", "parity"].contains(&key) => {
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
            Self::File { file, entry, .. } | Self::Mil { mil: file, entry, .. } => write!(f, "{file}:{entry}"),
            _ => f.write_str(self.path().1),
        }
    }
}

/// Reads `source`.
pub(super) fn source(item: &Item<'_>) -> Option<Source> {
    let section = item.section()?;
    let other = later::other_source(&section);
    let kinds = ["file", "mil", "torchscript", "exported", "package"];
    let given: Vec<_> = kinds.iter().filter_map(|kind| Some((*kind, section.take(kind)?))).collect();
    let (function, args) = (section.take("entry"), section.take("args"));
    let source = match given.as_slice() {
        [(kind @ ("file" | "mil"), path)] => entry(item, function, args, kind, path),
        [(kind, _)] if function.is_some() || args.is_some() => {
            let key = if function.is_some() { "entry" } else { "args" };
            let place = function.or(args).unwrap_or_else(|| item.clone());
            place.report(format!("`{key}` goes with `file` and `mil`, not with `{kind}`"));
            None
        }
        [(kind, path)] => path.text().map(str::to_owned).and_then(|file| match *kind {
            "torchscript" => Some(Source::TorchScript { torchscript: file }),
            "exported" => Some(Source::Exported { exported: file }),
            _ => package(path, file),
        }),
        [] if other => None,
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

/// Reads a function of a Python file.
fn entry(
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
            entry.report(format!("`entry` cannot be \"{name}\": it is the name of a function in the file"));
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
    Some(if kind == "mil" { Source::Mil { args, entry, mil: file } } else { Source::File { args, entry, file } })
}

/// Reads a ready package.
fn package(item: &Item<'_>, folder: String) -> Option<Source> {
    if !folder.trim_end_matches('/').ends_with(PACKAGE_ENDING) {
        item.report(format!("`package` cannot be \"{folder}\": it is a folder that ends in {PACKAGE_ENDING}"));
        return None;
    }
    Some(Source::Package { package: folder })
}

/// Reports a source that names no module.
fn report_missing(item: &Item<'_>) {
    item.report(
        "`source` needs `file` and `entry`: write for example `source = { file = \"python/model.py\", entry = \
         \"model\" }`",
    );
}

/// Returns whether `name` can be the name of a Python function.
fn is_python_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_') && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}
