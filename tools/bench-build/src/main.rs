//! The cost of a build and of a typed call, against doing the same by hand: `cargo run --release -p
//! bench-build`.
//!
//! Owns: the order of the benchmarks. Must not: measure anything itself.
//! Flow: each module makes throw-away crates if it needs them, measures both sides in turn, and
//! returns table rows. Ratios are taken within one run: the two sides alternate, so that a busy
//! machine slows both.
#![allow(clippy::panic, reason = "a benchmark that cannot run has nothing to say")]

mod allocations;
mod call;
mod cold;
mod expansion;
mod warm;

/// Measures something and returns rows of the table.
type Benchmark = fn() -> Vec<bench_table::Row>;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let benchmarks: [(&str, Benchmark); 4] = [
        ("call", call::rows),
        ("expansion", expansion::rows),
        ("warm", warm::rows),
        ("cold", cold::rows),
    ];
    if let Some(unknown) =
        wanted.iter().find(|wanted| benchmarks.iter().all(|(name, _)| name != wanted))
    {
        eprintln!(
            "there is no benchmark `{unknown}`: name some of call, expansion, warm, cold, or none \
             for all"
        );
        std::process::exit(2);
    }
    println!("{}\n", machine());
    let mut rows = Vec::new();
    for (name, benchmark) in benchmarks {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            eprintln!("measuring {name} ...");
            rows.extend(benchmark());
        }
    }
    print!("{}", bench_table::markdown(&rows));
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
