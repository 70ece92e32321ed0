//! `cargo coreml bundle` as a user runs it, with packages; a fake of Xcode's `xcrun` replaces what
//! needs a Mac.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

#[allow(dead_code, reason = "not every test needs a package")]
mod command;

use command::{command, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A fake of Xcode's `xcrun`: it does what `coremlcompiler compile PACKAGE FOLDER` does, without
/// compiling.
const FAKE_XCRUN: &str = "#!/bin/sh\n\
    mkdir \"$4/$(basename \"$3\" .mlpackage).mlmodelc\" && cp \"$3/Manifest.json\" \
    \"$4\"/*.mlmodelc/\n";

/// A package of the test data.
fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../coreml-rt/tests/data/packages/encoder.mlpackage")
}

/// Returns the names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

#[test]
fn apps_and_programs_have_their_models_where_they_look() {
    let folder = tempfile::tempdir().unwrap();
    let (mac, phone) = (folder.path().join("Mac.app"), folder.path().join("Phone.app"));
    fs::create_dir_all(mac.join("Contents/MacOS")).unwrap();
    fs::create_dir_all(&phone).unwrap();
    let program = folder.path().join("bin/program");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::write(&program, "").unwrap();
    let places = [
        ("--app", &mac, mac.join("Contents/Resources")),
        ("--app", &phone, phone.clone()),
        ("--beside", &program, folder.path().join("bin")),
    ];
    for (option, of, place) in places {
        // Twice: the second replaces the first.
        for _ in 0..2 {
            let (code, output, error) =
                run(command().arg("bundle").arg(package()).arg(option).arg(of));
            assert_eq!((code, error.as_str()), (0, ""), "{output}");
        }
        let copy = place.join("encoder.mlpackage");
        let specification = "Data/com.apple.CoreML/model.mlmodel";
        assert_eq!(
            fs::read(copy.join(specification)).unwrap(),
            fs::read(package().join(specification)).unwrap()
        );
        assert!(names(&place).iter().all(|name| !name.starts_with('.')), "{:?}", names(&place));
    }
}

#[test]
fn compiled_models_lie_beside_their_packages() {
    let folder = tempfile::tempdir().unwrap();
    let (app, bin) = (folder.path().join("Phone.app"), folder.path().join("bin"));
    fs::create_dir_all(&app).unwrap();
    fs::create_dir_all(&bin).unwrap();
    let bundle = || {
        let mut command = command();
        command.arg("bundle").arg(package()).arg("--app").arg(&app).arg("--compile");
        command
    };
    let (code, _, error) = run(bundle().env("PATH", &bin));
    assert!(code == 1 && error.contains("needs Xcode"), "{code} {error}");

    fs::write(bin.join("xcrun"), FAKE_XCRUN).unwrap();
    fs::set_permissions(bin.join("xcrun"), fs::Permissions::from_mode(0o755)).unwrap();
    let (code, _, error) = run(bundle().env("PATH", format!("{}:/usr/bin:/bin", bin.display())));
    assert_eq!((code, error.as_str()), (0, ""));
    let digest = coreml_spec::digest_of_folder(&package()).unwrap();
    assert_eq!(names(&app), [format!("{digest}.mlmodelc"), "encoder.mlpackage".to_owned()]);
}

#[test]
fn compiled_models_lie_alone_where_the_program_knows_them() {
    let folder = tempfile::tempdir().unwrap();
    let (app, bin) = (folder.path().join("Phone.app"), folder.path().join("bin"));
    fs::create_dir_all(&app).unwrap();
    fs::create_dir_all(&bin).unwrap();
    let bundle = |package: &Path, option: &str| {
        let mut command = command();
        command.arg("bundle").arg(package).arg("--app").arg(&app).arg(option);
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        command
    };
    // Without Xcode nothing is changed, least of all a package that is there.
    let placed = app.join("encoder.mlpackage");
    fs::create_dir_all(&placed).unwrap();
    let (code, _, error) = run(&mut bundle(&package(), "--compiled-only"));
    assert!(
        code == 1 && error.contains("needs Xcode") && error.contains("omit --compiled-only"),
        "{code} {error}"
    );
    assert_eq!(names(&app), ["encoder.mlpackage"]);

    fs::write(bin.join("xcrun"), FAKE_XCRUN).unwrap();
    fs::set_permissions(bin.join("xcrun"), fs::Permissions::from_mode(0o755)).unwrap();
    let (code, output, error) = run(&mut bundle(&package(), "--compiled-only"));
    assert_eq!((code, error.as_str()), (0, ""));
    let compiled = format!("{}.mlmodelc", coreml_spec::digest_of_folder(&package()).unwrap());
    assert!(output.contains(&compiled), "{output}");
    // An older package would have been preferred to it.
    assert_eq!(names(&app), [compiled.as_str()]);

    // The bundled model is not removed, wherever it is.
    let (code, _, error) = run(&mut bundle(&package(), "--compile"));
    assert_eq!((code, error.as_str()), (0, ""));
    let (code, _, error) = run(&mut bundle(&placed, "--compiled-only"));
    assert!(
        code == 1 && error.contains("would be replaced by its own compiled model"),
        "{code} {error}"
    );
    assert_eq!(names(&app), [compiled.as_str(), "encoder.mlpackage"]);
    assert_eq!(run(bundle(&package(), "--compile").arg("--compiled-only")).0, 2);
}

#[test]
fn what_is_missing_is_said() {
    let (code, _, error) =
        run(command().arg("bundle").arg(package()).args(["--app", "nowhere.app"]));
    assert!(code == 1 && error.contains("nowhere.app is not an app"), "{error}");
    let (code, _, error) =
        run(command().arg("bundle").arg(package()).args(["--beside", "nothing"]));
    assert!(code == 1 && error.contains("there is no program at nothing"), "{error}");
    assert_eq!(run(command().arg("bundle").arg(package())).0, 2);
}
