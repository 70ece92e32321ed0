//! What a table of the manifest may hold, without the code that reads it.
//!
//! Owns: the kinds of values, and what is said of a key for people, editors and the driver.
//! Must not: read anything.
//! Flow: `key.rs` puts a kind and a reader into one row; the schema and the tables of
//! docs/manifest.md follow from the rows.

/// What a value looks like.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "documentation; its writer is a test"))]
pub(super) enum Kind {
    /// `true` or `false`.
    Boolean,
    /// An integer between these two, both included.
    Integer(i64, i64),
    /// One of these integers.
    Integers(&'static [i64]),
    /// A finite number.
    Number,
    /// A number that is not negative.
    Tolerance,
    /// A number greater than 0.
    Positive,
    /// A number between 0 and 1, neither included.
    Share,
    /// A string.
    Text,
    /// A string of this form, a regular expression. Its reader checks it: it knows better words.
    Matching(&'static str),
    /// One of these words.
    Word(&'static [&'static str]),
    /// An array of so many values of one kind. Its reader checks the number.
    List(&'static Kind, usize, usize),
    /// A table of any keys, whose meaning belongs to the user's Python code.
    Arguments,
    /// A table of numbers under names of the user's choice.
    Numbers,
    /// A table.
    Table(&'static Table),
    /// One of several kinds, at most one of them of words and one of integers.
    Either(&'static [Kind]),
}

impl Kind {
    /// Returns the kinds that a value may have.
    pub(super) fn alternatives(&self) -> &[Self] {
        match self {
            Self::Either(kinds) => kinds,
            kind => std::slice::from_ref(kind),
        }
    }

    /// Returns the words that a value may be.
    pub(super) fn words(&self) -> &'static [&'static str] {
        let words = |kind: &Self| if let Self::Word(words) = kind { Some(*words) } else { None };
        self.alternatives().iter().find_map(words).unwrap_or_default()
    }

    /// Returns the kind of an array's elements.
    pub(super) fn element(&self) -> &'static Self {
        let element = |kind: &Self| if let Self::List(of, ..) = kind { Some(*of) } else { None };
        self.alternatives().iter().find_map(element).unwrap_or(&Self::Arguments)
    }
}

/// What holds where the manifest is silent about a key.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "documentation; its writer is a test"))]
pub(super) enum Absent {
    /// That is an error, which shows this line as an example.
    Needed(&'static str),
    /// This value, in TOML. It is read as if the manifest had it.
    Is(&'static str),
    /// What these words say.
    Means(&'static str),
}

/// Where the value of a key goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    /// Into the canonical table, and so to the driver: a change converts again.
    Conversion,
    /// Into the index, for the macro.
    Index,
    /// Nowhere: it concerns the build alone.
    Build,
}

/// A kind of table.
#[derive(Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "documentation; its writer is a test"))]
pub(super) struct Table {
    /// What the documents call it.
    pub(super) name: &'static str,
    /// What it says of the model.
    pub(super) text: &'static str,
    /// The keys that it may have.
    pub(super) rows: fn() -> Vec<Row>,
    /// What stands under names of the user's choice.
    pub(super) entries: Option<&'static Table>,
}

/// A key without its reader.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "documentation; its writer is a test"))]
pub(super) struct Row {
    /// Its name.
    pub(super) name: &'static str,
    /// What its value looks like.
    pub(super) kind: Kind,
    /// What holds without it.
    pub(super) absent: Absent,
    /// Where its value goes.
    pub(super) goes: Goes,
    /// What it says of the model, in one line of Markdown.
    pub(super) text: &'static str,
}

/// Returns the words of a list that pairs each with its value.
pub(super) const fn words<T, const N: usize>(pairs: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut words = [""; N];
    let mut position = 0;
    while position < N {
        words[position] = pairs[position].0;
        position += 1;
    }
    words
}
