//! The README's example works in a new crate outside the workspace.
//!
//! Owns: the promise that the README is true. Must not: hold a copy of its text.

#![expect(clippy::panic, reason = "this file is tests")]

use coreml_tests::UserCrate;

/// Returns the README's code block that opens with a comment naming `file`.
fn block(readme: &str, file: &str) -> String {
    readme
        .split("```")
        .skip(1)
        .step_by(2)
        .find_map(|block| {
            let (_, body) = block.split_once('\n')?;
            let first = body.lines().next()?;
            (first.trim_start_matches(['/', '#', ' ']).split_whitespace().next() == Some(file))
                .then(|| body.to_owned())
        })
        .unwrap_or_else(|| panic!("README.md has no block that opens with a comment naming {file}"))
}

#[test]
fn its_ten_lines_work_in_a_new_crate() {
    let root = coreml_tests::workspace();
    let readme = std::fs::read_to_string(root.join("README.md")).expect("there is a README");
    let user = UserCrate::new("readme-crate", &[]);
    let dependencies =
        block(&readme, "Cargo.toml").replace("\"../", &format!("\"{}/", root.display()));
    let package = "[package]\nname = \"readme-crate\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    user.write("Cargo.toml", format!("{package}\n{dependencies}\n{}", coreml_tests::profiles()));
    for file in ["build.rs", "doubler.toml", "python/doubler.py", "src/main.rs"] {
        user.write(file, block(&readme, file));
    }
    let run = user.cargo(&["run"]).succeeds();
    assert_eq!(run.stdout.trim(), "[2.0, 4.0, 6.0]", "{}", run.stderr);
}
