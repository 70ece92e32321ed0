//! Frames of a signal and their spectra, for the metrics that need them.
//!
//! Owns: windows, power spectra. Must not: know a metric.
//! Flow: `cepstrum.rs` and `intelligibility.rs` → here.

use realfft::RealFftPlanner;

/// Returns the power spectrum of each windowed frame: `fft / 2 + 1` numbers.
///
/// Parameters: `window` — its length is that of a frame, at most `fft`; the frame is padded with
/// zeros behind. A last frame that the signal does not fill is left out.
pub(crate) fn power_spectra(
    signal: &[f64],
    window: &[f64],
    hop: usize,
    fft: usize,
) -> Vec<Vec<f64>> {
    let transform = RealFftPlanner::<f64>::new().plan_fft_forward(fft);
    let (mut frame, mut spectrum) = (transform.make_input_vec(), transform.make_output_vec());
    let mut powers = Vec::new();
    for samples in signal.windows(window.len()).step_by(hop) {
        frame.fill(0.0);
        for ((value, sample), weight) in frame.iter_mut().zip(samples).zip(window) {
            *value = sample * weight;
        }
        // The transform itself made the buffers, so their lengths are right.
        if transform.process(&mut frame, &mut spectrum).is_ok() {
            powers.push(spectrum.iter().map(|bin| bin.norm_sqr()).collect());
        }
    }
    powers
}

/// Returns a Hann window without its zeros at both ends.
pub(crate) fn hann(length: usize) -> Vec<f64> {
    let step = 2.0 * std::f64::consts::PI / (length + 1) as f64;
    (1..=length).map(|at| 0.5 - 0.5 * (step * at as f64).cos()).collect()
}

/// Returns a signal in double precision, in which spectra are summed up.
pub(crate) fn double(signal: &[f32]) -> Vec<f64> {
    signal.iter().map(|&sample| f64::from(sample)).collect()
}
