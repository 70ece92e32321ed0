//! The committed recordings: speaker, text, file, and level of noise.
//!
//! Owns: `data/recordings.json` and the sounds beside it, which `python/test_set.py` made.
//! Flow: `bin/wer.rs` and tests take utterances from here; `python/reference.py` takes the same.

use crate::error::Error;
use crate::log_mel::RATE;
use crate::noise::add_noise;
use crate::sound::Sound;
use serde::Deserialize;
use std::path::Path;

/// How the same recordings are heard: a name, and the least and most decibels that the speech is
/// above the noise.
pub const CONDITIONS: [(&str, Option<(f32, f32)>); 3] = [
    ("near-clean", Some((30.0, 45.0))),
    ("noise 8 to 20 dB", Some((8.0, 20.0))),
    ("noise 8 dB", Some((8.0, 8.0))),
];

/// One utterance in the file of its set.
#[derive(Clone, Debug, Deserialize)]
pub struct Utterance {
    /// The first sample.
    pub begin: usize,
    /// Behind the last sample.
    pub end: usize,
    /// The spoken text.
    pub text: String,
}

/// Utterances of one kind.
#[derive(Clone, Debug, Deserialize)]
pub struct Set {
    /// Name of the voice.
    pub name: String,
    /// The file with all utterances one after the other, in `data/`.
    pub file: String,
    /// The utterances.
    pub utterances: Vec<Utterance>,
    /// All samples of the file.
    #[serde(skip)]
    samples: Vec<f32>,
}

impl Set {
    /// Returns the samples of an utterance in a condition.
    ///
    /// Parameters: `index` — of the utterance; the noise depends on it alone; `window` — how many
    /// samples to return.
    pub fn heard(&self, index: usize, decibels: Option<(f32, f32)>, window: usize) -> Vec<f32> {
        let span =
            self.utterances.get(index).map_or(0..0, |utterance| utterance.begin..utterance.end);
        let mut samples = self.samples.get(span).unwrap_or_default().to_vec();
        let power =
            samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len().max(1) as f32;
        samples.resize(window, 0.0);
        if let Some((least, most)) = decibels {
            // Eight levels, and every other noise is coloured: the same rule as in
            // `python/reference.py`.
            let level = least + (most - least) * (index % 8) as f32 / 7.0;
            let colour = if index.is_multiple_of(2) { 0.0 } else { 0.9 };
            add_noise(&mut samples, level, power, index as u64, colour);
        }
        samples
    }

    /// Returns the whole file as one sound.
    pub fn all(&self) -> &[f32] {
        &self.samples
    }
}

/// Reads all sets.
///
/// Errors: a file is missing, or cannot be decoded; Ogg needs the feature `symphonia`.
pub fn load() -> Result<Vec<Set>, Error> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let path = folder.join("recordings.json");
    let text = std::fs::read_to_string(&path).map_err(|error| Error::file(&path, error))?;
    let mut sets: Vec<Set> =
        serde_json::from_str(&text).map_err(|error| Error::file(&path, error))?;
    for set in &mut sets {
        let mut sound = Sound::open(&folder.join(&set.file))?;
        sound.fill(&mut set.samples, usize::MAX)?;
        let needed = set.utterances.iter().map(|utterance| utterance.end).max().unwrap_or(0);
        if set.samples.len() < needed {
            let found = set.samples.len() / RATE;
            return Err(Error::file(
                &folder.join(&set.file),
                format!("it is too short: {found} s"),
            ));
        }
    }
    Ok(sets)
}
