//! A model that the build script no longer builds is never used, though cargo leaves its files in
//! `OUT_DIR`.
//!
//! Owns: every way in which a model can become stale without a failing build script. Must not: test
//! what is converted again; `rebuilds.rs` does.

#![expect(clippy::expect_used, reason = "this file is tests")]

use coreml_tests::{Run, UserCrate};
use std::path::Path;

/// A manifest of a model that multiplies numbers.
///
/// Parameters: `size` — how many numbers.
fn manifest(size: usize) -> String {
    format!(
        "[model]\nsource = {{ file = \"python/times.py\", entry = \"times\" }}\ninputs.x = {{ \
         shape = [{size}], dtype = \"float32\" }}\noutputs.y = {{ dtype = \"float32\" }}\n"
    )
}

/// The Python side of [`manifest`].
///
/// Parameters: `factor` — what the model multiplies by.
fn python(factor: usize) -> String {
    format!(
        "import torch\n\n\nclass Times(torch.nn.Module):\n    def forward(self, x):\n        \
         return {factor} * x\n\n\ndef times():\n    return Times()\n"
    )
}

/// A program that multiplies three numbers.
const MAIN: &str = r#"#[coreml_rt::coreml_model("times.toml")]
pub mod times {}

fn main() -> Result<(), coreml_rt::Error> {
    let output = times::Model::load()?.predict(&times::Input { x: (&[1.0, 2.0, 3.0]).into() })?;
    println!("{:?}", output.y.as_slice());
    Ok(())
}
"#;

/// A build script that builds `manifests`.
fn script(manifests: &[&str]) -> String {
    let calls = manifests.iter().map(|name| format!("    coreml_build::compile({name:?});\n"));
    format!("fn main() {{\n{}}}\n", calls.collect::<String>())
}

/// Returns a crate whose program doubles, not built yet.
fn unbuilt(name: &str) -> UserCrate {
    let user = UserCrate::new(name, &["times.toml"]);
    user.write("times.toml", manifest(3));
    user.write("python/times.py", python(2));
    user.write("src/main.rs", MAIN);
    user
}

/// Returns the crate after its first build.
fn built(name: &str) -> UserCrate {
    let user = unbuilt(name);
    prints(&user, "[2.0, 4.0, 6.0]");
    user
}

/// Asserts what the program prints.
fn prints(user: &UserCrate, expected: &str) {
    let run = user.cargo(&["run"]).succeeds();
    assert_eq!(run.stdout.trim(), expected, "{}", run.stderr);
}

/// Asserts that neither the program nor its parity test can be built, and that the error says each
/// of `parts`, once and at the attribute.
fn refused(user: &UserCrate, parts: &[&str]) {
    for arguments in [&["run"][..], &["test"]] {
        let run: Run = user.cargo(arguments);
        run.fails_with(parts);
        run.fails_with(&["--> src/main.rs:1:27"]);
        let errors = run.stderr.lines().filter(|line| line.starts_with("error: "));
        let errors = errors.filter(|line| !line.contains("could not compile"));
        assert_eq!(errors.count(), 1, "one mistake, one error, in:\n{}", run.stderr);
    }
}

/// Returns the folder with the products of all manifests.
fn products(user: &UserCrate, name: &str, manifest: &str) -> std::path::PathBuf {
    let index = user.build_file("debug", name, manifest, "index.json");
    index.ancestors().nth(2).map(Path::to_path_buf).expect("it is below `coreml`")
}

#[test]
fn a_build_script_that_was_emptied() {
    let user = built("stale-emptied");
    user.write("build.rs", "fn main() {}\n");
    let message = "build.rs does not build `times.toml` (it builds no manifest)";
    refused(&user, &[message, "coreml_build::compile(\"times.toml\");"]);
    // Nor does a change of the model bring the old one back.
    user.write("times.toml", manifest(4));
    user.write("python/times.py", python(7));
    refused(&user, &[message]);
    user.write("build.rs", script(&["times.toml"]));
    user.write("src/main.rs", MAIN.replace("3.0]", "3.0, 4.0]"));
    prints(&user, "[7.0, 14.0, 21.0, 28.0]");
    let run = user.cargo(&["test"]).succeeds();
    assert!(run.stdout.contains("test times::parity::matches_pytorch ... ok"), "{}", run.stdout);
}

#[test]
fn a_build_script_that_names_another_manifest() {
    let name = "stale-other";
    let user = built(name);
    user.write("other.toml", manifest(3));
    user.write("build.rs", script(&["other.toml"]));
    refused(&user, &["build.rs does not build `times.toml` (it builds `other.toml`)"]);
    let all = products(&user, name, "other.toml");
    assert!(!all.join("times.toml").exists(), "the products are removed from {}", all.display());
}

#[test]
fn a_typo_in_the_build_script() {
    let user = built("stale-typo");
    user.write("build.rs", script(&["time.toml"]));
    refused(
        &user,
        &["build.rs does not build `times.toml`", "builds `time.toml`", "Correct a name"],
    );
}

#[test]
fn a_manifest_and_a_python_file_that_are_gone() {
    let user = built("stale-gone");
    std::fs::remove_file(user.path("python/times.py")).expect("it was written");
    refused(&user, &["times.toml:2:", "python/times.py"]);
    std::fs::remove_file(user.path("times.toml")).expect("it was written");
    refused(&user, &["times.toml"]);
    user.write("build.rs", "fn main() {}\n");
    refused(&user, &["build.rs does not build `times.toml`"]);
    std::fs::remove_file(user.path("build.rs")).expect("it was written");
    refused(&user, &["this package has no build script"]);
}

#[test]
fn a_value_and_a_shape_that_changed() {
    let user = built("stale-changed");
    user.write("python/times.py", python(7));
    prints(&user, "[7.0, 14.0, 21.0]");
    user.write("times.toml", manifest(4));
    user.cargo(&["build"]).fails_with(&["src/main.rs:5"]);
    user.write("src/main.rs", MAIN.replace("3.0]", "3.0, 4.0]"));
    prints(&user, "[7.0, 14.0, 21.0, 28.0]");
}

#[test]
fn two_copies_of_a_crate_that_share_a_target_folder() {
    // Cargo gives both the same `OUT_DIR`.
    let [first, second] = ["stale-twin"; 2].map(unbuilt);
    second.write("python/times.py", python(7));
    for _ in 0..2 {
        prints(&first, "[2.0, 4.0, 6.0]");
        prints(&second, "[7.0, 14.0, 21.0]");
    }
    second.write("build.rs", "fn main() {}\n");
    refused(&second, &["build.rs does not build `times.toml`"]);
    // Cargo runs the second's build script for the first: its source is the newer one.
    refused(&first, &["build.rs names `times.toml`", "another copy of this package"]);
    first.write("build.rs", script(&["times.toml"]));
    prints(&first, "[2.0, 4.0, 6.0]");
}

#[test]
fn a_variable_from_outside_proves_nothing() {
    let user = built("stale-outside");
    user.write("build.rs", "fn main() {}\n");
    // Cargo gives programs that it starts the variables of their own build: a test that runs cargo
    // passes them on to other crates.
    let user = user.with("COREML_BUILT_times_2Etoml", "0123456789abcdef times.toml");
    refused(&user, &["does not hold what this build made of `times.toml`"]);
}

#[test]
fn products_of_manifests_that_are_still_built_stay() {
    let name = "stale-several";
    let user = built(name);
    user.write("other.toml", manifest(3));
    user.write("third.toml", manifest(3));
    user.write(
        "build.rs",
        "fn main() {\n    coreml_build::compile(\"times.toml\");\n    \
         coreml_build::compile_all([\"other.toml\", \"./third.toml\"]);\n}\n",
    );
    prints(&user, "[2.0, 4.0, 6.0]");
    let all = products(&user, name, "times.toml");
    let exist = || ["times.toml", "other.toml", "third.toml"].map(|name| all.join(name).exists());
    assert_eq!(exist(), [true; 3]);
    user.write("build.rs", script(&["./times.toml", "third.toml"]));
    prints(&user, "[2.0, 4.0, 6.0]");
    assert_eq!(exist(), [true, false, true]);
}

#[test]
fn every_target_and_command_knows_what_was_built() {
    let user = unbuilt("stale-targets");
    let library = MAIN.split("fn main").next().expect("it opens with the module");
    user.write(
        "src/lib.rs",
        format!(
            "//! A library.\n//! ```\n//! #[coreml_rt::coreml_model(\"times.toml\")]\n//! mod \
             again {{}}\n//! again::Model::load().expect(\"it loads\");\n//! ```\n{library}"
        ),
    );
    user.write("examples/times.rs", MAIN);
    user.write("tests/times.rs", MAIN.replace("fn main", "#[test]\nfn test"));
    user.write("benches/times.rs", MAIN);
    let run = user.cargo(&["test", "--all-targets"]).succeeds();
    assert!(run.stdout.matches("parity::matches_pytorch ... ok").count() >= 3, "{}", run.stdout);
    let run = user.cargo(&["test", "--doc"]).succeeds();
    assert!(run.stdout.contains("1 passed"), "{}", run.stdout);
    user.cargo(&["doc", "--no-deps"]).succeeds();
    user.cargo(&["run", "--example", "times"]).succeeds();
}
