//! Whisper's log-mel spectrogram, on the CPU and without Core ML.
//!
//! Owns: [`LogMel`]. Must not: know models, read files.
//! Flow: `transcribe.rs` passes a window of samples → here → the encoder. `python/log_mel.py` is
//! the same in PyTorch; the manifest's model `log_mel` is converted from it.

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Samples of a second.
pub const RATE: usize = 16_000;
/// Samples of a frame: 25 ms.
const FRAME: usize = 400;
/// Samples from frame to frame: 10 ms.
pub const HOP: usize = 160;
/// Frequencies of a frame.
const BINS: usize = FRAME / 2 + 1;
/// The least power of a band, before the logarithm.
const FLOOR: f32 = 1e-10;
/// How far below the loudest band a band is still told from silence, in powers of ten.
const RANGE: f32 = 8.0;

/// One mel band: the first frequency that it has a weight for, and the weights.
struct Band {
    /// Index of the first frequency.
    first: usize,
    /// Weights of that frequency and of those behind it.
    weights: Vec<f32>,
}

/// The front end for a number of mel bands.
pub struct LogMel {
    /// The Fourier transform of a frame.
    fft: Arc<dyn RealToComplex<f32>>,
    /// Hann's window, periodic.
    window: Vec<f32>,
    /// The bands.
    bands: Vec<Band>,
}

impl LogMel {
    /// Plans the transform and computes the bands.
    pub fn new(bands: usize) -> Self {
        let angle = |at: usize| 2.0 * std::f64::consts::PI * at as f64 / FRAME as f64;
        Self {
            fft: RealFftPlanner::new().plan_fft_forward(FRAME),
            window: (0..FRAME).map(|at| (0.5 - 0.5 * angle(at).cos()) as f32).collect(),
            bands: mel_bands(bands),
        }
    }

    /// Returns the spectrogram, band by band: `[bands, samples / HOP]`.
    ///
    /// Parameters: `samples` — at 16 kHz; whole hops, and more than half a frame of them, because
    /// both ends are mirrored.
    pub fn spectrogram(&self, samples: &[f32]) -> Vec<f32> {
        let frames = samples.len() / HOP;
        let mut spectrogram = vec![0.0; self.bands.len() * frames];
        let mut input = vec![0.0; FRAME];
        let mut spectrum = vec![Complex::default(); BINS];
        let mut scratch = self.fft.make_scratch_vec();
        let mut power = [0.0f32; BINS];
        let mut loudest = f32::NEG_INFINITY;
        for frame in 0..frames {
            let begin = (frame * HOP) as isize - (FRAME / 2) as isize;
            for ((at, sample), weight) in input.iter_mut().enumerate().zip(&self.window) {
                *sample = weight
                    * samples
                        .get(mirrored(begin + at as isize, samples.len()))
                        .copied()
                        .unwrap_or(0.0);
            }
            // The lengths of all buffers are those of the plan, so the transform cannot fail.
            let _ = self.fft.process_with_scratch(&mut input, &mut spectrum, &mut scratch);
            for (power, value) in power.iter_mut().zip(&spectrum) {
                *power = value.norm_sqr();
            }
            for (row, band) in self.bands.iter().enumerate() {
                let sum: f32 = band
                    .weights
                    .iter()
                    .zip(&power[band.first..])
                    .map(|(weight, power)| weight * power)
                    .sum();
                let level = sum.max(FLOOR).log10();
                loudest = loudest.max(level);
                spectrogram[row * frames + frame] = level;
            }
        }
        for level in &mut spectrogram {
            *level = (level.max(loudest - RANGE) + 4.0) / 4.0;
        }
        spectrogram
    }
}

/// Returns the index that a mirror at both ends shows; the ends themselves are not doubled.
fn mirrored(at: isize, length: usize) -> usize {
    let last = length as isize - 1;
    let at = if at < 0 { -at } else { at };
    (if at > last { 2 * last - at } else { at }).max(0) as usize
}

/// Returns Slaney's bands from 0 to 8 kHz, each of unit area.
fn mel_bands(count: usize) -> Vec<Band> {
    // Linear up to 1 kHz, 15 mels of 200 / 3 Hz; logarithmic above, 27 mels from 1 to 6.4 kHz.
    let per_mel = 6.4f64.ln() / 27.0;
    let highest = 15.0 + (RATE as f64 / 2.0 / 1000.0).ln() / per_mel;
    let hertz = |mel: f64| {
        if mel < 15.0 { mel * 200.0 / 3.0 } else { 1000.0 * (per_mel * (mel - 15.0)).exp() }
    };
    let edges: Vec<f64> =
        (0..count + 2).map(|edge| hertz(highest * edge as f64 / (count + 1) as f64)).collect();
    let band = |edges: &[f64]| {
        let &[low, middle, high] = edges else { return Band { first: 0, weights: Vec::new() } };
        let weight = |bin: usize| {
            let frequency = (RATE as f64 / FRAME as f64) * bin as f64;
            let slope =
                ((frequency - low) / (middle - low)).min((high - frequency) / (high - middle));
            (slope.max(0.0) * 2.0 / (high - low)) as f32
        };
        let first = (0..BINS).find(|bin| weight(*bin) > 0.0).unwrap_or(BINS);
        Band {
            first,
            weights: (first..BINS).map(weight).take_while(|weight| *weight > 0.0).collect(),
        }
    };
    edges.windows(3).map(band).collect()
}
