//! PESQ and PSNR: how far a signal is from the one it should be.
//!
//! Owns: the two functions' conventions. Must not: implement PESQ: that is the crate `pesq`.
//! Flow: `lib.rs` → here → `pesq`.

use crate::{MetricError, same_length};

/// Returns the wideband PESQ score of a signal (P.862.2) as a mean opinion score, MOS-LQO: 1.0 is
/// bad, and from 4.5 on listeners hear no difference from the reference.
///
/// Errors: a signal shorter than a quarter of a second, or without speech.
pub fn pesq(reference: &[f32], other: &[f32]) -> Result<f32, MetricError> {
    let (reference, other) = (pcm(reference), pcm(other));
    // The crate scores digital silence by its own rounding.
    if [&reference, &other].iter().any(|signal| signal.iter().all(|&sample| sample == 0)) {
        return Err(MetricError::Pesq("a signal is silent".to_owned()));
    }
    ::pesq::pesq_wb(&reference, &other).map_err(|error| MetricError::Pesq(error.to_string()))
}

/// Returns the peak signal-to-noise ratio in decibels: the reference's largest magnitude against
/// the mean square difference.
///
/// Returns: infinity where the signals are equal. Any numbers will do: samples, a spectrogram,
/// pixels.
///
/// Errors: the lengths differ, or there is nothing.
pub fn psnr(reference: &[f32], other: &[f32]) -> Result<f64, MetricError> {
    same_length(reference, other)?;
    if reference.is_empty() {
        return Err(MetricError::TooShort { needs: "a number" });
    }
    let squares = reference
        .iter()
        .zip(other)
        .map(|(&one, &other)| (f64::from(one) - f64::from(other)).powi(2));
    let mean = squares.sum::<f64>() / reference.len() as f64;
    let peak = reference.iter().map(|&value| f64::from(value).abs()).fold(0.0, f64::max);
    Ok(if mean == 0.0 { f64::INFINITY } else { 10.0 * (peak * peak / mean).log10() })
}

/// Returns 16-bit samples, which PESQ is defined for.
fn pcm(signal: &[f32]) -> Vec<i16> {
    signal
        .iter()
        .map(|&sample| (sample * 32768.0).round_ties_even().clamp(-32768.0, 32767.0) as i16)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn psnr_is_of_the_references_peak() {
        // The differences are 0.1 everywhere and the peak is 1: 10 log10(1 / 0.01) = 20 dB.
        let decibels = psnr(&[1.0, 0.0, -0.5], &[0.9, 0.1, -0.4]).unwrap();
        assert!((decibels - 20.0).abs() < 1e-5, "{decibels}");
        assert!(psnr(&[1.0], &[1.0]).unwrap().is_infinite());
        assert_eq!(psnr(&[1.0], &[]), Err(MetricError::Lengths { reference: 1, other: 0 }));
        assert!(psnr(&[], &[]).is_err());
    }

    #[test]
    fn silence_has_no_pesq_score() {
        let silence = vec![0.0; 16_000];
        assert!(matches!(pesq(&silence, &silence), Err(MetricError::Pesq(_))));
        assert!(matches!(pesq(&[0.1; 100], &[0.1; 16_000]), Err(MetricError::Pesq(_))));
    }
}
