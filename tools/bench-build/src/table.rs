//! The table that the benchmark prints.
//!
//! Owns: its form, and the median. Must not: measure.
//! Flow: each benchmark returns [`Row`]s, `main.rs` prints them.

use std::time::Duration;

/// One measurement with what it is held against.
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// Ours, as text with its unit.
    pub(crate) ours: String,
    /// What it is compared with, as text with its unit; empty when the target is absolute.
    pub(crate) reference: String,
    /// The number that the target bounds.
    pub(crate) value: f64,
    /// The bound.
    pub(crate) target: f64,
    /// Unit of `value` and `target`: `x` for a ratio.
    pub(crate) unit: &'static str,
}

impl Row {
    /// Makes a row of two times, whose ratio is bounded.
    pub(crate) fn ratio(what: &str, ours: Duration, reference: Duration, target: f64) -> Self {
        Self {
            what: what.to_owned(),
            ours: time(ours),
            reference: time(reference),
            value: ours.as_secs_f64() / reference.as_secs_f64(),
            target,
            unit: "x",
        }
    }

    /// Makes a row of a number that is bounded itself.
    pub(crate) fn absolute(what: &str, value: f64, target: f64, unit: &'static str) -> Self {
        Self { what: what.to_owned(), ours: format!("{value:.0}{unit}"), reference: String::new(), value, target, unit }
    }
}

/// Returns a time with three digits.
pub(crate) fn time(time: Duration) -> String {
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
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Returns the rows as a table in Markdown.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut table = String::from("| measurement | ours | by hand | value | target | |\n|---|---|---|---|---|---|\n");
    for Row { what, ours, reference, value, target, unit } in rows {
        let digits = if *unit == "x" { 3 } else { 0 };
        let verdict = if value <= target { "ok" } else { "MISSED" };
        table.push_str(&format!(
            "| {what} | {ours} | {reference} | {value:.digits$}{unit} | ≤ {target}{unit} | {verdict} |\n"
        ));
    }
    table
}
