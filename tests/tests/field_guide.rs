//! The coverage table of docs/field-guide.md is complete: no cell is empty, and every test that it
//! names exists.
//!
//! Owns: reading the table. Must not: know what the tests do.

#![expect(clippy::expect_used, reason = "this file is tests")]

use std::path::Path;

/// Returns the text of every Rust and Python file that can hold a test.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).expect("the tree is readable").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            text.push_str(&sources(&path));
        } else if name.ends_with(".rs") || name.ends_with(".py") {
            text.push_str(&std::fs::read_to_string(&path).expect("sources are text"));
        }
    }
    text
}

#[test]
fn every_row_has_a_feature_and_a_test_that_exists() {
    let root = coreml_tests::workspace();
    let guide =
        std::fs::read_to_string(root.join("docs/field-guide.md")).expect("there is a guide");
    let sources = sources(&root);
    let rows = guide
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| A person would"));
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert!(
            cells.len() == 3 && cells.iter().all(|cell| !cell.is_empty()),
            "a cell is missing in: {row}"
        );
        let test = cells[2].trim_matches('`');
        let exists = [format!("fn {test}("), format!("def {test}(")]
            .iter()
            .any(|start| sources.contains(start.as_str()));
        assert!(exists, "there is no test `{test}`, named by: {row}");
        count += 1;
    }
    assert!(count > 30, "only {count} rows were read");
}
