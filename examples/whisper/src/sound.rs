//! Sound files as a stream of samples at 16 kHz, one channel.
//!
//! Owns: reading, mixing and resampling. Must not: hold a whole file.
//! Flow: `main.rs` opens a file → `transcribe.rs` takes as many samples as a window lacks.

#[cfg(feature = "symphonia")]
mod formats;
mod resample;

use crate::error::Error;
use crate::log_mel::RATE;
use resample::Resample;
use std::path::Path;

/// Frames that are read from a WAV file at once.
const BLOCK: usize = 4096;

/// Blocks of samples, mixed to one channel, at the file's own rate.
type Blocks = Box<dyn Iterator<Item = Result<Vec<f32>, Error>>>;

/// A sound that is being read.
pub struct Sound {
    /// What is left of the file.
    blocks: Blocks,
    /// From the file's rate to 16 kHz; `None` when that is the file's.
    resample: Option<Resample>,
    /// Samples that were read and not yet taken.
    ready: Vec<f32>,
    /// Whether the file is at its end.
    ended: bool,
    /// Length of the whole sound in seconds, if the file contains it.
    duration: Option<f64>,
}

impl Sound {
    /// Opens a WAV file, or with the feature `symphonia` an Ogg, FLAC, MP3 or MP4 file.
    ///
    /// Errors: the file cannot be read, or is of another format.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wav")) {
            return Self::wav(path);
        }
        #[cfg(feature = "symphonia")]
        return formats::open(path);
        #[cfg(not(feature = "symphonia"))]
        return Err(Error::file(path, "only .wav is read without the feature `symphonia`"));
    }

    /// Returns a sound of samples that are at hand, at 16 kHz.
    pub fn from_samples(samples: Vec<f32>) -> Self {
        let duration = Some(samples.len() as f64 / RATE as f64);
        Self {
            blocks: Box::new(std::iter::empty()),
            resample: None,
            ready: samples,
            ended: true,
            duration,
        }
    }

    /// Returns a sound of blocks at a rate.
    fn from_blocks(
        path: &Path,
        blocks: Blocks,
        rate: u32,
        frames: Option<u64>,
    ) -> Result<Self, Error> {
        let resample = (rate as usize != RATE).then(|| Resample::new(rate as usize)).transpose();
        let resample = resample.map_err(|error| Error::file(path, error))?;
        let duration = frames.map(|frames| frames as f64 / f64::from(rate));
        Ok(Self { blocks, resample, ready: Vec::new(), ended: false, duration })
    }

    /// Opens a WAV file.
    fn wav(path: &Path) -> Result<Self, Error> {
        let mut reader = hound::WavReader::open(path).map_err(|error| Error::file(path, error))?;
        let (spec, frames) = (reader.spec(), reader.duration());
        let (channels, shown) = (usize::from(spec.channels.max(1)), path.to_owned());
        let scale = 1.0 / (1u64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
        let blocks = std::iter::from_fn(move || {
            let wanted = BLOCK * channels;
            let samples: Result<Vec<f32>, hound::Error> = match spec.sample_format {
                hound::SampleFormat::Float => reader.samples::<f32>().take(wanted).collect(),
                hound::SampleFormat::Int => reader
                    .samples::<i32>()
                    .take(wanted)
                    .map(|sample| Ok(sample? as f32 * scale))
                    .collect(),
            };
            match samples {
                Ok(samples) if samples.is_empty() => None,
                Ok(samples) => Some(Ok(mixed(&samples, channels))),
                Err(error) => Some(Err(Error::file(&shown, error))),
            }
        });
        Self::from_blocks(path, Box::new(blocks), spec.sample_rate, Some(u64::from(frames)))
    }

    /// Returns the length of the whole sound in seconds, where it is known.
    pub fn duration(&self) -> Option<f64> {
        self.duration
    }

    /// Appends samples to `into` until it has `count`, or the sound ends.
    pub fn fill(&mut self, into: &mut Vec<f32>, count: usize) -> Result<(), Error> {
        while into.len() < count {
            if self.ready.is_empty() {
                if self.ended {
                    break;
                }
                self.read()?;
                continue;
            }
            let taken = self.ready.len().min(count - into.len());
            into.extend(self.ready.drain(..taken));
        }
        Ok(())
    }

    /// Reads the next block into `ready`.
    fn read(&mut self) -> Result<(), Error> {
        let block = self.blocks.next().transpose()?;
        self.ended = block.is_none();
        match (&mut self.resample, block) {
            (Some(resample), Some(block)) => resample.push(&block, &mut self.ready),
            (Some(resample), None) => resample.finish(&mut self.ready),
            (None, Some(block)) => {
                self.ready.extend(block);
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }
}

/// Returns the mean of the channels.
fn mixed(samples: &[f32], channels: usize) -> Vec<f32> {
    samples.chunks(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32).collect()
}

#[cfg(test)]
mod tests;
