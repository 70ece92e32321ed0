//! Prints the word error rates of the digits' models on the committed recordings, beside PyTorch's;
//! or only one rate.
//!
//! Owns: the table, and the figure that `quantized.toml` uses as a metric.
//! Flow: `recordings.rs` → `log_mel.rs`, `network.rs`, `decode.rs` → `speech-metrics`. PyTorch's
//! own tokens for the same recordings are in `data/reference.safetensors`, which
//! `python/reference.py` wrote.

use clap::Parser;
use coreml_rt::LoadOptions;
use safetensors::SafeTensors;
use speech_metrics::wer;
use std::error::Error;
use std::path::PathBuf;
use whisper::decode::{Manner, decode};
use whisper::log_mel::{HOP, LogMel};
use whisper::network::{self, Network};
use whisper::recordings::{CONDITIONS, Set, load};
use whisper::vocabulary::Vocabulary;

/// Makes a network whose decoder has options of its own.
type Loader = fn(&LoadOptions, &LoadOptions) -> Result<Box<dyn Network>, whisper::error::Error>;

/// The models: their names on the command line, what their weights are, and what loads them.
const MODELS: [(&str, &str, Loader); 5] = [
    ("float16", "float16", network::digits::load_with),
    ("io", "float16, caches in and out", network::digits_io::load_with),
    ("int8", "int8", network::digits_int8::load_with),
    ("bits6", "6 bits", network::digits_bits6::load_with),
    ("int4", "int4 in blocks", network::digits_int4::load_with),
];

/// Examples, shown below the help.
const EXAMPLES: &str = "\
Examples:
  wer                               the whole table
  wer --model int8 --utterances 80  one figure in per cent: near-clean recordings of unseen voices
  wer --model int8 --decoder \"$COREML_PACKAGE\"
                                    the same with another decoder, as a metric of a manifest";

/// Compares what the digits' models write with what was said.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES)]
struct Arguments {
    /// Print the rate of this model alone, in per cent, on near-clean recordings of unseen voices
    #[arg(long, value_name = "NAME", value_parser = MODELS.map(|(name, ..)| name))]
    model: Option<String>,
    /// Hear only so many utterances
    #[arg(long, value_name = "COUNT", requires = "model")]
    utterances: Option<usize>,
    /// Load the decoder from this package instead of the one that was built
    #[arg(long, value_name = "MODEL.mlpackage", requires = "model")]
    decoder: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut sets = load()?;
    if let Some(name) = &arguments.model {
        let set = sets.first_mut().ok_or("there are no recordings")?;
        set.utterances.truncate(arguments.utterances.unwrap_or(usize::MAX));
        println!("{:.2}", 100.0 * one(name, arguments.decoder, set)?);
        return Ok(());
    }
    let names: Vec<String> = sets
        .iter()
        .flat_map(|set| CONDITIONS.map(|(name, _)| format!("{}, {name}", set.name)))
        .collect();
    println!("| word error rate | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    row("PyTorch float32", &pytorch(&sets)?);
    let options = LoadOptions::new().threads(1);
    for (_, name, load) in MODELS {
        row(name, &ours(load(&options, &options)?.as_mut(), &sets)?);
    }
    let words: Vec<String> =
        sets.iter().map(|set| format!("{} ({} words)", set.name, words(set))).collect();
    println!("\nSynthetic speech throughout: {}.", words.join("; "));
    Ok(())
}

/// Returns the error rate of one model on a set's near-clean recordings.
///
/// Parameters: `decoder` — another package than the built one.
fn one(name: &str, decoder: Option<PathBuf>, set: &Set) -> Result<f64, Box<dyn Error>> {
    let (_, _, load) =
        MODELS.into_iter().find(|(known, ..)| *known == name).ok_or("there is no such model")?;
    let options = LoadOptions::new().threads(1);
    let of_decoder = match decoder {
        Some(package) => options.clone().path(package),
        None => options.clone(),
    };
    let (_, near_clean) = CONDITIONS[0];
    Ok(rate(set, &texts(load(&options, &of_decoder)?.as_mut(), set, near_clean)?))
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
    wer(set
        .utterances
        .iter()
        .map(|utterance| utterance.text.as_str())
        .zip(texts.iter().map(String::as_str)))
    .rate()
}

/// Returns our error rate for each set in each condition.
fn ours(network: &mut dyn Network, sets: &[Set]) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut rates = Vec::new();
    for set in sets {
        for (_, decibels) in CONDITIONS {
            rates.push(rate(set, &texts(network, set, decibels)?));
        }
    }
    Ok(rates)
}

/// Returns what a network writes about a set in a condition: greedy, as PyTorch's.
fn texts(
    network: &mut dyn Network,
    set: &Set,
    decibels: Option<(f32, f32)>,
) -> Result<Vec<String>, Box<dyn Error>> {
    let vocabulary = Vocabulary::digits();
    let (layout, manner) = (network.layout(), Manner::greedy());
    let log_mel = LogMel::new(layout.mels);
    let mut texts = Vec::new();
    for index in 0..set.utterances.len() {
        let samples = set.heard(index, decibels, layout.frames * HOP);
        network.hear(&log_mel.spectrogram(&samples))?;
        texts.push(vocabulary.text(&decode(network, &vocabulary, &manner)?.tokens));
    }
    Ok(texts)
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
                .map(|row| {
                    vocabulary
                        .text(&row.iter().map(|token| u32::from(*token)).collect::<Vec<u32>>())
                })
                .collect();
            rates.push(rate(set, &texts));
        }
    }
    Ok(rates)
}
