//! The digits' models on the committed recordings, against PyTorch and against the spoken text.
//!
//! Owns: the proof that front ends, tokens and long sounds are right. `bin/wer.rs` prints the whole
//! table.
#![cfg(feature = "symphonia")]
#![expect(clippy::unwrap_used, reason = "this file is tests")]

use coreml_rt::LoadOptions;
use safetensors::SafeTensors;
use speech_metrics::wer;
use whisper::decode::{Manner, decode};
use whisper::log_mel::{HOP, LogMel};
use whisper::network::{self, Network};
use whisper::recordings::{CONDITIONS, Set, load};
use whisper::sound::Sound;
use whisper::transcribe::{Event, FrontEnd, Options, Segment, transcribe};
use whisper::vocabulary::Vocabulary;

/// What `python/reference.py` wrote.
const REFERENCE: &[u8] = include_bytes!("../data/reference.safetensors");

/// The word error rate that a long sound must stay below; its windows cut words, which single
/// utterances do not have.
const LONG_RATE: f64 = 0.08;

/// The same without timestamps, where windows are joined at their worst places; docs/speech.md says
/// what these weights lose.
const OVERLAPPING_RATE: f64 = 0.12;

/// The word error rate that utterances with little noise must stay below, whatever follows them.
const NEAR_CLEAN_RATE: f64 = 0.03;

/// Utterances of a set that a test hears.
const HEARD: usize = 60;

/// Returns the digits' network on one thread.
fn digits() -> Box<dyn Network> {
    network::digits::load(&LoadOptions::new().threads(1)).unwrap()
}

/// Returns a window's samples, which were kept in half precision, and its spectrogram by torch's
/// own FFT.
fn window() -> (Vec<f32>, Vec<f32>) {
    let file = SafeTensors::deserialize(REFERENCE).unwrap();
    let samples = file.tensor("samples").unwrap();
    let samples = samples
        .data()
        .as_chunks()
        .0
        .iter()
        .map(|bytes| coreml_rt::f16::from_le_bytes(*bytes).to_f32());
    let mel = file.tensor("mel").unwrap();
    let mel = mel.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    (samples.collect(), mel.collect())
}

/// Returns the largest difference.
fn apart(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Writes a set's first utterances in a condition: each one's tokens.
fn written(network: &mut dyn Network, set: &Set, condition: usize) -> Vec<Vec<u32>> {
    let (vocabulary, log_mel) = (Vocabulary::digits(), LogMel::new(80));
    let window = network.layout().frames * HOP;
    let mut tokens = Vec::new();
    for index in 0..HEARD.min(set.utterances.len()) {
        let samples = set.heard(index, CONDITIONS[condition].1, window);
        network.hear(&log_mel.spectrogram(&samples)).unwrap();
        tokens.push(decode(network, &vocabulary, &Manner::greedy()).unwrap().tokens);
    }
    tokens
}

/// Returns what PyTorch wrote about the same.
fn pytorch(set: usize, condition: usize) -> Vec<Vec<u32>> {
    let (file, end) = (SafeTensors::deserialize(REFERENCE).unwrap(), Vocabulary::digits().end);
    let tokens = file.tensor(&format!("tokens.{set}.{condition}")).unwrap();
    let rows = tokens.data().chunks(tokens.shape()[1]).take(HEARD);
    rows.map(|row| {
        row.iter().map(|token| u32::from(*token)).take_while(|token| *token != end).collect()
    })
    .collect()
}

/// Returns the word error rate of tokens.
fn rate(set: &Set, tokens: &[Vec<u32>]) -> f64 {
    let vocabulary = Vocabulary::digits();
    let texts: Vec<String> = tokens.iter().map(|tokens| vocabulary.text(tokens)).collect();
    wer(set.utterances.iter().map(|one| one.text.as_str()).zip(texts.iter().map(String::as_str)))
        .rate()
}

/// Transcribes a sound, and returns its segments.
fn transcribed(
    network: &mut dyn Network,
    samples: &[f32],
    front_end: &FrontEnd,
    options: &Options,
) -> Vec<Segment> {
    let (mut segments, mut position) = (Vec::new(), 0.0);
    let length = transcribe(
        &mut Sound::from_samples(samples.to_vec()),
        front_end,
        network,
        &Vocabulary::digits(),
        options,
        &mut |event| {
            match event {
                Event::Segment(segment) => segments.push(segment.clone()),
                Event::Position(at) => {
                    assert!(at > position, "the transcription does not move on at {at} s");
                    position = at;
                }
            }
            Ok(())
        },
    );
    assert!((length.unwrap() - samples.len() as f64 / 16_000.0).abs() < 0.1);
    segments
}

#[test]
fn both_front_ends_are_torchs() {
    let (samples, expected) = window();
    let ours = LogMel::new(80).spectrogram(&samples);
    assert!(apart(&ours, &expected) < 1e-4, "in Rust: {}", apart(&ours, &expected));
    let model = digits().spectrogram(&samples).unwrap();
    assert!(apart(&model, &expected) < 1e-3, "as a model: {}", apart(&model, &expected));
}

#[test]
fn half_precision_writes_what_pytorch_writes() {
    let sets = load().unwrap();
    let mut network = digits();
    for (at, set) in sets.iter().enumerate() {
        let (ours, theirs) = (written(network.as_mut(), set, 0), pytorch(at, 0));
        let same = ours.iter().zip(&theirs).filter(|(one, other)| one == other).count();
        // A time may be 50 ms off where two are equally probable; words may not.
        assert!(
            same * 100 >= ours.len() * 95,
            "{}: {same} of {} are the same",
            set.name,
            ours.len()
        );
        assert!((rate(set, &ours) - rate(set, &theirs)).abs() < 0.005, "{}", set.name);
    }
}

#[test]
fn caches_in_the_programs_hands_change_nothing() {
    let sets = load().unwrap();
    let mut other = network::digits_io::load(&LoadOptions::new().threads(1)).unwrap();
    assert_eq!(written(digits().as_mut(), &sets[1], 1), written(other.as_mut(), &sets[1], 1));
}

#[test]
fn a_long_sound_is_written_window_after_window() {
    let sets = load().unwrap();
    let set = &sets[0];
    // Forty utterances without a break, about a minute: the windows' ends cut words.
    let said: Vec<&str> = set.utterances.iter().take(40).map(|one| one.text.as_str()).collect();
    let end = set.utterances[39].end;
    let mut samples = set.all()[..end].to_vec();
    whisper::noise::add_noise(&mut samples, 40.0, 0.01, 9, 0.0);
    let expected = said.join(" ");
    let cpu = FrontEnd::Cpu(LogMel::new(80));
    let mut network = digits();
    let network = network.as_mut();
    let seeking = transcribed(network, &samples, &cpu, &Options::default());
    let overlapping =
        transcribed(network, &samples, &cpu, &Options { timestamps: false, ..Options::default() });
    for (how, segments, most) in
        [("seeking", &seeking, LONG_RATE), ("overlapping", &overlapping, OVERLAPPING_RATE)]
    {
        let text = segments.iter().map(|one| one.text.as_str()).collect::<Vec<_>>().join(" ");
        let rate = wer([(expected.as_str(), text.as_str())]).rate();
        assert!(rate < most, "{how}: {rate} of {text}");
    }
    assert!(
        seeking
            .windows(2)
            .all(|pair| pair[0].end <= pair[1].start + 0.3 && pair[0].start <= pair[1].start)
    );
    let model =
        transcribed(network, &samples[..16_000 * 20], &FrontEnd::Model, &Options::default());
    let same = transcribed(network, &samples[..16_000 * 20], &cpu, &Options::default());
    assert_eq!(model.len(), same.len());
}

/// Returns the text of a sound.
fn text(network: &mut dyn Network, samples: &[f32]) -> String {
    let segments =
        transcribed(network, samples, &FrontEnd::Cpu(LogMel::new(80)), &Options::default());
    segments.iter().map(|one| one.text.trim()).collect::<Vec<_>>().join(" ")
}

#[test]
fn silence_has_no_text() {
    let mut network = digits();
    // Most end within a window, which is filled up with zeros.
    for half_seconds in 1..=24 {
        let length = 8_000 * half_seconds;
        assert_eq!(text(network.as_mut(), &vec![0.0; length]), "", "zeros, {length} samples");
        for (seed, decibels) in
            (half_seconds as u64 * 10..).zip([20.0, 30.0, 40.0, 50.0, 60.0, 80.0])
        {
            let mut samples = vec![0.0; length];
            whisper::noise::add_noise(
                &mut samples,
                decibels,
                1.0,
                seed,
                if seed % 2 == 0 { 0.0 } else { 0.9 },
            );
            let text = text(network.as_mut(), &samples);
            assert_eq!(
                text, "",
                "{length} samples of noise, {decibels} dB below full scale, seed {seed}"
            );
        }
    }
}

#[test]
fn noise_behind_what_is_said_has_no_text() {
    let sets = load().unwrap();
    let set = &sets[0];
    let mut network = digits();
    // From the very end of the speech on; the longest tails end within the second window.
    for tail in [0, 4_000, 16_000, 40_000, 72_000] {
        let mut texts = Vec::new();
        for (index, one) in set.utterances.iter().enumerate().take(HEARD / 2) {
            let spoken = &set.all()[one.begin..one.end];
            let power =
                spoken.iter().map(|sample| sample * sample).sum::<f32>() / spoken.len() as f32;
            let mut samples = spoken.to_vec();
            samples.resize(spoken.len() + tail, 0.0);
            let colour = if index.is_multiple_of(2) { 0.0 } else { 0.9 };
            whisper::noise::add_noise(&mut samples, 30.0, power, index as u64, colour);
            texts.push((one.text.as_str(), text(network.as_mut(), &samples)));
        }
        let rate = wer(texts.iter().map(|(said, text)| (*said, text.as_str()))).rate();
        assert!(rate < NEAR_CLEAN_RATE, "{tail} samples: {rate} of {texts:#?}");
    }
}
