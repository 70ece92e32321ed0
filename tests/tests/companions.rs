//! Files that belong to a model, from the manifest to a running program.
//!
//! Owns: the proof that a program reads them from the build folder, from a bundle and from itself.
#![cfg(not(target_vendor = "apple"))]

use coreml_tests::{UserCrate, run, workspace};
use std::path::Path;
use std::process::Command;

/// A model that needs no Python, with two files.
const MANIFEST: &str = r#"[model]
source = { package = "encoder.mlpackage" }
files = ["text/tokenizer.json", "words.txt"]
"#;

/// Reads both files of the model that is found.
const MAIN: &str = r#"#[coreml_rt::coreml_model("net.toml")]
pub mod net {}

fn main() -> Result<(), coreml_rt::Error> {
    let files = net::Model::load()?.files();
    let tokenizer = files.tokenizer_json()?;
    let place = if tokenizer.path().is_some() { "disk" } else { "program" };
    println!("{place} {} {}", tokenizer.bytes().len(), files.words_txt()?.text()?);
    Ok(())
}
"#;

/// Copies a folder.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

#[test]
fn a_program_reads_the_files_that_it_was_built_with_and_no_others() {
    let user = UserCrate::new("companions", &["net.toml"]);
    user.write("net.toml", MANIFEST);
    user.write("src/main.rs", MAIN);
    user.write("text/tokenizer.json", "{}");
    user.write("words.txt", "größe");
    let package = workspace().join("coreml-rt/tests/data/packages/encoder.mlpackage");
    copy(&package, &user.path("encoder.mlpackage")).expect("files can be copied");
    assert_eq!(user.cargo(&["run"]).succeeds().stdout, "disk 2 größe\n");
    // Another content is another build, and no conversion.
    user.write("words.txt", "maß");
    assert_eq!(user.cargo(&["run"]).succeeds().stdout, "disk 2 maß\n");

    // As `cargo coreml bundle` leaves it.
    let built = user.build_file("debug", "companions", "net.toml", "index.json");
    let built = built.parent().expect("a file lies in a folder");
    let shipped = user.path("shipped");
    copy(&built.join("net.mlpackage"), &shipped.join("net.mlpackage")).expect("it is there");
    let program = coreml_tests::target().join("debug/companions");
    let shipped_run = || run(Command::new(&program).env("COREML_MODEL_DIR", &shipped));
    shipped_run().fails_with(&[
        "the file `tokenizer.json` of the model `net` cannot be used",
        "cargo coreml bundle net.toml",
    ]);
    copy(&built.join("net.files"), &shipped.join("net.files")).expect("they are there");
    assert_eq!(shipped_run().succeeds().stdout, "disk 2 maß\n");
    std::fs::write(shipped.join("net.files/words.txt"), "other").expect("it can be written");
    shipped_run().fails_with(&["is not the file that the program was built with"]);

    user.write("net.toml", format!("{MANIFEST}embed = true\n"));
    assert_eq!(user.cargo(&["run"]).succeeds().stdout, "program 2 maß\n");
    let output = shipped_run().succeeds().stdout;
    assert_eq!(output, "program 2 maß\n", "it has the right file itself");
}
