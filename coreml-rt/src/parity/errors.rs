//! The distribution of an output's differences, and the largest of them.
//!
//! Owns: the bins of the histogram. Must not: judge.
//! Flow: `parity.rs` makes one for each output; `cargo coreml report` draws it.

/// The power of ten at which the bins begin.
const FIRST_EXPONENT: i32 = -10;

/// Bins in a power of ten.
const PER_DECADE: usize = 2;

/// Powers of ten that have bins: from 1e-10 to 1e4.
const DECADES: usize = 14;

/// How the differences of an output are spread.
#[derive(Clone, Debug, PartialEq)]
pub struct Errors {
    /// Number of elements that do not differ at all.
    pub equal: usize,
    /// Number of elements by their difference, two bins for each power of ten from
    /// [`Errors::lower_bound`] on. The first and the last bin also count everything beyond them. An
    /// element that is finite on one side only is in no bin.
    pub bins: Vec<usize>,
    /// The element that differs most, when one does.
    pub worst: Option<Worst>,
}

/// An element that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// Its place in the output, along each axis.
    pub at: Vec<usize>,
    /// PyTorch's value.
    pub expected: f64,
    /// The model's value.
    pub got: f64,
}

impl Errors {
    /// Returns the smallest difference that belongs to a bin.
    pub fn lower_bound(bin: usize) -> f64 {
        10_f64.powf(f64::from(FIRST_EXPONENT) + bin as f64 / PER_DECADE as f64)
    }

    /// Counts the differences of `got` from `expected`, of equal length.
    ///
    /// Parameters: `dims` — the sizes of the output.
    pub(super) fn of(expected: &[f64], got: &[f64], dims: &[usize]) -> Self {
        let mut errors = Self { equal: 0, bins: vec![0; PER_DECADE * DECADES], worst: None };
        let mut worst: Option<(usize, f64)> = None;
        for (at, (&expected, &got)) in expected.iter().zip(got).enumerate() {
            if expected == got || (expected.is_nan() && got.is_nan()) {
                errors.equal += 1;
                continue;
            }
            let difference = (expected - got).abs();
            let size = if difference.is_finite() { difference } else { f64::INFINITY };
            if worst.is_none_or(|(_, largest)| size > largest) {
                worst = Some((at, size));
            }
            if difference.is_finite() {
                let bin = (difference.log10() - f64::from(FIRST_EXPONENT)) * PER_DECADE as f64;
                // A number below zero becomes zero.
                let bin = (bin as usize).min(errors.bins.len() - 1);
                errors.bins[bin] += 1;
            }
        }
        errors.worst = worst.and_then(|(at, _)| {
            Some(Worst { at: position(at, dims), expected: *expected.get(at)?, got: *got.get(at)? })
        });
        errors
    }
}

/// Returns the place along each axis of the element `at`, counted row by row.
fn position(mut at: usize, dims: &[usize]) -> Vec<usize> {
    let mut position: Vec<usize> = dims
        .iter()
        .rev()
        .map(|size| {
            let along = at % size.max(&1);
            at /= size.max(&1);
            along
        })
        .collect();
    position.reverse();
    position
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_counted_by_their_size() {
        let errors = Errors::of(
            &[0.0, 0.0, 0.0, 1.0, f64::NAN, 5.0],
            &[0.0, 0.02, 0.05, 1e9, f64::NAN, 5.0],
            &[2, 3],
        );
        let filled: Vec<_> = (0..errors.bins.len()).filter(|bin| errors.bins[*bin] > 0).collect();
        assert_eq!((errors.equal, errors.bins.iter().sum::<usize>(), filled.len()), (3, 3, 3));
        assert!(
            Errors::lower_bound(filled[0]) <= 0.02 && 0.02 < Errors::lower_bound(filled[0] + 1)
        );
        assert!(
            Errors::lower_bound(filled[1]) <= 0.05 && 0.05 < Errors::lower_bound(filled[1] + 1)
        );
        assert_eq!(filled[2], errors.bins.len() - 1);
        assert_eq!(errors.worst, Some(Worst { at: vec![1, 0], expected: 1.0, got: 1e9 }));
    }

    #[test]
    fn nothing_that_differs_has_no_worst_and_infinity_is_the_worst() {
        assert_eq!(Errors::of(&[1.0], &[1.0], &[1]).worst, None);
        let errors = Errors::of(&[1.0, 2.0], &[3.0, f64::INFINITY], &[2]);
        assert_eq!(
            (errors.worst.map(|worst| worst.at), errors.bins.iter().sum::<usize>()),
            (Some(vec![1]), 1)
        );
        assert_eq!(Errors::of(&[1e-30], &[0.0], &[]).bins[0], 1);
    }
}
