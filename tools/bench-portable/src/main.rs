//! The cost of the portable backend: `cargo run --release -p bench-portable --features onnxruntime
//! -- FOLDER [PART ...]`.
//!
//! `FOLDER` holds the models that `tools/whole-models/make.py FOLDER --onnx` writes. The parts are
//! `latency`, `eager`, `load`, `memory` and `step`; by default all are measured. `ORT_DYLIB_PATH`
//! names the library of ONNX Runtime, and `BENCH_PYTHON` the Python with torch and the packages of
//! `tools/whole-models/requirements.txt`, for `eager`.
//!
//! Owns: the order of the measurements. Must not: measure anything itself.
//! Flow: each module measures both sides of its comparison in turn, so that a busy machine slows
//! both, and returns rows.
#![allow(clippy::panic, reason = "a benchmark that cannot run has nothing to say")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "likewise")]

mod eager;
mod engines;
mod latency;
mod load;
mod memory;
mod plain;
mod rival;
mod sample;
mod step;
mod table;

use std::path::{Path, PathBuf};

/// Measures something for the models of a folder.
type Benchmark = fn(&Path) -> Vec<table::Row>;

/// The models that have a target for their latency.
const MODELS: [&str; 5] = ["mobilenet_v2", "resnet18", "bert", "whisper_encoder", "whisper_step"];

/// The numbers of threads to compare with.
const THREADS: [usize; 2] = [1, 2];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next() else {
        eprintln!("name the folder that `tools/whole-models/make.py FOLDER --onnx` wrote");
        std::process::exit(2);
    };
    let rest: Vec<String> = arguments.collect();
    match folder.as_str() {
        memory::CHILD => return memory::child(&rest),
        rival::PLAIN => return plain::child(&rest),
        _ => {}
    }
    let benchmarks: [(&str, Benchmark); 5] = [
        ("latency", latency::rows),
        ("eager", eager::rows),
        ("load", load::rows),
        ("memory", memory::rows),
        ("step", step::rows),
    ];
    if let Some(unknown) =
        rest.iter().find(|wanted| benchmarks.iter().all(|(name, _)| name != wanted))
    {
        eprintln!(
            "there is no part `{unknown}`: name some of latency, eager, load, memory, step, or \
             none for all"
        );
        std::process::exit(2);
    }
    println!("{}\n", machine());
    let mut rows = Vec::new();
    for (name, benchmark) in benchmarks {
        if rest.is_empty() || rest.iter().any(|wanted| wanted == name) {
            eprintln!("measuring {name} ...");
            rows.extend(benchmark(&PathBuf::from(&folder)));
        }
    }
    print!("{}", table::markdown(&rows));
}

/// Returns the system, the processor and the number of cores.
fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let (system, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
    format!(
        "machine: {system} {architecture}, {cores} cores, {}",
        model.trim_matches([' ', '\t', ':'])
    )
}
