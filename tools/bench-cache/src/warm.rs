//! A build that finds 2 GB of packages in the cache, with an empty output folder.
//!
//! Owns: the time, and how many bytes the process reads. Must not: count rustc's work, or cargo's.
//! Flow: each build is a process of its own ([`build_once`]), so that the system's count of its
//! reads is the build's.

use crate::machine::{self, Machine, converted, manifest};
use bench_table::{Row, median};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// First argument of the process that builds.
pub(crate) const CHILD: &str = "warm-build";

/// Models, and bytes of the weights of each: 2 GB together.
const MODELS: [u64; 4] = [500_000_000; 4];

/// Builds that are measured.
const ROUNDS: usize = 7;

/// Most bytes that a warm build may read: descriptions and specifications, but no weights.
const READ_TARGET: f64 = 1.0;

/// Measures.
pub(crate) fn rows() -> Vec<Row> {
    let folder = machine::folder();
    let machine = prepared(folder.path());
    let models: Vec<_> =
        MODELS.iter().enumerate().map(|(number, bytes)| (format!("m{number}"), *bytes)).collect();
    machine.write("net.py", "# a network\n");
    machine.write("m.toml", &manifest("net.py", &models));
    assert_eq!(converted(&machine.build(&["m.toml"])), MODELS.len());
    let (mut times, mut read) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        machine.clean();
        let output = Command::new(std::env::current_exe().unwrap())
            .arg(CHILD)
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let numbers: Vec<u64> =
            text.split_whitespace().map(|number| number.parse().unwrap()).collect();
        times.push(Duration::from_nanos(numbers[0]));
        read = read.max(numbers[1]);
    }
    vec![
        Row::absolute(
            "a warm build, 2 GB of packages, empty `OUT_DIR`",
            median(times).as_secs_f64() * 1e3,
            100.0,
            " ms",
        ),
        Row::absolute("what it reads of them", read as f64 / 1e6, READ_TARGET, " MB"),
    ]
}

/// Returns the machine of this benchmark.
fn prepared(folder: &Path) -> Machine {
    Machine::new(folder, "machine")
}

/// Builds, and prints nanoseconds and the bytes that were read.
pub(crate) fn build_once(arguments: &[String]) {
    let machine = prepared(Path::new(&arguments[0]));
    let before = read();
    let started = Instant::now();
    assert_eq!(converted(&machine.build(&["m.toml"])), 0);
    println!("{} {}", started.elapsed().as_nanos(), read() - before);
}

/// Returns the bytes that this process has read by system calls.
fn read() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    line.parse().unwrap()
}
