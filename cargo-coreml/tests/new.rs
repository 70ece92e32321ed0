//! `cargo coreml new` as a user runs it. The tutorial's test shows that the result builds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;

use command::{command, run};
use std::fs;
use std::path::Path;

/// Makes a crate as `cargo new` does.
fn new_crate() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    write(
        folder.path(),
        "Cargo.toml",
        "[package]\nname = \"my-app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n",
    );
    write(folder.path(), "src/main.rs", "fn main() {\n    println!(\"Hello, world!\");\n}\n");
    folder
}

/// Writes a file of the crate.
fn write(folder: &Path, path: &str, text: &str) {
    fs::write(folder.join(path), text).unwrap();
}

/// Reads a file of the crate.
fn read(folder: &Path, path: &str) -> String {
    fs::read_to_string(folder.join(path)).unwrap()
}

/// Runs `new` in a folder.
fn new(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    run(command().arg("new").args(arguments).current_dir(folder))
}

#[test]
fn everything_is_made() {
    let folder = new_crate();
    // Also from a folder below.
    let (code, output, error) = new(&folder.path().join("src"), &[]);
    assert_eq!((code, error.as_str()), (0, ""), "{output}");
    for line in [
        "    made my_app.toml",
        "    made python/my_app.py",
        "    made build.rs",
        " changed src/main.rs: mod my_app",
        " changed Cargo.toml: coreml-rt in [dependencies]",
        " changed Cargo.toml: coreml-build in [build-dependencies]",
    ] {
        assert!(output.lines().any(|other| other == line), "{line}\n{output}");
    }
    let main = read(folder.path(), "src/main.rs");
    assert!(main.starts_with("fn main() {\n    println!"), "{main}");
    assert!(
        main.ends_with("}\n\n#[coreml_rt::coreml_model(\"my_app.toml\")]\npub mod my_app {}\n"),
        "{main}"
    );
    assert!(
        read(folder.path(), "build.rs").contains("    coreml_build::compile(\"my_app.toml\");\n")
    );
    assert!(read(folder.path(), "my_app.toml").contains("entry = \"my_app\""));
    assert!(read(folder.path(), "python/my_app.py").contains("\ndef my_app():\n"));
    let cargo = read(folder.path(), "Cargo.toml");
    assert!(cargo.contains("coreml-rt = { ") && cargo.contains("coreml-build = { "), "{cargo}");
}

#[test]
fn a_classifier_of_pictures_comes_with_its_program() {
    let folder = new_crate();
    let (code, output, error) = new(folder.path(), &["--image", "colours"]);
    assert_eq!((code, error.as_str()), (0, ""), "{output}");
    for line in [
        "    made colours.toml",
        "    made python/colours.py",
        "    made picture.png",
        " changed src/main.rs: a program that calls the model",
        " changed Cargo.toml: image in [dependencies]",
        "next: `cargo run -- picture.png`",
    ] {
        assert!(output.lines().any(|other| other == line), "{line}\n{output}");
    }
    let main = read(folder.path(), "src/main.rs");
    assert!(main.contains("pub mod colours {}") && !main.contains("Hello"), "{main}");
    assert!(syn::parse_file(&main).is_ok() && !main.contains("NAME"), "{main}");
    let manifest: toml::Table = read(folder.path(), "colours.toml").parse().unwrap();
    assert_eq!(manifest["model"]["inputs"]["picture"]["image"]["width"].as_integer(), Some(224));
    let cargo: toml::Table = read(folder.path(), "Cargo.toml").parse().unwrap();
    let features = |name: &str| cargo["dependencies"][name]["features"].to_string();
    assert_eq!(features("coreml-rt"), "[\"image\"]");
    assert_eq!(features("image"), "[\"jpeg\", \"png\"]");
    let own: toml::Table =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"))
            .unwrap()
            .parse()
            .unwrap();
    let versions = &own["workspace"]["dependencies"];
    assert_eq!(cargo["dependencies"]["image"]["version"], versions["image"]["version"]);

    // The program has been changed since: it stays, and the new one is an example.
    let (code, output, error) = new(folder.path(), &["--image", "shades"]);
    assert_eq!((code, error.as_str()), (0, ""), "{output}");
    assert!(output.contains("    made examples/shades.rs\n"), "{output}");
    assert!(output.contains("next: `cargo run --example shades -- picture.png`\n"), "{output}");
    assert!(!output.contains("made picture.png") && !output.contains("Cargo.toml"), "{output}");
    let main = read(folder.path(), "src/main.rs");
    assert!(main.contains("pub mod colours {}") && main.ends_with("pub mod shades {}\n"), "{main}");
}

#[test]
fn the_feature_is_added_to_a_dependency_that_is_there() {
    let folder = new_crate();
    assert_eq!(new(folder.path(), &["numbers"]).0, 0);
    let (code, output, error) = new(folder.path(), &["pictures", "--image"]);
    assert_eq!((code, error.as_str()), (0, ""), "{output}");
    assert!(output.contains(" changed Cargo.toml: coreml-rt in [dependencies]\n"), "{output}");
    assert!(!output.contains("coreml-build in"), "{output}");
    let cargo: toml::Table = read(folder.path(), "Cargo.toml").parse().unwrap();
    let runtime = &cargo["dependencies"]["coreml-rt"];
    assert!(runtime.get("path").is_some(), "{runtime}");
    assert_eq!(runtime["features"].to_string(), "[\"image\"]");
}

/// Writes what a repository of transformers says of its model.
fn repository(folder: &Path, config: &serde_json::Value) {
    fs::create_dir_all(folder.join("models/moods")).unwrap();
    write(folder, "models/moods/config.json", &config.to_string());
    write(folder, "models/moods/tokenizer.json", "{}");
    write(folder, "models/moods/tokenizer_config.json", r#"{"model_max_length": 1e30}"#);
}

#[test]
fn a_repository_says_what_stands_in_the_manifest() {
    let folder = new_crate();
    let classifier = serde_json::json!({
        "architectures": ["XLMRobertaForSequenceClassification"], "model_type": "xlm-roberta",
        "vocab_size": 250002, "max_position_embeddings": 130, "pad_token_id": 1,
    });
    repository(folder.path(), &classifier);
    let (code, output, error) = new(folder.path(), &["moods", "--transformers", "models/moods"]);
    assert_eq!((code, error.as_str()), (0, ""), "{output}");
    assert!(output.contains("next: `cargo run -- \"a text\"`\n"), "{output}");
    let manifest = read(folder.path(), "moods.toml");
    for line in [
        "dependencies = [\"transformers>=5\"]",
        "source = { transformers = \"models/moods\", task = \"text-classification\" }",
        "classifier = {}",
        // The positions of the padding and of what is before it are no text's.
        "inputs.input_ids = { shape = [1, { min = 1, max = 128, symbol = \"length\" }], dtype = \
         \"int32\", sample = { range = [0, 250001] } }",
        "sizes = [32, 128]",
        "pad = 1",
        "share-weights = false",
    ] {
        assert!(manifest.lines().any(|other| other == line), "{line}\n{manifest}");
    }
    let main = read(folder.path(), "src/main.rs");
    assert!(syn::parse_file(&main).is_ok(), "{main}");
    assert!(main.contains("include_bytes!(\"../models/moods/tokenizer.json\")"), "{main}");
    assert!(main.contains("const MOST_TOKENS: usize = 128;"), "{main}");

    let encoder = serde_json::json!({
        "architectures": ["BertModel"], "model_type": "bert",
        "vocab_size": 30522, "max_position_embeddings": 2048, "pad_token_id": 0,
    });
    repository(folder.path(), &encoder);
    let arguments = ["meanings", "--transformers", "models/moods"];
    let (code, output, error) = new(folder.path(), &arguments);
    assert_eq!((code, error.as_str()), (0, ""), "{output}");
    let manifest = read(folder.path(), "meanings.toml");
    assert!(manifest.contains("task = \"feature-extraction\" }\noutputs.last_hidden_state = {}\n"));
    assert!(manifest.contains("sizes = [32, 128, 512]\n") && !manifest.contains("share-weights"));
    assert!(manifest.parse::<toml::Table>().is_ok(), "{manifest}");
    let program = read(folder.path(), "examples/meanings.rs");
    assert!(program.contains("output.last_hidden_state.dims()"), "{program}");
}

#[test]
fn a_folder_that_is_no_text_model_says_what_it_lacks() {
    let folder = new_crate();
    let elsewhere = tempfile::tempdir().unwrap();
    let said = |path: &str| {
        let (code, output, error) = new(folder.path(), &["moods", "--transformers", path]);
        assert_eq!((code, output.as_str()), (1, ""));
        assert!(!folder.path().join("moods.toml").exists());
        error
    };
    let outside = said(elsewhere.path().to_str().unwrap());
    assert!(outside.contains("it is not in the package ") && outside.contains("copy it there"));
    assert!(said("models/none").contains("it has no config.json: name the folder of a model"));
    let speech = serde_json::json!({
        "architectures": ["WhisperForConditionalGeneration"], "vocab_size": 51865,
        "is_encoder_decoder": true,
    });
    repository(folder.path(), &speech);
    let error = said("models/moods");
    assert!(error.contains("\"WhisperForConditionalGeneration\", and not an encoder of texts"));
    fs::remove_file(folder.path().join("models/moods/tokenizer.json")).unwrap();
    assert!(said("models/moods").contains("AutoTokenizer.from_pretrained"));
    let (code, _, error) = new(folder.path(), &["--image", "--transformers", "models/moods"]);
    assert!(code == 2 && error.contains("cannot be used with"), "{error}");
}

#[test]
fn nothing_is_overwritten() {
    let folder = new_crate();
    write(folder.path(), "build.rs", "fn main() {}\n");
    assert_eq!(new(folder.path(), &["one"]).0, 0);
    write(folder.path(), "python/one.py", "# mine\n");
    let (code, output, error) = new(folder.path(), &["one"]);
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(
        error.ends_with("already there: one.toml and python/one.py; choose another NAME\n"),
        "{error}"
    );
    assert_eq!(
        (read(folder.path(), "python/one.py").as_str(), read(folder.path(), "build.rs").as_str()),
        ("# mine\n", "fn main() {}\n")
    );
    let (code, output, _) = new(folder.path(), &["two"]);
    assert_eq!(code, 0);
    assert!(
        output.contains(
            "   to do build.rs exists already: add `coreml_build::compile(\"two.toml\");` to its \
             main\n"
        ),
        "{output}"
    );
    assert!(!output.contains("Cargo.toml"), "the dependencies are there: {output}");
    assert_eq!(read(folder.path(), "src/main.rs").matches("pub mod ").count(), 2);
}

#[test]
fn without_a_crate_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, error) = new(folder.path(), &[]);
    assert!(code == 1 && error.ends_with("run `cargo init` first\n"), "{error}");
    let (code, _, error) = new(folder.path(), &["my-model"]);
    assert!(code == 2 && error.contains("such as my_model"), "{error}");
    write(folder.path(), "Cargo.toml", "[workspace]\n");
    let (code, _, error) = new(folder.path(), &[]);
    assert!(code == 1 && error.contains("run this in the folder of a crate"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_model_that_is_none_is_refused_before_python_starts() {
    let folder = new_crate();
    for (model, words) in [
        ("resnet18", "it must be timm/NAME, transformers/OWNER/NAME, transformers/FOLDER, or"),
        ("timm/", "after `timm/` stands a name of timm, such as resnet18"),
        ("timm/a\"b", "after `timm/` stands a name of timm"),
        ("transformers/", "after `transformers/` stands owner/name, or a folder"),
        ("net.py:a b", "it must be timm/NAME"),
    ] {
        let (code, output, error) = new(folder.path(), &["--model", model]);
        assert_eq!((code, output.as_str()), (2, ""), "{error}");
        assert!(error.contains(words), "{model}: {error}");
    }
    let (code, _, error) = new(folder.path(), &["--model", "transformers/nowhere"]);
    assert_eq!(code, 1);
    assert!(error.contains("nowhere: there is no such folder, and a repository"), "{error}");
    let (code, _, error) = new(folder.path(), &["--model", "/elsewhere/net.py:make"]);
    assert_eq!(code, 1);
    assert!(error.contains("it is not in the package"), "{error}");
    write(folder.path(), "my_app.toml", "");
    let (code, _, error) = new(folder.path(), &["--model", "timm/resnet18"]);
    assert_eq!(code, 1);
    assert!(error.contains("already there: my_app.toml; choose another NAME"), "{error}");
    for arguments in
        [&["--dry-run"][..], &["--dependency", "timm"], &["--image", "--model", "timm/a"]]
    {
        assert_eq!(new(folder.path(), arguments).0, 2, "{arguments:?}");
    }
    // Nothing was written.
    assert!(!folder.path().join("build.rs").exists() && !folder.path().join("python").exists());
}
