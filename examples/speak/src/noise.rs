//! The noise from which the vocoder makes hissing sounds.
//!
//! Owns: [`frame`]. Must not: keep a state: the noise of a frame depends only on its position, so
//! that a chunk gets the same noise as the whole.
//! Flow: `stream.rs` → here.

use crate::HOP;

/// The step of SplitMix64, a well-known generator whose n-th number does not need those before it.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Returns the noise of a frame: nearly normal, of unit power.
pub(crate) fn frame(place: usize) -> impl Iterator<Item = f32> {
    (1..=HOP as u64).map(move |sample| {
        let mut state = (place as u64 * HOP as u64 + sample).wrapping_mul(STEP);
        state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        state ^= state >> 31;
        // The sum of four numbers of 16 bits is nearly normal.
        let sum: u64 = (0..4).map(|part| (state >> (16 * part)) & 0xFFFF).sum();
        (sum as f32 - 131_070.0) / (65_536.0 / 3.0f32.sqrt())
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn has_unit_power_and_no_mean() {
        let all: Vec<f32> = (0..200).flat_map(super::frame).collect();
        let mean = all.iter().sum::<f32>() / all.len() as f32;
        let power = all.iter().map(|one| one * one).sum::<f32>() / all.len() as f32;
        assert!(mean.abs() < 0.02 && (power - 1.0).abs() < 0.02, "{mean} {power}");
    }
}
