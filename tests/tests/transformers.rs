//! A model of the Hugging Face hub, from the manifest to the results: a manifest that names a
//! repository, `cargo build`, typed calls, parity.
//!
//! Owns: the proof that the source works from cargo, with a hub and without one.
//! `COREML_TEST_TRANSFORMERS_PATH` names a folder with the library transformers, as `.ci/run`
//! installs it; without it the test is skipped.

#![expect(clippy::expect_used, reason = "this file is tests")]

use coreml_test_needs::needs;
use coreml_tests::{UserCrate, python, run, workspace};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The variable that names where transformers is installed.
const TRANSFORMERS: &str = "COREML_TEST_TRANSFORMERS_PATH";

/// The program: the label of a sentence, and how sure it is.
const MAIN: &str = r#"#[coreml_rt::coreml_model("moods.toml")]
pub mod moods {}

use coreml_rt::Tensor;

fn main() -> Result<(), coreml_rt::Error> {
    let model = moods::Model::load()?;
    let ids = Tensor::from([[3, 14, 15, 9, 2, 6, 5, 0]]);
    let mask = Tensor::from([[1, 1, 1, 1, 1, 1, 1, 0]]);
    let input = moods::Input { input_ids: ids.view(), attention_mask: mask.view() };
    let output = model.predict(&input)?;
    let sum: f32 = output.class_label_probs.iter().map(|(_, probability)| probability).sum();
    println!("{} of {:?}, in all {sum:.3}", output.class_label, moods::Label::ALL);
    Ok(())
}
"#;

/// A hub with one repository.
struct Hub {
    /// The server, which ends with its standard input.
    server: Child,
    /// Its address.
    endpoint: String,
    /// The commit of the repository.
    commit: String,
}

impl Hub {
    /// Makes a small model in `folder` and serves it.
    fn serve(python: &Path, folder: &Path) -> Self {
        let script = workspace().join("coreml-build/python/tests/serve.py");
        let mut command = Command::new(python);
        command.arg("-B").arg(script).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = command.spawn().expect("Python starts");
        let mut line = String::new();
        let output = server.stdout.take().expect("its output is a pipe");
        BufReader::new(output).read_line(&mut line).expect("the server says where it is");
        let said: serde_json::Value = serde_json::from_str(&line).expect("it says so in JSON");
        let text = |key: &str| said[key].as_str().expect("it says all of it").to_owned();
        Self { endpoint: text("endpoint"), commit: text("commit"), server }
    }

    /// Ends the server.
    fn stop(mut self) {
        drop(self.server.stdin.take());
        self.server.wait().expect("the server ends with its input");
    }
}

/// Creates an environment that sees the conversion environment and transformers, and contains
/// nothing else.
fn environment(folder: &Path, transformers: &Path) -> PathBuf {
    run(Command::new(python()).args(["-m", "venv", "--without-pip"]).arg(folder)).succeeds();
    let interpreter = folder.join("bin/python");
    let packages = |python: &Path| {
        let question = "import sysconfig; print(sysconfig.get_path('purelib'))";
        PathBuf::from(
            run(Command::new(python).args(["-I", "-c", question])).succeeds().stdout.trim(),
        )
    };
    let seen = format!("{}\n{}\n", packages(&python()).display(), transformers.display());
    std::fs::write(packages(&interpreter).join("seen.pth"), seen)
        .expect("the environment is writable");
    interpreter
}

#[needs(transformers)]
#[test]
fn a_model_of_the_hub_is_a_type() {
    let transformers = PathBuf::from(std::env::var_os(TRANSFORMERS).expect(TRANSFORMERS));
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let python = environment(&folder.path().join("python"), &transformers);
    let hub = Hub::serve(&python, &folder.path().join("moods"));
    let user = UserCrate::new("moods", &["moods.toml"]).with_empty_cache();
    let user = user
        .with("COREML_PYTHON", &python)
        .with("HF_HOME", folder.path().join("hub"))
        .with("HF_ENDPOINT", &hub.endpoint)
        .with("HF_HUB_DISABLE_TELEMETRY", "1");
    let manifest = |revision: &str| {
        format!(
            r#"[python]
dependencies = ["transformers>=5"]

[model]
source = {{ transformers = "owner/moods", task = "text-classification", revision = "{revision}" }}
inputs.input_ids = {{ shape = [1, 8], dtype = "int32", sample = {{ range = [0, 29] }} }}
inputs.attention_mask = {{ shape = [1, 8], dtype = "int32", sample = {{ range = [1, 1] }} }}
classifier = {{}}
"#
        )
    };
    user.write("src/main.rs", MAIN);

    // A branch is refused, and the error at the attribute names the commit.
    user.write("moods.toml", manifest("main"));
    let said = user.cargo(&["build"]);
    said.fails_with(&["moods.toml:5:", "`main`", &format!("revision = \"{}\"", hub.commit)]);

    user.write("moods.toml", manifest(&hub.commit));
    let said = user.cargo(&["run"]).succeeds().stdout;
    assert!(said.ends_with("of [Negative, Neutral, Positive], in all 1.000\n"), "{said}");
    assert!(
        ["negative", "neutral", "positive"].iter().any(|label| said.starts_with(label)),
        "{said}"
    );
    let tests = user.cargo(&["test"]).succeeds().stdout;
    assert!(tests.contains("test moods::parity::matches_pytorch ... ok"), "{tests}");
    assert_eq!(user.cached("moods", "moods.toml"), [false]);

    // Without the hub: the conversion is there, and without it the files are.
    hub.stop();
    std::fs::remove_dir_all(user.cache()).expect("the cache can be removed");
    user.write("moods.toml", format!("{}metadata.author = \"Ada\"\n", manifest_of(&user)));
    let again = user.cargo(&["run"]).succeeds().stdout;
    assert_eq!(again, said, "the same files give the same model");
}

/// Returns the manifest as it is.
fn manifest_of(user: &UserCrate) -> String {
    std::fs::read_to_string(user.path("moods.toml")).expect("the manifest is text")
}
