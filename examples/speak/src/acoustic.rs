//! Phonemes to frames of a spectrogram: the encoder once, then the decoder step by step.
//!
//! Owns: durations, the decoder's inputs at each step, its state. Must not: know texts or sound.
//! Flow: [`crate::Speaker`] → here, one [`Utterance`] for a phrase; `stream.rs` takes its frames as
//! they come.

use crate::Error;
use crate::voice::{decoder, encoder};
use coreml_rt::{Tensor, TensorView};

/// Bands of a frame.
pub(crate) const MELS: usize = 80;

/// Frames of a step.
const GROUP: usize = 4;

/// Steps that the decoder's caches have room for.
const STEPS: usize = 64;

/// Numbers that the encoder returns for each phoneme.
const ENCODED: usize = 64;

/// A phrase that is being said.
pub(crate) struct Utterance<'a> {
    /// The network.
    decoder: &'a decoder::Model,
    /// Its caches, which hold what was said.
    state: decoder::State,
    /// What it said last; zeros at first.
    said: decoder::Output,
    /// The encoding of each phoneme, one after the other.
    encoded: Vec<f32>,
    /// The phoneme of each frame, how far into it the frame is, and a tenth of its duration.
    places: Vec<(usize, [f32; 2])>,
    /// The next step.
    step: usize,
}

impl<'a> Utterance<'a> {
    /// Runs the encoder and prepares the decoder.
    ///
    /// Errors: the phrase lasts longer than 256 frames; as `predict`.
    pub(crate) fn begin(
        encoder: &encoder::Model,
        decoder: &'a decoder::Model,
        phonemes: &[i32],
    ) -> Result<Self, Error> {
        let phonemes = TensorView::from_slice_with_dims(phonemes, [1, phonemes.len()])?;
        let output = encoder.predict(&encoder::Input { phonemes })?;
        let places = places(output.log_duration.as_slice());
        if places.len() > STEPS * GROUP {
            return Err(Error::TooLong { frames: places.len(), most: STEPS * GROUP });
        }
        let (state, said) = (decoder.new_state()?, decoder::Output::zeros());
        Ok(Self { decoder, state, said, encoded: output.encoded.into_vec(), places, step: 0 })
    }

    /// Returns how many frames the phrase has: whole steps.
    pub(crate) fn frames(&self) -> usize {
        self.places.len()
    }

    /// Returns the frames of the next step, or `None` at the end.
    ///
    /// Errors: as `predict`.
    pub(crate) fn next(&mut self) -> Result<Option<&[f32]>, Error> {
        let first = self.step * GROUP;
        let Some(now) = self.places.get(first..first + GROUP) else { return Ok(None) };
        let encoded = now
            .iter()
            .flat_map(|(phoneme, _)| self.encoded.iter().skip(phoneme * ENCODED).take(ENCODED));
        let encoded = Tensor::from_vec(encoded.copied().collect())?;
        let place = Tensor::from_vec(now.iter().flat_map(|(_, place)| *place).collect())?;
        let position = Tensor::from_fn(|_| i32::try_from(self.step).unwrap_or(i32::MAX));
        let previous = std::mem::take(&mut self.said.frames);
        let input = decoder::Input {
            previous: previous.view(),
            encoded: encoded.view(),
            place: place.view(),
            position: position.view(),
        };
        self.decoder.predict_into(&mut self.state, &input, &mut self.said)?;
        self.step += 1;
        Ok(Some(self.said.frames.as_slice()))
    }
}

/// Returns the place of each frame: its phoneme, how far into it the frame is (0 to 1), and a tenth
/// of its frames.
///
/// Ends are rounded, not durations, so that the whole is not longer or shorter than it should be;
/// each phoneme has a frame at least. The last phoneme, silence, fills the last step.
fn places(log_durations: &[f32]) -> Vec<(usize, [f32; 2])> {
    let (mut places, mut end, mut begin) = (Vec::new(), 0.0, 0);
    for (phoneme, log_duration) in log_durations.iter().enumerate() {
        end += log_duration.exp();
        let mut next = (end.round() as usize).max(begin + 1);
        if phoneme + 1 == log_durations.len() {
            next = next.next_multiple_of(GROUP);
        }
        let count = (next - begin) as f32;
        let inside =
            (0..next - begin).map(|frame| (phoneme, [(frame as f32 + 0.5) / count, count / 10.0]));
        places.extend(inside);
        begin = next;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_rounded_and_steps_are_whole() {
        let places = places(&[1.4f32.ln(), 1.4f32.ln(), 1.4f32.ln(), 0.1f32.ln()]);
        let phonemes: Vec<usize> = places.iter().map(|(phoneme, _)| *phoneme).collect();
        assert_eq!(phonemes, [0, 1, 1, 2, 3, 3, 3, 3]);
        assert_eq!(places[1].1, [0.25, 0.2]);
    }
}
