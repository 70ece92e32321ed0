//! Processes that are killed at random moments, and many builds at once: the next build is always
//! right.
//!
//! `COREML_TEST_KILLS` says how many processes are killed (24 where it is not set, some of each
//! kind); `COREML_TEST_SEED` repeats the moments of an earlier run.

use crate::package::{ONE, Package, TWO, build, cached, entries_of};
use crate::remote::{NOWHERE, content, machine};
use crate::stand_in::{CONVERT_ALL, StandIn};
use coreml_build::{Build, Context, Limits, Options};
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// Names the folder of the package, the interpreter and the deed for [`victim`].
const VARIABLES: [&str; 3] = ["COREML_TEST_VICTIM", "COREML_TEST_PYTHON", "COREML_TEST_DEED"];

/// Converts models that are large enough for a kill to hit them half written.
const LARGE: &str = "large() { i=0; while [ $i -lt 40 ]; do cat \"$here/block\"; i=$((i+1)); done; \
    }\n\
    models | while read -r id output; do mkdir -p \"$output/samples\"; large > \
    \"$output/samples/1.safetensors\"; \
    convert \"$id\" \"$output\"; done\nsay '{\"event\": \"finished\"}'\n";

/// What a victim does when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    /// Converts and publishes, and gives the result to the remote cache.
    Convert,
    /// Fetches from the remote cache.
    Fetch,
    /// Collects garbage.
    Collect,
}

impl Deed {
    /// All of them.
    const ALL: [Self; 3] = [Self::Convert, Self::Fetch, Self::Collect];
}

/// Returns the options of the one cache that all victims share.
fn options(package: &Path, python: &Path, deed: Deed) -> Options {
    let mut options =
        Options::new(package.join("package"), package.join("out"), package.join("cache"));
    options.python.interpreter = Some(python.to_owned());
    let mut remote =
        coreml_build::Remote::parse(&package.join("remote").display().to_string()).unwrap();
    remote.write = deed == Deed::Convert;
    options.remote = Some(remote);
    options.limits = Limits::new(0, 0);
    options
}

/// The process that is killed.
#[test]
#[ignore = "started by `start`"]
fn victim() {
    let [folder, python, deed] = VARIABLES.map(|name| std::env::var_os(name).expect(name));
    let deed = Deed::ALL.into_iter().find(|known| deed == *format!("{known:?}")).unwrap();
    let options = options(Path::new(&folder), Path::new(&python), deed);
    match deed {
        Deed::Convert | Deed::Fetch => drop(build(options, "m.toml")),
        Deed::Collect => drop(Context::new(options).collect(|| {})),
    }
}

/// Starts a victim in a process group of its own.
fn start(package: &Path, python: &Path, deed: Deed) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "kills::victim"])
        .env(VARIABLES[0], package)
        .env(VARIABLES[1], python)
        .env(VARIABLES[2], format!("{deed:?}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap()
}

/// Numbers that look random, and are the same for the same seed.
struct Dice(u64);

impl Dice {
    /// Returns a number from 0 to 1.
    fn roll(&mut self) -> f64 {
        // Knuth's constants.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Returns a number from the environment.
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Removes the cache's and the remote's copies, as far as the deed needs it, so that there is
/// something to do.
fn prepare(package: &Package, deed: Deed) {
    let remove = |path: &str| drop(std::fs::remove_dir_all(package.path(path)));
    if deed != Deed::Collect {
        remove("cache/v1/entries");
        remove("out");
    }
    if deed == Deed::Convert {
        remove("remote");
    }
}

/// Asserts that a build is right: the same files as ever, and nothing damaged on the way.
#[track_caller]
fn assert_right(build: &Build, good: &[(PathBuf, Vec<u8>)], what: &str) {
    cached(build);
    assert!(
        !build.warnings.iter().any(|warning| !warning.contains("out of date")),
        "{what}: {:?}",
        build.warnings
    );
    let found = content(build);
    assert_eq!(
        found.iter().map(|file| &file.0).collect::<Vec<_>>(),
        good.iter().map(|file| &file.0).collect::<Vec<_>>()
    );
    assert!(found == good, "{what}: a file differs");
}

#[test]
fn a_kill_at_any_moment_leaves_a_cache_that_is_right() {
    let kills = number("COREML_TEST_KILLS", 24);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = number("COREML_TEST_SEED", now.as_nanos() as u64);
    let mut dice = Dice(seed);
    let (package, python) = (Package::new(&[("m.toml", TWO)]), StandIn::new(LARGE));
    std::fs::write(python.file("block"), vec![b'm'; 64 << 10]).unwrap();
    let (folder, interpreter) = (package.path(""), python.python());
    let run = |deed| build(options(&folder, &interpreter, deed), "m.toml");
    let good = content(&run(Deed::Convert));

    // How long each deed takes when nobody interrupts it.
    let mut durations = BTreeMap::new();
    for deed in Deed::ALL {
        prepare(&package, deed);
        let started = Instant::now();
        start(&folder, &interpreter, deed).wait().unwrap();
        durations.insert(deed, started.elapsed());
        assert_right(&run(Deed::Convert), &good, "a first run");
    }
    let (mut hit, mut in_time, mut leftovers) = (0, 0, 0);
    for number in 0..kills {
        let deed = Deed::ALL[usize::try_from(number).unwrap() % Deed::ALL.len()];
        prepare(&package, deed);
        let mut victim = start(&folder, &interpreter, deed);
        std::thread::sleep(durations[&deed].mul_f64(dice.roll() * 1.05));
        let ended = victim.try_wait().unwrap().is_some();
        let group = format!("-{}", victim.id());
        Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status().unwrap();
        victim.wait().unwrap();
        if ended {
            in_time += 1
        } else {
            hit += 1
        }
        leftovers += entries_of(&package.path("cache/v1/tmp")).len() / 2;
        let what = format!("kill {number} of {kills}, {deed:?}, seed {seed}");
        // Whatever is there now is whole, or not used.
        let damaged = Context::new(options(&folder, Path::new(NOWHERE), deed)).verify();
        assert_eq!(damaged, [], "{what}");
        assert_right(&run(Deed::Convert), &good, &what);
        std::fs::remove_dir_all(package.path("out")).unwrap();
        let after = run(Deed::Fetch);
        assert_right(&after, &good, &what);
        assert_eq!(cached(&after), [true, true], "{what}");
    }
    prepare(&package, Deed::Fetch);
    assert_right(
        &build(options(&folder, Path::new(NOWHERE), Deed::Fetch), "m.toml"),
        &good,
        "the remote cache is whole",
    );
    let collected =
        Context::new(options(&folder, Path::new(NOWHERE), Deed::Collect)).collect(|| {}).unwrap();
    assert_eq!(
        entries_of(&package.path("cache/v1/tmp")),
        [] as [PathBuf; 0],
        "leftovers are collected"
    );
    println!(
        "{kills} kills (seed {seed}): {hit} in the middle, {in_time} after the end; {leftovers} \
        leftovers collected, the \
         last {} at the end",
        collected.leftovers
    );
}

#[test]
fn sixteen_builds_over_one_cache_convert_each_model_once() {
    let names: Vec<_> = (0..8).map(|number| format!("m{number}.toml")).collect();
    let manifests: Vec<_> = names.iter().map(|name| (name.as_str(), TWO)).collect();
    let package = Package::new(&manifests);
    let python = StandIn::new(&format!("sleep 0.2\n{CONVERT_ALL}"));
    let location = package.path("remote").display().to_string();
    // Eight packages' worth of manifests, each built twice; the tables differ between manifests
    // only by the metadata.
    for (number, name) in names.iter().enumerate() {
        package.write(name, &format!("{TWO}metadata = {{ author = \"{number}\" }}\n"));
    }
    let builds: Vec<_> = std::thread::scope(|scope| {
        let start = |number: usize| {
            let mut options = machine(&package, "shared", &python.python(), &location, true);
            options.out_dir = package.path(&format!("out-{number}"));
            let name = &names[number % names.len()];
            scope.spawn(move || build(options, name))
        };
        let running: Vec<_> = (0..16).map(start).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let converted: usize =
        builds.iter().map(|build| cached(build).iter().filter(|cached| !**cached).count()).sum();
    // `first` is the same model in all eight manifests.
    assert_eq!(converted, 9, "each model once");
    for build in &builds {
        assert_eq!(build.warnings, [] as [String; 0]);
        assert_eq!(content(build).len(), content(&builds[0]).len());
    }
    assert_eq!(entries_of(&package.path("cache-shared/v1/entries")).len(), 9);
    assert_eq!(entries_of(&package.path("remote/cas")).len(), 9);
    assert_eq!(entries_of(&package.path("cache-shared/v1/tmp")), [] as [PathBuf; 0]);
}

#[test]
fn many_processes_fetch_collect_and_build_at_once() {
    let package = Package::new(&[("m.toml", ONE)]);
    let python = StandIn::converting();
    let folder = package.path("");
    let good = content(&build(options(&folder, &python.python(), Deed::Convert), "m.toml"));
    let deadline = Instant::now() + Duration::from_secs(4);
    let runs = std::thread::scope(|scope| {
        let worker = |number: usize| {
            let (folder, good, interpreter) = (&folder, &good, python.python());
            scope.spawn(move || {
                let mut runs = 0;
                while Instant::now() < deadline {
                    if number.is_multiple_of(3) {
                        start(folder, &interpreter, Deed::Collect).wait().unwrap();
                    } else {
                        let mut options = options(folder, &interpreter, Deed::Fetch);
                        options.out_dir = folder.join(format!("out-{number}"));
                        assert_right(&build(options, "m.toml"), good, "beside collections");
                    }
                    runs += 1;
                }
                runs
            })
        };
        let workers: Vec<_> = (0..6).map(worker).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum::<usize>()
    });
    assert!(runs >= 6, "{runs}");
}
