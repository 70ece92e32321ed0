//! Frames to samples in chunks that join without a click.
//!
//! Owns: the frames of each chunk. Must not: know texts or the decoder.
//! Flow: [`crate::Speaker::stream`] pushes frames as the decoder makes them → the vocoder, a chunk
//! at a time → the caller.
//!
//! A sample depends on the frames near it, up to [`CONTEXT`] before and after. So a chunk is
//! computed with that many more frames on either side, and their samples are dropped: the rest is
//! the same as if the whole phrase had been computed at once.

use crate::acoustic::MELS;
use crate::voice::vocoder;
use crate::{Error, HOP, noise};
use coreml_rt::TensorView;

/// Frames on either side that a sample can depend on: the first convolution reaches over 3, those
/// at 8 times the rate over 2 more, the rest over less than 1.
pub const CONTEXT: usize = 6;

/// Makes samples of the frames of a phrase.
pub(crate) struct Stream<'a> {
    /// The network.
    vocoder: &'a vocoder::Model,
    /// Frames of a chunk, without its context.
    chunk: usize,
    /// All frames so far, one after the other.
    frames: Vec<f32>,
    /// How many of them have been made samples of.
    done: usize,
}

impl<'a> Stream<'a> {
    /// Begins a phrase. A `chunk` larger than any phrase returns the whole phrase at once.
    pub(crate) fn begin(vocoder: &'a vocoder::Model, chunk: usize) -> Self {
        Self { vocoder, chunk: chunk.max(1), frames: Vec::new(), done: 0 }
    }

    /// Takes frames, and passes on the samples of each chunk whose context is complete.
    ///
    /// Errors: as `predict`.
    pub(crate) fn push(
        &mut self,
        frames: &[f32],
        heard: &mut impl FnMut(&[f32]),
    ) -> Result<(), Error> {
        self.frames.extend_from_slice(frames);
        while self.done + self.chunk + CONTEXT <= self.frames.len() / MELS {
            self.chunk(self.done + self.chunk, heard)?;
        }
        Ok(())
    }

    /// Hands out what is left: nothing follows.
    ///
    /// Errors: as `predict`.
    pub(crate) fn finish(mut self, heard: &mut impl FnMut(&[f32])) -> Result<(), Error> {
        let count = self.frames.len() / MELS;
        while self.done < count {
            self.chunk(count.min(self.done + self.chunk), heard)?;
        }
        Ok(())
    }

    /// Hands out the samples of the frames from the last chunk's end to `end`.
    fn chunk(&mut self, end: usize, heard: &mut impl FnMut(&[f32])) -> Result<(), Error> {
        let (first, last) =
            (self.done.saturating_sub(CONTEXT), (end + CONTEXT).min(self.frames.len() / MELS));
        let length = last - first;
        let noise: Vec<f32> = (first..last).flat_map(noise::frame).collect();
        let frames = self.frames.get(first * MELS..last * MELS).unwrap_or_default();
        let output = self.vocoder.predict(&vocoder::Input {
            frames: TensorView::from_slice_with_dims(frames, [1, length, MELS])?,
            noise: TensorView::from_slice_with_dims(&noise, [1, length, HOP])?,
        })?;
        let kept = (self.done - first) * HOP..(end - first) * HOP;
        heard(output.samples.as_slice().get(kept).unwrap_or_default());
        self.done = end;
        Ok(())
    }
}
