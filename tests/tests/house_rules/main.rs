//! Rules that must never break, checked in the source tree: which crate may depend on which, where
//! `unsafe`, printing, processes and the environment are allowed, and how a file begins.
//!
//! Owns: the rules of ARCHITECTURE.md that a compiler does not check. Must not: build or run
//! anything.

#![expect(clippy::expect_used, reason = "this file is tests")]

mod comments;
mod directions;
mod graph;
mod links;
mod sources;
mod syntax;
mod width;

use sources::{MAY_DEPEND_ON, code_lines, root, shipped, sources};

/// What only certain files may contain: pattern, prefixes of these files, reason.
const ONLY_IN: &[(&str, &[&str], &str)] = &[
    (
        "unsafe {",
        &[
            "coreml-spec/src/blob.rs",
            "coreml-rt/src/embedded.rs",
            "coreml-rt/src/apple/",
            "coreml-macros/src/expand/",
        ],
        "mmap, embedded symbols and Apple's API only",
    ),
    (
        "process::Command",
        // A metric runs in a test, or for `cargo coreml`.
        &[
            "coreml-build/src/",
            "cargo-coreml/src/",
            "coreml-rt/src/apple/",
            "coreml-rt/src/parity/metric.rs",
        ],
        "only the build side starts processes, and a test its metric",
    ),
    ("process::exit", &["cargo-coreml/src/"], "only a program ends itself"),
    (
        "std::env::",
        &[
            "coreml-build/src/",
            "coreml-macros/src/",
            "coreml-rt/src/",
            "cargo-coreml/src/",
            "coreml-portable/src/engine/onnxruntime/library.rs", // where its shared library lies
        ],
        "configuration is read at the doors",
    ),
    (
        "println!",
        &["coreml-build/src/", "coreml-rt/src/parity", "cargo-coreml/src/"],
        "libraries do not print",
    ),
    ("objc2", &["coreml-rt/src/apple/"], "Apple's API has one room"),
];

/// Words for unfinished work.
const UNDONE: &[&str] = &["TODO", "FIXME", "XXX", "todo!(", "unimplemented!("];

#[test]
fn dependencies_point_one_way() {
    for (name, allowed) in MAY_DEPEND_ON {
        let manifest = std::fs::read_to_string(root().join(name).join("Cargo.toml"))
            .expect("each crate has a Cargo.toml");
        let manifest: toml::Table = manifest.parse().expect("Cargo.toml is TOML");
        let empty = toml::Table::new();
        for section in ["dependencies", "build-dependencies"] {
            for dependency in manifest
                .get(section)
                .and_then(|section| section.as_table())
                .unwrap_or(&empty)
                .keys()
            {
                let own = MAY_DEPEND_ON.iter().any(|(name, _)| name == dependency);
                assert!(
                    !own || allowed.contains(&dependency.as_str()),
                    "{name} must not depend on {dependency}"
                );
            }
        }
    }
}

#[test]
fn what_has_a_room_stays_in_it() {
    let mut wrong = Vec::new();
    for (path, text) in shipped() {
        for (pattern, rooms, reason) in ONLY_IN {
            if rooms.iter().any(|room| path.starts_with(room)) {
                continue;
            }
            for (line, _) in
                code_lines(&text).into_iter().filter(|(_, line)| line.contains(pattern))
            {
                wrong.push(format!("{path}:{line}: `{pattern}` ({reason})"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    let mut wrong = Vec::new();
    for (path, text) in sources(&["rs"]) {
        if !path.contains("/ui/")
            && !path.contains("/snapshots/")
            && !path.ends_with("/tests.rs")
            && !text.starts_with("//!")
        {
            wrong.push(path);
        }
    }
    for (path, text) in sources(&["py"]) {
        let text = text.strip_prefix("#!/usr/bin/env python3\n").unwrap_or(&text);
        let empty_mark_of_a_package = path.ends_with("/__init__.py") && text.trim().is_empty();
        if !text.starts_with("\"\"\"") && !empty_mark_of_a_package {
            wrong.push(path);
        }
    }
    assert!(
        wrong.is_empty(),
        "these files do not open with their documentation:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn nothing_is_left_for_later() {
    let mut wrong = Vec::new();
    for (path, text) in sources(&["rs", "py", "toml", "md"]) {
        if path == "tests/tests/house_rules/main.rs" || path == "AGENTS.md" {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            if UNDONE.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{path}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut wrong = Vec::new();
    for (path, text) in sources(&["md"]) {
        let folder = root().join(&path).parent().expect("a file stands in a folder").to_path_buf();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty()
                && !file.contains("://")
                && !file.contains(' ')
                && !folder.join(file).exists()
            {
                wrong.push(format!("{path}: {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
