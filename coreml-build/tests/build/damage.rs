//! Damaged cache entries and damaged output folders.

use crate::package::{ONE, Package, cached, make_writable, tree};
use crate::stand_in::StandIn;
use std::path::Path;

/// The weights of the package, inside a cache entry.
const MODEL: &str = "model.mlpackage/Data/com.apple.CoreML/model.mlmodel";

/// Converts, damages the entry, builds again: the damage must be found, said, and cured by a
/// conversion.
#[track_caller]
fn is_converted_again(damage: impl Fn(&Path), said: &str) {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let first = package.build("m.toml", &python.python());
    let good: Vec<_> =
        tree(&first.folder.join("m.mlpackage")).into_iter().map(|file| (file.0, file.3)).collect();
    damage(&package.entry());
    let second = package.build("m.toml", &python.python());
    assert_eq!(cached(&second), [false]);
    assert!(
        second.warnings.iter().any(|warning| warning.contains("damaged") && warning.contains(said)),
        "{:?}",
        second.warnings
    );
    let repaired: Vec<_> =
        tree(&second.folder.join("m.mlpackage")).into_iter().map(|file| (file.0, file.3)).collect();
    assert_eq!(good, repaired);
    let third = package.build("m.toml", Path::new("/nonexistent/python"));
    assert_eq!((cached(&third), third.warnings.len()), (vec![true], 0));
    package.assert_nothing_half_done();
}

#[test]
fn a_truncated_file() {
    is_converted_again(
        |entry| {
            make_writable(&entry.join(MODEL));
            std::fs::File::options()
                .write(true)
                .open(entry.join(MODEL))
                .unwrap()
                .set_len(10)
                .unwrap();
        },
        "has 10 bytes instead of",
    );
}

#[test]
fn an_altered_file_of_the_same_size() {
    is_converted_again(
        |entry| {
            let mut content = std::fs::read(entry.join(MODEL)).unwrap();
            let last = content.len() - 1;
            content[last] ^= 1;
            make_writable(&entry.join(MODEL));
            std::fs::write(entry.join(MODEL), content).unwrap();
        },
        "was altered",
    );
}

#[test]
fn a_missing_file() {
    is_converted_again(
        |entry| std::fs::remove_file(entry.join("report.json")).unwrap(),
        "report.json is missing",
    );
}

#[test]
fn a_file_too_many() {
    is_converted_again(
        |entry| std::fs::write(entry.join("model.mlpackage/Data/extra"), "x").unwrap(),
        "model.mlpackage/Data/extra does not belong there",
    );
}

#[test]
fn a_broken_description() {
    is_converted_again(
        |entry| {
            make_writable(&entry.join("entry.json"));
            std::fs::write(entry.join("entry.json"), "{").unwrap();
        },
        "entry.json",
    );
}

#[test]
fn a_description_that_was_changed_together_with_a_file() {
    is_converted_again(
        |entry| {
            make_writable(&entry.join(MODEL));
            make_writable(&entry.join("entry.json"));
            let size = entry.join(MODEL).metadata().unwrap().len();
            std::fs::write(entry.join(MODEL), "short").unwrap();
            let description = std::fs::read_to_string(entry.join("entry.json")).unwrap();
            std::fs::write(
                entry.join("entry.json"),
                description.replace(&format!("\"size\": {size}"), "\"size\": 5"),
            )
            .unwrap();
        },
        "content digest",
    );
}

#[test]
fn a_damaged_list_of_inputs_is_a_miss() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    package.build("m.toml", &python.python());
    for path in crate::package::entries_of(&package.path("cache/v1/inputs")) {
        std::fs::write(path, "[[").unwrap();
    }
    assert_eq!(cached(&package.build("m.toml", &python.python())), [false]);
    assert_eq!(cached(&package.build("m.toml", &python.python())), [true]);
}

#[test]
fn a_damaged_output_folder_is_repaired_from_the_cache() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let build = package.build("m.toml", &python.python());
    let plain = || -> Vec<_> {
        tree(&build.folder)
            .into_iter()
            .filter(|file| !file.0.ends_with("build.json"))
            .map(|file| (file.0, file.3))
            .collect()
    };
    let good = plain();
    let model = build.folder.join("m.mlpackage/Data/com.apple.CoreML/model.mlmodel");
    let damages: [&dyn Fn(); 5] = [
        &|| std::fs::remove_file(&model).unwrap(),
        &|| {
            // A copy, not a link: writing into the link would alter the cache.
            std::fs::remove_file(&model).unwrap();
            std::fs::write(&model, "half writt").unwrap();
        },
        &|| {
            std::fs::remove_dir_all(build.folder.join("m.mlpackage/Data")).unwrap();
            std::fs::write(build.folder.join("m.mlpackage/Data"), "a file where a folder was")
                .unwrap();
        },
        &|| std::fs::write(build.folder.join("m.mlpackage/Data/stale"), "x").unwrap(),
        &|| std::fs::write(build.folder.join("index.json"), "{\"vers").unwrap(),
    ];
    for damage in damages {
        damage();
        assert_ne!(plain(), good);
        assert_eq!(cached(&package.build("m.toml", Path::new("/nonexistent/python"))), [true]);
        assert_eq!(plain(), good);
    }
}
