//! Caches and packages in odd places: long paths, odd characters, links, other owners, other
//! clocks.

use crate::package::{ONE, Package, TWO, build, cached, entries_of, message, models, tree};
use crate::remote::{NOWHERE, content, machine};
use crate::stand_in::StandIn;
use coreml_build::{Context, Limits, Options};
use coreml_test_needs::needs;
use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// A day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Tells a test that it runs as somebody else, and where.
const INSIDE: &str = "COREML_BUILD_TEST_OWNER";

/// Returns options with everything below `folder`, where the package is made.
fn options(folder: &Path, python: &Path) -> Options {
    std::fs::create_dir_all(folder.join("package")).unwrap();
    std::fs::write(folder.join("package/net.py"), "# a network\n").unwrap();
    std::fs::write(folder.join("package/m.toml"), ONE).unwrap();
    let mut options =
        Options::new(folder.join("package"), folder.join("out"), folder.join("cache"));
    options.python.interpreter = Some(python.to_owned());
    options
}

/// Builds, gives, cleans, finds, and takes with a new cache, all below `folder`.
#[track_caller]
fn works_in(folder: &Path) {
    let python = StandIn::converting();
    let with_remote = |name: &str, python: &Path, write| {
        let mut options = options(folder, python);
        options.cache_dir = folder.join(name);
        let mut remote =
            coreml_build::Remote::parse(folder.join("remote").to_str().unwrap()).unwrap();
        remote.write = write;
        options.remote = Some(remote);
        options
    };
    let made = build(with_remote("cache", &python.python(), true), "m.toml");
    assert_eq!((cached(&made), made.warnings.as_slice()), (vec![false], &[] as &[String]));
    let good = content(&made);
    for name in ["cache", "another cache"] {
        std::fs::remove_dir_all(folder.join("out")).unwrap();
        let found = build(with_remote(name, Path::new(NOWHERE), false), "m.toml");
        assert_eq!(
            (cached(&found), found.warnings.as_slice()),
            (vec![true], &[] as &[String]),
            "{name}"
        );
        assert_eq!(content(&found), good);
        let context = Context::new(with_remote(name, Path::new(NOWHERE), false));
        assert_eq!(context.verify(), []);
    }
    let mut collecting = with_remote("cache", Path::new(NOWHERE), false);
    collecting.limits = Limits::new(0, 0);
    let collected = Context::new(collecting).collect(|| {}).unwrap();
    assert_eq!((collected.entries, collected.kept), (1, 0));
}

#[test]
fn blanks_quotes_and_other_letters() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "with blanks  in it",
        "o'clock \"quoted\"",
        "$HOME `x` & ; * #",
        "größe-模型-🦀",
        "-dash",
        "%41 \\n",
    ] {
        works_in(&folder.path().join(name));
    }
}

#[test]
fn long_paths() {
    let folder = tempfile::tempdir().unwrap();
    let mut long = folder.path().to_owned();
    // Linux takes 4096 bytes, macOS 1024; the longest name below the cache has about 300.
    let most = if cfg!(target_os = "linux") { 3400 } else { 500 };
    while long.as_os_str().len() < most {
        long.push("a".repeat(100));
    }
    works_in(&long);
}

#[test]
#[cfg(target_os = "linux")]
fn a_path_that_is_too_long_is_an_error_that_says_so() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let mut options = package.options(&python.python());
    while options.cache_dir.as_os_str().len() < 5000 {
        options.cache_dir.push("a".repeat(100));
    }
    let text = message(&build(options, "m.toml"));
    assert!(text.contains("File name too long") && text.contains("COREML_CACHE_DIR"), "{text}");
    assert_eq!(python.starts(), 0, "known before anything is converted");
}

#[test]
fn everything_may_be_a_link() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["package", "cache", "out", "remote"] {
        std::fs::create_dir(elsewhere.path().join(name)).unwrap();
    }
    for name in ["package", "cache"] {
        symlink(elsewhere.path().join(name), folder.path().join(name)).unwrap();
    }
    works_in(folder.path());

    // A source that is a link: what it leads to counts.
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    std::fs::remove_file(package.path("package/net.py")).unwrap();
    std::fs::write(package.path("shared.py"), "1").unwrap();
    symlink(package.path("shared.py"), package.path("package/net.py")).unwrap();
    assert_eq!(cached(&package.build("m.toml", &python.python())), [false]);
    assert_eq!(cached(&package.build("m.toml", &python.python())), [true]);
    std::fs::write(package.path("shared.py"), "2").unwrap();
    assert_eq!(cached(&package.build("m.toml", &python.python())), [false]);

    // A link inside an entry is damage, even when it leads to the same bytes.
    std::fs::write(package.path("shared.py"), "1").unwrap();
    for entry in entries_of(&package.path("cache/v1/entries")) {
        let report = entry.join("report.json");
        std::fs::copy(&report, package.path("report.json")).unwrap();
        std::fs::remove_file(&report).unwrap();
        symlink(package.path("report.json"), &report).unwrap();
    }
    let repaired = package.build("m.toml", &python.python());
    assert_eq!(cached(&repaired), [false]);
    assert!(
        repaired.warnings[0].contains("is neither a file nor a folder"),
        "{:?}",
        repaired.warnings
    );
}

#[test]
fn names_differ_in_more_than_case() {
    let (package, python) = (Package::new(&[("m.toml", TWO)]), StandIn::converting());
    let location = package.path("remote").display().to_string();
    for content in ["1", "2", "3"] {
        package.write("net.py", content);
        build(machine(&package, "a", &python.python(), &location, true), "m.toml");
    }
    let mut seen = BTreeMap::new();
    for folder in ["cache-a", "out-a", "remote"] {
        for (path, ..) in tree(&package.path(folder)) {
            let folded = path.to_str().unwrap().to_lowercase();
            assert_eq!(seen.insert(folded, path.clone()), None, "{}", path.display());
        }
    }
    assert!(seen.len() > 50, "{}", seen.len());
    // What names a key has only digits and small letters: no system takes two for one, or one for
    // another.
    let keys = [
        "cache-a/v1/entries",
        "cache-a/v1/inputs",
        "cache-a/v1/locks",
        "cache-a/v1/used",
        "remote/ac",
        "remote/cas",
    ];
    let mut count = 0;
    for path in keys.iter().flat_map(|folder| entries_of(&package.path(folder))) {
        let key = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            key.len() == 64 && key.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
            "{key}"
        );
        count += 1;
    }
    assert!(count >= 6 + 2 + 2 + 6 + 8 + 6, "{count}");
}

#[test]
fn models_whose_names_differ_only_in_case() {
    let manifest = TWO.replace("models.second", "models.First");
    let (package, python) = (Package::new(&[("m.toml", &manifest)]), StandIn::converting());
    let text = message(&package.build("m.toml", &python.python()));
    assert!(text.contains("First") && text.contains("first"), "{text}");
    assert_eq!(python.starts(), 0);
}

#[test]
fn clocks_that_are_wrong() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let set = |path: &Path, time: SystemTime| {
        std::fs::File::open(path).unwrap().set_modified(time).unwrap()
    };
    let (past, future) = (SystemTime::UNIX_EPOCH + DAY, SystemTime::now() + 400 * DAY);
    // Sources from the future and from 1970 convert once, and an edit is noticed.
    for (number, time) in [future, past].into_iter().enumerate() {
        package.write("net.py", &format!("# version {number}"));
        set(&package.path("package/net.py"), time);
        set(&package.path("package/m.toml"), time);
        assert_eq!(cached(&package.build("m.toml", &python.python())), [false]);
        assert_eq!(cached(&package.build("m.toml", Path::new(NOWHERE))), [true]);
    }
    // A large source, whose digest would be remembered: the same size and time, but other bytes.
    for (letter, time) in [("a", future), ("b", future)] {
        package.write("net.py", &letter.repeat(3 << 20));
        set(&package.path("package/net.py"), time);
        assert_eq!(cached(&package.build("m.toml", &python.python())), [false], "{letter}");
    }
    // Stamps from the future grow old from now on, and keep no collection away.
    let stamps = entries_of(&package.path("cache/v1/used"));
    stamps.iter().chain([&package.path("cache/v1/collected")]).for_each(|stamp| set(stamp, future));
    let is_now =
        |path: &Path| path.metadata().unwrap().modified().unwrap() < SystemTime::now() + DAY;
    for number in 0..20 {
        // A process that another test is just starting has this one's locks for a moment; a
        // collection then waits a build.
        package.write("net.py", &format!("# yet another {number}"));
        package.build("m.toml", &python.python());
        if is_now(&package.path("cache/v1/collected")) {
            break;
        }
    }
    assert!(is_now(&package.path("cache/v1/collected")), "a collection ran");
    assert!(stamps.iter().all(|stamp| is_now(stamp)), "what a wrong clock wrote is written anew");
    // A cache that was used in 1970 is old, and still right until it is collected.
    for stamp in entries_of(&package.path("cache/v1/used")) {
        set(&stamp, past);
    }
    assert_eq!(cached(&package.build("m.toml", Path::new(NOWHERE))), [true]);
}

#[needs(user)]
#[test]
fn a_cache_of_somebody_else() {
    if let Some(folder) = std::env::var_os(INSIDE).map(PathBuf::from) {
        let python = folder.join("stand-in/python");
        let mut options = options_of_somebody_else(&folder, &python);
        assert_eq!(
            cached(&build(options.clone(), "m.toml")),
            [true],
            "hits need no right to write"
        );
        std::fs::write(folder.join("own/package/net.py"), "# another").unwrap();
        let text = message(&build(options.clone(), "m.toml"));
        assert!(text.contains("Permission denied") && text.contains("COREML_CACHE_DIR"), "{text}");
        options.cache_dir = folder.join("own/cache");
        assert_eq!(cached(&build(options, "m.toml")), [false], "as it advises");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::converting();
    let cache = folder.path().join("cache");
    let mut first = options(&folder.path().join("own"), &stand_in.python());
    first.cache_dir.clone_from(&cache);
    build(first, "m.toml");
    let program = folder.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let run = |command: &str| {
        Command::new("sh").args(["-c", command, "sh"]).arg(folder.path()).output().unwrap()
    };
    let source = stand_in.file("");
    let prepared = run(&format!(
        "set -e; cp -r '{}' \"$1/stand-in\"; rm -rf \"$1/own/out\"; chmod -R a+rX \"$1\"; chmod \
        a+x \"$1/test\"; chown -R 65534:65534 \
         \"$1/own\" \"$1/stand-in\"",
        source.display()
    ));
    let inside = run(&format!(
        "{INSIDE}=\"$1\" exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$1/test\" \
        --exact \
         places::a_cache_of_somebody_else --nocapture"
    ));
    assert!(prepared.status.success(), "{prepared:?}");
    let text = String::from_utf8_lossy(&inside.stdout) + String::from_utf8_lossy(&inside.stderr);
    assert!(inside.status.success() && text.contains("1 passed"), "{text}");
    assert_eq!(Context::new(Options::new(folder.path(), folder.path(), &cache)).verify(), []);
    assert_eq!(entries_of(&cache.join("v1/entries")).len(), 1, "nothing was written");
}

/// Returns the options of somebody whose package is below `own`, and the cache another's.
fn options_of_somebody_else(folder: &Path, python: &Path) -> Options {
    let mut options = options(&folder.join("own"), python);
    options.cache_dir = folder.join("cache");
    options
}

#[test]
fn what_a_remote_gives_is_not_writable_by_others() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let location = package.path("remote").display().to_string();
    build(machine(&package, "a", &python.python(), &location, true), "m.toml");
    let read = build(machine(&package, "b", Path::new(NOWHERE), &location, false), "m.toml");
    assert_eq!(models(&read).len(), 1);
    for (path, ..) in tree(&package.path("cache-b/v1/entries")) {
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o222, 0, "{}: {mode:o}", path.display());
    }
}
