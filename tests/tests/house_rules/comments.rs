//! What comments say of other files is true: the files that `Flow:` names exist and hang together
//! by imports, and no list of callers names code of its own crate.
//!
//! Owns: reading `Flow:` and `Called by:`.
//! Must not: judge other words of a comment.
//! Flow: `main.rs` → here → `sources.rs`, `links.rs`.

use crate::links::Links;
use crate::sources::{MAY_DEPEND_ON, crates, paths, sources};

/// Endings that make a quoted text the name of a file, or of a folder.
const ENDINGS: &[&str] = &[".rs", ".py", ".toml", ".html", ".js", ".safetensors", "/"];

/// The folder of the driver, whose docstrings name modules without an ending.
const DRIVER: &str = "coreml-build/python/coreml_driver/";

/// Something that a comment names, with the files that it can mean.
type Named<'a> = (&'a str, Vec<&'a str>);

/// Returns what stands after `Flow:` in the documentation that opens a file, to the end of the
/// paragraph or the next section.
fn flow(text: &str) -> Option<String> {
    let opening: Vec<&str> = if text.starts_with("//!") {
        text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect()
    } else {
        let text = text.trim_start_matches("#!/usr/bin/env python3\n").strip_prefix("\"\"\"")?;
        text.split("\"\"\"").next()?.lines().map(str::trim).collect()
    };
    let paragraphs = opening.split(|line| line.is_empty()).map(|lines| lines.join(" "));
    let after = paragraphs
        .filter_map(|paragraph| Some(paragraph.split_once("Flow:")?.1.to_owned()))
        .next()?;
    let end = ["Owns:", "Must not:"].iter().filter_map(|section| after.find(section)).min();
    Some(after[..end.unwrap_or(after.len())].trim().to_owned())
}

/// Returns the texts between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Returns the parts of `text` that are words of a program.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

/// Returns whether a quoted text names a file or a folder.
fn is_file(name: &str) -> bool {
    ENDINGS.iter().any(|ending| name.ends_with(ending))
        && !name.contains([' ', '…', '<'])
        && !name.starts_with("NAME")
}

/// Returns the crate that a file belongs to.
fn owner<'a>(path: &str, crates: &'a [String]) -> Option<&'a str> {
    let owns = |folder: &&str| path.strip_prefix(*folder).is_some_and(|rest| rest.starts_with('/'));
    crates.iter().map(String::as_str).filter(owns).max()
}

/// Returns the files that `name` can mean in the file at `path`: those of its crate, or else, for
/// a name with a folder and for Python, those of the whole tree.
fn meant<'a>(name: &str, path: &str, crates: &[String], files: &'a [String]) -> Vec<&'a str> {
    let (end, inside) = (format!("/{name}"), format!("/{}/", name.trim_end_matches('/')));
    let fits = |file: &&str| {
        let file = format!("/{file}");
        file.ends_with(&end) || (name.ends_with('/') && file.contains(&inside))
    };
    let all: Vec<&str> = files.iter().map(String::as_str).filter(fits).collect();
    let owner_of_path = owner(path, crates);
    let own = |file: &&str| owner(file, crates) == owner_of_path;
    let far = all.iter().all(|file| !own(file))
        && (name.trim_end_matches('/').contains('/') || name.ends_with(".py"));
    if far { all } else { all.into_iter().filter(own).collect() }
}

/// Judges the `Flow:` of one file by what it names.
///
/// Returns: what is wrong.
fn judge(path: &str, named: &[Named<'_>], links: &Links) -> Vec<String> {
    let mut wrong: Vec<String> = named
        .iter()
        .filter(|(_, files)| files.is_empty())
        .map(|(name, _)| format!("{path}: `{name}` does not exist"))
        .collect();
    // What is in no graph, a build script or a test, cannot hang together.
    let in_graph = |files: &[&str]| files.iter().any(|file| links.are_of_one_graph(path, file));
    let mut open: Vec<&Named<'_>> = named.iter().filter(|(_, files)| in_graph(files)).collect();
    let mut connected = vec![path];
    while let Some(index) = open.iter().position(|(_, files)| {
        files.iter().any(|file| connected.iter().any(|known| links.connect(known, file)))
    }) {
        connected.extend(open.swap_remove(index).1.iter().copied());
    }
    wrong.extend(open.iter().map(|(name, _)| {
        format!(
            "{path}: no import connects `{name}` with this file or with another that its `Flow:` \
             names"
        )
    }));
    wrong
}

/// Judges the `Flow:` of a file of the driver, in which every quoted word is a module, a name of
/// a module after a dot, or a word of the code of this file or of one that it names.
///
/// Parameters: `modules` — names of all modules with their files, and the texts of these.
fn judge_words(
    path: &str,
    text: &str,
    flow: &str,
    modules: &[(String, &str, &str)],
    links: &Links,
) -> Vec<String> {
    let code = |text: &str| text.splitn(3, "\"\"\"").last().unwrap_or_default().to_owned();
    let has = |text: &str, word: &str| words(&code(text)).any(|found| found == word);
    let beside = path.strip_prefix(DRIVER).and_then(|path| path.rsplit_once('/'));
    let module = |name: &str| {
        let near = beside.map(|(folder, _)| format!("{folder}/{name}"));
        let is = |wanted: &str| modules.iter().find(|(module, ..)| module == wanted);
        near.and_then(|near| is(&near)).or_else(|| is(name))
    };
    let is_word = |name: &&str| words(name).count() == 1 + name.matches('.').count();
    let quoted: Vec<&str> = quoted(flow).filter(|name| !is_file(name)).filter(is_word).collect();
    let (mut named, mut plain, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for name in quoted {
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        match module(first) {
            Some((_, file, text)) if rest.is_empty() || has(text, rest) => {
                named.push((name, vec![*file]));
            }
            Some((_, file, _)) => wrong.push(format!("{path}: `{rest}` is not in {file}")),
            None => plain.push(name),
        }
    }
    let texts = modules.iter().filter(|(_, file, _)| named.iter().any(|(_, has)| has[0] == *file));
    let texts: Vec<&str> = texts.map(|(_, _, text)| *text).chain([text]).collect();
    wrong.extend(
        plain
            .iter()
            .filter(|name| !texts.iter().any(|text| name.split('.').all(|word| has(text, word))))
            .map(|name| format!("{path}: `{name}` is no module, and no word of this file's code")),
    );
    wrong.extend(judge(path, &named, links));
    wrong
}

#[test]
fn the_flow_of_a_file_is_true() {
    let (crates, files, all) = (crates(), paths(), sources(&["rs", "py"]));
    let links = Links::of(&crates, &all);
    let driver = |(path, text): &'_ (String, String)| {
        let name = path.strip_prefix(DRIVER)?.strip_suffix(".py")?;
        let name = name.strip_suffix("/__init__").unwrap_or(name);
        Some((name.to_owned(), path.clone(), text.clone()))
    };
    let driver: Vec<_> = all.iter().filter_map(driver).collect();
    let modules: Vec<_> =
        driver.iter().map(|(name, path, text)| (name.clone(), &**path, &**text)).collect();
    let mut wrong = Vec::new();
    for (path, text) in &all {
        let Some(flow) = flow(text) else { continue };
        let named: Vec<Named<'_>> = quoted(&flow)
            .filter(|name| is_file(name))
            .map(|name| (name, meant(name, path, &crates, &files)))
            .collect();
        wrong.extend(judge(path, &named, &links));
        if path.starts_with(DRIVER) {
            wrong.extend(judge_words(path, text, &flow, &modules, &links));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns the callers of its own crate that a comment lists.
///
/// Parameters: `files` — the files of the crate, relative to its `src/`; `functions` — names that
/// it defines with `fn`.
fn callers(text: &str, files: &[&str], functions: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let comments: Vec<&str> = text
        .lines()
        .map(str::trim_start)
        .map(|line| {
            line.strip_prefix("///").or_else(|| line.strip_prefix("//")).map_or("", str::trim)
        })
        .collect();
    for paragraph in comments.split(|line| line.is_empty()).map(|lines| lines.join(" ")) {
        for list in paragraph.split("Called by:").skip(1) {
            let list = list.split_once(". ").map_or(list, |(list, _)| list);
            for name in quoted(list) {
                let linked = list.contains(&format!("[`{name}`]"));
                let first = words(name).next().unwrap_or_default();
                let foreign = first.starts_with("coreml_") || name.starts_with("::");
                let own_file = name.ends_with(".rs")
                    && files.iter().any(|file| format!("/{file}").ends_with(&format!("/{name}")));
                let own = ["crate", "super", "self", "Self"].contains(&first);
                if own || own_file || (linked && !foreign) || functions.contains(&name) {
                    found.push(name.to_owned());
                }
            }
        }
    }
    found
}

#[test]
fn nothing_lists_callers_of_its_own_crate() {
    let all = sources(&["rs", "py"]);
    let mut wrong = Vec::new();
    for (name, _) in MAY_DEPEND_ON {
        let folder = format!("{name}/src/");
        let own: Vec<(&str, &str)> = all
            .iter()
            .filter_map(|(path, text)| Some((path.strip_prefix(&folder)?, text.as_str())))
            .collect();
        let files: Vec<&str> = own.iter().map(|(path, _)| *path).collect();
        let functions: Vec<&str> = own
            .iter()
            .flat_map(|(_, text)| text.split("fn ").skip(1))
            .filter_map(|rest| words(rest).next())
            .collect();
        for (path, text) in &own {
            for caller in callers(text, &files, &functions) {
                wrong.push(format!("{folder}{path}: `{caller}`"));
            }
        }
    }
    let driver = all.iter().filter(|(path, _)| path.starts_with(DRIVER));
    for (path, _) in driver.filter(|(_, text)| text.contains("Called by:")) {
        wrong.push(format!("{path}: all callers are in this package"));
    }
    assert!(
        wrong.is_empty(),
        "`Called by:` names code of the same crate, which an editor finds and a comment forgets:\n\
         {}",
        wrong.join("\n")
    );
}

#[test]
fn a_flow_that_is_not_true_is_found() {
    let text =
        "//! What.\n//!\n//! Owns: x. Flow: `a.rs` → here\n//! → `b.rs`. Must not: `c.rs`.\n";
    let flow = flow(text).expect("there is one");
    assert_eq!(quoted(&flow).collect::<Vec<_>>(), ["a.rs", "b.rs"]);
    let files = ["k/src/lib.rs", "k/src/a.rs", "k/src/b.rs", "k/src/c.rs", "other/src/d.rs"];
    let uses = ["mod a; mod b; mod c;", "use crate::b::f;", "pub fn f() {}", ""];
    let all: Vec<(String, String)> =
        files.iter().zip(uses).map(|(path, text)| ((*path).to_owned(), text.to_owned())).collect();
    let crates = ["k".to_owned(), "other".to_owned()];
    let links = Links::of(&crates, &all);
    let files = files.map(str::to_owned);
    let named = |name| (name, meant(name, "k/src/b.rs", &crates, &files));
    assert!(judge("k/src/b.rs", &[named("a.rs")], &links).is_empty());
    assert_eq!(judge("k/src/b.rs", &[named("c.rs")], &links).len(), 1, "siblings");
    assert!(judge("k/src/b.rs", &[named("c.rs"), named("lib.rs")], &links).is_empty());
    assert_eq!(judge("k/src/b.rs", &[named("d.rs")], &links).len(), 1, "another crate's");
    assert!(judge("k/src/b.rs", &[named("other/src/d.rs")], &links).is_empty());
}

#[test]
fn a_docstring_that_is_not_true_is_found() {
    let modules = [
        ("one".to_owned(), "one.py", "\"\"\"One.\"\"\"\ndef make(): send(\"event\")"),
        ("two".to_owned(), "two.py", "\"\"\"Two.\"\"\"\nclass Two: ..."),
    ];
    let wrong = |flow: &str| judge_words("two.py", modules[1].2, flow, &modules, &Links::default());
    assert!(wrong("`one.make` -> `Two`; the `event`").is_empty());
    assert_eq!(wrong("`one.gone` -> `Two`").len(), 1);
    assert_eq!(wrong("`three` -> `Two`").len(), 1);
}

#[test]
fn callers_are_found() {
    let text = "/// X.\n///\n/// Called by: [`crate::a`], `b.rs`, `go`\n/// and `other.rs`. \
        `c.rs`.\n\
                /// Called by: the generated `Model::load`, [`coreml_rt::Model`], `cargo coreml`.";
    assert_eq!(callers(text, &["x/b.rs", "c.rs"], &["go", "cargo"]), ["crate::a", "b.rs", "go"]);
}
