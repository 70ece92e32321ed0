//! Says numbers: text to speech with three networks that `cargo build` converted.
//!
//! Owns: the generated types, and the order in which the networks run. Must not: print, read or
//! write files.
//! Flow: `build.rs` converts `speak.toml` → the attribute below generates its types → [`Speaker`]:
//! `words.rs` (text to phonemes) → `acoustic.rs` (encoder, decoder with states) → `stream.rs`
//! (vocoder with buckets) → `main.rs` writes a file.

mod acoustic;
mod error;
mod noise;
mod stream;
mod words;

pub use error::Error;
pub use stream::CONTEXT;
pub use words::{MOST_WORDS, Phrase, Vocabulary};

use acoustic::Utterance;
use coreml_rt::LoadOptions;
use stream::Stream;
use voice::{decoder, encoder, vocoder};

#[coreml_rt::coreml_model("speak.toml")]
pub mod voice {}

/// Samples in a second.
pub const RATE: usize = 16_000;

/// Samples of a frame: 16 ms.
pub const HOP: usize = 256;

/// Frames of a chunk, where the caller does not choose: 256 ms. With its context it fits the
/// vocoder's smallest bucket.
pub const CHUNK: usize = 16;

/// Samples of silence between two phrases: 150 ms.
const PAUSE: usize = 2400;

/// A piece of speech, in the order in which it is to be heard.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Samples in [-1, 1].
    pub samples: &'a [f32],
    /// The phrase that it belongs to, counted from 0.
    pub phrase: usize,
    /// How many phrases the text has.
    pub phrases: usize,
}

/// The three networks and the words that they were trained on.
pub struct Speaker {
    /// Phonemes to encodings and durations.
    encoder: encoder::Model,
    /// Encodings to frames, step by step.
    decoder: decoder::Model,
    /// Frames to samples.
    vocoder: vocoder::Model,
    /// What can be said.
    vocabulary: Vocabulary,
}

impl Speaker {
    /// Loads the networks.
    ///
    /// Errors: as `load_with` of a model.
    pub fn load(options: &LoadOptions) -> Result<Self, Error> {
        Ok(Self {
            encoder: encoder::Model::load_with(options)?,
            decoder: decoder::Model::load_with(options)?,
            vocoder: vocoder::Model::load_with(options)?,
            vocabulary: Vocabulary::new()?,
        })
    }

    /// Returns the words that can be said.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Returns the speech of a whole text, each phrase in one prediction of the vocoder.
    ///
    /// Errors: as [`Speaker::stream`].
    pub fn speak(&self, text: &str) -> Result<Vec<f32>, Error> {
        let mut samples = Vec::new();
        self.stream(text, usize::MAX, |chunk| samples.extend_from_slice(chunk.samples))?;
        Ok(samples)
    }

    /// Hands out the speech of a text in chunks of so many frames, each as soon as it can be heard.
    ///
    /// Errors: the text has no word or an unknown one; a phrase is too long; as `predict`.
    pub fn stream(
        &self,
        text: &str,
        frames: usize,
        mut heard: impl FnMut(Chunk<'_>),
    ) -> Result<(), Error> {
        let phrases = self.vocabulary.phrases(text)?;
        let count = phrases.len();
        for (place, phrase) in phrases.iter().enumerate() {
            let mut heard =
                |samples: &[f32]| heard(Chunk { samples, phrase: place, phrases: count });
            if place > 0 {
                heard(&[0.0; PAUSE]);
            }
            let mut utterance = Utterance::begin(&self.encoder, &self.decoder, &phrase.phonemes)?;
            let mut stream = Stream::begin(&self.vocoder, frames.min(utterance.frames()));
            while let Some(frames) = utterance.next()? {
                stream.push(frames, &mut heard)?;
            }
            stream.finish(&mut heard)?;
        }
        Ok(())
    }
}

/// Returns the speech of a text, with networks that are loaded for it: 16,000 samples a second, in
/// [-1, 1].
///
/// Errors: as [`Speaker::load`] and [`Speaker::stream`].
pub fn speak(text: &str) -> Result<Vec<f32>, Error> {
    Speaker::load(&LoadOptions::new())?.speak(text)
}
