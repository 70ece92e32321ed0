//! What is written from the rows: docs/manifest.schema.json and the tables of docs/manifest.md. And
//! what must agree with them: the lists of the driver.
//!
//! Owns: the words for kinds and defaults. Must not: say anything of a key.
//! Flow: `COREML_BLESS=1 cargo test -p coreml-build documents` writes the documents; without it the
//! test fails when they are stale.

use super::key::rows;
use super::kind::{Absent, Goes, Kind, Row, Table};
use super::named::Named;
use super::{KEYS, Manifest, keys};
use crate::python::Requirements;
use crate::python::embedded;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A manifest.
static MANIFEST: Table = Table {
    name: "manifest",
    text: "Which models there are, where they come from and how they are converted: \
        docs/manifest.md.",
    rows: || rows(KEYS),
    entries: None,
};

/// Returns the text of a file of the repository.
fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Asserts that a file of the repository says `wanted`, or lets it say so.
#[track_caller]
fn assert_written(path: &str, wanted: &str) {
    if text(path) == wanted {
        return;
    }
    if std::env::var_os("COREML_BLESS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
        std::fs::write(path, wanted).unwrap();
    } else {
        panic!("{path} is stale: run `COREML_BLESS=1 cargo test -p coreml-build documents`");
    }
}

/// Returns all tables of a manifest by their names.
fn tables() -> BTreeMap<&'static str, &'static Table> {
    fn add(table: &'static Table, found: &mut BTreeMap<&'static str, &'static Table>) {
        if found.insert(table.name, table).is_some() {
            return;
        }
        table.entries.into_iter().for_each(|entry| add(entry, found));
        (table.rows)().iter().for_each(|row| add_kind(&row.kind, found));
    }
    fn add_kind(kind: &Kind, found: &mut BTreeMap<&'static str, &'static Table>) {
        for kind in kind.alternatives() {
            match kind {
                Kind::Table(table) => add(table, found),
                Kind::List(of, ..) => add_kind(of, found),
                _ => {}
            }
        }
    }
    let mut found = BTreeMap::new();
    add(&MANIFEST, &mut found);
    found
}

/// Returns a default in TOML as JSON.
fn default(toml: &str) -> Value {
    let table: toml::Table = format!("x = {toml}").parse().unwrap();
    serde_json::to_value(&table["x"]).unwrap()
}

/// JSON whose objects keep their order, whatever features of serde_json others have chosen.
#[derive(Clone, Serialize)]
#[serde(untagged)]
enum Json {
    /// Anything without order.
    Value(Value),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Named<Json>),
}

/// Makes an object.
fn object<const N: usize>(entries: [(&str, Json); N]) -> Named<Json> {
    Named(entries.map(|(name, value)| (name.to_owned(), value)).into())
}

/// Makes a value.
fn value(value: impl Into<Value>) -> Json {
    Json::Value(value.into())
}

/// Returns what the schema says of a kind of value.
fn kind_schema(kind: &Kind) -> Named<Json> {
    let of_type = |name: &str| object([("type", value(name))]);
    let bounded = |name: &str, bounds: &[(&str, i64)]| {
        let mut schema = of_type(name);
        let bounds = bounds.iter().filter(|(_, bound)| ![i64::MIN, i64::MAX].contains(bound));
        schema.0.extend(bounds.map(|(name, bound)| ((*name).to_owned(), value(*bound))));
        schema
    };
    match kind {
        Kind::Boolean => of_type("boolean"),
        Kind::Integer(min, max) => bounded("integer", &[("minimum", *min), ("maximum", *max)]),
        Kind::Integers(all) => object([("enum", value(*all))]),
        Kind::Number => of_type("number"),
        Kind::Tolerance => bounded("number", &[("minimum", 0)]),
        Kind::Positive => bounded("number", &[("exclusiveMinimum", 0)]),
        Kind::Share => bounded("number", &[("exclusiveMinimum", 0), ("exclusiveMaximum", 1)]),
        Kind::Text => of_type("string"),
        Kind::Matching(form) => object([("type", value("string")), ("pattern", value(*form))]),
        Kind::Word(words) => object([("enum", value(*words))]),
        Kind::List(of, min, max) => {
            let mut schema = object([
                ("type", value("array")),
                ("items", Json::Object(kind_schema(of))),
                ("minItems", value(*min)),
                ("maxItems", value(*max)),
            ]);
            schema.0.retain(|(name, _)| {
                !(name == "minItems" && *min == 0 || name == "maxItems" && *max == usize::MAX)
            });
            schema
        }
        Kind::Arguments => of_type("object"),
        Kind::Numbers => object([
            ("type", value("object")),
            ("additionalProperties", Json::Object(of_type("number"))),
        ]),
        Kind::Table(table) => object([("$ref", value(format!("#/$defs/{}", table.name)))]),
        Kind::Either(kinds) => {
            let kinds = kinds.iter().map(|kind| Json::Object(kind_schema(kind))).collect();
            object([("anyOf", Json::Array(kinds))])
        }
    }
}

/// Returns what the schema says of a table.
fn table_schema(table: &Table) -> Named<Json> {
    let rows = (table.rows)();
    let property = |row: &Row| {
        let mut schema = kind_schema(&row.kind);
        schema.0.push(("description".to_owned(), value(plain(row.text))));
        if let Absent::Is(toml) = row.absent {
            schema.0.push(("default".to_owned(), value(default(toml))));
        }
        (row.name.to_owned(), Json::Object(schema))
    };
    let others = match table.entries {
        Some(entries) => Json::Object(kind_schema(&Kind::Table(entries))),
        None => value(false),
    };
    let mut schema = object([
        ("type", value("object")),
        ("description", value(plain(table.text))),
        ("properties", Json::Object(Named(rows.iter().map(property).collect()))),
        ("additionalProperties", others),
    ]);
    let needed: Vec<_> =
        rows.iter().filter(|row| matches!(row.absent, Absent::Needed(_))).collect();
    if !needed.is_empty() {
        let names: Vec<_> = needed.iter().map(|row| row.name).collect();
        schema.0.push(("required".to_owned(), value(names)));
    }
    schema
}

/// Returns Markdown without the targets of its links.
fn plain(markdown: &str) -> String {
    let mut plain = String::new();
    let mut rest = markdown;
    while let Some((before, link)) = rest.split_once('[') {
        let Some((shown, (_, after))) =
            link.split_once("](").and_then(|(shown, rest)| Some((shown, rest.split_once(')')?)))
        else {
            break;
        };
        if shown.contains(']') {
            plain += &rest[..before.len() + 1];
            rest = link;
            continue;
        }
        plain += before;
        plain += shown;
        rest = after;
    }
    plain + rest
}

/// Returns what a value looks like, in Markdown.
fn kind_words(kind: &Kind) -> String {
    let list = |words: Vec<String>| words.join(", ");
    match kind {
        Kind::Boolean => "`true`, `false`".to_owned(),
        Kind::Integer(..) => one(&integers(kind)),
        Kind::Integers(all) => list(all.iter().map(i64::to_string).collect()),
        Kind::Number => "number".to_owned(),
        Kind::Tolerance => "number from 0".to_owned(),
        Kind::Positive => "number above 0".to_owned(),
        Kind::Share => "number between 0 and 1".to_owned(),
        Kind::Text | Kind::Matching(_) => "string".to_owned(),
        Kind::Word(words) => list(words.iter().map(|word| format!("`\"{word}\"`")).collect()),
        Kind::List(of, min, max) => {
            let count = match (*min, *max) {
                (min, max) if min == max => format!("{min} "),
                (_, usize::MAX) => String::new(),
                (min, max) => format!("{min} to {max} "),
            };
            format!("array of {count}{}", several(of))
        }
        Kind::Arguments => "table".to_owned(),
        Kind::Numbers => "table of numbers".to_owned(),
        Kind::Table(table) if table.entries.is_some() => "tables by name".to_owned(),
        Kind::Table(_) => "table".to_owned(),
        Kind::Either(kinds) => kinds.iter().map(kind_words).collect::<Vec<_>>().join(" or "),
    }
}

/// Returns what integers of a kind are called.
fn integers(kind: &Kind) -> String {
    match kind {
        Kind::Integer(i64::MIN, _) => "integers".to_owned(),
        Kind::Integer(min, max) if *max >= i64::from(i32::MAX) => format!("integers from {min}"),
        Kind::Integer(min, max) => format!("integers from {min} to {max}"),
        _ => unreachable!(),
    }
}

/// Turns the word for several into that for one.
fn one(several: &str) -> String {
    several.replacen("integers", "integer", 1)
}

/// Returns what several values of a kind are called.
fn several(kind: &Kind) -> String {
    match kind {
        Kind::Integer(..) => integers(kind),
        Kind::Number => "numbers".to_owned(),
        Kind::Text | Kind::Matching(_) => "strings".to_owned(),
        Kind::Table(table) => format!("{}s", table.name),
        Kind::List(..) => kind_words(kind).replacen("array", "arrays", 1),
        Kind::Either(kinds) => kinds.iter().map(several).collect::<Vec<_>>().join(" or "),
        _ => kind_words(kind),
    }
}

/// Returns a table's keys as a table of Markdown.
fn markdown(table: &Table) -> String {
    let mut lines = vec!["| key | value | default | meaning |".to_owned()];
    lines.push("|---|---|---|---|".to_owned());
    for row in (table.rows)() {
        let key = match row.kind {
            Kind::Table(Table { entries: Some(_), .. }) => format!("{}.NAME", row.name),
            _ => row.name.to_owned(),
        };
        let default = match (row.absent, row.kind) {
            (Absent::Needed(_), _) => "needed".to_owned(),
            (Absent::Is("{}"), Kind::Table(_)) => "its keys' defaults".to_owned(),
            (Absent::Is(value), _) => format!("`{value}`"),
            (Absent::Means(words), _) => words.to_owned(),
        };
        lines.push(format!("| `{key}` | {} | {default} | {} |", kind_words(&row.kind), row.text));
    }
    lines.join("\n")
}

/// Returns the keys of a model that change no conversion.
fn unconverted() -> String {
    let model = (keys::MODEL.rows)();
    let inside = |row: &Row| match row.kind {
        Kind::Table(table) if table.name == "parity" => (table.rows)(),
        _ => Vec::new(),
    };
    let free = |row: &Row| row.goes != Goes::Conversion;
    let own = model.iter().filter(|row| free(row)).map(|row| row.name.to_owned());
    let parity =
        model.iter().flat_map(inside).filter(free).map(|row| format!("parity.{}", row.name));
    let tables = tables();
    let inputs = [("range", "shape"), ("image", "image")].map(|(table, key)| {
        let rows = (tables[table].rows)().into_iter().filter(free);
        rows.map(move |row| format!("inputs.NAME.{key}.{}", row.name)).collect::<Vec<_>>()
    });
    let names: Vec<_> = own
        .chain(parity)
        .chain(inputs.into_iter().flatten())
        .map(|name| format!("- `{name}`"))
        .collect();
    format!("A change of these keys does not convert again:\n\n{}", names.join("\n"))
}

#[test]
fn the_schema_is_written_from_the_rows() {
    let mut schema = object([
        ("$schema", value("http://json-schema.org/draft-07/schema#")),
        ("title", value("Manifest of coreml-build")),
    ]);
    schema.0.extend(table_schema(&MANIFEST).0);
    let one_of = ["model", "models"].map(|key| Json::Value(json!({ "required": [key] })));
    schema.0.push(("oneOf".to_owned(), Json::Array(one_of.into())));
    let tables = tables().into_values().filter(|table| table.name != MANIFEST.name);
    let tables =
        tables.map(|table| (table.name.to_owned(), Json::Object(table_schema(table)))).collect();
    schema.0.push(("$defs".to_owned(), Json::Object(Named(tables))));
    let schema = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    assert_written("docs/manifest.schema.json", &schema);
}

#[test]
fn the_tables_of_the_manual_are_written_from_the_rows() {
    /// Begins the marker in front of a table, and ends it behind one.
    const MARKERS: [&str; 3] = ["<!-- keys of ", " -->\n", "\n<!-- end of keys -->"];
    let path = "docs/manifest.md";
    let manual = text(path);
    let tables = tables();
    // An output's image has one key, which `image` describes; a function's keys are the model's;
    // the others name their entries freely.
    let mut unseen: BTreeSet<_> = tables.keys().copied().collect();
    for name in ["output-image", "function", "inputs", "outputs", "functions", "models"] {
        assert!(unseen.remove(name), "{name}");
    }
    let mut parts = manual.split(MARKERS[0]);
    let mut written = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(MARKERS[1]).unwrap();
        let (_, rest) = rest.split_once(MARKERS[2]).unwrap();
        let content = if name == "no conversion" {
            unconverted()
        } else {
            unseen.remove(name);
            markdown(tables.get(name).unwrap_or_else(|| panic!("{path} knows a table `{name}`")))
        };
        written += &[MARKERS[0], name, MARKERS[1], "\n", &content, "\n", MARKERS[2], rest].concat();
    }
    assert!(unseen.is_empty(), "{path} lacks the keys of {unseen:?}");
    assert_written(path, &written);
}

#[test]
fn every_key_is_documented_and_its_default_can_be_read() {
    for table in tables().values() {
        let mut names = BTreeSet::new();
        for row in (table.rows)() {
            let key = format!("{}.{}", table.name, row.name);
            assert!(names.insert(row.name), "{key} has two rows");
            assert!(row.text.ends_with('.') && !row.text.contains(['\n', '|']), "{key}");
            if let Absent::Is(toml) = row.absent {
                default(toml);
            }
        }
        assert!(table.text.ends_with('.') && !table.text.contains('\n'), "{}", table.name);
    }
    let python = (tables()["python"].rows)();
    let Absent::Means(packages) = python[1].absent else { panic!("{:?}", python[1]) };
    for package in &Requirements::default().packages {
        assert!(packages.contains(&format!("`{package}`")), "{package}: {packages}");
    }
}

#[test]
fn the_canonical_table_has_no_key_that_does_not_go_there() {
    let content = "[model]\nsource = { file = \"a.py\", entry = \"net\" }\ninputs.x = { shape = \
        [1] }\n\
        compute-units = \"cpu-only\"\nembed = true\nallow = [\"ANE030\"]\n";
    let manifest = Manifest::parse(Path::new("/m.toml"), "m.toml", content.to_owned()).unwrap();
    let table = serde_json::to_value(&manifest.models[0].conversion).unwrap();
    for key in table.as_object().unwrap().keys() {
        let rows = (keys::MODEL.rows)();
        let row = rows.iter().find(|row| row.name == key).unwrap_or_else(|| panic!("{key}"));
        assert_eq!(row.goes, Goes::Conversion, "{key}");
    }
}

/// Returns the Python dictionary that is assigned to `name` at the top of a driver's file.
fn dictionary(file: &str, name: &str) -> BTreeMap<String, Value> {
    let path = format!("coreml_driver/{file}");
    let (_, text) = embedded::DRIVER.iter().find(|(name, _)| *name == path).unwrap();
    let (_, rest) = text.split_once(&format!("\n{name}: Mapping[str, Any] = {{\n")).unwrap();
    let (entries, _) = rest.split_once("\n}\n").unwrap();
    let json = entries.replace("None", "null").replace("True", "true").replace("False", "false");
    serde_json::from_str(&format!("{{{}}}", json.trim_end_matches(','))).unwrap()
}

/// Returns the keys of a table that go to the driver, with their defaults.
fn converted(rows: Vec<Row>) -> BTreeMap<String, Value> {
    let rows = rows.into_iter().filter(|row| row.goes == Goes::Conversion);
    let entry = |row: Row| match row.absent {
        Absent::Is(toml) => (row.name.to_owned(), default(toml)),
        _ => (row.name.to_owned(), Value::Null),
    };
    rows.map(entry).collect()
}

#[test]
fn the_driver_has_the_same_keys_and_defaults() {
    let tables = tables();
    let expected = |table: &str| converted((tables[table].rows)());
    let mut model = expected("model");
    // The driver makes a table of one function from each, before it reads one.
    for key in ["functions", "default-function", "buckets"] {
        assert!(model.remove(key).is_some(), "{key}");
    }
    for (file, name, expected) in [
        ("request.py", "KEYS", model),
        ("request.py", "SOURCE_KEYS", expected("source")),
        ("functions.py", "OWN_KEYS", expected("function")),
        ("features.py", "INPUT_KEYS", expected("input")),
        ("buckets.py", "KEYS", expected("buckets")),
        ("parity.py", "KEYS", expected("parity")),
    ] {
        assert_eq!(dictionary(file, name), expected, "{name} of coreml_driver/{file}");
    }
}
