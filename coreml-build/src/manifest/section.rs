//! Walking a TOML document so that nothing in it goes unread.
//!
//! Owns: reading tables and values with their places, and the wording of "unknown key", "wrong
//! type", "wrong value".
//! Must not: know which keys a manifest has.
//! Flow: `key.rs` reads tables through it by their rows, whose readers take [`Item`]s apart; the
//! errors collect in [`Reader`].

use super::kind::Kind;
use super::text::Text;
use crate::error::{Error, ErrorKind, Place};
use crate::nearest::did_you_mean;
use std::cell::RefCell;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What all sections of one manifest share: its text, the errors found so far, the place of every
/// key read so far.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// The manifest.
    text: &'a Text,
    /// Errors found so far.
    errors: RefCell<Vec<Error>>,
    /// Place of each key that was read, by its dotted path from the root.
    places: RefCell<BTreeMap<String, Place>>,
}

impl<'a> Reader<'a> {
    /// Starts reading `text`.
    pub(super) fn new(text: &'a Text) -> Self {
        Self { text, errors: RefCell::default(), places: RefCell::default() }
    }

    /// Notes an error; the same error at the same place counts once.
    pub(super) fn report(&self, error: Error) {
        let mut errors = self.errors.borrow_mut();
        if !errors.contains(&error) {
            errors.push(error);
        }
    }

    /// Returns the place of the key with this path from the root, if it has been read.
    pub(super) fn place(&self, path: &str) -> Option<Place> {
        self.places.borrow().get(path).cloned()
    }

    /// Returns the places of all keys read so far.
    pub(super) fn places(&self) -> BTreeMap<String, Place> {
        self.places.borrow().clone()
    }

    /// Returns the errors found, in the manifest's order.
    pub(super) fn errors(&self) -> Vec<Error> {
        let mut errors = self.errors.borrow().clone();
        errors.sort_by_key(|error| error.place().map(|place| (place.line, place.column)));
        errors
    }

    /// Returns the document's root.
    pub(super) fn root(&'a self, table: &'a DeTable<'a>) -> Section<'a> {
        Section::new(self, String::new(), 0, table)
    }
}

/// A table being read.
#[derive(Debug)]
pub(super) struct Section<'a> {
    /// What it belongs to.
    pub(super) reader: &'a Reader<'a>,
    /// Dotted path from the root; empty for the root.
    pub(super) path: String,
    /// Byte offset of the table's key.
    offset: usize,
    /// Its entries, in the manifest's order.
    entries: Vec<(&'a str, Item<'a>)>,
}

impl<'a> Section<'a> {
    /// Takes the entries of `table`, and remembers their places.
    fn new(reader: &'a Reader<'a>, path: String, offset: usize, table: &'a DeTable<'a>) -> Self {
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().as_ref();
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                let item = Item {
                    reader,
                    path,
                    offset: key.span().start,
                    is_key: true,
                    value: value.get_ref(),
                    kind: Kind::Arguments,
                };
                (name, item)
            })
            .collect();
        entries.sort_by_key(|(_, item)| item.offset);
        entries.iter().for_each(|(_, item)| item.note_place());
        Self { reader, path, offset, entries }
    }

    /// Returns the value of `key`, which should be of this kind.
    pub(super) fn get(&self, key: &str, kind: &Kind) -> Option<Item<'a>> {
        let (_, item) = self.entries.iter().find(|(name, _)| *name == key)?;
        Some(Item { kind: *kind, ..item.clone() })
    }

    /// Returns whether it has any entry.
    pub(super) fn has_any(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Returns whether there is a value of `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| *name == key)
    }

    /// Returns the entries but for those of `keys`: those whose names are free.
    pub(super) fn others(&self, keys: &[&str]) -> impl Iterator<Item = (&'a str, &Item<'a>)> {
        let others = self.entries.iter().filter(|(name, _)| !keys.contains(name));
        others.map(|(name, item)| (*name, item))
    }

    /// Reports all keys that are not among the known.
    pub(super) fn refuse_others(&self, known: impl Iterator<Item = &'static str>) {
        let known: Vec<_> = known.collect();
        let suffix = self.suffix();
        for (name, item) in self.others(&known) {
            item.report(format!(
                "unknown key `{name}`{suffix}{}",
                did_you_mean(name, known.iter().copied())
            ));
        }
    }

    /// Reports the absence of `key` with `example`, a line that would do.
    pub(super) fn report_missing(&self, key: &str, example: &str) {
        let suffix = self.suffix();
        self.report(format!("`{key}` is missing{suffix}: write for example `{example}`"));
    }

    /// Reports an error at the table's own key.
    pub(super) fn report(&self, message: String) {
        self.report_in(self.reader.text.key_place(self.offset), message);
    }

    /// Reports an error at the key with this path inside the table.
    pub(super) fn report_at(&self, path: &str, message: String) {
        match self.reader.place(&format!("{}.{path}", self.path)) {
            Some(place) => self.report_in(place, message),
            None => self.report(message),
        }
    }

    /// Reports an error at `place`.
    fn report_in(&self, place: Place, message: String) {
        self.reader.report(Error::new(ErrorKind::Manifest, message).at(place));
    }

    /// Returns the end of a message about this table.
    fn suffix(&self) -> String {
        if self.path.is_empty() { String::new() } else { format!(" in `{}`", self.path) }
    }
}

/// A value being read.
#[derive(Clone, Debug)]
pub(super) struct Item<'a> {
    /// What it belongs to.
    reader: &'a Reader<'a>,
    /// Dotted path of the key from the root; an array's element has its array's.
    pub(super) path: String,
    /// Byte offset of the key, or of an array's element itself.
    offset: usize,
    /// Whether `offset` is that of a key.
    is_key: bool,
    /// The value.
    value: &'a DeValue<'a>,
    /// What it should look like.
    kind: Kind,
}

impl<'a> Item<'a> {
    /// Returns where it stands.
    pub(super) fn place(&self) -> Place {
        let text = self.reader.text;
        if self.is_key { text.key_place(self.offset) } else { text.place(self.offset) }
    }

    /// Remembers the place for errors that the driver will report by path.
    fn note_place(&self) {
        let mut places = self.reader.places.borrow_mut();
        if !places.contains_key(&self.path) {
            places.insert(self.path.clone(), self.place());
        }
    }

    /// Returns the last part of the path, as the key is called in messages.
    fn key(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }

    /// Reports an error here.
    pub(super) fn report(&self, message: impl Into<String>) {
        self.reader.report(Error::new(ErrorKind::Manifest, message).at(self.place()));
    }

    /// Reports a wrong type.
    pub(super) fn report_type(&self, wanted: &str) {
        self.report(format!("`{}` must be {wanted}, found {}", self.key(), describe(self.value)));
    }

    /// Reads a string.
    pub(super) fn string(&self) -> Option<&'a str> {
        match self.value {
            DeValue::String(text) => Some(text),
            _ => self.mistyped("a string"),
        }
    }

    /// Reads a string that is not empty.
    pub(super) fn text(&self) -> Option<&'a str> {
        let text = self.string()?;
        if text.trim().is_empty() {
            self.report(format!("`{}` is empty", self.key()));
            return None;
        }
        Some(text)
    }

    /// Reads one of the words of its kind.
    pub(super) fn word(&self) -> Option<&'static str> {
        let words = self.kind.words();
        let accepted =
            || words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let DeValue::String(word) = self.value else {
            return self.mistyped(&format!("one of {}", accepted()));
        };
        let found = words.iter().copied().find(|known| known == word);
        if found.is_none() {
            let guess = did_you_mean(word, words.iter().copied());
            self.report(format!(
                "`{}` cannot be \"{word}\": it must be one of {}{guess}",
                self.key(),
                accepted()
            ));
        }
        found
    }

    /// Reads one of the words of its kind, and returns what `choices` pairs it with.
    pub(super) fn choice<T: Clone>(&self, choices: &[(&str, T)]) -> Option<T> {
        let word = self.word()?;
        choices.iter().find(|(known, _)| *known == word).map(|(_, value)| value.clone())
    }

    /// Reads a boolean.
    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value {
            DeValue::Boolean(value) => Some(*value),
            _ => self.mistyped("true or false"),
        }
    }

    /// Reads an integer that its kind allows.
    pub(super) fn integer(&self) -> Option<i64> {
        let value =
            integer(self.value).or_else(|| self.mistyped("an integer of at most 64 bits"))?;
        let key = self.key();
        for kind in self.kind.alternatives() {
            match kind {
                Kind::Integer(min, max) if !(*min..=*max).contains(&value) => {
                    self.report(format!(
                        "`{key}` is {value}, but must lie between {min} and {max}"
                    ));
                    return None;
                }
                Kind::Integers(all) if !all.contains(&value) => {
                    let all = all.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
                    self.report(format!("`{key}` is {value}, but must be one of {all}"));
                    return None;
                }
                _ => {}
            }
        }
        Some(value)
    }

    /// Reads an integer that counts something.
    pub(super) fn count(&self) -> Option<usize> {
        usize::try_from(self.integer()?).ok()
    }

    /// Reads a finite number that its kind allows, keeping integers integers.
    pub(super) fn number(&self) -> Option<serde_json::Number> {
        let number = number(self.value).or_else(|| self.mistyped("a finite number"))?;
        let value = number.as_f64()?;
        let fault = match self.kind {
            Kind::Tolerance if value < 0.0 => "a tolerance is not negative",
            Kind::Positive if value <= 0.0 => "this must be greater than 0",
            Kind::Share if value <= 0.0 || value >= 1.0 => "this is a share, between 0 and 1",
            _ => return Some(number),
        };
        self.report(fault);
        None
    }

    /// Reads an array.
    pub(super) fn array(&self) -> Option<Vec<Item<'a>>> {
        let DeValue::Array(elements) = self.value else { return self.mistyped("an array") };
        let element = |element: &'a Spanned<DeValue<'a>>| Item {
            reader: self.reader,
            path: self.path.clone(),
            offset: element.span().start,
            is_key: false,
            value: element.get_ref(),
            kind: *self.kind.element(),
        };
        Some(elements.iter().map(element).collect())
    }

    /// Reads a table.
    pub(super) fn section(&self) -> Option<Section<'a>> {
        let DeValue::Table(table) = self.value else { return self.mistyped("a table") };
        Some(Section::new(self.reader, self.path.clone(), self.offset, table))
    }

    /// Returns whether it is a table; reports nothing.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    /// Returns whether it is an array; reports nothing.
    pub(super) fn is_array(&self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    /// Returns whether it is a string; reports nothing.
    pub(super) fn is_string(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    /// Reads any value as JSON, for arguments whose meaning belongs to the user's Python code.
    pub(super) fn json(&self) -> Option<serde_json::Value> {
        json(self.value).or_else(|| {
            self.mistyped(
                "made of strings, finite numbers of at most 64 bits, booleans, arrays and tables",
            )
        })
    }

    /// Reports a wrong type and returns `None`.
    fn mistyped<T>(&self, wanted: &str) -> Option<T> {
        self.report_type(wanted);
        None
    }
}

/// Returns what a value is, for messages.
fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string \"{text}\""),
        DeValue::Integer(integer) => format!("the integer {integer}"),
        DeValue::Float(float) => format!("the number {float}"),
        DeValue::Boolean(value) => format!("{value}"),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "an array".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

/// Returns the integer that a value is, if it is one of at most 64 bits.
fn integer(value: &DeValue<'_>) -> Option<i64> {
    let DeValue::Integer(integer) = value else { return None };
    i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok()
}

/// Returns the finite number that a value is, if it is one.
fn number(value: &DeValue<'_>) -> Option<serde_json::Number> {
    match value {
        DeValue::Integer(_) => integer(value).map(Into::into),
        DeValue::Float(float) => {
            serde_json::Number::from_f64(float.as_str().replace('_', "").parse().ok()?)
        }
        _ => None,
    }
}

/// Returns a value as JSON, or `None` when JSON has no form for it.
fn json(value: &DeValue<'_>) -> Option<serde_json::Value> {
    use serde_json::Value;
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(_) | DeValue::Float(_) => Value::Number(number(value)?),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(_) => return None,
        DeValue::Array(elements) => Value::Array(
            elements.iter().map(|element| json(element.get_ref())).collect::<Option<_>>()?,
        ),
        DeValue::Table(table) => {
            // Sorted here, whatever the order that features of toml and serde_json chosen elsewhere
            // would give.
            let sorted: BTreeMap<String, Value> = table
                .iter()
                .map(|(key, value)| Some((key.get_ref().to_string(), json(value.get_ref())?)))
                .collect::<Option<_>>()?;
            Value::Object(sorted.into_iter().collect())
        }
    })
}
