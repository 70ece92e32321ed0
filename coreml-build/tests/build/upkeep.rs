//! Listing, verifying and collecting the cache; pushing and pulling models.

use crate::package::{ONE, Package, TWO, build, cached, entries_of, make_writable};
use crate::remote::{NOWHERE, machine};
use crate::stand_in::{CONVERT_ALL, StandIn};
use coreml_build::{Context, Limits, Whereabouts};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Gives a file or folder a time so many days ago.
fn age(path: &Path, days: u64) {
    let file = std::fs::File::open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60)).unwrap();
}

/// Collects with these limits in days and gigabytes.
fn collect(package: &Package, days: u64, gigabytes: u64) -> coreml_build::Collected {
    let mut options = package.options(Path::new(NOWHERE));
    options.limits = Limits::new(days, gigabytes);
    Context::new(options).collect(|| {}).unwrap()
}

#[test]
fn entries_are_listed_and_verified() {
    let (package, python) = (Package::new(&[("m.toml", TWO)]), StandIn::converting());
    package.build("m.toml", &python.python());
    let context = Context::new(package.options(Path::new(NOWHERE)));
    let mut names: Vec<_> = context.entries().into_iter().map(|entry| entry.model).collect();
    names.sort();
    assert_eq!(names, ["first", "second"]);
    assert!(context.entries().iter().all(|entry| entry.bytes > 1000 && entry.digest.len() == 64));
    assert_eq!(context.verify(), []);
    let damaged = entries_of(&package.path("cache/v1/entries")).remove(0);
    make_writable(&damaged.join("report.json"));
    std::fs::write(damaged.join("report.json"), "{\"operations\": []}\n").unwrap();
    std::fs::create_dir(package.path("cache/v1/entries/empty")).unwrap();
    let problems: Vec<_> = context.verify().into_iter().map(|damage| damage.problem).collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().any(|problem| problem == "report.json was altered"), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.starts_with("entry.json: ")), "{problems:?}");
}

#[test]
fn what_was_not_used_for_long_goes_and_the_rest_stays() {
    let (package, python) = (Package::new(&[("m.toml", TWO)]), StandIn::converting());
    package.build("m.toml", &python.python());
    let [old, _] = &entries_of(&package.path("cache/v1/used"))[..] else { panic!() };
    age(old, 40);
    let collected = collect(&package, 30, 50);
    assert_eq!((collected.entries, collected.kept), (1, 1));
    assert!(!old.exists());
    assert_eq!(entries_of(&package.path("cache/v1/entries")).len(), 1);
    package.assert_nothing_half_done();
    let mut again = cached(&package.build("m.toml", &python.python()));
    again.sort();
    assert_eq!(again, [false, true]);
}

#[test]
fn the_oldest_go_when_there_is_too_much() {
    let (package, python) = (Package::new(&[("m.toml", TWO)]), StandIn::converting());
    package.build("m.toml", &python.python());
    let used = entries_of(&package.path("cache/v1/used"));
    age(&used[0], 3);
    age(&used[1], 5);
    assert_eq!(collect(&package, 30, 1).entries, 0);
    let collected = collect(&package, 30, 0);
    assert_eq!((collected.entries, collected.kept), (2, 0));
}

#[test]
fn a_collection_waits_for_builds() {
    let (package, python) = (
        Package::new(&[("m.toml", ONE)]),
        StandIn::new(&format!("touch \"$here/running\"; sleep 1\n{CONVERT_ALL}")),
    );
    std::thread::scope(|scope| {
        let build = scope.spawn(|| package.build("m.toml", &python.python()));
        while !python.file("running").exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let waited = std::cell::Cell::new(false);
        let mut options = package.options(Path::new(NOWHERE));
        options.limits = Limits::new(30, 0);
        let collected = Context::new(options).collect(|| waited.set(true)).unwrap();
        assert!(waited.get(), "the build was running");
        assert_eq!(collected.entries, 1, "it had ended when the collection began");
        assert_eq!(cached(&build.join().unwrap()), [false]);
    });
}

#[test]
fn leftovers_of_killed_builds_go() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    package.build("m.toml", &python.python());
    let path = |name: &str| package.path("cache/v1").join(name);
    std::fs::create_dir_all(path("tmp/dead/half")).unwrap();
    std::fs::write(path("tmp/dead.lock"), "").unwrap();
    std::fs::create_dir_all(path("python/KEY/env-dead/venv")).unwrap();
    std::fs::create_dir_all(path("python/KEY/env-fresh/venv")).unwrap();
    std::fs::write(path("inputs/.writing-dead"), "").unwrap();
    std::fs::write(path("inputs/.writing-fresh"), "").unwrap();
    // As if another machine had made it: it may live until it is a day old.
    std::fs::create_dir_all(path("tmp/foreign/half")).unwrap();
    std::fs::write(path("tmp/foreign.lock"), "").unwrap();
    age(&path("tmp/dead.lock"), 2);
    age(&path("inputs/.writing-dead"), 2);
    age(&path("python/KEY/env-dead"), 2);
    let collected = collect(&package, 30, 50);
    assert!(path("tmp/foreign").exists() || cfg!(not(target_os = "linux")));
    let leftovers = if cfg!(target_os = "linux") { 3 } else { 4 };
    assert_eq!((collected.leftovers, collected.entries, collected.kept), (leftovers, 0, 1));
    assert!(path("inputs/.writing-fresh").exists() && path("python/KEY/env-fresh").exists());
    assert!(!path("tmp/dead").exists() && !path("python/KEY/env-dead").exists());
    assert_eq!(cached(&package.build("m.toml", Path::new(NOWHERE))), [true]);
}

#[test]
fn garbage_is_collected_by_itself_once_a_day() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    package.build("m.toml", &python.python());
    let used = entries_of(&package.path("cache/v1/used")).remove(0);
    age(&used, 100);
    package.write("net.py", "# another");
    package.build("m.toml", &python.python());
    assert_eq!(entries_of(&package.path("cache/v1/entries")).len(), 2, "it was collected today");
    age(&package.path("cache/v1/collected"), 2);
    assert_eq!(cached(&package.build("m.toml", &python.python())), [true]);
    assert_eq!(
        entries_of(&package.path("cache/v1/entries")).len(),
        2,
        "a build that adds nothing does not collect"
    );
    package.write("net.py", "# a third");
    package.build("m.toml", &python.python());
    assert_eq!(entries_of(&package.path("cache/v1/entries")).len(), 2, "one came and one went");
}

#[test]
fn an_empty_cache_is_left_alone() {
    let package = Package::new(&[("m.toml", ONE)]);
    assert_eq!(collect(&package, 1, 1), coreml_build::Collected::default());
    assert!(!package.path("cache").exists());
}

#[test]
fn models_are_pushed_and_pulled() {
    let (package, python) = (Package::new(&[("m.toml", TWO)]), StandIn::converting());
    let location = package.path("remote").display().to_string();
    let context = |name: &str, write| {
        Context::new(machine(&package, name, &python.python(), &location, write))
    };
    let whereabouts = |moves: coreml_build::Moves| -> Vec<_> {
        assert_eq!((moves.errors.len(), moves.warnings.len()), (0, 0));
        moves.models.into_iter().map(|moved| moved.whereabouts).collect()
    };
    assert!(
        context("a", false)
            .push(&["m.toml"])
            .unwrap_err()
            .to_string()
            .contains("COREML_REMOTE_WRITE=1")
    );
    assert_eq!(
        whereabouts(context("a", true).push(&["m.toml"]).unwrap()),
        [Whereabouts::Nowhere; 2]
    );
    build(machine(&package, "a", &python.python(), &location, false), "m.toml");
    assert_eq!(
        whereabouts(context("a", true).push(&["m.toml"]).unwrap()),
        [Whereabouts::Shared; 2]
    );
    assert_eq!(
        whereabouts(context("b", false).pull(&["m.toml"]).unwrap()),
        [Whereabouts::Fetched; 2]
    );
    assert_eq!(
        whereabouts(context("b", false).pull(&["m.toml"]).unwrap()),
        [Whereabouts::Local; 2]
    );
    let none = Context::new(package.options(Path::new(NOWHERE)));
    assert!(none.pull(&["m.toml"]).unwrap_err().to_string().contains("there is no remote cache"));
    assert_eq!(entries_of(&package.path("cache-b/v1/tmp")), [] as [PathBuf; 0]);
}

#[test]
fn fetching_makes_an_offline_build_possible() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let location = package.path("remote").display().to_string();
    build(machine(&package, "a", &python.python(), &location, true), "m.toml");
    let moves = Context::new(machine(&package, "b", Path::new(NOWHERE), &location, false))
        .prefetch(&["m.toml"]);
    assert_eq!((moves.models[0].whereabouts, moves.errors.len()), (Whereabouts::Fetched, 0));
    package.write("net.py", "# another");
    let moves = Context::new(machine(&package, "b", Path::new(NOWHERE), &location, false))
        .prefetch(&["m.toml"]);
    assert_eq!(moves.models[0].whereabouts, Whereabouts::Nowhere);
    assert!(
        moves.errors[0].to_string().contains("COREML_PYTHON"),
        "the interpreter is looked for now, not in the build"
    );
    let ready = Context::new(machine(&package, "b", &python.python(), &location, false))
        .prefetch(&["m.toml"]);
    assert_eq!((ready.models[0].whereabouts, ready.errors.len()), (Whereabouts::Nowhere, 0));
    assert_eq!(python.starts(), 1, "nothing is converted");
}
