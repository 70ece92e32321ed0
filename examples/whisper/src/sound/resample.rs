//! Resampling a stream to 16 kHz.
//!
//! Owns: the crate rubato.
//! Flow: `sound.rs` → here, with blocks of any length.

use crate::error::Error;
use crate::log_mel::RATE;
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler};

/// Frames that go into the resampler at once.
const CHUNK: usize = 1024;

/// A resampler with what it has not yet consumed.
pub(super) struct Resample {
    /// From the file's rate to 16 kHz.
    resampler: Fft<f32>,
    /// The file's rate.
    rate: usize,
    /// Samples that are less than a chunk.
    waiting: Vec<f32>,
    /// Samples that came in, and that went out.
    counts: (usize, usize),
    /// Samples at the begin that the filter has made of nothing.
    skip: usize,
}

impl Resample {
    /// Plans the resampling.
    pub(super) fn new(rate: usize) -> Result<Self, Error> {
        let resampler = Fft::new(rate, RATE, CHUNK, 1, FixedSync::Input)
            .map_err(|error| Error::Options(format!("cannot resample from {rate} Hz: {error}")))?;
        let skip = resampler.output_delay();
        Ok(Self { resampler, rate, waiting: Vec::new(), counts: (0, 0), skip })
    }

    /// Takes samples in, and appends those that are ready.
    pub(super) fn push(&mut self, samples: &[f32], ready: &mut Vec<f32>) -> Result<(), Error> {
        self.counts.0 += samples.len();
        self.waiting.extend_from_slice(samples);
        while self.waiting.len() >= self.resampler.input_frames_next() {
            let count = self.resampler.input_frames_next();
            let chunk: Vec<f32> = self.waiting.drain(..count).collect();
            self.process(&chunk, None, ready)?;
        }
        Ok(())
    }

    /// Appends what is still inside: as many samples come out as belong to those that went in.
    pub(super) fn finish(&mut self, ready: &mut Vec<f32>) -> Result<(), Error> {
        let mut rest = std::mem::take(&mut self.waiting);
        let whole = (self.counts.0 * RATE).div_ceil(self.rate);
        while self.counts.1 < whole {
            let length = rest.len();
            rest.resize(self.resampler.input_frames_next(), 0.0);
            let before = ready.len();
            self.process(&rest, Some(length), ready)?;
            let excess = self.counts.1.saturating_sub(whole);
            ready.truncate((ready.len() - excess).max(before));
            rest.clear();
        }
        Ok(())
    }

    /// Resamples one chunk, of which `partial` samples are real.
    fn process(
        &mut self,
        chunk: &[f32],
        partial: Option<usize>,
        ready: &mut Vec<f32>,
    ) -> Result<(), Error> {
        let failed =
            |error: &dyn std::fmt::Display| Error::Options(format!("cannot resample: {error}"));
        let input = InterleavedSlice::new(chunk, 1, chunk.len()).map_err(|error| failed(&error))?;
        let indexing = Indexing { partial_len: partial, ..Indexing::new() };
        let output =
            self.resampler.process(&input, Some(&indexing)).map_err(|error| failed(&error))?;
        let samples = output.take_data();
        let skipped = self.skip.min(samples.len());
        self.skip -= skipped;
        self.counts.1 += samples.len() - skipped;
        ready.extend_from_slice(&samples[skipped..]);
        Ok(())
    }
}
