//! Finding one entry among 10 000, against finding it among 10.
//!
//! Owns: two caches. Must not: count conversions.
//! Flow: both are filled by conversions of the real code; then builds of one model alternate
//! between them.

use crate::machine::{self, Machine, converted, manifest};
use bench_table::{Row, median};
use std::time::Instant;

/// Entries of the small cache, and of the large one.
const ENTRIES: [usize; 2] = [10, 10_000];

/// Models that one process converts.
const AT_ONCE: usize = 500;

/// Look-ups in each cache.
const ROUNDS: usize = 2000;

/// Most times of the small cache's look-up that one in the large cache may take.
const TARGET: f64 = 1.1;

/// Measures both in turn.
pub(crate) fn rows() -> Vec<Row> {
    let folder = machine::folder();
    let machines = ENTRIES
        .map(|entries| filled(&Machine::new(folder.path(), &format!("of-{entries}")), entries));
    let mut times = [const { Vec::new() }; 2];
    for _ in 0..ROUNDS {
        for (machine, times) in machines.iter().zip(&mut times) {
            let started = Instant::now();
            let builds = machine.build(&["m.toml"]);
            times.push(started.elapsed());
            assert_eq!(converted(&builds), 0);
        }
    }
    let [few, many] = times.map(median);
    vec![Row::ratio(
        "a build with a hit among 10 000 entries, against one among 10",
        many,
        few,
        TARGET,
    )]
}

/// Fills the cache of a machine, the model of `m.toml` among the entries.
fn filled(machine: &Machine, entries: usize) -> Machine {
    machine.write("net.py", "# a network\n");
    machine.write("m.toml", &manifest("net.py", &[("model".to_owned(), 0)]));
    assert_eq!(converted(&machine.build(&["m.toml"])), 1);
    let names: Vec<_> = (1..entries).map(|number| (format!("m{number}"), 0)).collect();
    for chunk in names.chunks(AT_ONCE) {
        machine.write("fill.toml", &manifest("net.py", chunk));
        assert_eq!(converted(&machine.build(&["fill.toml"])), chunk.len());
    }
    assert_eq!(std::fs::read_dir(machine.cache().join("v1/entries")).unwrap().count(), entries);
    machine.clean();
    machine.clone()
}
