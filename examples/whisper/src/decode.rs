//! From logits to tokens: OpenAI's rules for timestamps, greedy or drawn at a temperature.
//!
//! Owns: [`decode`] and [`Decoding`]. Must not: know sound or files.
//! Flow: `transcribe.rs`, once or more for each window → here → [`Network`], once for each token.

use crate::error::Error;
use crate::network::Network;
use crate::noise::SplitMix64;
use crate::vocabulary::Vocabulary;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;

/// How a window is decoded.
#[derive(Clone, Debug)]
pub struct Manner {
    /// 0 takes the most probable token; above it tokens are drawn, the more freely the higher it
    /// is.
    pub temperature: f32,
    /// Whether times are written.
    pub timestamps: bool,
    /// The most tokens for a window; half of the decoder's context, as in OpenAI's code, unless
    /// this is less.
    pub most_tokens: usize,
    /// The seed of drawing.
    pub seed: u64,
}

impl Manner {
    /// Returns the most probable tokens' manner, with timestamps.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, timestamps: true, most_tokens: usize::MAX, seed: 0 }
    }
}

/// What was written about a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoding {
    /// Tokens behind the prompt, without the end.
    pub tokens: Vec<u32>,
    /// The mean logarithm of the tokens' probabilities, the end included.
    pub average_log_probability: f32,
    /// The probability that the window has no speech.
    pub no_speech: f32,
    /// How much smaller `zlib` makes the text: much, when the model repeats itself.
    pub compression_ratio: f32,
    /// What it was decoded at.
    pub temperature: f32,
}

/// Writes the tokens of the window that the network has heard.
pub fn decode(
    network: &mut dyn Network,
    vocabulary: &Vocabulary,
    manner: &Manner,
) -> Result<Decoding, Error> {
    network.begin()?;
    let mut prompt = vocabulary.prompt.clone();
    if !manner.timestamps {
        prompt.push(vocabulary.no_timestamps);
    }
    let most = manner.most_tokens.min(network.layout().context / 2);
    let (mut tokens, mut sum, mut no_speech) = (Vec::new(), 0.0, 0.0);
    let mut drawing = SplitMix64::new(manner.seed);
    let (mut logits, mut counted) = (Vec::new(), 0usize);
    for position in 0..prompt.len() + most {
        let written = position.checked_sub(prompt.len());
        let token = written
            .and_then(|at| tokens.get(at))
            .or(prompt.get(position))
            .copied()
            .unwrap_or(vocabulary.end);
        logits.clear();
        logits.extend_from_slice(network.step(token, position)?);
        if position == 0 {
            no_speech = probability(&logits, vocabulary.no_speech);
        }
        if position + 1 < prompt.len() {
            continue;
        }
        restrict(&mut logits, &tokens, vocabulary, manner.timestamps);
        let next = if manner.temperature > 0.0 {
            drawn(&logits, manner.temperature, &mut drawing)
        } else {
            largest(&logits)
        };
        sum += logits[next] - log_sum_exp(&logits);
        counted += 1;
        let next = next as u32;
        if next == vocabulary.end || tokens.len() == most {
            break;
        }
        tokens.push(next);
    }
    let text = vocabulary.text(&tokens);
    Ok(Decoding {
        average_log_probability: sum / counted.max(1) as f32,
        no_speech,
        compression_ratio: compression_ratio(&text),
        temperature: manner.temperature,
        tokens,
    })
}

/// Forbids, by negative infinity, tokens that must not follow the others.
///
/// Timestamps come in pairs, except at the end of a text; they never decrease; the first comes
/// early; and when all timestamps together are more probable than the best word, the next token is
/// a timestamp.
fn restrict(logits: &mut [f32], tokens: &[u32], vocabulary: &Vocabulary, timestamps: bool) {
    let forbid = |logits: &mut [f32], from: u32, to: usize| {
        if let Some(range) = logits.get_mut(from as usize..to) {
            range.fill(f32::NEG_INFINITY);
        }
    };
    let (first, count) = (vocabulary.first_timestamp, logits.len());
    let extra = if tokens.is_empty() { vocabulary.blank.as_slice() } else { &[] };
    for token in vocabulary.suppressed.iter().chain(extra).chain([&vocabulary.no_timestamps]) {
        forbid(logits, *token, *token as usize + 1);
    }
    if !timestamps {
        return forbid(logits, first, count);
    }
    let is_time = |token: Option<&u32>| token.is_some_and(|token| *token >= first);
    let last = is_time(tokens.last());
    let before = tokens.len() < 2 || is_time(tokens.get(tokens.len() - 2));
    if last && before {
        forbid(logits, first, count);
    } else if last {
        forbid(logits, 0, vocabulary.end as usize);
    }
    if let Some(latest) = tokens.iter().rfind(|token| **token >= first) {
        // A segment must not be empty, so that a loop of timestamps ends.
        let least = if last && !before { *latest } else { latest + 1 };
        forbid(logits, first, (least as usize).min(count));
    }
    if tokens.is_empty() {
        forbid(logits, 0, first as usize);
        let latest =
            first as usize + (vocabulary.latest_begin / vocabulary.precision).round() as usize;
        forbid(logits, (latest + 1).min(count) as u32, count);
    }
    let (words, times) = logits.split_at(first as usize);
    let best_word = words.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if log_sum_exp(times) > best_word {
        forbid(logits, 0, first as usize);
    }
}

/// Returns the index of the largest.
fn largest(logits: &[f32]) -> usize {
    let best = logits.iter().enumerate().fold((0, f32::NEG_INFINITY), |best, (at, logit)| {
        if *logit > best.1 { (at, *logit) } else { best }
    });
    best.0
}

/// Draws an index with its probability at a temperature.
fn drawn(logits: &[f32], temperature: f32, drawing: &mut SplitMix64) -> usize {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: &f32| f64::from((logit - most) / temperature).exp();
    let mut left = drawing.fraction() * logits.iter().map(weight).sum::<f64>();
    for (at, logit) in logits.iter().enumerate() {
        left -= weight(logit);
        if left < 0.0 {
            return at;
        }
    }
    largest(logits)
}

/// Returns the logarithm of the sum of the exponentials; negative infinity of nothing.
fn log_sum_exp(logits: &[f32]) -> f32 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if most == f32::NEG_INFINITY {
        return most;
    }
    most + logits.iter().map(|logit| (logit - most).exp()).sum::<f32>().ln()
}

/// Returns the probability of a token.
fn probability(logits: &[f32], token: u32) -> f32 {
    logits.get(token as usize).map_or(0.0, |logit| (logit - log_sum_exp(logits)).exp())
}

/// Returns how many bytes the text has for each of its compressed ones.
fn compression_ratio(text: &str) -> f32 {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(text.as_bytes());
    let compressed = encoder.finish().map_or(1, |bytes| bytes.len());
    text.len() as f32 / compressed.max(1) as f32
}

#[cfg(test)]
#[path = "decode/tests.rs"]
pub(crate) mod tests;
