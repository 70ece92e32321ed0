//! Prints the word error rates of the digits' models on the committed recordings, beside PyTorch's.
//!
//! Owns: the table. Flow: `recordings.rs` → `log_mel.rs`, `network.rs`, `decode.rs` → `speech-metrics`.
//! PyTorch's own tokens for the same recordings are in `data/reference.safetensors`, which `python/reference.py` wrote.

use coreml_rt::LoadOptions;
use safetensors::SafeTensors;
use speech_metrics::wer;
use std::error::Error;
use whisper::decode::{Manner, decode};
use whisper::log_mel::{HOP, LogMel};
use whisper::network::{self, Loader, Network};
use whisper::recordings::{CONDITIONS, Set, load};
use whisper::vocabulary::Vocabulary;

/// The models, by what their weights are.
const MODELS: [(&str, Loader); 5] = [
    ("float16", network::digits::load),
    ("float16, caches in and out", network::digits_io::load),
    ("int8", network::digits_int8::load),
    ("6 bits", network::digits_bits6::load),
    ("int4 in blocks", network::digits_int4::load),
];

fn main() -> Result<(), Box<dyn Error>> {
    let sets = load()?;
    let names: Vec<String> =
        sets.iter().flat_map(|set| CONDITIONS.map(|(name, _)| format!("{}, {name}", set.name))).collect();
    println!("| word error rate | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    row("PyTorch float32", &pytorch(&sets)?);
    let options = LoadOptions::new().threads(1);
    for (name, load) in MODELS {
        row(name, &ours(load(&options)?.as_mut(), &sets)?);
    }
    let words: Vec<String> = sets.iter().map(|set| format!("{} ({} words)", set.name, words(set))).collect();
    println!("\nSynthetic speech throughout: {}.", words.join("; "));
    Ok(())
}

/// Prints a row of the table.
fn row(name: &str, rates: &[f64]) {
    let rates: Vec<String> = rates.iter().map(|rate| format!("{:.2} %", 100.0 * rate)).collect();
    println!("| {name} | {} |", rates.join(" | "));
}

/// Returns how many words a set has.
fn words(set: &Set) -> usize {
    set.utterances.iter().map(|utterance| utterance.text.split(' ').count()).sum()
}

/// Returns the error rates of a set's texts.
fn rate(set: &Set, texts: &[String]) -> f64 {
    wer(set.utterances.iter().map(|utterance| utterance.text.as_str()).zip(texts.iter().map(String::as_str))).rate()
}

/// Returns our error rate for each set in each condition: greedy, as PyTorch's.
fn ours(network: &mut dyn Network, sets: &[Set]) -> Result<Vec<f64>, Box<dyn Error>> {
    let vocabulary = Vocabulary::digits();
    let (layout, manner) = (network.layout(), Manner::greedy());
    let log_mel = LogMel::new(layout.mels);
    let mut rates = Vec::new();
    for set in sets {
        for (_, decibels) in CONDITIONS {
            let mut texts = Vec::new();
            for index in 0..set.utterances.len() {
                let samples = set.heard(index, decibels, layout.frames * HOP);
                network.hear(&log_mel.spectrogram(&samples))?;
                texts.push(vocabulary.text(&decode(network, &vocabulary, &manner)?.tokens));
            }
            rates.push(rate(set, &texts));
        }
    }
    Ok(rates)
}

/// Returns PyTorch's error rate for each set in each condition.
fn pytorch(sets: &[Set]) -> Result<Vec<f64>, Box<dyn Error>> {
    let file = SafeTensors::deserialize(include_bytes!("../../data/reference.safetensors"))?;
    let vocabulary = Vocabulary::digits();
    let mut rates = Vec::new();
    for (at, set) in sets.iter().enumerate() {
        for condition in 0..CONDITIONS.len() {
            let tokens = file.tensor(&format!("tokens.{at}.{condition}"))?;
            let width = tokens.shape()[1];
            let rows = tokens.data().chunks(width);
            let texts: Vec<String> = rows
                .map(|row| vocabulary.text(&row.iter().map(|token| u32::from(*token)).collect::<Vec<u32>>()))
                .collect();
            rates.push(rate(set, &texts));
        }
    }
    Ok(rates)
}
