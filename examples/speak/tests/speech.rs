//! The speech of this example, against PyTorch with the same weights, and against the synthesiser
//! that it was trained on.
//!
//! The kept sounds are those of `python/train.py`: float32 in PyTorch, with the same noise. The
//! networks here run in half precision, and the decoder's input is its own rounded output, so
//! samples differ; what a listener hears must not.

#![expect(clippy::unwrap_used, reason = "this file is tests")]

use coreml_rt::LoadOptions;
use safetensors::SafeTensors;
use speak::{CHUNK, Error, HOP, Speaker};
use speech_metrics::{mcd, pesq, stoi};

/// Decibels that the package's speech may be from PyTorch's: nothing that is heard. A good voice is
/// 4 to 6 from its speaker.
const MCD: f64 = 0.1;

/// Decibels that it may be from the synthesiser that it learnt from.
const LEARNT: f64 = 3.5;

/// How intelligible the package's speech must be with PyTorch's as the reference; 1 is the same.
const STOI: f64 = 0.999;

/// The mean opinion score that the package's speech must have with PyTorch's as the reference; from
/// 4.5 on listeners hear no difference.
const PESQ: f32 = 4.5;

/// Frames that the pause between phrases is shorter than.
const PAUSE: usize = 10;

/// Returns the speaker of the tests.
fn speaker() -> Speaker {
    Speaker::load(&LoadOptions::new()).unwrap()
}

/// Returns the kept texts with PyTorch's sound and the synthesiser's.
fn kept() -> Vec<(String, Vec<f32>, Vec<f32>)> {
    let file = SafeTensors::deserialize(include_bytes!("../data/texts.safetensors")).unwrap();
    let sound = |name: String| -> Vec<f32> {
        let (samples, _) = file.tensor(&name).unwrap().data().as_chunks::<2>();
        samples.iter().map(|bytes| f32::from(i16::from_le_bytes(*bytes)) / 32_767.0).collect()
    };
    let mut texts: Vec<String> = file
        .names()
        .into_iter()
        .filter_map(|name| Some(name.strip_prefix("pytorch/")?.to_owned()))
        .collect();
    texts.sort();
    let sounds = texts.into_iter().map(|text| {
        let (pytorch, synthesiser) =
            (sound(format!("pytorch/{text}")), sound(format!("synthesiser/{text}")));
        (text, pytorch, synthesiser)
    });
    sounds.collect()
}

#[test]
fn sounds_as_pytorch_does() {
    let speaker = speaker();
    let kept = kept();
    assert!(kept.len() >= 5);
    for (text, pytorch, synthesiser) in kept {
        let spoken = speaker.speak(&text).unwrap();
        assert_eq!(spoken.len(), pytorch.len(), "{text}: durations differ");
        let (distortion, intelligible) = (mcd(&pytorch, &spoken).unwrap(), stoi(&pytorch, &spoken));
        let (opinion, learnt) =
            (pesq(&pytorch, &spoken).unwrap(), mcd(&synthesiser, &spoken).unwrap());
        println!(
            "{text}: {distortion:.3} dB, STOI {intelligible:?}, PESQ {opinion:.2} from PyTorch; \
             {learnt:.2} dB from the synthesiser"
        );
        assert!(distortion < MCD, "{text}: {distortion} dB");
        assert!(opinion > PESQ, "{text}: PESQ {opinion}");
        // STOI needs 0.4 s of speech; a single word may have less.
        if let Ok(intelligible) = intelligible {
            assert!(intelligible > STOI, "{text}: {intelligible}");
        }
        assert!(learnt < LEARNT, "{text}: {learnt} dB from the synthesiser");
    }
}

#[test]
fn chunks_join_to_the_whole() {
    let speaker = speaker();
    let text = "two plus three equals five, nine";
    let whole = speaker.speak(text).unwrap();
    for frames in [3, CHUNK, 40] {
        let (mut joined, mut chunks) = (Vec::new(), 0);
        let heard = |chunk: speak::Chunk<'_>| {
            assert!(
                chunk.samples.len() <= frames.max(PAUSE) * HOP,
                "{frames}: {} samples",
                chunk.samples.len()
            );
            joined.extend_from_slice(chunk.samples);
            chunks += 1;
        };
        speaker.stream(text, frames, heard).unwrap();
        assert!(chunks > whole.len() / (2 * frames * HOP), "{chunks} chunks of {frames} frames");
        assert_eq!(joined.len(), whole.len());
        let apart =
            joined.iter().zip(&whole).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
        println!("chunks of {frames} frames: {apart:.6} apart");
        assert!(apart < 1e-3, "chunks of {frames} frames are {apart} from the whole");
    }
}

#[test]
fn says_something_else_for_another_text() {
    let speaker = speaker();
    let (one, other) =
        (speaker.speak("one two three").unwrap(), speaker.speak("seven six zero").unwrap());
    assert!(mcd(&one, &other).unwrap() > LEARNT);
    assert!(one.iter().any(|sample| sample.abs() > 0.05), "silence");
}

#[test]
fn an_unknown_word_is_an_error_before_any_sound() {
    let error = speaker().stream("one, two hello", CHUNK, |_| panic!("a sound")).unwrap_err();
    assert!(matches!(error, Error::Text(_)));
    assert!(error.to_string().contains("`hello`"), "{error}");
}
