//! `cargo coreml new --model`, end to end: the inputs of a model that exists are found, and the
//! crate that is written converts, runs, and gives what PyTorch gives.
//!
//! Owns: the proof for a plain module and for the libraries transformers, openai-whisper and timm,
//! which `.ci/run` installs where `COREML_TEST_TRANSFORMERS_PATH` says. Must not: need a hub.

#![expect(clippy::expect_used, reason = "this file is tests")]

use coreml_test_needs::needs;
use coreml_tests::{Run, UserCrate, python, run, target, workspace};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `cargo new` writes.
const HELLO: &str = "fn main() {\n    println!(\"Hello, world!\");\n}\n";

/// A module with two inputs, one of them by name alone.
const NET: &str = r#"import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(40, 8)
        self.picture = nn.Conv2d(1, 8, 3)

    def forward(self, picture, *, words):
        return {"mixed": self.picture(picture).mean((2, 3)) + self.words(words).mean(1)}


def make():
    return Net()


class Never(nn.Module):
    def forward(self, x):
        raise ValueError("these are not the numbers")


def never():
    return Never()
"#;

/// The encoder of a small Whisper, made with OpenAI's library.
const WHISPER: &str = r#"import whisper.model


def make():
    sizes = whisper.model.ModelDimensions(80, 1500, 16, 2, 1, 100, 16, 16, 2, 1)
    return whisper.model.Whisper(sizes).encoder
"#;

/// Makes a crate as `cargo new` does, with `COREML_PYTHON`.
fn crate_with(name: &str, python: &Path) -> UserCrate {
    let user = UserCrate::new(name, &[]).with("COREML_PYTHON", python);
    user.write("src/main.rs", HELLO);
    user
}

/// Runs `cargo coreml new` in a crate.
fn new(user: &UserCrate, python: &Path, arguments: &[&str]) -> Run {
    let mut build = Command::new(env!("CARGO"));
    build
        .args(["build", "--quiet", "-p", "cargo-coreml"])
        .current_dir(workspace())
        .env("CARGO_TARGET_DIR", target());
    run(&mut build).succeeds();
    let mut command = Command::new(target().join("debug/cargo-coreml"));
    command.args(["coreml", "new"]).args(arguments).current_dir(user.path(""));
    command.env("COREML_PYTHON", python).env("HF_HUB_OFFLINE", "1");
    run(&mut command)
}

/// Returns the manifest of a crate, after its program and its tests have run.
///
/// Parameters: `printed` — by the program.
fn works(user: &UserCrate, manifest: &str, printed: &str) -> String {
    assert_eq!(user.cargo(&["run"]).succeeds().stdout, printed);
    let tests = user.cargo(&["test"]).succeeds().stdout;
    assert!(tests.contains("parity::matches_pytorch ... ok"), "{tests}");
    std::fs::read_to_string(user.path(manifest)).expect("the manifest is text")
}

/// Creates an environment that sees the conversion environment and the tests' libraries.
fn environment(folder: &Path) -> PathBuf {
    let libraries = std::env::var_os("COREML_TEST_TRANSFORMERS_PATH").expect("it is needed");
    run(Command::new(python()).args(["-m", "venv", "--without-pip"]).arg(folder)).succeeds();
    let interpreter = folder.join("bin/python");
    let packages = |python: &Path| {
        let question = "import sysconfig; print(sysconfig.get_path('purelib'))";
        run(Command::new(python).args(["-I", "-c", question])).succeeds().stdout.trim().to_owned()
    };
    let seen = format!("{}\n{}\n", packages(&python()), libraries.display());
    std::fs::write(Path::new(&packages(&interpreter)).join("seen.pth"), seen)
        .expect("the environment is writable");
    interpreter
}

#[test]
fn a_function_of_a_file() {
    let user = crate_with("proposed_file", &python());
    user.write("python/net.py", NET);
    let shown = new(&user, &python(), &["net", "--model", "python/net.py:make", "--dry-run"]);
    let shown = shown.succeeds().stdout;
    assert!(!user.path("net.toml").exists() && !user.path("build.rs").exists());

    let said = new(&user, &python(), &["net", "--model", "python/net.py:make"]).succeeds().stdout;
    for line in [
        "    made net.toml",
        "    made build.rs",
        " changed src/main.rs: a program that calls the model",
        "next: `cargo run`",
        "        picture: float32 [1, 1, 224, 224]: the layer `picture` takes 1 channel",
        "        words: int32 [1, 16]: 0 to 39: the embedding `words` has 40 rows",
    ] {
        assert!(said.lines().any(|other| other == line), "{line}\n{said}");
    }
    let manifest = works(&user, "net.toml", "mixed [1, 8]\n");
    assert_eq!(manifest, shown);
    assert_eq!(
        manifest,
        r#"# Net: the inputs are what a real run of the module accepted.

[model]
source = { file = "python/net.py", entry = "make" }

# the layer `picture` takes 1 channel.
inputs.picture = { shape = [1, 1, 224, 224], dtype = "float32" }

# 0 to 39: the embedding `words` has 40 rows.
inputs.words = { shape = [1, 16], dtype = "int32", sample = { range = [0, 39] } }

# That run returned:
#   mixed: float32 [1, 8]
"#
    );

    // Nothing is overwritten, and Python is not started to find out.
    let again = new(&user, &python(), &["net", "--model", "python/net.py:make"]);
    again.fails_with(&["already there: net.toml; choose another NAME"]);
    // What was tried, with the module's own words, and what to do.
    new(&user, &python(), &["never", "--model", "python/net.py:never"]).fails_with(&[
        "`Never` accepted none of 7 proposals for `x`. Tried:",
        "x: float32 [1, 3, 224, 224]: ValueError: these are not the numbers",
        "Write the inputs yourself",
        "inputs.x = { shape = [1, 3, 224, 224]",
    ]);
    assert!(!user.path("never.toml").exists());
    // Without the library there is an error that names it, and how to get it.
    user.write("python/odd.py", "import einops_of_nobody\n");
    new(&user, &python(), &["odd", "--model", "python/odd.py:make"])
        .fails_with(&["No module named 'einops_of_nobody'", "--dependency einops_of_nobody"]);
}

#[needs(transformers)]
#[test]
fn a_folder_of_transformers() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let python = environment(folder.path());
    let user = crate_with("proposed_text", &python);
    let script = workspace().join("tests/fixtures/moods.py");
    run(Command::new(&python).arg(script).arg(user.path("moods"))).succeeds();
    new(&user, &python, &["text", "--model", "transformers/moods"]).succeeds();
    let manifest = works(&user, "text.toml", "logits [1, 2]\n");
    for line in [
        "source = { transformers = \"moods\", task = \"text-classification\" }",
        "# 0 to 19: vocab_size of config.json is 20.",
        "inputs.input_ids = { shape = [1, 16], dtype = \"int32\", sample = { range = [0, 19] } }",
        "#   logits: float32 [1, 2]",
    ] {
        assert!(manifest.lines().any(|other| other == line), "{line}\n{manifest}");
    }
    assert!(manifest.contains("dependencies = [\"transformers=="), "{manifest}");
}

#[needs(transformers, whisper)]
#[test]
fn the_library_of_openai() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let python = environment(folder.path());
    let user = crate_with("proposed_sound", &python);
    user.write("python/sound.py", WHISPER);
    new(&user, &python, &["sound", "--model", "python/sound.py:make"]).succeeds();
    let manifest = works(&user, "sound.toml", "output [1, 1500, 16]\n");
    assert!(manifest.contains("inputs.x = { shape = [1, 80, 3000], dtype"), "{manifest}");
    assert!(manifest.contains("dependencies = [\"openai-whisper=="), "{manifest}");
}

#[needs(timm)]
#[test]
fn an_architecture_of_timm() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let python = environment(folder.path());
    let user = crate_with("proposed_timm", &python);
    new(&user, &python, &["net", "--model", "timm/mobilenetv3_small_050"]).succeeds();
    let manifest = works(&user, "net.toml", "output [1, 1000]\n");
    assert!(manifest.contains("# 224 × 224 from timm's default_cfg.\n"), "{manifest}");
    assert!(manifest.contains("dependencies = [\"timm=="), "{manifest}");
    let unknown = new(&user, &python, &["other", "--model", "timm/nosuchnet"]);
    unknown.fails_with(&["Unknown model (nosuchnet)"]);
}
