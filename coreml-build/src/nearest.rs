//! "Did you mean": the known word nearest to an unknown one.
//!
//! Owns: when two words are near enough for a guess.
//! Flow: `manifest/` for keys, values and file names; `command/doctor.rs` for variables.

/// Similarity (Jaro-Winkler, 0 to 1) above which a guess helps more than it distracts; `wieghts` →
/// `weights` has 0.96, `psnr` → `per` 0.80.
const NEAR: f64 = 0.8;

/// Returns the known word nearest to `word`, or `None` when none is near.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let wanted = plain(word);
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&wanted, &plain(candidate)), candidate))
        .filter(|(similarity, _)| *similarity >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Returns `; did you mean `…`?`, or nothing when no known word is near.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|known| format!("; did you mean `{known}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_leaves_strangers_alone() {
        let known = [
            "weights",
            "capture",
            "compute-units",
            "compute-precision",
            "minimum-deployment-target",
        ];
        assert_eq!(nearest("wieghts", known), Some("weights"));
        assert_eq!(nearest("compute_units", known), Some("compute-units"));
        assert_eq!(nearest("deployment-target", known), None);
        assert_eq!(nearest("precision", known), None);
        assert_eq!(nearest("xyz", known), None);
        assert_eq!(did_you_mean("captur", known), "; did you mean `capture`?");
    }
}
