//! The table that the benchmark prints, and the measuring of two sides in turn.
//!
//! Owns: its form, and how many runs make a measurement. Must not: know engines.

use bench_table::time;
use std::time::{Duration, Instant};

/// How long each side of a comparison is run, at least.
const LONG_ENOUGH: Duration = Duration::from_secs(2);

/// Fewest runs of each side.
const FEWEST: usize = 7;

/// One measurement and its reference.
pub(crate) struct Row {
    /// What was measured.
    what: String,
    /// Ours: smallest and median, as text with unit.
    ours: String,
    /// The reference likewise.
    reference: String,
    /// Ratio of the smallest.
    least: f64,
    /// Ratio of the medians.
    middle: f64,
    /// What the ratio should not exceed, where there is a target.
    target: Option<f64>,
}

impl Row {
    /// Makes a row of the times of two sides.
    pub(crate) fn times(what: String, mut sides: [Vec<Duration>; 2], target: Option<f64>) -> Self {
        sides.iter_mut().for_each(|times| times.sort_unstable());
        let least = sides.each_ref().map(|times| times[0]);
        let middle = sides.each_ref().map(|times| times[times.len() / 2]);
        let text = |side: usize| format!("{} ({})", time(least[side]), time(middle[side]));
        let ratio = |pair: [Duration; 2]| pair[0].as_secs_f64() / pair[1].as_secs_f64();
        // The table comes at the end, which may be minutes away.
        eprintln!("{what}: {} against {}", text(0), text(1));
        Self {
            what,
            ours: text(0),
            reference: text(1),
            least: ratio(least),
            middle: ratio(middle),
            target,
        }
    }

    /// Makes a row of the sizes of two sides, in bytes.
    pub(crate) fn sizes(what: String, sides: [u64; 2], target: Option<f64>) -> Self {
        let text = |side: usize| format!("{:.0} MB", sides[side] as f64 / 1e6);
        let ratio = sides[0] as f64 / sides[1] as f64;
        Self { what, ours: text(0), reference: text(1), least: ratio, middle: ratio, target }
    }
}

/// Runs both sides in turn, once to warm up and then often enough, and returns the times that each
/// reports.
pub(crate) fn alternate(
    mut ours: impl FnMut() -> Duration,
    mut reference: impl FnMut() -> Duration,
) -> [Vec<Duration>; 2] {
    ours();
    reference();
    let mut sides = [Vec::new(), Vec::new()];
    let start = Instant::now();
    while sides[0].len() < FEWEST || start.elapsed() < 2 * LONG_ENOUGH {
        // The first side alternates, since the second finds the caches full of the other's weights.
        for side in if sides[0].len() % 2 == 0 { [0, 1] } else { [1, 0] } {
            sides[side].push(if side == 0 { ours() } else { reference() });
        }
    }
    sides
}

/// Returns the rows as a table in Markdown.
///
/// Both ratios are shown, and both count: a target that only one of them meets is `unclear`, since
/// noise decided it. On a quiet machine they agree; on a busy one the least times say more, since
/// noise only adds.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut table = String::from(
        "| measurement | ours: least (median) | reference | ratio of least | of medians | target | \
         |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for Row { what, ours, reference, least, middle, target } in rows {
        let (bound, verdict) = match target {
            Some(target) => (format!("≤ {target}x"), verdict(*least, *middle, *target)),
            None => (String::new(), ""),
        };
        table.push_str(&format!(
            "| {what} | {ours} | {reference} | {least:.2}x | {middle:.2}x | {bound} | {verdict} |\n"
        ));
    }
    table
}

/// Returns whether two ratios meet a target.
fn verdict(least: f64, middle: f64, target: f64) -> &'static str {
    // Two digits are what the targets have and what the machine repeats.
    let meets = |ratio: f64| (ratio * 100.0).round() / 100.0 <= target;
    match (meets(least), meets(middle)) {
        (true, true) => "ok",
        (false, false) => "MISSED",
        _ => "unclear",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_wants_both_ratios_and_may_be_missing() {
        assert_eq!(
            [verdict(1.0, 1.004, 1.0), verdict(0.9, 1.1, 1.0), verdict(1.1, 1.2, 1.0)],
            ["ok", "unclear", "MISSED"]
        );
        let row = Row::sizes("x".into(), [3_000_000, 2_000_000], None);
        assert!(markdown(&[row]).ends_with("| x | 3 MB | 2 MB | 1.50x | 1.50x |  |  |\n"));
    }
}
