//! Sound of any length to segments of text, window after window.
//!
//! Owns: fallback at higher temperatures, silence, and where the next window begins. Must not: hold
//! more than one window.
//! Flow: `main.rs` → here → `sound.rs`, `log_mel.rs`, `network.rs`, `decode.rs`; segments go to
//! `output.rs`.
//!
//! With timestamps a window begins where the last whole segment of the one before ends, as in
//! OpenAI's `transcribe`. Without them windows overlap, and `stitch.rs` joins their texts.

use crate::decode::{Decoding, Manner, decode};
use crate::error::Error;
use crate::log_mel::{HOP, LogMel, RATE};
use crate::network::Network;
use crate::sound::Sound;
use crate::stitch::{Join, join};
use crate::vocabulary::Vocabulary;

/// What makes spectrograms.
pub enum FrontEnd {
    /// Rust, on the CPU.
    Cpu(LogMel),
    /// The model `log_mel` of the network's manifest.
    Model,
}

/// How a sound is transcribed; the defaults are OpenAI's.
#[derive(Clone, Debug)]
pub struct Options {
    /// Tried one after the other, until a text is good enough.
    pub temperatures: Vec<f32>,
    /// Whether segments have times of their own.
    pub timestamps: bool,
    /// Seconds that windows share where there are no timestamps.
    pub overlap: f64,
    /// A text that `zlib` makes smaller by more than this repeats itself: it is tried again.
    pub compression_ratio: f32,
    /// A text that is less probable than this is tried again.
    pub log_probability: f32,
    /// From this probability of silence on, an improbable text counts as silence.
    pub no_speech: f32,
    /// The most tokens of a window.
    pub most_tokens: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            temperatures: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            timestamps: true,
            overlap: 2.0,
            compression_ratio: 2.4,
            log_probability: -1.0,
            no_speech: 0.6,
            most_tokens: usize::MAX,
        }
    }
}

/// A piece of text with its times.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Where it begins, in seconds.
    pub start: f64,
    /// Where it ends, in seconds.
    pub end: f64,
    /// The text.
    pub text: String,
    /// The tokens, timestamps included.
    pub tokens: Vec<u32>,
    /// The window's decoding: its temperature, probabilities and compression ratio.
    pub decoding: Decoding,
}

/// The progress of a transcription.
#[derive(Debug)]
pub enum Event<'a> {
    /// A segment is complete.
    Segment(&'a Segment),
    /// All before this second is done.
    Position(f64),
}

/// Transcribes a sound, and returns its length in seconds.
///
/// Parameters: `tell` — gets every segment in order, and the position after each window.
pub fn transcribe(
    sound: &mut Sound,
    front_end: &FrontEnd,
    network: &mut dyn Network,
    vocabulary: &Vocabulary,
    options: &Options,
    tell: &mut dyn FnMut(Event<'_>) -> Result<(), Error>,
) -> Result<f64, Error> {
    let window = network.layout().frames * HOP;
    let seconds = |samples: usize| samples as f64 / RATE as f64;
    let overlap = ((options.overlap * RATE as f64) as usize).min(window / 2);
    // Samples before the window, which are done and gone, and the window's own.
    let (mut done, mut samples) = (0usize, Vec::with_capacity(window));
    let mut join_texts = Join::default();
    loop {
        sound.fill(&mut samples, window)?;
        if samples.is_empty() {
            break;
        }
        let length = samples.len();
        let last = length < window;
        samples.resize(window, 0.0);
        let mel = match front_end {
            FrontEnd::Cpu(log_mel) => log_mel.spectrogram(&samples),
            FrontEnd::Model => network.spectrogram(&samples)?,
        };
        network.hear(&mel)?;
        let decoding = with_fallback(network, vocabulary, options)?;
        let silent = decoding.no_speech > options.no_speech
            && decoding.average_log_probability <= options.log_probability;
        let advance = if silent {
            length
        } else if options.timestamps {
            let found = segments(&decoding, vocabulary, seconds(done), seconds(length));
            for segment in &found.segments {
                tell(Event::Segment(segment))?;
            }
            // A window that ends where it begins would be heard again and again.
            let advance = found.advance.map(|advance| (f64::from(advance) * RATE as f64) as usize);
            advance.filter(|advance| (HOP..length).contains(advance)).unwrap_or(length)
        } else {
            let text: Vec<u32> = decoding
                .tokens
                .iter()
                .copied()
                .filter(|token| vocabulary.is_word(*token))
                .collect();
            let (start, end) = (seconds(done), seconds(done + length));
            if overlap == 0 {
                // The overlap is in both texts.
                if !text.is_empty() {
                    tell(Event::Segment(&untimed(vocabulary, start, end, text, decoding)))?;
                }
            } else if let Some((start, tokens, decoding)) =
                join(&mut join_texts, start, &text, &decoding)
            {
                tell(Event::Segment(&untimed(vocabulary, start, seconds(done), tokens, decoding)))?;
            }
            if last && let Some((start, tokens, decoding)) = join_texts.take() {
                tell(Event::Segment(&untimed(vocabulary, start, end, tokens, decoding)))?;
            }
            if last { length } else { window - overlap }
        };
        samples.truncate(length);
        samples.drain(..advance);
        done += advance;
        tell(Event::Position(seconds(done)))?;
    }
    if let Some((start, tokens, decoding)) = join_texts.take() {
        tell(Event::Segment(&untimed(vocabulary, start, seconds(done), tokens, decoding)))?;
    }
    Ok(seconds(done))
}

/// Decodes a window, at higher and higher temperatures while the text is bad.
fn with_fallback(
    network: &mut dyn Network,
    vocabulary: &Vocabulary,
    options: &Options,
) -> Result<Decoding, Error> {
    let mut best: Option<Decoding> = None;
    for (seed, temperature) in (1u64..).zip(&options.temperatures) {
        let (timestamps, most_tokens) = (options.timestamps, options.most_tokens);
        let manner = Manner { temperature: *temperature, timestamps, most_tokens, seed };
        let decoding = decode(network, vocabulary, &manner)?;
        let repeats = decoding.compression_ratio > options.compression_ratio;
        let improbable = decoding.average_log_probability < options.log_probability;
        let silent = decoding.no_speech > options.no_speech;
        let good = !repeats && (!improbable || silent);
        best = Some(decoding);
        if good {
            break;
        }
    }
    best.ok_or_else(|| Error::Options("no temperature is given; 0 is greedy decoding".to_owned()))
}

/// Returns a segment of a text without timestamps.
fn untimed(
    vocabulary: &Vocabulary,
    start: f64,
    end: f64,
    tokens: Vec<u32>,
    decoding: Decoding,
) -> Segment {
    Segment { start, end, text: vocabulary.text(&tokens), tokens, decoding }
}

/// The segments of a window.
struct Found {
    /// Those with a text.
    segments: Vec<Segment>,
    /// Where the next window begins, in seconds from this one's begin; `None` behind its end.
    advance: Option<f32>,
}

/// Cuts the tokens of a window at their pairs of timestamps.
///
/// Parameters: `offset` — where the window begins; `length` — how long it is; both in seconds.
fn segments(decoding: &Decoding, vocabulary: &Vocabulary, offset: f64, length: f64) -> Found {
    let tokens = &decoding.tokens;
    let time = |at: usize| tokens.get(at).and_then(|token| vocabulary.time(*token));
    let segment = |tokens: &[u32], start: f64, end: f64| {
        let text = vocabulary.text(tokens);
        let segment =
            Segment { start, end, text, tokens: tokens.to_vec(), decoding: decoding.clone() };
        (!segment.text.is_empty() && end > start).then_some(segment)
    };
    let mut cuts: Vec<usize> =
        (1..tokens.len()).filter(|at| time(at - 1).is_some() && time(*at).is_some()).collect();
    // A text that ends with one timestamp is complete: nothing behind it is spoken in this window.
    let complete =
        tokens.len() >= 2 && time(tokens.len() - 2).is_none() && time(tokens.len() - 1).is_some();
    if cuts.is_empty() {
        let last = tokens
            .iter()
            .rev()
            .find_map(|token| vocabulary.time(*token))
            .filter(|time| *time > 0.0);
        let begin = time(0).filter(|_| complete).map_or(0.0, f64::from);
        let end = last.map_or(length, |last| f64::from(last).min(length));
        let segments = segment(tokens, offset + begin, offset + end).into_iter().collect();
        return Found { segments, advance: None };
    }
    let advance = if complete { None } else { cuts.last().and_then(|cut| time(cut - 1)) };
    if complete {
        cuts.push(tokens.len());
    }
    let (mut segments, mut from) = (Vec::new(), 0);
    for cut in cuts {
        let (start, end) = (time(from).unwrap_or(0.0), time(cut - 1).unwrap_or(0.0));
        let end = f64::from(end).min(length);
        segments.extend(segment(&tokens[from..cut], offset + f64::from(start), offset + end));
        from = cut;
    }
    Found { segments, advance }
}

#[cfg(test)]
mod tests;
