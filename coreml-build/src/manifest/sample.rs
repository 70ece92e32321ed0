//! Reading `sample` of an input: how its values are drawn, or which files they come from.
//!
//! Owns: its keys, what they must agree on with the input, and which files a pattern means.
//! Must not: read a sample: the driver does.
//! Flow: `feature.rs` reads samples with it; `manifest.rs` expands their patterns.

use super::feature::Form;
use super::key::{self, Key, Read, fill, rows, set};
use super::kind::{Absent, Kind, Table, words};
use super::section::Item;
use coreml_spec::DataType;
use serde::Serialize;
use serde_json::Number;
use std::path::Path;

/// How sample values of an input are drawn; the variant's name is the key.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sample {
    /// At random between the smallest and the largest value, both included.
    Range([Number; 2]),
    /// This number in the first step of a sample, and one more in each next step.
    Start(Number),
    /// Pictures, one after the other: a pattern until it is expanded.
    Files(Vec<String>),
    /// The tensor of the input's name in this file.
    Safetensors(String),
    /// Texts, one to a line.
    Texts(Texts),
}

/// Texts, and what makes numbers of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Texts {
    /// The file with the texts.
    file: String,
    /// What of a tokenized text is the input.
    output: &'static str,
    /// The tokenizer.
    tokenizer: String,
}

impl Sample {
    /// Returns the files that it reads, each with its key inside `sample`.
    pub(super) fn files(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Range(_) | Self::Start(_) => Vec::new(),
            Self::Files(files) => files.iter().map(|file| ("files", file.as_str())).collect(),
            Self::Safetensors(file) => vec![("safetensors", file)],
            Self::Texts(texts) => vec![("texts", &texts.file), ("tokenizer", &texts.tokenizer)],
        }
    }

    /// Puts the files that a pattern means in its place; it stays where there is none.
    pub(super) fn expand(&mut self, root: &Path) {
        let Self::Files(files) = self else { return };
        let [pattern] = &files[..] else { return };
        let found = matching(root, pattern);
        if !found.is_empty() {
            *files = found;
        }
    }

    /// Returns the Python package that reading it needs, with the key.
    pub(super) fn needs(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Files(_) => Some(("files", "pillow")),
            Self::Texts(_) => Some(("texts", "tokenizers")),
            Self::Range(_) | Self::Start(_) | Self::Safetensors(_) => None,
        }
    }

    /// Returns whether it comes from files.
    pub(super) fn is_read(&self) -> bool {
        !matches!(self, Self::Range(_) | Self::Start(_))
    }
}

/// How samples of an input are drawn.
pub(super) static SAMPLE: Table = Table {
    name: "sample",
    text: "How parity samples of an input are drawn.",
    rows: || rows(KEYS),
    entries: None,
};

/// What of a tokenized text can be an input.
const OUTPUTS: [(&str, &str); 3] = [
    ("input_ids", "input_ids"),
    ("attention_mask", "attention_mask"),
    ("token_type_ids", "token_type_ids"),
];

/// The words of it.
const OUTPUT_WORDS: &[&str] = &words(&OUTPUTS);

/// Keys that say where values come from: a sample has one of them.
const ORIGINS: [&str; 5] = ["range", "start", "files", "safetensors", "texts"];

/// Keys of `sample`.
static KEYS: &[Key<SampleKeys>] = &[
    Key {
        name: "range",
        kind: Kind::List(&Kind::Number, 2, 2),
        absent: Absent::Means(
            "one of `range`, `start`, `files`, `safetensors` and `texts` is needed",
        ),
        text: "The smallest and the largest value, both included.",
        read: |keys, item| set(&mut keys.range, numbers(item)),
        ..Key::PLAIN
    },
    Key {
        name: "start",
        kind: Kind::Number,
        text: "This number, and one more in each next step of a sample with states: a position.",
        read: |keys, item| fill(&mut keys.start, item.number()),
        ..Key::PLAIN
    },
    Key {
        name: "files",
        text: "Pictures for an `image`: a path whose last part may have `*`, such as \
            `\"samples/*.png\"`. Needs `pillow` in `[python]`.",
        read: |keys, item| fill(&mut keys.files, pattern(item)),
        ..Key::PLAIN
    },
    Key {
        name: "safetensors",
        text: "A file with a tensor of the input's name, whose first dimension counts the samples.",
        read: |keys, item| fill(&mut keys.safetensors, item.text().map(str::to_owned)),
        ..Key::PLAIN
    },
    Key {
        name: "texts",
        text: "A file with a text on each line. Needs `tokenizers` in `[python]`.",
        read: |keys, item| fill(&mut keys.texts, item.text().map(str::to_owned)),
        ..Key::PLAIN
    },
    Key {
        name: "tokenizer",
        absent: Absent::Means("needed with `texts`"),
        text: "The `tokenizer.json` that makes numbers of the texts.",
        read: |keys, item| fill(&mut keys.tokenizer, item.text().map(str::to_owned)),
        ..Key::PLAIN
    },
    Key {
        name: "output",
        kind: Kind::Word(OUTPUT_WORDS),
        absent: Absent::Is("\"input_ids\""),
        text: "What of the tokenized texts the input is. Several inputs may read the same texts.",
        read: |keys, item| {
            keys.output = item.word()?;
            Some(())
        },
        ..Key::PLAIN
    },
];

/// `sample` as it was written.
#[derive(Default)]
pub(super) struct SampleKeys {
    /// `range`; empty where it is absent.
    range: Vec<Number>,
    /// `start`.
    start: Option<Number>,
    /// `files`.
    files: Option<String>,
    /// `safetensors`.
    safetensors: Option<String>,
    /// `texts`.
    texts: Option<String>,
    /// `tokenizer`.
    tokenizer: Option<String>,
    /// `output`.
    output: &'static str,
}

/// Reads the keys of `sample`.
pub(super) fn sample_keys(item: &Item<'_>) -> Option<SampleKeys> {
    let mut keys = SampleKeys::default();
    let table = key::read(item, KEYS, &mut keys)?;
    let origins: Vec<_> = ORIGINS.into_iter().filter(|key| table.has(key)).collect();
    match origins[..] {
        [] => {
            item.report(
                "`sample` needs `range`, `start`, `files`, `safetensors` or `texts`: write for \
                example `sample = { range = [0, 1] }`",
            );
            return None;
        }
        [_] => {}
        [one, other, ..] => {
            table.report(other, format!("`sample` has `{one}` or `{other}`, not both"));
            return None;
        }
    }
    if let Some(key) =
        ["tokenizer", "output"].into_iter().find(|key| table.has(key) && !table.has("texts"))
    {
        table.report(key, format!("`{key}` is for `texts`, and there are none"));
        return None;
    }
    if table.has("texts") && !table.has("tokenizer") {
        table.report(
            "texts",
            "`texts` need a `tokenizer`: write for example `tokenizer = \"tokenizer.json\"`",
        );
        return None;
    }
    table.right().map(|()| keys)
}

/// Makes the sample of an input of this type and form.
pub(super) fn sample(
    input: &Read<'_>,
    keys: SampleKeys,
    dtype: Option<DataType>,
    form: Option<&Form>,
) -> Option<Sample> {
    let is_image = matches!(form, Some(Form::Image(_)));
    if let Some(first) = keys.start {
        if is_integer(dtype) && !first.is_i64() {
            input.report("sample.start", "the `start` of an integer input is an integer");
            return None;
        }
        return Some(Sample::Start(first));
    }
    if let Some(pattern) = keys.files {
        if !is_image {
            input.report(
                "sample.files",
                "`files` are pictures, and this input is none: give its values as `safetensors`, \
                or make it an `image`",
            );
            return None;
        }
        return Some(Sample::Files(vec![pattern]));
    }
    if let Some(file) = keys.safetensors {
        return Some(Sample::Safetensors(file));
    }
    if let Some((file, tokenizer)) = keys.texts.zip(keys.tokenizer) {
        if is_image {
            input.report("sample.texts", "a picture is not made of `texts`");
            return None;
        }
        return Some(Sample::Texts(Texts { file, output: keys.output, tokenizer }));
    }
    let within =
        |number: &Number| number.as_i64().is_some_and(|number| i8::try_from(number).is_ok());
    let Ok([low, high]) = <[Number; 2]>::try_from(keys.range) else {
        input.report("sample.range", "`range` has two numbers, the smallest and the largest value");
        return None;
    };
    let fault = if is_integer(dtype) && !(low.is_i64() && high.is_i64()) {
        "the `range` of an integer input has integers"
    } else if dtype == Some(DataType::Int8) && !(within(&low) && within(&high)) {
        "the `range` of an int8 input lies within -128 and 127"
    } else if low.as_f64() > high.as_f64() {
        "`range` has the smallest value first"
    } else {
        return Some(Sample::Range([low, high]));
    };
    input.report("sample.range", fault);
    None
}

/// Reads an array of numbers.
fn numbers(item: &Item<'_>) -> Option<Vec<Number>> {
    item.array()?.iter().map(Item::number).collect()
}

/// Returns whether an input holds integers.
fn is_integer(dtype: Option<DataType>) -> bool {
    matches!(dtype, Some(DataType::Int32 | DataType::Int8))
}

/// What stands in a pattern for any number of characters.
const ANY: char = '*';

/// Reads a pattern.
fn pattern(item: &Item<'_>) -> Option<String> {
    let pattern = item.text()?;
    if pattern.rsplit_once('/').is_some_and(|(folder, _)| folder.contains(ANY)) {
        item.report("only the last part of `files` may have `*`: it means the files of one folder");
        return None;
    }
    Some(pattern.to_owned())
}

/// Returns the files that a pattern means, relative to `root` as it is, sorted.
fn matching(root: &Path, pattern: &str) -> Vec<String> {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    if !name.contains(ANY) {
        return vec![pattern.to_owned()];
    }
    let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    let names = files.filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<_> = names
        .filter(|found| !found.starts_with('.') && is_match(found, name))
        .map(|found| if folder.is_empty() { found } else { format!("{folder}/{found}") })
        .collect();
    found.sort();
    found
}

/// Returns whether a name is what a pattern with `*` means.
fn is_match(name: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once(ANY) else { return name == pattern };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let parts: Vec<&str> = rest.split(ANY).collect();
    let Some((last, middle)) = parts.split_last() else { return false };
    for part in middle {
        let Some((_, behind)) = left.split_once(part) else { return false };
        left = behind;
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, names) in [
            ("*.png", "a.png .png"),
            ("a*", "a ab a.png"),
            ("a*b*c", "abc axbxc abbc"),
            ("*", "a"),
            ("ab*b", "abb ab-b"),
        ] {
            for name in names.split(' ') {
                assert!(is_match(name, pattern), "{name} {pattern}");
            }
        }
        for (pattern, name) in
            [("*.png", "a.jpg"), ("a*", "b"), ("a*b*c", "ac"), ("ab*b", "ab"), ("a.png", "b.png")]
        {
            assert!(!is_match(name, pattern), "{name} {pattern}");
        }
    }

    #[test]
    fn the_files_of_a_pattern_are_sorted_and_no_folders() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("samples/c.png")).unwrap();
        for name in ["b.png", "a.png", "a.jpg", ".a.png"] {
            std::fs::write(root.path().join("samples").join(name), "").unwrap();
        }
        assert_eq!(matching(root.path(), "samples/*.png"), ["samples/a.png", "samples/b.png"]);
        assert_eq!(matching(root.path(), "samples/a.jpg"), ["samples/a.jpg"]);
        assert!(matching(root.path(), "nowhere/*.png").is_empty());
    }
}
