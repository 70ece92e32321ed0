//! Reading `source`: where the module comes from.
//!
//! Owns: the kinds of sources and their keys.
//! Flow: called by `model.rs`; the driver's `source.py` makes the module.

use super::conversion::Source;
use super::later;
use super::section::Item;

/// Reads `source`.
pub(super) fn source(item: &Item<'_>) -> Option<Source> {
    let section = item.section()?;
    let other = later::other_source(&section);
    let file = section.take("file");
    let entry = section.take("entry");
    let args = section.take("args");
    section.finish();
    if other {
        return None;
    }
    let (Some(file), Some(entry)) = (file, entry) else {
        item.report(
            "`source` needs `file` and `entry`: write for example `source = { file = \
             \"python/model.py\", entry = \"model\" }`",
        );
        return None;
    };
    let file = file.text();
    let entry = entry.text().filter(|name| {
        let valid = name.split('.').all(is_python_name);
        if !valid {
            entry.report(format!("`entry` cannot be \"{name}\": it is the name of a function in the file"));
        }
        valid
    });
    let args = match args {
        None => Some(serde_json::Value::Object(serde_json::Map::new())),
        Some(item) if !item.is_table() => {
            item.report_type("a table of keyword arguments");
            None
        }
        Some(item) => item.json(),
    };
    Some(Source { args: args?, entry: entry?.to_owned(), file: file?.to_owned() })
}

/// Returns whether `name` can be the name of a Python function.
fn is_python_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_') && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}
