//! A lock, from the manifest to the program: what is locked is built, anything else is refused, and
//! types need only the lock.
//!
//! Owns: what a user's crate sees of a lock through cargo. Must not: test the text of locks
//! (`coreml-build` does).

use coreml_tests::{Run, UserCrate, run, workspace};
use std::process::Command;

/// A program that prints the result of loading the model.
const MAIN: &str = "//! A program with a model.\n\n/// The \
    model.\n#[coreml_rt::coreml_model(\"net.toml\")]\npub mod net {}\n\n\
    fn main() {\n    match net::Model::load() {\n        Ok(_) => \
    println!(\"loaded\"),\n        Err(error) => println!(\"{error}\"),\n    }\n}\n";

/// Returns a crate with a small model and an empty cache.
fn small(name: &str) -> UserCrate {
    let user = UserCrate::new(name, &["net.toml"]).with_empty_cache();
    user.write(
        "net.toml",
        "[model]\nsource = { file = \"python/net.py\", entry = \"net\" }\ninputs.x = { shape = [1, \
        4], dtype = \"float32\" }\n\
         outputs.y = { dtype = \"float32\" }\n",
    );
    // Seeded: a conversion that is made again must give the same package.
    user.write(
        "python/net.py",
        "import torch\n\n\ndef net():\n    torch.manual_seed(0)\n    return torch.nn.Linear(4, \
        3)\n",
    );
    user.write("src/main.rs", MAIN);
    user
}

/// Runs `cargo coreml lock` in a crate's folder, with the crate's variables.
fn lock(user: &UserCrate, arguments: &[&str]) -> Run {
    let manifest = workspace().join("cargo-coreml/Cargo.toml");
    let mut command: Command = user.command(&["run", "--quiet", "--manifest-path"]);
    command.arg(manifest).args(["--", "coreml", "lock"]).args(arguments);
    run(&mut command)
}

#[test]
fn what_is_locked_is_built_and_nothing_else() {
    let user = small("locked");
    lock(&user, &[]).succeeds();
    let text = std::fs::read_to_string(user.path("net.lock")).expect("the command wrote it");
    let built = user.cargo(&["run"]).succeeds();
    assert!(
        built.stdout.contains("loaded") && !built.stderr.contains("warning"),
        "{}{}",
        built.stdout,
        built.stderr
    );
    assert_eq!(user.cached("locked", "net.toml"), [true], "the lock's conversion is the build's");
    assert!(lock(&user, &["--check"]).succeeds().stdout.contains("net.lock: up to date"));

    // The cache is lost: the conversion runs again, and returns the locked package.
    std::fs::remove_dir_all(user.cache().join("v1/entries")).expect("the cache has entries");
    user.cargo(&["clean", "-p", "locked"]).succeeds();
    user.cargo(&["check"]).succeeds();
    assert_eq!(user.cached("locked", "net.toml"), [false]);

    // Someone offers another package under the same fingerprint.
    let digest = text
        .lines()
        .find_map(|line| line.strip_prefix("digest = "))
        .expect("there is a digest")
        .to_owned();
    user.write("net.lock", text.replace(&digest, &format!("\"{}\"", "0".repeat(64))));
    let refused = user.cargo(&["check"]);
    refused.fails_with(&[
        "--> src/main.rs:4:27",
        "not the one that net.lock names",
        "cargo coreml lock net.toml",
    ]);
    user.write("net.lock", &text);
    user.cargo(&["check"]).succeeds();

    // The interface changes: a warning in a build, a difference to read in a check.
    let manifest = std::fs::read_to_string(user.path("net.toml")).expect("it was written");
    user.write("net.toml", manifest.replace("outputs.y", "outputs.scores"));
    let edited = user.cargo(&["check"]).succeeds();
    assert!(edited.stderr.contains("net.lock is out of date"), "{}", edited.stderr);
    let check = lock(&user, &["--check"]);
    check.fails_with(&["net.lock is out of date"]);
    assert!(
        check.stdout.contains("-    { name = \"y\", kind")
            && check.stdout.contains("+    { name = \"scores\", kind"),
        "{}",
        check.stdout
    );
}

#[test]
fn types_and_documentation_need_only_the_lock() {
    let user = small("skipped");
    lock(&user, &[]).succeeds();
    std::fs::remove_dir_all(user.cache()).expect("it was made");
    // As on docs.rs: no Python, no weights, no cache.
    std::fs::remove_dir_all(user.path("python")).expect("it was written");
    let user = user.without_python().with("DOCS_RS", "1");
    user.cargo(&["doc", "--no-deps"]).succeeds();
    user.cargo(&["test", "--no-run"]).succeeds();
    let run = user.cargo(&["run"]).succeeds();
    assert!(
        run.stdout.contains("built without the model `net`: COREML_BUILD=skip"),
        "{}",
        run.stdout
    );
    assert!(!user.cache().exists(), "a build that only takes interfaces stores nothing");
    user.write(
        "net.toml",
        "[model]\nsource = { file = \"python/net.py\", entry = \"net\" }\ninputs.x = { shape = [1, \
        4] }\n",
    );
    user.cargo(&["check"]).succeeds();
    std::fs::remove_file(user.path("net.lock")).expect("it was written");
    user.cargo(&["check"]).fails_with(&["there is no net.lock", "cargo coreml lock net.toml"]);
}
