//! Misuse of the attribute and of the generated code: the compiler's messages are compared with
//! those in `ui/`.
//!
//! Owns: the `OUT_DIR` that the cases see. `TRYBUILD=overwrite cargo test -p coreml-rt --test ui`
//! writes the messages again; read the difference before committing it.
//!
//! The crates that trybuild makes have no build script, and cargo passes the `OUT_DIR` of its own
//! environment on to the compiler. So each test starts this program again, with the variables of a
//! build script or without them.

#![allow(clippy::unwrap_used, reason = "this file is tests")]

mod fixture;

use coreml_rt::Tolerance;
use coreml_spec::{
    BuildError, DataType, EmbeddedFile, FeatureKind, Outcome, Shape, built_value, built_variable,
};
use fixture::{indexed, leave, several, single};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Variable that makes this program compile the cases of a folder.
const CASES: &str = "COREML_UI_CASES";

/// Compiles the cases of a folder in a process with this `OUT_DIR`.
fn compile(folder: &str, out_dir: Option<&Path>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "cases", "--ignored", "--nocapture"])
        .env(CASES, folder)
        .env_remove("OUT_DIR");
    if let Some(out_dir) = out_dir {
        command.env("OUT_DIR", out_dir).envs(variables(out_dir));
    }
    let output = command.output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("1 passed"), "no case was compiled:\n{stdout}{stderr}");
}

/// Returns what a build script would say of everything in its `OUT_DIR`.
fn variables(out_dir: &Path) -> Vec<(String, String)> {
    let folders = std::fs::read_dir(out_dir.join("coreml")).unwrap();
    let folders = folders.map(|folder| folder.unwrap().path());
    let variables = folders.map(|folder| {
        let manifest = folder.file_name().unwrap().to_str().unwrap();
        let index = std::fs::read(folder.join("index.json")).unwrap();
        (built_variable(manifest), built_value(manifest, &index))
    });
    variables.collect()
}

/// Makes the `OUT_DIR` of the cases in `ui/built`: the same folder each time, because the compiler
/// remembers it.
fn out_dir() -> PathBuf {
    let out_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui");
    let failed = |message: &str, models: &[&str]| {
        let (message, models) =
            (message.to_owned(), models.iter().map(|&name| name.to_owned()).collect());
        Outcome::Error(BuildError { message, models })
    };
    leave(&out_dir, "pets.toml", single(indexed("pets")));
    let mut embedded = indexed("pets");
    let file = |path: &str, at| EmbeddedFile {
        path: path.to_owned(),
        symbol: format!("coreml_0123456789abcdef_{at}"),
    };
    embedded.embedded =
        vec![file("Manifest.json", 0), file("Data/com.apple.CoreML/model.mlmodel", 1)];
    leave(&out_dir, "embedded.toml", single(embedded));
    leave(&out_dir, "drawing.toml", several(&["encoder", "decoder"]));
    let message = "the model `pets` cannot be converted\n  \
        --> python/pets.py:3: x = torch.foo(y)\n  \
        try first: …";
    leave(&out_dir, "failed.toml", failed(message, &[]));
    leave(
        &out_dir,
        "failed-drawing.toml",
        failed("the model `encoder` cannot be converted", &["encoder", "decoder"]),
    );
    let mut text = indexed("mix");
    text.interface.functions[0].inputs[1].kind =
        FeatureKind::MultiArray { data_type: DataType::UInt8, shape: Shape::fixed([4]) };
    text.tolerance = Tolerance::Absolute { atol: 1e-3, rtol: 1e-3 };
    leave(&out_dir, "later.toml", single(text));
    leave(&out_dir, "everything.toml", several(&["memory", "text", "choice", "photo", "letters"]));
    let mut functions = indexed("memory");
    let mut second = indexed("text").interface.functions[0].clone();
    second.name = "second".to_owned();
    functions.interface.functions.push(second);
    leave(&out_dir, "functions.toml", single(functions));
    let folder = coreml_spec::index_folder(&out_dir, "newer.toml");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("index.json"), r#"{"version": 2}"#).unwrap();
    out_dir
}

#[test]
fn with_a_build() {
    compile("built", Some(&out_dir()));
}

#[test]
fn without_a_build() {
    compile("unbuilt", None);
}

/// Compiles the cases; started by the tests above.
#[test]
#[ignore = "started by the other tests, with its own environment"]
fn cases() {
    let folder = std::env::var(CASES).unwrap();
    trybuild::TestCases::new().compile_fail(format!("tests/ui/{folder}/*.rs"));
}
