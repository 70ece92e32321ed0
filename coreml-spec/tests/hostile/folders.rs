//! Manifests and folders.

use crate::files::{MANIFEST, MODEL, WEIGHTS, package};
use crate::reading::Files;
use coreml_spec::{Error, Package};
use std::fs;
use std::path::Path;

#[test]
fn manifests_are_checked() {
    let error = |json: &str| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(MANIFEST), json).unwrap();
        Package::open(folder.path()).unwrap_err().to_string()
    };
    let manifest = |version: &str, path: &str, root: &str| {
        let path = serde_json::to_string(path).unwrap();
        format!(
            r#"{{"fileFormatVersion":"{version}","itemInfoEntries":{{"A":{{"path":{path}}}}},
        "rootModelIdentifier":"{root}"}}"#
        )
    };
    for (json, expected) in [
        (String::new(), "not a package manifest: EOF"),
        ("null".into(), "not a package manifest: invalid type: null"),
        ("\u{feff}{}".into(), "not a package manifest"),
        ("{}".into(), "not a package manifest: missing field `fileFormatVersion`"),
        (manifest("1.0.0", "x", "B"), "rootModelIdentifier \"B\" is not among itemInfoEntries"),
        (manifest("2.0.0", "x", "A"), "the package format has version \"2.0.0\""),
        (
            manifest("1.0.0", "../../secret", "A"),
            "the path \"../../secret\" leads out of the package",
        ),
        (
            manifest("1.0.0", "/etc/passwd", "A"),
            "the path \"/etc/passwd\" leads out of the package",
        ),
        (manifest("1.0.0", "a\\..\\b", "A"), "leads out of the package"),
        (manifest("1.0.0", "", "A"), "the path \"\" leads out of the package"),
        (manifest("1.0.0", "none.mlmodel", "A"), "none.mlmodel: No such file or directory"),
        (" ".repeat((1 << 20) + 1), "the file is larger than 1 MiB"),
    ] {
        let error = error(&json);
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("Manifest.json") || error.contains("none.mlmodel"), "{error}");
    }
    let missing = Package::open("/nonexistent/m.mlpackage").unwrap_err().to_string();
    assert!(
        missing.contains("/nonexistent/m.mlpackage/Manifest.json: ")
            && missing.ends_with("check the path")
    );
    let file = Package::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .unwrap_err()
        .to_string();
    assert!(file.contains("a model package is a folder"), "{file}");
}

/// Copies a package to a folder.
fn write(files: &Files, folder: &Path) {
    for (path, bytes) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn folders_on_disk_are_survived() {
    let folder = tempfile::tempdir().unwrap();
    let files = package("fixed");
    write(&files, folder.path());
    // Empty, missing, and a folder in its place: the interface needs no weights.
    let weights = folder.path().join(WEIGHTS);
    for harm in ["empty", "missing", "a folder"] {
        match harm {
            "empty" => fs::write(&weights, "").unwrap(),
            "missing" => fs::remove_file(&weights).unwrap(),
            _ => fs::create_dir(&weights).unwrap(),
        }
        let package = Package::open(folder.path()).unwrap();
        assert_eq!(package.interface().unwrap().functions.len(), 1);
        let error = package.summary().unwrap_err().to_string();
        assert!(error.contains("weight.bin"), "{harm}: {error}");
    }
    // A specification beyond the limit; sparse, so that the disk does not notice.
    fs::File::options()
        .write(true)
        .open(folder.path().join(MODEL))
        .unwrap()
        .set_len((64 << 20) + 1)
        .unwrap();
    let error = Package::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("model.mlmodel: the file is larger than 64 MiB"), "{error}");
    fs::remove_file(folder.path().join(MODEL)).unwrap();
    fs::create_dir(folder.path().join(MODEL)).unwrap();
    assert!(matches!(Package::open(folder.path()), Err(Error::Io { .. })));
}

#[cfg(unix)]
#[test]
fn links_are_followed_to_files_only() {
    use std::os::unix::fs::symlink;
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut files = package("fixed");
    let weights = files.remove(WEIGHTS).unwrap();
    write(&files, folder.path());
    let data = folder.path().join("Data/com.apple.CoreML");
    fs::write(elsewhere.path().join("weight.bin"), weights).unwrap();
    // A loop would be followed for ever.
    symlink(&data, data.join("loop")).unwrap();
    symlink(elsewhere.path(), data.join("weights")).unwrap();
    assert!(Package::open(folder.path()).unwrap().summary().is_err());
    fs::remove_file(data.join("weights")).unwrap();
    fs::create_dir(data.join("weights")).unwrap();
    symlink(elsewhere.path().join("weight.bin"), data.join("weights/weight.bin")).unwrap();
    Package::open(folder.path()).unwrap().summary().unwrap();
}
