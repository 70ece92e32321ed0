//! The gallery of errors, `docs/errors.md`: the test makes each mistake, and compares the output
//! with the page.
//!
//! Owns: reading the page, and removing what differs between machines from the texts. `BLESS=1`
//! writes the page again.

use coreml_tests::{UserCrate, run, workspace};
use std::path::PathBuf;

/// A mistake of the page.
#[derive(Default)]
struct Mistake {
    /// Its heading.
    title: String,
    /// The manifest.
    manifest: String,
    /// The Python file; empty if none is needed.
    python: String,
    /// The output in the page.
    text: String,
}

/// Returns where the page is.
fn page() -> PathBuf {
    workspace().join("docs/errors.md")
}

/// Reads the mistakes of a page.
fn mistakes(page: &str) -> Vec<Mistake> {
    let sections = page.split("\n## ").skip(1);
    let block = |section: &str, language: &str| {
        let (_, rest) = section.split_once(&format!("```{language}\n")).unwrap_or_default();
        rest.split_once("```").unwrap_or_default().0.to_owned()
    };
    let mistake = |section: &str| Mistake {
        title: section.lines().next().unwrap_or_default().to_owned(),
        manifest: block(section, "toml"),
        python: block(section, "python"),
        text: block(section, "text"),
    };
    sections.map(mistake).collect()
}

/// Makes a mistake in a crate, and returns what is printed.
fn printed(user: &UserCrate, mistake: &Mistake) -> String {
    user.write("m.toml", &mistake.manifest);
    let python = if mistake.python.is_empty() { "def net():\n    pass\n" } else { &mistake.python };
    user.write("net.py", python);
    let mut command = user.command(&["run", "--quiet", "--manifest-path"]);
    command
        .arg(workspace().join("cargo-coreml/Cargo.toml"))
        .args(["--", "coreml", "build", "m.toml"]);
    let said = run(&mut command);
    let told = said.stderr.split_once("error: ").map_or(said.stderr.as_str(), |(_, error)| error);
    // Where the cache and the crate are differs, and so does the name of a log.
    let lines = told.lines().filter(|line| !line.trim_start().starts_with("log: "));
    let text: String = lines.map(|line| format!("{}\n", line.trim_end())).collect();
    let root = user.path("");
    text.replace(&format!("{}", root.display()), "")
}

#[test]
fn every_mistake_is_told_as_the_page_says() {
    let content = std::fs::read_to_string(page()).unwrap_or_default();
    let all = mistakes(&content);
    assert!(all.len() >= 9, "the page has {} mistakes", all.len());
    let user = UserCrate::new("gallery", &["m.toml"]).with_empty_cache();
    let mut blessed = content.clone();
    let mut wrong = Vec::new();
    for mistake in &all {
        let printed = printed(&user, mistake);
        if printed != mistake.text {
            wrong.push(format!("## {}\n{printed}", mistake.title));
            let (before, after) =
                blessed.split_once(&format!("## {}\n", mistake.title)).unwrap_or_default();
            let after = after.replacen(
                &format!("```text\n{}```", mistake.text),
                &format!("```text\n{printed}```"),
                1,
            );
            blessed = format!("{before}## {}\n{after}", mistake.title);
        }
    }
    if std::env::var_os("BLESS").is_some() {
        assert!(std::fs::write(page(), blessed).is_ok(), "the page can be written");
    } else {
        assert!(
            wrong.is_empty(),
            "docs/errors.md is out of date (BLESS=1 writes it):\n{}",
            wrong.join("\n")
        );
    }
}
