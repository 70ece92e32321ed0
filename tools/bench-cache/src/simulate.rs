//! A team at work: many processes build models out of 10 000 entries, on the real code with stub
//! conversions.
//!
//! Owns: the builds and their order, and the table of throughput and latency. Must not: miss any
//! fault: at the end every byte of the cache is verified, and no model may have been converted
//! twice on one machine.
//! Flow: `bench-cache simulate [ENTRIES [PROCESSES [SECONDS]]]` fills a cache and a remote one,
//! then starts workers ([`work`]) on one cache, and workers with their own caches in front of the
//! remote one.

use crate::fetch::Nginx;
use crate::machine::{self, Machine, converted, manifest};
use crate::stub;
use bench_table::time;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// First argument of a worker.
pub(crate) const WORKER: &str = "simulate-worker";

/// Models of the team.
const MODELS: usize = 300;

/// Default entries, processes and seconds.
const DEFAULTS: [usize; 3] = [10_000, 64, 20];

/// Of 100 builds, how many build the newest version.
const NEWEST: f64 = 90.0;

/// Of 100 builds, how many build an older one; the others are commits that change a model.
const OLDER: f64 = 8.0;

/// How long a commit is the latest one, in milliseconds: all builds in that time need the same
/// conversion.
const COMMIT: u128 = 2000;

/// How long the conversion of a commit takes, in milliseconds.
const CONVERSION: u64 = 500;

/// One build, as a worker reports it.
struct Told {
    /// What happened.
    kind: String,
    /// Model and version.
    what: String,
    /// How long it took.
    took: Duration,
}

/// Runs the simulation, and prints the table.
pub(crate) fn run(arguments: &[String]) {
    let number = |position: usize| {
        arguments
            .get(position)
            .map_or(DEFAULTS[position], |text| text.parse().unwrap_or_else(|_| panic!("{text}?")))
    };
    let (entries, processes, seconds) = (number(0), number(1), number(2));
    let folder = machine::folder();
    let nginx = Nginx::start(folder.path());
    let versions = entries.div_ceil(MODELS);
    println!("{}\n", bench_table::machine());
    println!("{} entries: {MODELS} models, {versions} versions of each\n", versions * MODELS);
    let started = Instant::now();
    let filler = Machine::new(folder.path(), "filler").with_remote(&nginx.url(), true);
    let manifests = write_manifests(&filler);
    let manifests: Vec<&str> = manifests.iter().map(String::as_str).collect();
    for version in 0..versions {
        (0..MODELS).for_each(|model| write_version(&filler, model, &version.to_string()));
        assert_eq!(converted(&filler.build(&manifests)), MODELS);
    }
    let filled = started.elapsed();
    println!(
        "filled, and given to the remote cache, in {}: {} each\n",
        time(filled),
        time(filled / u32::try_from(versions * MODELS).unwrap())
    );
    println!("| processes | | builds | a second | what | count | median | 95 % | 99 % | longest |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mut twice = 0;
    for count in [1, processes.div_ceil(8), processes] {
        let told = start(
            folder.path(),
            "shared",
            count,
            versions,
            seconds,
            filler.cache().to_str().unwrap(),
        );
        print(&told, count, "one cache for all", seconds);
        let conversions: Vec<_> =
            told.iter().filter(|told| told.kind == "converted").map(|told| &told.what).collect();
        twice += conversions.len() - conversions.iter().collect::<BTreeSet<_>>().len();
    }
    let told = start(folder.path(), "fresh", processes, versions, seconds, &nginx.url());
    print(&told, processes, "a fresh machine for each build, and a remote cache", seconds);
    let started = Instant::now();
    let damaged = filler.verify();
    println!(
        "\n\
         afterwards: {damaged} damaged entries, read in {}; {twice} conversions that had been done \
         already",
        time(started.elapsed())
    );
    let left = std::fs::read_dir(filler.cache().join("v1/tmp")).unwrap().count();
    println!("left over in the cache: {left}");
    assert_eq!((damaged, twice, left), (0, 0, 0));
}

/// Writes a manifest for each model; returns their names.
fn write_manifests(machine: &Machine) -> Vec<String> {
    let names = (0..MODELS).map(|model| format!("m{model}.toml"));
    names
        .enumerate()
        .map(|(model, name)| {
            machine.write(
                &name,
                &manifest(&format!("net{model}.py"), &[(format!("model{model}"), 0)]),
            );
            name
        })
        .collect()
}

/// Checks a version of a model out.
fn write_version(machine: &Machine, model: usize, version: &str) {
    machine.write(&format!("net{model}.py"), &format!("# {version}\n"));
}

/// Starts workers and collects their reports.
fn start(
    folder: &Path,
    mode: &str,
    count: usize,
    versions: usize,
    seconds: usize,
    place: &str,
) -> Vec<Told> {
    let running: Vec<_> = (0..count)
        .map(|number| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.arg(WORKER).arg(folder).arg(mode).arg(place);
            command.args([number, versions, seconds].map(|number| number.to_string()));
            command.stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let outputs = running.into_iter().map(|worker| worker.wait_with_output().unwrap());
    let texts: Vec<_> = outputs
        .map(|output| {
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        })
        .collect();
    let told = texts.iter().flat_map(|text| text.lines()).map(|line| {
        let mut words = line.split(' ').map(str::to_owned);
        let mut word = || words.next().unwrap();
        Told { kind: word(), what: word(), took: Duration::from_nanos(word().parse().unwrap()) }
    });
    told.collect()
}

/// Builds until the time is over, and reports each build.
pub(crate) fn work(arguments: &[String]) {
    let [folder, mode, place, numbers @ ..] = arguments else {
        panic!("a worker wants to know its place")
    };
    let numbers: Vec<usize> = numbers.iter().map(|text| text.parse().unwrap()).collect();
    let [number, versions, seconds] = numbers[..] else {
        panic!("a worker wants to know its number")
    };
    let fresh = mode == "fresh";
    let machine = Machine::new(Path::new(folder), &format!("{mode}-{number}"));
    let reading = if fresh {
        machine.with_remote(place, false)
    } else {
        machine.with_cache(Path::new(place))
    };
    write_manifests(&reading);
    // Only committed models are uploaded.
    let writing = if fresh { reading.clone().with_remote(place, true) } else { reading.clone() };
    let deadline = Instant::now() + Duration::from_secs(seconds as u64);
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number as u64 + 1);
    let mut roll = || {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        (dice >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut told = Vec::new();
    while Instant::now() < deadline {
        // Some models are built much more often than others.
        let model = (MODELS as f64 * roll().powi(3)) as usize;
        let choice = roll() * 100.0;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let (version, machine) = match choice {
            ..NEWEST => ((versions - 1).to_string(), &reading),
            _ if choice < NEWEST + OLDER => {
                (((versions as f64 * roll()) as usize).to_string(), &reading)
            }
            // Commits change only a few models, so that several builds need the same.
            _ => (format!("{}{CONVERSION} {}", stub::PAUSE, now / COMMIT), &writing),
        };
        let model = if choice < NEWEST + OLDER { model } else { model % 4 };
        write_version(machine, model, &version);
        if fresh {
            machine.clean();
            let _ = std::fs::remove_dir_all(machine.cache());
        }
        let started = Instant::now();
        let name = format!("m{model}.toml");
        let converted = converted(&machine.build(&[&name])) > 0;
        let took = started.elapsed();
        let kind = match (converted, version.parse::<usize>().is_ok(), fresh) {
            (true, ..) => "converted",
            (false, false, _) => "waited",
            (false, true, true) => "fetched",
            (false, true, false) => "hit",
        };
        told.push(format!("{kind} {model}-{} {}\n", version.replace(' ', "-"), took.as_nanos()));
    }
    std::io::stdout().write_all(told.concat().as_bytes()).unwrap();
}

/// Prints rows of the table.
fn print(told: &[Told], processes: usize, what: &str, seconds: usize) {
    let mut kinds: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    told.iter().for_each(|told| kinds.entry(&told.kind).or_default().push(told.took));
    let rate = told.len() as f64 / seconds as f64;
    let mut start = format!("| {processes} | {what} | {} | {rate:.0} ", told.len());
    for (kind, mut times) in kinds {
        times.sort_unstable();
        let at = |part: f64| time(times[((times.len() - 1) as f64 * part).round() as usize]);
        let kind = match kind {
            "hit" => "hits in the cache",
            "fetched" => "fetched",
            "converted" => "converted",
            _ => "commits that somebody else converted",
        };
        println!(
            "{start}| {kind} | {} | {} | {} | {} | {} |",
            times.len(),
            at(0.5),
            at(0.95),
            at(0.99),
            at(1.0)
        );
        start = "| | | | ".to_owned();
    }
}
