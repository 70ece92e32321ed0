//! Mel cepstral distortion: how far apart two voices' spectra are, whatever their speed.
//!
//! Owns: the mel filters, the cepstrum, the alignment. Must not: know models.
//! Flow: `lib.rs` → here → `frames.rs`.

use crate::frames::{double, hann, power_spectra};
use crate::{MetricError, SAMPLE_RATE};

/// Samples of a frame, 32 ms, and of its spectrum.
const FRAME: usize = 512;

/// Samples from one frame to the next, 8 ms.
const HOP: usize = 128;

/// Mel bands between 0 and 8000 Hz.
const BANDS: usize = 40;

/// Cepstral coefficients that are compared; the one before them, the loudness, is not.
const COEFFICIENTS: usize = 24;

/// Power below which a band counts as silent: nothing audible hangs on the logarithm of less.
const FLOOR: f64 = 1e-8;

/// Returns the mel cepstral distortion of two signals in decibels: 0 is the same, 4 to 6 is a good
/// synthetic voice against its speaker.
///
/// It is `10 / ln 10 * sqrt(2 * sum (c - c')²)` over coefficients 1 to 24 of 40 mel bands, and the
/// mean over the frames of the best alignment in time (dynamic time warping).
///
/// Errors: a signal is shorter than a frame of 32 ms.
pub fn mcd(reference: &[f32], other: &[f32]) -> Result<f64, MetricError> {
    let (reference, other) = (cepstra(reference), cepstra(other));
    if reference.is_empty() || other.is_empty() {
        return Err(MetricError::TooShort { needs: "32 ms" });
    }
    let scale = 10.0 / std::f64::consts::LN_10 * 2.0f64.sqrt();
    Ok(scale * aligned_distance(&reference, &other))
}

/// Returns the compared coefficients of each frame.
fn cepstra(signal: &[f32]) -> Vec<[f64; COEFFICIENTS]> {
    let filters = mel_filters();
    let cosine = |order: usize, band: usize| {
        (std::f64::consts::PI * order as f64 * (band as f64 + 0.5) / BANDS as f64).cos()
    };
    let basis: Vec<Vec<f64>> = (1..=COEFFICIENTS)
        .map(|order| (0..BANDS).map(|band| cosine(order, band) / BANDS as f64).collect())
        .collect();
    let spectra = power_spectra(&double(signal), &hann(FRAME), HOP, FRAME);
    let frames = spectra.iter().map(|powers| {
        // The logarithm of the amplitude is half that of the power.
        let amplitudes: Vec<f64> =
            filters.iter().map(|filter| 0.5 * dot(filter, powers).max(FLOOR).ln()).collect();
        let mut coefficients = [0.0; COEFFICIENTS];
        for (coefficient, row) in coefficients.iter_mut().zip(&basis) {
            *coefficient = dot(row, &amplitudes);
        }
        coefficients
    });
    frames.collect()
}

/// Returns the weights of each mel band: triangles of area 1 between points that are equally far
/// apart in mels (Slaney's).
fn mel_filters() -> Vec<Vec<f64>> {
    // Linear to 1000 Hz, which is mel 15, and logarithmic from there on: 27 mels are a factor of
    // 6.4.
    let step = 6.4f64.ln() / 27.0;
    let mel = |hertz: f64| {
        if hertz < 1000.0 { hertz * 3.0 / 200.0 } else { 15.0 + (hertz / 1000.0).ln() / step }
    };
    let hertz = |mel: f64| {
        if mel < 15.0 { mel * 200.0 / 3.0 } else { 1000.0 * (step * (mel - 15.0)).exp() }
    };
    let highest = mel(SAMPLE_RATE as f64 / 2.0);
    let points: Vec<f64> =
        (0..BANDS + 2).map(|at| hertz(highest * at as f64 / (BANDS + 1) as f64)).collect();
    let bin = SAMPLE_RATE as f64 / FRAME as f64;
    let filter = |edges: &[f64]| {
        let (low, middle, high) = (edges[0], edges[1], edges[2]);
        let weight = |frequency: f64| {
            ((frequency - low) / (middle - low)).min((high - frequency) / (high - middle))
        };
        (0..=FRAME / 2).map(|at| weight(at as f64 * bin).max(0.0) * 2.0 / (high - low)).collect()
    };
    points.windows(3).map(filter).collect()
}

/// Returns the mean distance between the frames that the best alignment pairs.
fn aligned_distance(reference: &[[f64; COEFFICIENTS]], other: &[[f64; COEFFICIENTS]]) -> f64 {
    // The cheapest way to each pair of frames: its sum of distances, and how many pairs it has.
    let mut row: Vec<(f64, usize)> = Vec::new();
    for (at, frame) in reference.iter().enumerate() {
        let mut next: Vec<(f64, usize)> = Vec::with_capacity(other.len());
        for (column, aligned) in other.iter().enumerate() {
            let before = |way: Option<&(f64, usize)>| way.copied().unwrap_or((f64::INFINITY, 0));
            let left = before(next.last());
            let above = before(row.get(column));
            let diagonal =
                column.checked_sub(1).map_or((f64::INFINITY, 0), |column| before(row.get(column)));
            let start = at == 0 && column == 0;
            // Of equal ways, as in digital silence, the one that the Python package takes.
            let cheapest =
                [above, left, diagonal].into_iter().min_by(|one, other| one.0.total_cmp(&other.0));
            let (sum, pairs) = if start { (0.0, 0) } else { cheapest.unwrap_or(diagonal) };
            let squares = frame.iter().zip(aligned).map(|(one, other)| (one - other).powi(2));
            next.push((sum + squares.sum::<f64>().sqrt(), pairs + 1));
        }
        row = next;
    }
    row.last().map_or(0.0, |(sum, pairs)| sum / *pairs as f64)
}

/// Returns the sum of the products.
fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a buzz of 150 Hz, for `seconds`, whose overtones fall by `decay` each: no band is
    /// silent.
    fn tone(decay: f32, seconds: f32) -> Vec<f32> {
        let angle = |at: usize| std::f32::consts::TAU * 150.0 * at as f32 / SAMPLE_RATE as f32;
        let sample = |at: usize| {
            (1..53).map(|over| decay.powi(over) * (over as f32 * angle(at)).sin()).sum::<f32>()
        };
        (0..(seconds * SAMPLE_RATE as f32) as usize).map(|at| 0.1 * sample(at)).collect()
    }

    #[test]
    fn loudness_and_length_do_not_count_and_timbre_does() {
        let one = tone(0.95, 1.0);
        let quieter: Vec<f32> = one.iter().map(|sample| 0.5 * sample).collect();
        assert_eq!(mcd(&one, &one).unwrap(), 0.0);
        assert!(mcd(&one, &quieter).unwrap() < 0.5);
        assert!(mcd(&one, &tone(0.95, 1.5)).unwrap() < 0.1);
        assert!(mcd(&one, &tone(0.8, 1.0)).unwrap() > 3.0);
        assert!(mcd(&one, &[0.0; 100]).is_err());
    }
}
