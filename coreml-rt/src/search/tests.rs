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
        content_digest: None,
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
    Surroundings {
        model_dir: model_dir.map(Path::to_owned),
        executable: Some(executable.to_owned()),
    }
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
    let found = |description: &Description, options: LoadOptions| {
        find(description, &options, &surroundings).unwrap()
    };

    assert_eq!(found(&description, LoadOptions::new()), Location::Package(built));
    let beside = package(&root.join("bin/encoder.mlpackage"));
    assert_eq!(found(&description, LoadOptions::new()), Location::Package(beside));
    description.embedded = Some(|| vec![("Manifest.json", b"{}")]);
    assert_eq!(
        found(&description, LoadOptions::new()),
        Location::Embedded(vec![("Manifest.json", b"{}")])
    );
    let preferred = package(&root.join("override/encoder.mlpackage"));
    assert_eq!(found(&description, LoadOptions::new()), Location::Package(preferred));
    let chosen = package(&root.join("chosen/encoder.mlpackage"));
    assert_eq!(
        found(&description, LoadOptions::new().path(&chosen)),
        Location::Package(chosen.clone())
    );
    assert_eq!(
        found(&description, LoadOptions::new().path(root.join("chosen"))),
        Location::Package(chosen)
    );
}

#[test]
fn an_app_has_resources() {
    let root = tempfile::tempdir().unwrap();
    let executable = root.path().join("Whisper.app/Contents/MacOS/whisper");
    let resource = package(&root.path().join("Whisper.app/Contents/Resources/encoder.mlpackage"));
    let found =
        find(&description("/nowhere"), &LoadOptions::new(), &process(None, &executable)).unwrap();
    assert_eq!(found, Location::Package(resource));
}

#[test]
fn the_error_names_every_place_and_what_to_do() {
    let error =
        find(&description("/nowhere"), &LoadOptions::new(), &process(None, Path::new("/bin/app")))
            .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the model `encoder` was not found\n  \
         looked at:\n    \
         COREML_MODEL_DIR: not set\n    \
         beside the executable: /bin/encoder.mlpackage\n    \
         where it was built: /nowhere\n  \
         what to do: put encoder.mlpackage beside the executable (`cargo coreml bundle \
         whisper.toml --beside PROGRAM` does), or set COREML_MODEL_DIR to the folder that holds \
         it, or pass LoadOptions::path, or write `embed = true` for the model in whisper.toml and \
         build again"
    );
}

#[test]
fn all_packages_of_a_model_with_buckets_are_named() {
    let (description, surroundings) = (description("/nowhere"), process(None, Path::new("/b/app")));
    let packages = "encoder_16.mlpackage, encoder.mlpackage";
    let error = |options| {
        find_one_of(&description, packages, &options, &surroundings).unwrap_err().to_string()
    };
    let said = error(LoadOptions::new());
    assert!(
        said.contains("put encoder_16.mlpackage, encoder.mlpackage beside the executable (`cargo")
            && said.contains("the folder that holds them"),
        "{said}"
    );
    let said = error(LoadOptions::new().path("/no"));
    assert!(
        said.ends_with("the folder that holds encoder_16.mlpackage, encoder.mlpackage"),
        "{said}"
    );
}

#[test]
fn a_wrong_path_never_selects_another_model() {
    let root = tempfile::tempdir().unwrap();
    let built = package(&root.path().join("encoder.mlpackage"));
    let description = description(String::leak(built.to_str().unwrap().to_owned()));

    let options = LoadOptions::new().path("/no/such/folder");
    let error = find(&description, &options, &process(None, Path::new("/bin/app")))
        .unwrap_err()
        .to_string();
    assert!(error.contains(
        "LoadOptions::path, as the folder of the package: /no/such/folder/encoder.mlpackage"
    ));

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
    let error = find(&description, &LoadOptions::new(), &process(None, Path::new("/bin/app")))
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("what to do: it was left out"), "{error}");
}

/// Makes something that looks like a compiled model.
fn compiled(path: &Path) -> PathBuf {
    std::fs::create_dir_all(path).unwrap();
    path.to_owned()
}

#[test]
fn compiled_models_of_the_content_are_found_where_packages_are() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let contents = root.join("X.app/Contents");
    let surroundings = process(Some(&root.join("override")), &contents.join("MacOS/app"));
    std::fs::create_dir_all(root.join("override")).unwrap();
    let built = String::leak(root.join("out/encoder.mlpackage").to_str().unwrap().to_owned());
    let description = Description { content_digest: Some("0123"), ..description(built) };
    let found = |options: LoadOptions| find(&description, &options, &surroundings);

    // One of another content is never taken.
    compiled(&root.join("override/4567.mlmodelc"));
    let error = found(LoadOptions::new()).unwrap_err().to_string();
    for folder in ["override", "X.app/Contents/MacOS", "X.app/Contents/Resources", "out"] {
        for name in ["encoder.mlpackage", "0123.mlmodelc"] {
            let place = root.join(folder).join(name);
            assert!(
                error.contains(&format!(": {}\n", place.display())),
                "{}: {error}",
                place.display()
            );
        }
    }
    assert!(error.contains("beside the executable, compiled: "), "{error}");

    // Later places first: each is preferred to those before.
    for folder in ["out", "X.app/Contents/Resources", "X.app/Contents/MacOS", "override"] {
        let alone = compiled(&root.join(folder).join("0123.mlmodelc"));
        assert_eq!(found(LoadOptions::new()).unwrap(), Location::Compiled(alone));
    }
    // In one place the package comes first.
    let package = package(&root.join("override/encoder.mlpackage"));
    assert_eq!(found(LoadOptions::new()).unwrap(), Location::Package(package));

    let chosen = compiled(&root.join("chosen/0123.mlmodelc"));
    assert_eq!(
        found(LoadOptions::new().path(root.join("chosen"))).unwrap(),
        Location::Compiled(chosen)
    );
    // By its path any name will do.
    let named = compiled(&root.join("chosen/any name.mlmodelc"));
    assert_eq!(found(LoadOptions::new().path(&named)).unwrap(), Location::Compiled(named));
    let error =
        found(LoadOptions::new().path(root.join("chosen/none.mlmodelc"))).unwrap_err().to_string();
    assert!(error.contains("LoadOptions::path: ") && error.contains("none.mlmodelc"), "{error}");
}

#[test]
fn a_program_that_was_built_without_its_content_finds_packages_alone() {
    let root = tempfile::tempdir().unwrap();
    compiled(&root.path().join("0123.mlmodelc"));
    let surroundings = process(Some(root.path()), Path::new("/bin/app"));
    let error =
        find(&description("/nowhere"), &LoadOptions::new(), &surroundings).unwrap_err().to_string();
    assert!(
        !error.contains(", compiled: ")
            && error.contains("put encoder.mlpackage beside the executable"),
        "{error}"
    );
}
