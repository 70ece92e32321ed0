//! Builds beside a lock, and the making of locks.

use crate::package::{ONE, Package, TWO, build, cached, message, models};
use crate::stand_in::StandIn;
use coreml_build::{Build, Context, ErrorKind, Locking, Policy};
use std::path::Path;

/// An interpreter that cannot even be found.
const NOWHERE: &str = "/nonexistent/python";

/// Makes the lock of `m.toml` without writing it.
fn locking(package: &Package, python: &Path) -> Locking {
    Context::new(package.options(python)).lock(&["m.toml"]).remove(0)
}

/// Makes a package whose lock is written.
fn locked(manifest: &str) -> (Package, StandIn) {
    let (package, python) = (Package::new(&[("m.toml", manifest)]), StandIn::converting());
    let locking = locking(&package, &python.python());
    assert!(!locking.is_current());
    locking.write().unwrap();
    (package, python)
}

/// Builds with this policy and no Python.
fn without_python(package: &Package, policy: Policy) -> Build {
    let mut options = package.options(Path::new(NOWHERE));
    options.policy = policy;
    build(options, "m.toml")
}

/// Changes the lock.
fn edit(package: &Package, from: &str, to: &str) {
    let path = package.path("package/m.lock");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn a_lock_is_made_once_and_is_then_current() {
    let (package, python) = locked(TWO);
    let text = std::fs::read_to_string(package.path("package/m.lock")).unwrap();
    assert!(text.contains("[models.first]") && text.contains("    \"torch==2.7.0\",\n"), "{text}");
    assert!(text.contains("inputs = [\n    \"net.py\",\n]"), "{text}");
    assert!(text.contains("kind = \"multi-array\""), "{text}");
    assert!(locking(&package, &python.python()).is_current());
    let build = package.build("m.toml", &python.python());
    assert_eq!((cached(&build), build.warnings.len()), (vec![true, true], 0));
    assert!(build.watched.contains(&package.path("package/m.lock")));
    assert_eq!(python.starts(), 1);
}

#[test]
fn a_check_needs_neither_python_nor_cache_while_the_sources_are_the_locked_ones() {
    let (package, _python) = locked(TWO);
    std::fs::remove_dir_all(package.path("cache")).unwrap();
    assert!(locking(&package, Path::new(NOWHERE)).is_current());
    package.write("net.py", "# another network");
    let failed = locking(&package, Path::new(NOWHERE));
    assert!(!failed.is_current() && failed.after.is_err());
}

#[test]
fn another_package_than_the_locked_one_is_refused() {
    let (package, python) = locked(ONE);
    let digest = models(&package.build("m.toml", &python.python()))[0].digest.clone();
    let other = "0".repeat(64);
    edit(&package, &digest, &other);
    let refused = package.build("m.toml", &python.python());
    let text = message(&refused);
    assert!(
        text.starts_with(
            "m.toml:1:2: model `m`: the converted package is not the one that m.lock names"
        ),
        "{text}"
    );
    assert!(
        text.contains(&digest)
            && text.contains(&other)
            && text.contains("`cargo coreml lock m.toml`"),
        "{text}"
    );
    assert_eq!(refused.outcome.unwrap_err()[0].kind(), ErrorKind::Lock);
    locking(&package, &python.python()).write().unwrap();
    assert_eq!(
        cached(&package.build("m.toml", &python.python())),
        [true],
        "the command accepts it"
    );
}

#[test]
fn an_edit_converts_with_a_warning_and_is_refused_where_nothing_converts() {
    let (package, python) = locked(ONE);
    package.write("net.py", "# another network");
    let edited = package.build("m.toml", &python.python());
    assert_eq!(cached(&edited), [false]);
    let warning = "m.lock is out of date: the model `m` has changed since; `cargo coreml lock \
        m.toml` brings it up to date";
    assert_eq!(edited.warnings, [warning]);
    let refused = without_python(&package, Policy::Cached);
    assert!(message(&refused).contains(warning), "{}", message(&refused));
    package.write("net.py", "# a network\n");
    assert_eq!(cached(&without_python(&package, Policy::Cached)), [true]);
}

#[test]
fn models_that_come_and_go_are_noticed() {
    let (package, python) = locked(TWO);
    package.write("m.toml", &TWO.replace("models.second", "models.third"));
    let warnings = package.build("m.toml", &python.python()).warnings;
    assert!(warnings[0].contains("it does not have the model `third`"), "{warnings:?}");
    assert!(
        warnings[1].contains("it has a model `second` that the manifest does not have"),
        "{warnings:?}"
    );
}

#[test]
fn skip_takes_the_interface_from_the_lock() {
    let (package, python) = locked(ONE);
    let real = models(&package.build("m.toml", &python.python()));
    std::fs::remove_dir_all(package.path("cache")).unwrap();
    let skipped = without_python(&package, Policy::Skip);
    assert_eq!((cached(&skipped), skipped.warnings.len()), (vec![true], 0));
    let index = models(&skipped);
    assert_eq!((&index[0].interface, &index[0].digest), (&real[0].interface, &real[0].digest));
    assert!(index[0].samples.is_empty() && !skipped.folder.join("m.mlpackage").exists());
    let reason = std::fs::read_to_string(skipped.folder.join("m.mlpackage.absent")).unwrap();
    assert!(reason.contains("COREML_BUILD=skip"), "{reason}");
    assert!(!package.path("cache").exists(), "nothing was started or stored");
    package.write("net.py", "# another network");
    assert!(without_python(&package, Policy::Skip).warnings[0].contains("its types may be wrong"));
    std::fs::remove_file(package.path("package/net.py")).unwrap();
    assert_eq!(
        without_python(&package, Policy::Skip).warnings.len(),
        0,
        "a published package need not have it"
    );
    package.write("net.py", "# a network\n");
    assert_eq!(cached(&package.build("m.toml", &python.python())), [false]);
    assert!(!skipped.folder.join("m.mlpackage.absent").exists());
}

#[test]
fn skip_knows_only_locked_models() {
    let (package, _python) = locked(TWO);
    package.write("m.toml", &TWO.replace("models.second", "models.third"));
    let text = message(&without_python(&package, Policy::Skip));
    assert!(text.contains("m.toml:7:2: model `third`: m.lock is out of date"), "{text}");
}

#[test]
fn a_damaged_lock_stops_the_build() {
    let (package, python) = locked(ONE);
    edit(&package, "[python]", "<<<<<<< HEAD");
    let text = message(&package.build("m.toml", &python.python()));
    assert!(
        text.contains("m.lock cannot be read") && text.contains("cargo coreml lock m.toml"),
        "{text}"
    );
    locking(&package, &python.python()).write().unwrap();
    assert_eq!(cached(&package.build("m.toml", &python.python())), [true]);
}

#[test]
fn a_lock_finds_entries_whose_lists_of_inputs_are_lost() {
    let (package, python) = locked(ONE);
    std::fs::remove_dir_all(package.path("cache/v1/inputs")).unwrap();
    assert_eq!(cached(&package.build("m.toml", &python.python())), [true]);
}
