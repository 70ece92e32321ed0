//! The speech of this example, transcribed by the example that listens (`examples/whisper`).
//!
//! Owns: the word error rate of the closed loop. Must not: judge either alone: `speech.rs` and
//! whisper's tests do.
//!
//! The listener was trained on other voices of the synthesiser that the speaker was trained on: the
//! figure shows that both work together, and nothing about natural speech.

use coreml_rt::LoadOptions;
use speak::Speaker;
use speech_metrics::wer;
use whisper::log_mel::LogMel;
use whisper::network;
use whisper::sound::Sound;
use whisper::transcribe::{Event, FrontEnd, Options, transcribe};
use whisper::vocabulary::Vocabulary;

/// The word error rate that the loop must stay below; 40 random phrases gave no error in 141 words.
const MOST: f64 = 0.06;

/// The spoken phrases.
const PHRASES: [&str; 8] = [
    "one two three",
    "nine eight seven six",
    "zero four zero five",
    "seven three",
    "five five one nine two six",
    "eight zero six four",
    "three one four one five nine two",
    "six two nine",
];

#[test]
fn what_is_said_is_understood() {
    let options = LoadOptions::new().threads(1);
    let speaker = Speaker::load(&options).unwrap();
    let mut network = network::digits::load(&options).unwrap();
    let front_end = FrontEnd::Cpu(LogMel::new(network.layout().mels));
    let heard: Vec<String> = PHRASES
        .iter()
        .map(|phrase| {
            let mut sound = Sound::from_samples(speaker.speak(phrase).unwrap());
            let mut texts = Vec::new();
            transcribe(
                &mut sound,
                &front_end,
                network.as_mut(),
                &Vocabulary::digits(),
                &Options::default(),
                &mut |event| {
                    if let Event::Segment(segment) = event {
                        texts.push(segment.text.trim().to_owned());
                    }
                    Ok(())
                },
            )
            .unwrap();
            texts.join(" ")
        })
        .collect();
    let rate = wer(PHRASES.into_iter().zip(heard.iter().map(String::as_str))).rate();
    assert!(rate < MOST, "{rate}: {heard:?}");
}
