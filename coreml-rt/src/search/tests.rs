//! Tests of the places where a model is looked for, on real folders.

use super::*;
use coreml_spec::ComputeUnits;

/// A model that is embedded nowhere and was built nowhere.
fn description(built: &'static str) -> Description {
    Description {
        name: "encoder",
        manifest: "whisper.toml",
        interface: "",
        function: None,
        package: "encoder.mlpackage",
        built,
        compute_units: ComputeUnits::All,
        embedded: None,
    }
}

/// Makes something that looks like a package.
fn package(path: &Path) -> PathBuf {
    std::fs::create_dir_all(path).unwrap();
    std::fs::write(path.join("Manifest.json"), "{}").unwrap();
    path.to_owned()
}

/// A process whose program lies at `executable`.
fn process(model_dir: Option<&Path>, executable: &Path) -> Surroundings {
    Surroundings { model_dir: model_dir.map(Path::to_owned), executable: Some(executable.to_owned()) }
}

#[test]
fn places_are_tried_in_order() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let executable = root.join("bin/app");
    let surroundings = process(Some(&root.join("override")), &executable);
    std::fs::create_dir_all(root.join("override")).unwrap();
    let built = package(&root.join("out/encoder.mlpackage"));
    let mut description = description(String::leak(built.to_str().unwrap().to_owned()));
    let found = |description: &Description, options: LoadOptions| find(description, &options, &surroundings).unwrap();

    assert_eq!(found(&description, LoadOptions::new()), Found::Folder(built));
    let beside = package(&root.join("bin/encoder.mlpackage"));
    assert_eq!(found(&description, LoadOptions::new()), Found::Folder(beside));
    description.embedded = Some(|| vec![("Manifest.json", b"{}")]);
    assert_eq!(found(&description, LoadOptions::new()), Found::Embedded(vec![("Manifest.json", b"{}")]));
    let preferred = package(&root.join("override/encoder.mlpackage"));
    assert_eq!(found(&description, LoadOptions::new()), Found::Folder(preferred));
    let chosen = package(&root.join("chosen/encoder.mlpackage"));
    assert_eq!(found(&description, LoadOptions::new().path(&chosen)), Found::Folder(chosen.clone()));
    assert_eq!(found(&description, LoadOptions::new().path(root.join("chosen"))), Found::Folder(chosen));
}

#[test]
fn an_app_has_resources() {
    let root = tempfile::tempdir().unwrap();
    let executable = root.path().join("Whisper.app/Contents/MacOS/whisper");
    let resource = package(&root.path().join("Whisper.app/Contents/Resources/encoder.mlpackage"));
    let found = find(&description("/nowhere"), &LoadOptions::new(), &process(None, &executable)).unwrap();
    assert_eq!(found, Found::Folder(resource));
}

#[test]
fn the_error_names_every_place_and_what_to_do() {
    let error = find(&description("/nowhere"), &LoadOptions::new(), &process(None, Path::new("/bin/app"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the model `encoder` was not found\n  looked at:\n    COREML_MODEL_DIR: not set\n    \
         beside the executable: /bin/encoder.mlpackage\n    where it was built: /nowhere\n  \
         what to do: put encoder.mlpackage beside the executable, or set COREML_MODEL_DIR to the folder that holds \
         it, or pass LoadOptions::path, or write `embed = true` for the model in whisper.toml and build again"
    );
}

#[test]
fn a_wrong_path_never_selects_another_model() {
    let root = tempfile::tempdir().unwrap();
    let built = package(&root.path().join("encoder.mlpackage"));
    let description = description(String::leak(built.to_str().unwrap().to_owned()));

    let options = LoadOptions::new().path("/no/such/folder");
    let error = find(&description, &options, &process(None, Path::new("/bin/app"))).unwrap_err().to_string();
    assert!(error.contains("LoadOptions::path, as the folder of the package: /no/such/folder/encoder.mlpackage"));

    let surroundings = process(Some(Path::new("/no/such/folder")), Path::new("/bin/app"));
    let error = find(&description, &LoadOptions::new(), &surroundings).unwrap_err().to_string();
    assert!(error.contains("unset COREML_MODEL_DIR: /no/such/folder is not a folder"), "{error}");
}

#[test]
fn a_build_without_models_says_so() {
    let root = tempfile::tempdir().unwrap();
    let built = root.path().join("encoder.mlpackage");
    std::fs::write(root.path().join("encoder.mlpackage.absent"), "it was left out\n").unwrap();
    let description = description(String::leak(built.to_str().unwrap().to_owned()));
    let error = find(&description, &LoadOptions::new(), &process(None, Path::new("/bin/app"))).unwrap_err().to_string();
    assert!(error.ends_with("what to do: it was left out"), "{error}");
}
