//! The table that the benchmarks print.
//!
//! Owns: its form, the median, and the description of the machine. Must not: measure.
//! Flow: each benchmark returns [`Row`]s, its program prints them.

use std::time::Duration;

/// One measurement and its reference.
pub struct Row {
    /// What was measured.
    what: String,
    /// Ours, as text with its unit.
    ours: String,
    /// What it is compared with, as text with its unit; empty where there is nothing.
    reference: String,
    /// The number that the target bounds, the bound, and the unit of both; `None` for what is only
    /// stated.
    bound: Option<(f64, f64, &'static str)>,
}

impl Row {
    /// Makes a row of two times, whose ratio is bounded.
    pub fn ratio(
        what: impl Into<String>,
        ours: Duration,
        reference: Duration,
        target: f64,
    ) -> Self {
        let value = ours.as_secs_f64() / reference.as_secs_f64();
        Self {
            what: what.into(),
            ours: time(ours),
            reference: time(reference),
            bound: Some((value, target, "x")),
        }
    }

    /// Makes a row of a number that is bounded itself.
    pub fn absolute(what: impl Into<String>, value: f64, target: f64, unit: &'static str) -> Self {
        let ours = format!("{value:.1}{unit}");
        Self {
            what: what.into(),
            ours,
            reference: String::new(),
            bound: Some((value, target, unit)),
        }
    }

    /// Makes a row of what is only stated.
    pub fn stated(what: impl Into<String>, ours: impl Into<String>) -> Self {
        Self { what: what.into(), ours: ours.into(), reference: String::new(), bound: None }
    }
}

/// Returns a time with three digits.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = match seconds {
        ..0.001 => (seconds * 1e6, "us"),
        ..1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    let digits = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// Returns the middle one of several times.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Returns the rows as a table in Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut table = String::from(
        "| measurement | ours | by hand | value | target | |\n|---|---|---|---|---|---|\n",
    );
    for Row { what, ours, reference, bound } in rows {
        let bound = bound.map_or("| | |".to_owned(), |(value, target, unit)| {
            let digits = if unit == "x" { 3 } else { 1 };
            let verdict = if value <= target { "ok" } else { "MISSED" };
            format!("| {value:.digits$}{unit} | ≤ {target}{unit} | {verdict}")
        });
        table.push_str(&format!("| {what} | {ours} | {reference} {bound} |\n"));
    }
    table
}

/// Returns the system, the processor and the number of cores.
pub fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let (system, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
    format!(
        "machine: {system} {architecture}, {cores} cores, {}",
        model.trim_matches([' ', '\t', ':'])
    )
}
