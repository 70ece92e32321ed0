//! Reproducible random numbers, and noise made from them.
//!
//! Owns: [`SplitMix64`], [`noise`].
//! Flow: `decode.rs` draws tokens; `bin/wer.rs` makes noise, as `tools/speech-data/speech_data.py`
//! does, so that PyTorch gets the same without a file.

/// A generator of Steele, Lea and Flood: a counter that is mixed.
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    /// The counter.
    state: u64,
}

impl SplitMix64 {
    /// Starts with a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Returns 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 to below 1.
    pub fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns a number of mean 0 and variance 1 that is nearly normal: the sum of four even ones.
    pub fn normal(&mut self) -> f64 {
        let bits = self.bits();
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xFFFF).sum();
        (sum as f64 - 2.0 * 65_535.0) / (65_536.0 / 3f64.sqrt())
    }
}

/// Returns noise of unit power: white, or with `colour` between 0 and 1 more of the low
/// frequencies.
pub fn noise(count: usize, seed: u64, colour: f64) -> Vec<f32> {
    let mut generator = SplitMix64::new(seed);
    let (gain, mut last) = ((1.0 - colour * colour).sqrt(), 0.0);
    let mut next = || {
        last = gain * generator.normal() + colour * last;
        last as f32
    };
    (0..count).map(|_| next()).collect()
}

/// Adds noise to samples, `decibels` below the mean power of what is spoken.
///
/// Parameters: `power` — the mean square of the speech.
pub fn add_noise(samples: &mut [f32], decibels: f32, power: f32, seed: u64, colour: f64) {
    let level = (power / 10f32.powf(decibels / 10.0)).sqrt();
    let noise = noise(samples.len(), seed, colour);
    for (sample, noise) in samples.iter_mut().zip(noise) {
        *sample += noise * level;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_what_numpy_made_of_the_same_seed() {
        let expected = [0.033_511_97f32, -0.456_983_8, -0.208_313_36];
        for (value, expected) in noise(3, 5, 0.0).iter().zip(expected) {
            assert!((value - expected).abs() < 1e-6, "{value} is not {expected}");
        }
        let power = |values: &[f32]| {
            values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32
        };
        assert!((power(&noise(100_000, 5, 0.0)) - 1.0).abs() < 0.02);
        assert!((power(&noise(100_000, 5, 0.9)) - 1.0).abs() < 0.1);
    }
}
