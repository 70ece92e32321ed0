//! How far two tensors are apart.
//!
//! Owns: [`Figures`] and the meaning of a tolerance, NaN and infinities included.
//! Flow: `parity.rs` computes them for each output, `report.rs` prints them.

use coreml_spec::Tolerance;

/// Smallest peak that a signal-to-noise ratio is taken of: the smallest normal half-precision
/// number. An output that never reaches it is zero as far as Core ML's arithmetic goes, and any
/// noise would otherwise count as infinitely loud.
const SMALLEST_PEAK: f64 = 6.103_515_625e-5;

/// The difference of an output from its reference.
///
/// A pair of equal infinities, or of two NaNs, is equal. Any other pair with an infinity or a NaN
/// counts as [`non_finite`](Self::non_finite), fails every tolerance, and is left out of the other
/// figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Number of elements.
    pub elements: usize,
    /// Largest absolute difference.
    pub max_abs: f64,
    /// [`max_abs`](Self::max_abs) relative to the largest absolute value of the reference; NaN when
    /// that is zero and the difference is not.
    pub max_relative: f64,
    /// Peak signal-to-noise ratio in decibels: the square of the reference's largest absolute value
    /// over the mean squared difference; infinite when there is no difference.
    pub psnr: f64,
    /// Number of rows along the last axis.
    pub rows: usize,
    /// Number of rows in which the largest element is at the same position.
    pub rows_agreeing: usize,
    /// Number of elements that are finite on one side only, or not finite in different ways.
    pub non_finite: usize,
    /// Number of elements beyond the absolute tolerance; 0 when the tolerance is another.
    pub outside: usize,
}

impl Figures {
    /// Compares `got` with `expected`, of equal length.
    ///
    /// Parameters: `row` — size of the last axis; `tolerance` — what [`outside`](Self::outside)
    /// counts against.
    pub(super) fn of(expected: &[f64], got: &[f64], row: usize, tolerance: Tolerance) -> Self {
        let (mut max_abs, mut squares, mut peak) = (0.0f64, 0.0f64, 0.0f64);
        let (mut finite, mut non_finite, mut outside) = (0usize, 0usize, 0usize);
        for (&expected, &got) in expected.iter().zip(got) {
            if !(expected.is_finite() && got.is_finite()) {
                let equal = expected == got || (expected.is_nan() && got.is_nan());
                non_finite += usize::from(!equal);
                continue;
            }
            let difference = (expected - got).abs();
            max_abs = max_abs.max(difference);
            squares += difference * difference;
            peak = peak.max(expected.abs());
            finite += 1;
            if let Tolerance::Absolute { atol, rtol } = tolerance {
                outside += usize::from(difference > atol + rtol * expected.abs());
            }
        }
        let psnr = match squares {
            0.0 => f64::INFINITY,
            _ => 10.0 * (peak.max(SMALLEST_PEAK).powi(2) * finite as f64 / squares).log10(),
        };
        let max_relative = if max_abs == 0.0 { 0.0 } else { max_abs / peak };
        let max_relative = if max_relative.is_infinite() { f64::NAN } else { max_relative };
        let rows = expected.chunks_exact(row.max(1)).zip(got.chunks_exact(row.max(1)));
        let rows_agreeing =
            rows.clone().filter(|(expected, got)| argmax(expected) == argmax(got)).count();
        Self {
            elements: expected.len(),
            max_abs,
            max_relative,
            psnr,
            rows: rows.len(),
            rows_agreeing,
            non_finite,
            outside,
        }
    }

    /// Returns whether the output is close enough.
    pub fn meets(&self, tolerance: Tolerance) -> bool {
        self.non_finite == 0
            && match tolerance {
                Tolerance::Psnr(decibels) => self.psnr >= decibels,
                Tolerance::Absolute { .. } => self.outside == 0,
            }
    }

    /// Returns whether no element differs: what an integer output must be.
    pub fn is_equal(&self) -> bool {
        self.non_finite == 0 && self.max_abs == 0.0
    }
}

/// Returns the position of the largest element, the first of equal ones; a NaN is never the
/// largest.
fn argmax(row: &[f64]) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (at, &value) in row.iter().enumerate() {
        let better = best.is_none_or(|(_, best)| value > best);
        if better && !value.is_nan() {
            best = Some((at, value));
        }
    }
    best.map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tolerance that an fp16 model should meet.
    const DECIBELS: Tolerance = Tolerance::Psnr(40.0);

    #[test]
    fn figures_by_hand() {
        let figures = Figures::of(&[1.0, -4.0, 2.0, 0.0], &[1.0, -4.0, 2.5, 0.0], 2, DECIBELS);
        assert_eq!((figures.max_abs, figures.max_relative), (0.5, 0.125));
        // peak² = 16, mean squared difference = 0.25 / 4: 10 · log10(256)
        assert!((figures.psnr - 24.082_399_653).abs() < 1e-6, "{}", figures.psnr);
        assert_eq!((figures.rows, figures.rows_agreeing), (2, 2));
        assert!(!figures.meets(DECIBELS) && figures.meets(Tolerance::Psnr(24.0)));
    }

    #[test]
    fn absolute_tolerance_is_per_element() {
        let tolerance = Tolerance::Absolute { atol: 0.1, rtol: 0.1 };
        assert!(Figures::of(&[10.0, 0.0], &[11.05, 0.1], 2, tolerance).meets(tolerance));
        let figures = Figures::of(&[10.0, 0.0], &[11.05, 0.11], 2, tolerance);
        assert_eq!(figures.outside, 1);
        assert!(!figures.meets(tolerance));
    }

    #[test]
    fn not_a_number_equals_only_itself() {
        let (nan, infinity) = (f64::NAN, f64::INFINITY);
        let figures = Figures::of(&[nan, infinity, 1.0], &[nan, infinity, 1.0], 3, DECIBELS);
        assert!(figures.is_equal() && figures.meets(DECIBELS));
        assert_eq!(figures.rows_agreeing, 1);
        for (expected, got) in [(1.0, nan), (nan, 1.0), (infinity, -infinity), (70_000.0, infinity)]
        {
            let figures = Figures::of(&[expected, 1.0], &[got, 1.0], 2, DECIBELS);
            assert_eq!(figures.non_finite, 1);
            assert!(!figures.meets(DECIBELS) && !figures.is_equal());
            assert!(!figures.meets(Tolerance::Absolute { atol: 1e9, rtol: 0.0 }));
        }
    }

    #[test]
    fn an_output_of_zeros_has_no_infinitely_loud_noise() {
        assert!(Figures::of(&[0.0; 4], &[1e-9; 4], 4, DECIBELS).meets(DECIBELS));
        let figures = Figures::of(&[0.0; 4], &[0.5; 4], 4, DECIBELS);
        assert!(!figures.meets(DECIBELS) && figures.max_relative.is_nan());
        assert_eq!(Figures::of(&[], &[], 0, DECIBELS).psnr, f64::INFINITY);
    }
}
