//! STOI: how much of a speech signal a listener would still understand (Taal, Hendriks, Heusdens
//! and Jensen, 2011).
//!
//! Owns: the measure, and the resampling to 10 kHz that it is defined at. Must not: know models.
//! Flow: `lib.rs` → here → `frames.rs`.

use crate::frames::{double, hann, power_spectra};
use crate::{MetricError, same_length};

/// Samples in a second of the signals that the measure is defined for.
const RATE: f64 = 10_000.0;

/// From 16 kHz to 10 kHz: five samples ...
const UP: usize = 5;

/// ... for every eight.
const DOWN: usize = 8;

/// Samples of a frame.
const FRAME: usize = 256;

/// Samples of a frame's spectrum, padded.
const FFT: usize = 512;

/// Samples from one frame to the next.
const HOP: usize = FRAME / 2;

/// Bands of a third of an octave.
const BANDS: usize = 15;

/// The centre of the lowest band, in hertz.
const LOWEST: f64 = 150.0;

/// Frames of a segment, 384 ms.
const SEGMENT: usize = 30;

/// Decibels below the loudest frame from which on a frame is silence.
const DYNAMIC_RANGE: f64 = 40.0;

/// How far a band may exceed the reference before it is clipped, in decibels.
const CLIP: f64 = 15.0;

/// Keeps logarithms and quotients finite.
const EPSILON: f64 = f64::EPSILON;

/// Returns the short-time objective intelligibility of a signal: 1.0 is the reference itself, 0.0
/// is nothing of it.
///
/// Errors: the lengths differ; less than 30 frames, 384 ms, are not silence.
pub fn stoi(reference: &[f32], other: &[f32]) -> Result<f64, MetricError> {
    same_length(reference, other)?;
    let (reference, other) = (resampled(&double(reference)), resampled(&double(other)));
    let (reference, other) = without_silence(&reference, &other);
    let (reference, other) = (band_amplitudes(&reference), band_amplitudes(&other));
    let segments = (reference.len() + 1).saturating_sub(SEGMENT);
    if segments == 0 {
        return Err(MetricError::TooShort { needs: "384 ms of speech" });
    }
    let mut sum = 0.0;
    for start in 0..segments {
        for band in 0..BANDS {
            let part = |frames: &[[f64; BANDS]]| -> [f64; SEGMENT] {
                std::array::from_fn(|at| frames.get(start + at).map_or(0.0, |frame| frame[band]))
            };
            sum += correlation(part(&reference), part(&other));
        }
    }
    Ok(sum / (segments * BANDS) as f64)
}

/// Returns the correlation of a band's amplitudes in a segment, after the other's were scaled to
/// the reference's and clipped.
fn correlation(mut reference: [f64; SEGMENT], mut other: [f64; SEGMENT]) -> f64 {
    let scale = norm(&reference) / (norm(&other) + EPSILON);
    let limit = 1.0 + 10.0f64.powf(CLIP / 20.0);
    for (value, reference) in other.iter_mut().zip(&reference) {
        *value = (*value * scale).min(reference * limit);
    }
    for values in [&mut reference, &mut other] {
        let mean = values.iter().sum::<f64>() / SEGMENT as f64;
        values.iter_mut().for_each(|value| *value -= mean);
        let length = norm(values) + EPSILON;
        values.iter_mut().for_each(|value| *value /= length);
    }
    reference.iter().zip(&other).map(|(one, other)| one * other).sum()
}

/// Returns the amplitude of each band in each frame.
fn band_amplitudes(signal: &[f64]) -> Vec<[f64; BANDS]> {
    let nearest = |hertz: f64| ((hertz * FFT as f64 / RATE).round() as usize).min(FFT / 2);
    let edge =
        |band: usize, side: f64| nearest(LOWEST * 2.0f64.powf((2.0 * band as f64 + side) / 6.0));
    let bins: Vec<_> = (0..BANDS).map(|band| edge(band, -1.0)..edge(band, 1.0)).collect();
    // A frame that ends exactly with the signal is left out, as the authors do.
    let spectra = power_spectra(
        signal.get(..signal.len().saturating_sub(1)).unwrap_or_default(),
        &hann(FRAME),
        HOP,
        FFT,
    );
    let of_frame = |powers: &Vec<f64>| {
        std::array::from_fn(|band| {
            powers.get(bins[band].clone()).map_or(0.0, |bins| bins.iter().sum::<f64>().sqrt())
        })
    };
    spectra.iter().map(of_frame).collect()
}

/// Returns both signals without the frames in which the reference is silent, the others overlapped
/// and added again.
fn without_silence(reference: &[f64], other: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let window = hann(FRAME);
    let starts = (0..reference.len().saturating_sub(FRAME)).step_by(HOP);
    let frame = |signal: &[f64], start: usize| -> Vec<f64> {
        signal.iter().skip(start).zip(&window).map(|(sample, weight)| sample * weight).collect()
    };
    let energy = |start: usize| 20.0 * (norm(&frame(reference, start)) + EPSILON).log10();
    let energies: Vec<(usize, f64)> = starts.map(|start| (start, energy(start))).collect();
    let loudest = energies.iter().map(|(_, energy)| *energy).fold(f64::NEG_INFINITY, f64::max);
    let kept: Vec<usize> = energies
        .iter()
        .filter(|(_, energy)| loudest - DYNAMIC_RANGE < *energy)
        .map(|(start, _)| *start)
        .collect();
    let joined = |signal: &[f64]| {
        let mut joined =
            vec![0.0; if kept.is_empty() { 0 } else { (kept.len() - 1) * HOP + FRAME }];
        for (at, &start) in kept.iter().enumerate() {
            for (sum, sample) in joined.iter_mut().skip(at * HOP).zip(frame(signal, start)) {
                *sum += sample;
            }
        }
        joined
    };
    (joined(reference), joined(other))
}

/// Returns a signal of 16 kHz at 10 kHz: a windowed sinc, the one that the measure's authors used
/// (Octave's `resample`).
fn resampled(signal: &[f64]) -> Vec<f64> {
    const REJECTION: f64 = 60.0; // decibels
    let cutoff = 0.5 / UP.max(DOWN) as f64;
    let half = ((REJECTION - 8.0) / (28.714 * cutoff / 10.0)).ceil() as usize;
    let beta = 0.1102 * (REJECTION - 8.7);
    let tap = |at: usize| {
        let offset = at as f64 - half as f64;
        let argument = std::f64::consts::PI * 2.0 * cutoff * offset;
        let sinc = if at == half { 1.0 } else { argument.sin() / argument };
        sinc * bessel(beta * (1.0 - (offset / half as f64).powi(2)).max(0.0).sqrt())
    };
    let mut taps: Vec<f64> = (0..=2 * half).map(tap).collect();
    let gain = UP as f64 / taps.iter().sum::<f64>();
    taps.iter_mut().for_each(|tap| *tap *= gain);
    let length = (signal.len() * UP).div_ceil(DOWN);
    let sample = |at: usize| {
        // After zeros are inserted between the samples, the filter's middle is at `at * DOWN`.
        let middle = at * DOWN + half;
        let first = (at * DOWN).saturating_sub(half).div_ceil(UP);
        let last = (middle / UP).min(signal.len().saturating_sub(1));
        (first..=last)
            .map(|of| taps.get(middle - of * UP).unwrap_or(&0.0) * signal.get(of).unwrap_or(&0.0))
            .sum()
    };
    (0..length).map(sample).collect()
}

/// Returns the modified Bessel function of the first kind and order zero, by its series.
fn bessel(x: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for order in 1..64 {
        term *= (x / (2.0 * f64::from(order))).powi(2);
        sum += term;
    }
    sum
}

/// Returns the Euclidean length.
fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_keeps_its_frequency_and_loudness_at_ten_kilohertz() {
        let tone = |rate: f64, length: usize| -> Vec<f64> {
            (0..length).map(|at| (std::f64::consts::TAU * 440.0 * at as f64 / rate).sin()).collect()
        };
        let (ours, truth) = (resampled(&tone(16_000.0, 16_000)), tone(RATE, 10_000));
        assert_eq!(ours.len(), truth.len());
        // Both ends know nothing of what is outside.
        let pairs = ours.iter().zip(&truth).skip(300).take(9_400);
        let apart = pairs.map(|(one, other)| (one - other).abs()).fold(0.0, f64::max);
        assert!(apart < 2e-3, "{apart}");
    }

    #[test]
    fn too_little_speech_is_an_error() {
        assert!(stoi(&[0.1; 3000], &[0.1; 3000]).is_err());
        assert!(stoi(&[0.1; 30_000], &[0.1; 20_000]).is_err());
    }
}
