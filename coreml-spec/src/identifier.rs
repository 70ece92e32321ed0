//! Names of features and labels as Rust identifiers.
//!
//! Owns: the rules, which are part of every generated interface. Must not: depend on anything but
//! the names.
//! Flow: called by `coreml-macros` for fields, modules and variants, by messages that show
//! generated names.

use std::collections::HashSet;
use unicode_ident::{is_xid_continue, is_xid_start};

/// Words that cannot be identifiers, of all editions, reserved ones included.
const KEYWORDS: [&str; 53] = [
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue",
    "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if",
    "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub",
    "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "union", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// What stands for a name without a letter or digit, in snake case and as a type.
const NAMELESS: (&str, &str) = ("unnamed", "Unnamed");

/// Returns a name in snake case, as for a field or a module: `classLabel` → `class_label`, `type` →
/// `type_`, `2.out` → `_2_out`.
pub fn rust_identifier(name: &str) -> String {
    let words: Vec<String> = words(name).iter().map(|word| word.to_lowercase()).collect();
    finish(words.join("_"), NAMELESS.0)
}

/// Returns a name in upper camel case, as for a type or a variant: `golden retriever` →
/// `GoldenRetriever`, `7` → `_7`, `-1` → `Minus1`.
pub fn rust_type_name(name: &str) -> String {
    let mut joined = String::new();
    for word in words(name) {
        let mut chars = word.chars();
        let Some(first) = chars.next() else { continue };
        // Without the underscore `1.2` and `12` would be one name.
        if first.is_numeric() && joined.ends_with(char::is_numeric) {
            joined.push('_');
        }
        joined.extend(first.to_uppercase());
        joined.push_str(&chars.as_str().to_lowercase());
    }
    finish(joined, NAMELESS.1)
}

/// Returns [`rust_identifier`] of each name, made unique.
///
/// Of equal ones the first keeps its identifier and the others get `_2`, `_3`, … in order, skipping
/// those that another name has by itself.
pub fn rust_identifiers<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    unique(names.into_iter().map(rust_identifier).collect())
}

/// Returns [`rust_type_name`] of each name, made unique as by [`rust_identifiers`].
pub fn rust_type_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    unique(names.into_iter().map(rust_type_name).collect())
}

/// Splits a name where its words end: at everything that is no letter or digit, and before a
/// capital that follows a small letter or digit, or begins a capitalised word.
fn words(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    for (index, &char) in chars.iter().enumerate() {
        let next = chars.get(index + 1).copied().unwrap_or(' ');
        let last = word.chars().next_back().unwrap_or(' ');
        let is_part = is_xid_continue(char) && char.is_alphanumeric();
        let starts_word = char.is_uppercase()
            && (last.is_lowercase()
                || last.is_numeric()
                || (last.is_uppercase() && next.is_lowercase()));
        if (!is_part || starts_word) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if is_part {
            word.push(char);
        } else if char == '-' && index == 0 && next.is_numeric() {
            // Number labels: -1 and 1 are different classes.
            words.push("minus".to_owned());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Makes joined words an identifier.
fn finish(joined: String, nameless: &str) -> String {
    match joined.chars().next() {
        None => nameless.to_owned(),
        Some(first) if !is_xid_start(first) => format!("_{joined}"),
        Some(_) if KEYWORDS.contains(&joined.as_str()) => format!("{joined}_"),
        Some(_) => joined,
    }
}

/// Numbers all but the first of equal names.
fn unique(names: Vec<String>) -> Vec<String> {
    let mut taken: HashSet<String> = names.iter().cloned().collect();
    let mut seen = HashSet::new();
    let mut result = Vec::with_capacity(names.len());
    // Where to go on counting, so that a thousand equal names do not take a million steps.
    let mut next = std::collections::HashMap::<String, usize>::new();
    for name in names {
        if seen.insert(name.clone()) {
            result.push(name);
            continue;
        }
        let number = next.entry(name.clone()).or_insert(2);
        let free = loop {
            let candidate = format!("{}_{number}", name.trim_end_matches('_'));
            *number += 1;
            if taken.insert(candidate.clone()) {
                break candidate;
            }
        };
        result.push(free);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_snake_case() {
        for (name, expected) in [
            ("mel", "mel"),
            ("Input", "input"),
            ("input", "input"),
            ("classLabel_probs", "class_label_probs"),
            ("HTTPServer2Go", "http_server2_go"),
            ("conv2d", "conv2d"),
            ("my input-1", "my_input_1"),
            ("2.out", "_2_out"),
            ("__x__", "x"),
            ("", "unnamed"),
            ("---", "unnamed"),
            ("-1", "minus_1"),
            ("a-1", "a_1"),
            ("größe", "größe"),
            ("Ärger", "ärger"),
            ("猫", "猫"),
            ("x²", "x"),
            ("😀", "unnamed"),
        ] {
            assert_eq!(rust_identifier(name), expected, "{name}");
        }
    }

    #[test]
    fn type_names_are_upper_camel_case() {
        for (name, expected) in [
            ("golden retriever", "GoldenRetriever"),
            ("tench, Tinca tinca", "TenchTincaTinca"),
            ("classLabel", "ClassLabel"),
            ("HTTPServer", "HttpServer"),
            ("7", "_7"),
            ("-7", "Minus7"),
            ("1.2", "_1_2"),
            ("self", "Self_"),
            ("", "Unnamed"),
            ("猫 cat", "猫Cat"),
        ] {
            assert_eq!(rust_type_name(name), expected, "{name}");
        }
    }

    #[test]
    fn keywords_get_an_underscore() {
        assert!(KEYWORDS.is_sorted());
        for keyword in KEYWORDS.iter().filter(|keyword| **keyword != "Self") {
            assert_eq!(rust_identifier(keyword), format!("{keyword}_"));
        }
    }

    #[test]
    fn collisions_are_numbered_in_order() {
        assert_eq!(
            rust_identifiers(["a-b", "a_b", "a_b_2", "aB"]),
            ["a_b", "a_b_3", "a_b_2", "a_b_4"]
        );
        assert_eq!(rust_identifiers(["input", "Input"]), ["input", "input_2"]);
        assert_eq!(rust_identifiers(["type", "Type"]), ["type_", "type_2"]);
        assert_eq!(rust_type_names(["cat", "Cat", "CAT"]), ["Cat", "Cat_2", "Cat_3"]);
        assert_eq!(rust_type_names(["1", "-1", "01"]), ["_1", "Minus1", "_01"]);
    }

    #[test]
    fn many_equal_names_stay_fast() {
        let names = vec!["!"; 100_000];
        assert_eq!(rust_identifiers(names).last().unwrap(), "unnamed_100000");
    }
}
