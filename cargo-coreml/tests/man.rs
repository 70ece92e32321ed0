//! `cargo coreml man` as a user runs it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;

use command::{command, run};

#[test]
fn every_subcommand_has_a_page_with_its_examples() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    let (code, _, errors) = run(command().arg("man").arg(&pages));
    assert_eq!((code, errors.as_str()), (0, ""));
    let (_, help, _) = run(command().arg("--help"));
    let list = help.split_once("Commands:").unwrap().1.split_once("\n\n").unwrap().0;
    let names: Vec<&str> = list
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        // A description that is wrapped goes on in lines of deeper indentation.
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.contains(&"verify") && names.contains(&"man"), "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        let page = std::fs::read_to_string(pages.join(format!("cargo-coreml-{name}.1"))).unwrap();
        assert!(page.starts_with(".ie") && page.contains(".SH SYNOPSIS"), "{name}");
    }
    let page = std::fs::read_to_string(pages.join("cargo-coreml-verify.1")).unwrap();
    assert!(page.contains("round\\-to\\-half") && page.contains("Examples:"), "{page}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (code, _, errors) = run(command().arg("man").arg(file.path().join("man1")));
    assert!(code == 1 && errors.contains("man1"), "{errors}");
}
