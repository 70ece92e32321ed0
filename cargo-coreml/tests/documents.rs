//! Every code block and every link of README and docs, each checked as far as its language allows.
//!
//! | block | what must hold |
//! |---|---|
//! | `rust` | its lines are in a file of the examples, which compiles; `tests/` compiles those of
//! README and the tutorial |
//! | `rust fragment` | it is Rust's grammar |
//! | `toml` | a manifest is read without an error, with the files that it names; anything else is
//! TOML |
//! | `toml fragment` | the same, added to a model that has what the fragment lacks |
//! | `python` | it is Python's grammar |
//! | a whole manifest or function in a page that leads to an example | its lines are in a file of
//! the examples |
//! | `sh`, and `cargo coreml …` within the text | subcommands and options exist, packages and tools
//! of this repository, too |
//!
//! `text`, `yaml` and `nginx` are shown and not run. A block of another kind is an error.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod command;

use command::{command, run};
use coreml_test_needs::needs;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Documents whose Rust `tests/tests/readme.rs` and `tutorial.rs` compile and run.
const RUN_ELSEWHERE: [&str; 2] = ["README.md", "docs/tutorial.md"];

/// A manifest that lacks what its page is about: the gallery shows mistakes, which
/// `tests/tests/gallery.rs` makes.
const MISTAKES: &str = "docs/errors.md";

/// Returns the root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Returns README and the pages of docs, by path.
fn documents() -> BTreeMap<String, String> {
    let pages =
        std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let pages =
        pages.filter_map(|name| name.into_string().ok()).filter(|name| name.ends_with(".md"));
    let names = pages.map(|name| format!("docs/{name}")).chain(["README.md".to_owned()]);
    names.map(|name| (name.clone(), std::fs::read_to_string(root().join(&name)).unwrap())).collect()
}

/// A code block.
struct Block {
    /// Its document, with the line that it begins at.
    place: String,
    /// Its document.
    document: String,
    /// The info string of the fence.
    kind: String,
    /// Its lines, without the indentation of a list.
    text: String,
}

/// Returns the code blocks of all documents, and the documents without them.
fn blocks() -> (Vec<Block>, BTreeMap<String, String>) {
    let (mut blocks, mut prose) = (Vec::new(), BTreeMap::new());
    for (document, content) in documents() {
        let (mut open, mut rest): (Option<Block>, String) = (None, String::new());
        for (number, line) in content.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), &mut open) {
                (Some(kind), None) => {
                    let (place, kind) =
                        (format!("{document}:{}", number + 1), kind.trim().to_owned());
                    open = Some(Block {
                        place,
                        document: document.clone(),
                        kind,
                        text: String::new(),
                    });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => block.text.push_str(&format!("{line}\n")),
                (None, None) => rest.push_str(&format!("{line}\n")),
            }
        }
        assert!(open.is_none(), "{document}: a code block has no end");
        prose.insert(document, rest);
    }
    (blocks, prose)
}

/// Returns the blocks of one of the kinds.
fn of(kinds: &[&str]) -> Vec<Block> {
    let (mut blocks, _) = blocks();
    blocks.retain(|block| kinds.contains(&block.kind.as_str()));
    assert!(!blocks.is_empty(), "there is none of {kinds:?}");
    blocks
}

#[test]
fn every_block_says_what_it_is() {
    let known = [
        "rust",
        "rust fragment",
        "toml",
        "toml fragment",
        "python",
        "sh",
        "sh install",
        "sh picture",
        "sh text",
        "sh model",
        "text",
        "yaml",
        "nginx",
    ];
    for block in blocks().0 {
        assert!(
            known.contains(&block.kind.as_str()),
            "{}: a block of the kind {:?}",
            block.place,
            block.kind
        );
    }
}

/// Returns the files of the examples with this extension, each line without its indentation.
fn example_sources(wanted: &str) -> Vec<String> {
    let (mut sources, mut folders) = (Vec::new(), vec![root().join("examples")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == wanted) {
                sources.push(unindented(&std::fs::read_to_string(entry).unwrap()));
            }
        }
    }
    sources
}

/// Returns a text with its lines' indentation taken away.
fn unindented(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim())).collect()
}

#[test]
fn rust_stands_in_an_example_or_is_a_fragment() {
    let sources = example_sources("rs");
    for block in of(&["rust", "rust fragment"]) {
        if block.kind == "rust" && !RUN_ELSEWHERE.contains(&block.document.as_str()) {
            let text = unindented(&block.text);
            let pieces: Vec<&str> = text.split("…\n").collect();
            let found = sources
                .iter()
                .any(|source| pieces.iter().all(|piece| source.contains(piece.trim())));
            assert!(
                found,
                "{}: no file of examples/ has these lines; is it a fragment?\n{}",
                block.place, block.text
            );
        }
        let as_statements = syn::parse_str::<syn::Block>(&format!("{{{}\n}}", block.text)).is_ok();
        let is_rust =
            as_statements || syn::parse_file(&block.text).is_ok() || block.text.contains('…');
        assert!(is_rust, "{}: rustc could not read it", block.place);
    }
}

#[test]
fn a_cookbook_shows_what_the_examples_have() {
    let leads_to_one = |document: &str| documents()[document].contains("(../examples/");
    for (kind, extension) in [("toml", "toml"), ("python", "py")] {
        let sources = example_sources(extension);
        let shown = of(&[kind])
            .into_iter()
            .filter(|block| leads_to_one(&block.document) && !block.text.contains("\n    ...\n"));
        for block in shown {
            let text = unindented(&block.text);
            let has_all = |source: &String| {
                text.lines().all(|line| source.lines().any(|other| other == line))
            };
            assert!(
                sources.iter().any(has_all),
                "{}: no file of examples/ has all these lines",
                block.place
            );
        }
    }
}

#[test]
fn toml_is_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Cargo.toml"), "[package]\nname = \"a\"\n").unwrap();
    for block in of(&["toml", "toml fragment"]) {
        let parsed: toml::Table =
            block.text.parse().unwrap_or_else(|error| panic!("{}: {error}", block.place));
        let is_manifest =
            ["model", "models", "defaults"].iter().any(|table| parsed.contains_key(*table));
        let is_fragment = block.kind == "toml fragment";
        if block.document == MISTAKES || !(is_manifest || is_fragment) {
            continue;
        }
        let text = if is_fragment { completed(&parsed, &block.text) } else { block.text.clone() };
        name_files(folder.path(), &toml::Value::Table(text.parse().unwrap()));
        std::fs::write(folder.path().join("m.toml"), &text).unwrap();
        let mut command = command();
        command.args(["build", "--dry-run", "m.toml"]).current_dir(folder.path());
        let (code, output, error) =
            run(command.env("COREML_CACHE_DIR", folder.path().join("cache")));
        assert_eq!((code, error.as_str()), (0, ""), "{}:\n{text}\n{output}", block.place);
    }
}

/// Returns the manifest of a fragment: the keys that a model needs and the fragment lacks come
/// first.
fn completed(fragment: &toml::Table, text: &str) -> String {
    let model = fragment.get("model").and_then(|model| model.as_table()).unwrap_or(fragment);
    let mut manifest = "[model]\n".to_owned();
    if !model.contains_key("source") {
        manifest.push_str("source = { file = \"net.py\", entry = \"net\" }\n");
    }
    if !model.contains_key("inputs") {
        manifest.push_str("inputs.x = { shape = [1, 4] }\n");
    }
    // Two ways to compress in one fragment are alternatives as often as not; together they need no
    // more than iOS18.
    manifest += &text.replace("[model]\n", "");
    if !fragment.contains_key("python") {
        manifest.push_str("\n[python]\ndependencies = [\"scikit-learn\"]\n");
    }
    manifest
}

/// Makes an empty file of each text that looks like a path.
fn name_files(folder: &Path, value: &toml::Value) {
    match value {
        toml::Value::String(text) if text.contains('.') && !text.contains(['=', '…', ' ']) => {
            let path = folder.join(text);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let _ = std::fs::write(path, "");
        }
        toml::Value::String(text) if text.contains('/') => {
            let _ = std::fs::create_dir_all(folder.join(text));
        }
        toml::Value::Array(values) => values.iter().for_each(|value| name_files(folder, value)),
        toml::Value::Table(table) => table.values().for_each(|value| name_files(folder, value)),
        _ => {}
    }
}

#[needs(python3)]
#[test]
fn python_is_read() {
    let program = ["python3", "python"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok())
        .expect("there is a Python");
    for block in of(&["python"]) {
        let mut python = Command::new(program);
        python
            .args(["-c", "import ast, sys; ast.parse(sys.stdin.read())"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped());
        let mut python = python.spawn().unwrap();
        python.stdin.take().unwrap().write_all(block.text.as_bytes()).unwrap();
        let done = python.wait_with_output().unwrap();
        assert!(
            done.status.success(),
            "{}: {}",
            block.place,
            String::from_utf8_lossy(&done.stderr)
        );
    }
}

/// Checks commands against the help of this program, which runs once for each subcommand.
#[derive(Default)]
struct Commands {
    /// Help by subcommand.
    helps: BTreeMap<String, String>,
}

impl Commands {
    /// Returns the help of a subcommand; empty when it does not exist.
    fn help(&mut self, words: &[&str]) -> &str {
        self.helps.entry(words.join(" ")).or_insert_with(|| {
            let (code, output, _) = run(command().args(words).arg("--help"));
            if code == 0 { output } else { String::new() }
        })
    }

    /// Checks one command `cargo coreml WORDS`.
    fn check(&mut self, place: &str, words: &[&str]) {
        let Some(subcommand) = words.first().filter(|word| !word.starts_with(['-', 'S'])) else {
            return;
        };
        let mut path = vec![*subcommand];
        assert!(!self.help(&path).is_empty(), "{place}: there is no `cargo coreml {subcommand}`");
        if let Some(nested) = words.get(1).filter(|_| *subcommand == "cache") {
            path.push(nested);
            assert!(
                !self.help(&path).is_empty(),
                "{place}: there is no `cargo coreml cache {nested}`"
            );
        }
        for option in words.iter().filter(|word| word.starts_with("--")) {
            let option = option.split('=').next().unwrap();
            let known = self
                .help(&path)
                .split(|letter: char| !(letter.is_alphanumeric() || letter == '-'))
                .any(|word| word == option);
            assert!(known, "{place}: `cargo coreml {}` has no `{option}`", path.join(" "));
        }
    }
}

/// Returns the words of a command line up to a pipe, a redirection or a comment.
fn words(line: &str) -> Vec<&str> {
    let end = |word: &&str| !["|", ">", "#", "&&", ";"].contains(word);
    line.split_whitespace().take_while(end).map(|word| word.trim_end_matches([';', ','])).collect()
}

#[test]
fn commands_exist() {
    let mut commands = Commands::default();
    for block in of(&["sh", "sh install", "sh picture", "sh text", "sh model"]) {
        let lines = block.text.lines().flat_map(|line| line.split("; "));
        for line in lines {
            let words = words(line);
            // Variables before a command are the command's.
            let start = words.iter().position(|word| !word.contains('=')).unwrap_or(0);
            match &words[start..] {
                ["cargo", "coreml", rest @ ..] => commands.check(&block.place, rest),
                ["cargo", rest @ ..] => {
                    let package =
                        rest.iter().position(|word| *word == "-p").and_then(|at| rest.get(at + 1));
                    if let Some(package) = package {
                        let folders = ["", "examples/", "tools/"]
                            .map(|folder| root().join(folder).join(package));
                        assert!(
                            folders.iter().any(|folder| folder.join("Cargo.toml").is_file()),
                            "{}: {package}",
                            block.place
                        );
                    }
                }
                _ => {}
            }
            for tool in words.iter().filter(|word| word.starts_with("tools/")) {
                assert!(root().join(tool).exists(), "{}: there is no {tool}", block.place);
            }
        }
    }
    let (_, prose) = blocks();
    for (document, text) in &prose {
        for code in text.split('`').skip(1).step_by(2) {
            if let Some(rest) = code.strip_prefix("cargo coreml ") {
                commands.check(document, &words(rest));
            }
        }
    }
}

/// Returns the anchors of a document's headings as code hosts and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let anchor = |heading: &str| -> String {
        let letters = heading.trim().to_lowercase();
        letters
            .chars()
            .filter_map(|letter| match letter {
                ' ' => Some('-'),
                letter if letter.is_alphanumeric() || "-_".contains(letter) => Some(letter),
                _ => None,
            })
            .collect()
    };
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

#[test]
fn links_lead_somewhere_and_the_book_has_every_page() {
    let (_, prose) = blocks();
    for (document, text) in &prose {
        let folder = root().join(document).parent().unwrap().to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split_whitespace().next().unwrap_or_default();
            if target.contains("://") || target.is_empty() {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { root().join(document) } else { folder.join(file) };
            assert!(path.exists(), "{document}: there is no {target}");
            if !anchor.is_empty() {
                let known = anchors(&std::fs::read_to_string(&path).unwrap());
                assert!(known.contains(anchor), "{document}: {file} has no heading {anchor:?}");
            }
        }
    }
    let summary = &prose["docs/SUMMARY.md"];
    let listed = |page: &str| summary.contains(&format!("({page})"));
    let missing: Vec<_> = prose
        .keys()
        .filter_map(|name| name.strip_prefix("docs/"))
        .filter(|page| *page != "SUMMARY.md" && !listed(page))
        .collect();
    assert!(missing.is_empty(), "docs/SUMMARY.md lacks {missing:?}");
}
