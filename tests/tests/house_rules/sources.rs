//! The sources of the workspace, as the rules read them.
//!
//! Owns: which files count, and which of their lines.
//! Must not: judge them.
//! Flow: every other file of this folder → here.

use std::path::{Path, PathBuf};

/// The crates of the product, each with the own crates it may depend on.
pub(crate) const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("coreml-spec", &[]),
    ("coreml-lint", &["coreml-spec"]),
    ("coreml-build", &["coreml-spec"]),
    ("coreml-macros", &["coreml-spec"]),
    ("coreml-portable", &["coreml-spec"]),
    ("coreml-rt", &["coreml-spec", "coreml-macros", "coreml-portable"]),
    (
        "cargo-coreml",
        &["coreml-spec", "coreml-lint", "coreml-build", "coreml-portable", "coreml-rt"],
    ),
];

/// Returns the root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests crate stands below the root")
        .to_path_buf()
}

/// Returns the path of every file below the root, relative to it.
pub(crate) fn paths() -> Vec<String> {
    let (root, mut found) = (root(), Vec::new());
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the tree is readable") {
            let path = entry.expect("the tree is readable").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.')
                    && !["target", "__pycache__", "corpus", "node_modules"].contains(&name.as_str())
                {
                    folders.push(path);
                }
            } else {
                let relative = path.strip_prefix(&root).expect("found below the root");
                found.push(relative.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    assert!(!found.is_empty(), "nothing found below {}", root.display());
    found.sort_unstable();
    found
}

/// Returns every file below the root with one of `extensions`, as (path relative to the root,
/// text).
pub(crate) fn sources(extensions: &[&str]) -> Vec<(String, String)> {
    let wanted = |path: &String| {
        let extension = Path::new(path).extension();
        extension.is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
    };
    let read = |path: String| {
        let text = std::fs::read_to_string(root().join(&path)).expect("sources are text");
        (path, text)
    };
    paths().into_iter().filter(wanted).map(read).collect()
}

/// Returns the sources that ship: those below a crate's `src/`, without test modules in files of
/// their own.
pub(crate) fn shipped() -> Vec<(String, String)> {
    let mut sources = sources(&["rs"]);
    sources.retain(|(path, _)| {
        MAY_DEPEND_ON.iter().any(|(name, _)| path.starts_with(&format!("{name}/src/")))
            && !is_of_tests(path)
    });
    sources
}

/// Returns the folders of the workspace's crates, relative to the root.
pub(crate) fn crates() -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the root has one");
    let manifest: toml::Table = manifest.parse().expect("Cargo.toml is TOML");
    let members = manifest["workspace"]["members"].as_array().expect("members are a list");
    members.iter().filter_map(toml::Value::as_str).map(str::to_owned).collect()
}

/// Returns the sources below the `src/` of a crate, each path relative to it, without test
/// modules in files of their own. Of a package with a library, those are the library's.
pub(crate) fn of_crate(folder: &str, sources: &[(String, String)]) -> Vec<(String, String)> {
    let folder = format!("{folder}/src/");
    let mut found: Vec<(String, String)> = sources
        .iter()
        .filter_map(|(path, text)| {
            path.strip_prefix(&folder).map(|path| (path.to_owned(), text.clone()))
        })
        .filter(|(path, _)| {
            path.ends_with(".rs") && !is_of_tests(path) && !path.starts_with("bin/")
        })
        .collect();
    if found.iter().any(|(path, _)| path == "lib.rs") {
        found.retain(|(path, _)| path != "main.rs");
    }
    found
}

/// Returns whether the file at `path` is a module of tests.
fn is_of_tests(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/")
}

/// Returns the lines of `text` that are code, without comments and items of tests, with their
/// numbers from 1.
///
/// Parameters: `text` — as rustfmt writes it: an item ends with a line of its own indentation.
pub(crate) fn code_lines(text: &str) -> Vec<(usize, &str)> {
    let (mut found, mut test) = (Vec::new(), None);
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let depth = line.len() - trimmed.len();
        if let Some(outer) = test {
            let last = depth == outer && trimmed.ends_with(['}', ';']);
            if last {
                test = None;
            }
        } else if trimmed.starts_with("#[cfg(test)]") || trimmed.starts_with("#[cfg(all(test") {
            test = Some(depth);
        } else if !trimmed.starts_with("//") {
            found.push((index + 1, line));
        }
    }
    found
}

#[test]
fn code_of_tests_is_no_code() {
    let text = "#[cfg(test)]
#[path = \"x/tests.rs\"]
mod tests;

// a comment
fn first() {
    #[cfg(test)]
    note(
        1,
    );
    second();
}

#[cfg(test)]
mod inside {
    fn third() {
    }
}
fn fourth() {}";
    let lines: Vec<usize> = code_lines(text).into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, [4, 6, 11, 12, 13, 19]);
}
