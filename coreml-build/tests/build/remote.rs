//! A remote cache that is a folder, between machines with caches of their own.

use crate::package::{ONE, Package, TWO, build, cached, entries_of, message, models, tree};
use crate::stand_in::{CONVERT_ALL, StandIn, convert_all_after};
use coreml_build::{Build, Context, Options, Policy, Remote};
use std::path::{Path, PathBuf};

/// An interpreter that cannot even be found.
pub(crate) const NOWHERE: &str = "/nonexistent/python";

/// Returns options of the machine called `name`, with a cache and an output folder of its own, and
/// the remote cache at `location`.
pub(crate) fn machine(
    package: &Package,
    name: &str,
    python: &Path,
    location: &str,
    write: bool,
) -> Options {
    let mut options = package.options(python);
    options.cache_dir = package.path(&format!("cache-{name}"));
    options.out_dir = package.path(&format!("out-{name}"));
    let mut remote = Remote::parse(location).unwrap();
    remote.write = write;
    options.remote = Some(remote);
    options
}

/// Returns the remote folder of a package.
fn folder(package: &Package) -> PathBuf {
    package.path("remote")
}

/// Converts on a machine that may write; returns the build.
fn shared(package: &Package, python: &StandIn) -> Build {
    let location = folder(package).display().to_string();
    build(machine(package, "writer", &python.python(), &location, true), "m.toml")
}

/// Builds on a machine without Python.
fn reader(package: &Package, name: &str) -> Build {
    let location = format!("file://{}", folder(package).display());
    build(machine(package, name, Path::new(NOWHERE), &location, false), "m.toml")
}

/// Returns path and content of what a build gave.
pub(crate) fn content(build: &Build) -> Vec<(PathBuf, Vec<u8>)> {
    let files = tree(&build.folder).into_iter().filter(|file| !file.0.ends_with("build.json"));
    files.map(|file| (file.0.strip_prefix(&build.folder).unwrap().to_owned(), file.3)).collect()
}

#[test]
fn one_machine_converts_and_the_others_take_what_it_made() {
    let (package, python) = (Package::new(&[("m.toml", TWO)]), StandIn::converting());
    let written = shared(&package, &python);
    assert_eq!((cached(&written), written.warnings.len()), (vec![false, false], 0));
    let read = reader(&package, "reader");
    assert_eq!((cached(&read), read.warnings.len()), (vec![true, true], 0));
    assert_eq!(content(&written), content(&read));
    assert_eq!(entries_of(&package.path("cache-reader/v1/tmp")), [] as [PathBuf; 0]);
    std::fs::remove_dir_all(folder(&package)).unwrap();
    assert_eq!(cached(&reader(&package, "reader")), [true, true], "the local cache has it now");
}

#[test]
fn nothing_is_written_where_nobody_said_so() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let location = folder(&package).display().to_string();
    assert_eq!(
        cached(&build(machine(&package, "reader", &python.python(), &location, false), "m.toml")),
        [false]
    );
    assert!(!folder(&package).exists());
}

#[test]
fn every_version_of_the_sources_is_found_again() {
    let (package, python) = (
        Package::new(&[("m.toml", ONE)]),
        StandIn::new(&format!("inputs='[\"net.py\", \"a.py\"]'\n{CONVERT_ALL}")),
    );
    package.write("a.py", "1");
    shared(&package, &python);
    package.write("a.py", "2");
    shared(&package, &python);
    // Another list of files under the same primary key takes the next slot.
    package.write("b.py", "1");
    package.write("net.py", "# imports b instead");
    python.becomes(&format!("inputs='[\"net.py\", \"b.py\"]'\n{CONVERT_ALL}"));
    shared(&package, &python);
    assert_eq!(python.starts(), 3);
    assert_eq!(cached(&reader(&package, "b")), [true]);
    package.write("net.py", "# a network\n");
    package.write("a.py", "1");
    assert_eq!(cached(&reader(&package, "a")), [true]);
    package.write("a.py", "3");
    assert!(
        message(&reader(&package, "c")).contains("COREML_PYTHON"),
        "what nobody has is converted"
    );
}

#[test]
fn cached_takes_from_the_remote_and_never_starts_python() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let location = folder(&package).display().to_string();
    let cached_only = |name: &str| {
        let mut options = machine(&package, name, &python.python(), &location, false);
        options.policy = Policy::Cached;
        build(options, "m.toml")
    };
    assert!(message(&cached_only("early")).contains("it is not in the cache"));
    shared(&package, &python);
    assert_eq!(cached(&cached_only("late")), [true]);
    assert_eq!(python.starts(), 1);
}

#[test]
fn another_package_than_the_locked_one_is_not_even_fetched() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let digest = models(&shared(&package, &python))[0].digest.clone();
    let locking = Context::new(package.options(&python.python())).lock(&["m.toml"]).remove(0);
    let other = "0".repeat(64);
    std::fs::write(package.path("package/m.lock"), locking.after.unwrap().replace(&digest, &other))
        .unwrap();
    let refused = reader(&package, "reader");
    let said = format!("has a package that is not the locked one ({digest} instead of {other})");
    assert!(
        refused.warnings.iter().any(|warning| warning.contains(&said)),
        "{:?}",
        refused.warnings
    );
    assert_eq!(entries_of(&package.path("cache-reader/v1/entries")).len(), 0);
}

#[test]
fn the_locked_package_is_taken_from_the_remote_when_the_local_one_is_another() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let locked = models(&shared(&package, &python))[0].digest.clone();
    let location = folder(&package).display().to_string();
    let locking = Context::new(machine(&package, "writer", &python.python(), &location, false))
        .lock(&["m.toml"])
        .remove(0);
    locking.write().unwrap();
    // Another machine converts the same by itself, and gets something else.
    python.becomes(&convert_all_after(
        "echo >> \"$output/model.mlpackage/Data/com.apple.CoreML/extra\"",
    ));
    let mut other = machine(&package, "other", &python.python(), &location, false);
    let remote = other.remote.take();
    let alone = build(other.clone(), "m.toml");
    assert!(message(&alone).contains("is not the one that m.lock names"), "{}", message(&alone));
    other.remote = remote;
    let cured = build(other.clone(), "m.toml");
    assert_eq!((cached(&cured), cured.warnings.as_slice()), (vec![true], &[] as &[String]));
    assert_eq!(models(&cured)[0].digest, locked);
    other.remote = None;
    assert_eq!(
        models(&build(other.clone(), "m.toml"))[0].digest,
        locked,
        "it is in the local cache now"
    );
    assert_eq!(Context::new(other).verify(), []);
    // Where the remote has another one too, both digests are told.
    let text = std::fs::read_to_string(package.path("package/m.lock")).unwrap();
    std::fs::write(package.path("package/m.lock"), text.replace(&locked, &"0".repeat(64))).unwrap();
    let refused = build(machine(&package, "other", &python.python(), &location, false), "m.toml");
    assert!(
        message(&refused).contains(&locked) && message(&refused).contains(&"0".repeat(64)),
        "{}",
        message(&refused)
    );
    assert!(
        refused.warnings[0].contains("has a package that is not the locked one"),
        "{:?}",
        refused.warnings
    );
}

#[test]
fn a_damaged_local_entry_is_replaced_from_the_remote() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    shared(&package, &python);
    reader(&package, "reader");
    let [entry] = &entries_of(&package.path("cache-reader/v1/entries"))[..] else { panic!() };
    std::fs::remove_file(entry.join("report.json")).unwrap();
    let repaired = reader(&package, "reader");
    assert_eq!(cached(&repaired), [true]);
    assert!(repaired.warnings[0].contains("is damaged and not used"), "{:?}", repaired.warnings);
    assert!(entry.join("report.json").exists());
}

#[test]
fn what_was_thrown_away_or_damaged_is_given_again() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let record = || -> PathBuf {
        let mut records = entries_of(&folder(&package).join("ac")).into_iter();
        records.find(|path| std::fs::read_to_string(path).unwrap().contains("\"archive\"")).unwrap()
    };
    shared(&package, &python);
    let path = record();
    let damages: [&dyn Fn(); 2] =
        [&|| std::fs::remove_dir_all(folder(&package).join("cas")).unwrap(), &|| {
            std::fs::write(&path, "{\"archive\"").unwrap()
        }];
    for (number, damage) in damages.into_iter().enumerate() {
        damage();
        std::fs::remove_dir_all(package.path("cache-writer")).unwrap();
        let again = shared(&package, &python);
        assert_eq!(
            (cached(&again), again.warnings.len()),
            (vec![false], 1),
            "{:?}",
            again.warnings
        );
        assert_eq!(cached(&reader(&package, &format!("reader-{number}"))), [true]);
    }
}

#[test]
fn files_outside_of_the_package_are_not_shared() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    std::fs::write(package.path("outside.py"), "1").unwrap();
    let outside = package.path("outside.py").display().to_string();
    python.becomes(&format!("inputs='[\"net.py\", \"{outside}\"]'\n{CONVERT_ALL}"));
    let warnings = shared(&package, &python).warnings;
    assert!(
        warnings[0].contains("model `m` is not given to the remote cache: it reads /"),
        "{warnings:?}"
    );
    assert!(!folder(&package).exists());
}

#[test]
fn a_folder_that_cannot_be_used_is_one_warning() {
    let (package, python) = (Package::new(&[("m.toml", TWO)]), StandIn::converting());
    std::fs::write(folder(&package), "a file").unwrap();
    let converted = shared(&package, &python);
    assert_eq!(cached(&converted), [false, false]);
    let [warning] = &converted.warnings[..] else { panic!("{:?}", converted.warnings) };
    assert!(
        warning.contains("cannot be read") && warning.ends_with("the build goes on without it"),
        "{warning}"
    );
}

#[test]
fn links_in_the_folder_are_not_followed() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    shared(&package, &python);
    let [archive] = &entries_of(&folder(&package).join("cas"))[..] else { panic!() };
    std::fs::rename(archive, package.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(package.path("elsewhere"), archive).unwrap();
    let warnings = reader(&package, "reader").warnings;
    assert!(warnings[0].contains("that is no file"), "{warnings:?}");
}

#[test]
#[cfg(not(feature = "http"))]
fn a_server_needs_the_feature() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let options =
        machine(&package, "reader", &python.python(), "http://user:secret@localhost:1", false);
    let warnings = build(options, "m.toml").warnings;
    assert!(
        warnings[0].contains("feature `http`") && warnings[0].contains("cargo coreml fetch"),
        "{warnings:?}"
    );
    assert!(!warnings[0].contains("secret"), "{warnings:?}");
}

#[test]
#[cfg(not(feature = "s3"))]
fn a_bucket_needs_the_feature() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let warnings =
        build(machine(&package, "reader", &python.python(), "s3://models/team", true), "m.toml")
            .warnings;
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(warning.starts_with("the remote cache s3://models/team is not asked"), "{warning}");
    assert!(
        warning.contains("feature `s3`") && warning.contains("cargo coreml fetch"),
        "{warning}"
    );
}
