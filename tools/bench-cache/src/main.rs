//! The cost of the caches, against doing the same by hand: `cargo run --release -p bench-cache`.
//!
//! Owns: the order of the benchmarks. Must not: measure anything itself.
//! Flow: each module makes throw-away packages, measures, and returns table rows. The program
//! replaces Python itself: under the name `python` it answers as the driver would (`stub.rs`), so
//! that a conversion costs next to nothing. `fetch` needs nginx, curl and sha256sum, and `warm` 3
//! GB of disk; `BENCH_FOLDER` is the folder, by default the system's folder for temporary files.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark that cannot run has nothing to say"
)]

mod compile;
mod fetch;
mod lookup;
mod machine;
mod simulate;
mod stub;
mod warm;

/// Measures something and returns rows of the table.
type Benchmark = fn() -> Vec<bench_table::Row>;

fn main() {
    let mut arguments: Vec<String> = std::env::args().collect();
    let program = arguments.remove(0);
    if std::path::Path::new(&program).file_name().is_some_and(|name| name == stub::NAME) {
        return stub::run(&arguments);
    }
    match arguments.first().map(String::as_str) {
        Some(simulate::WORKER) => return simulate::work(&arguments[1..]),
        Some(warm::CHILD) => return warm::build_once(&arguments[1..]),
        Some("simulate") => return simulate::run(&arguments[1..]),
        _ => {}
    }
    let benchmarks: [(&str, Benchmark); 4] = [
        ("fetch", fetch::rows),
        ("warm", warm::rows),
        ("lookup", lookup::rows),
        ("compile", compile::rows),
    ];
    if let Some(unknown) =
        arguments.iter().find(|wanted| benchmarks.iter().all(|(name, _)| name != wanted))
    {
        eprintln!(
            "there is no benchmark `{unknown}`: name some of fetch, warm, lookup, compile, or \
             simulate"
        );
        std::process::exit(2);
    }
    println!("{}\n", bench_table::machine());
    let mut rows = Vec::new();
    for (name, benchmark) in benchmarks {
        if arguments.is_empty() || arguments.iter().any(|wanted| wanted == name) {
            eprintln!("measuring {name} ...");
            rows.extend(benchmark());
        }
    }
    print!("{}", bench_table::markdown(&rows));
}
