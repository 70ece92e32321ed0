//! Compares every metric with the Python package that papers use.
//!
//! Owns: the comparison. Must not: compute a reference: `data/references.py` did, and records the
//! versions.

#![expect(clippy::unwrap_used, reason = "this file is tests")]

use serde_json::Value;
use speech_metrics::{mcd, pesq, stoi, wer};

/// Bytes before the samples of the WAV file that Python's `wave` writes.
const HEADER: usize = 44;

/// Returns the references.
fn references() -> Value {
    serde_json::from_str(include_str!("data/references.json")).unwrap()
}

/// Returns the clean sentence, and the versions of it that `references.py` makes in the same whole
/// numbers.
fn signals() -> (Vec<f32>, Vec<(&'static str, Vec<i64>)>) {
    let samples = include_bytes!("data/speech.wav")[HEADER..].as_chunks().0.iter();
    let clean: Vec<i64> = samples.map(|&sample| i64::from(i16::from_le_bytes(sample))).collect();
    let mut state: i64 = 1;
    let noise: Vec<i64> = (0..clean.len())
        .map(|_| {
            state = (state * 1_103_515_245 + 12_345) % (1 << 31);
            (state >> 16) % 2001 - 1000
        })
        .collect();
    let before = |at: usize, back: usize| at.checked_sub(back).map_or(0, |at| clean[at]);
    let dull = |at: usize| (0..4).map(|back| before(at, back)).sum::<i64>().div_euclid(4);
    let made = vec![
        ("noisy", clean.iter().zip(&noise).map(|(sample, noise)| sample + noise).collect()),
        ("dull", (0..clean.len()).map(dull).collect()),
        ("clipped", clean.iter().map(|sample| sample.clamp(&-3000, &3000)).copied().collect()),
        (
            "faint",
            clean.iter().zip(&noise).map(|(sample, noise)| sample.div_euclid(8) + noise).collect(),
        ),
    ];
    (unit(&clean), made)
}

/// Returns samples of 16 bits with 1.0 as full scale.
fn unit(samples: &[i64]) -> Vec<f32> {
    samples.iter().map(|&sample| sample.clamp(-32768, 32767) as f32 / 32768.0).collect()
}

#[test]
fn signals_are_judged_as_the_reference_packages_judge_them() {
    let (references, (clean, versions)) = (references(), signals());
    for (name, samples) in versions {
        let other = unit(&samples);
        let late: Vec<i64> = samples
            .iter()
            .skip(1600)
            .enumerate()
            .filter(|(at, _)| at % 10 != 0)
            .map(|(_, sample)| *sample)
            .collect();
        let results = [
            ("stoi", stoi(&clean, &other).unwrap(), 1e-4),
            ("pesq", f64::from(pesq(&clean, &other).unwrap()), 0.02),
            ("mcd", mcd(&clean, &other).unwrap(), 1e-4),
            ("mcd_warped", mcd(&clean, &unit(&late)).unwrap(), 1e-4),
        ];
        for (metric, ours, tolerance) in results {
            let theirs = references["signals"][name][metric].as_f64().unwrap();
            println!("{name:8} {metric:12} {ours:9.5} {theirs:9.5}");
            assert!(
                (ours - theirs).abs() <= tolerance,
                "{name}: {metric} is {ours}, and {theirs} by the reference"
            );
        }
    }
}

#[test]
fn word_errors_are_those_of_jiwer() {
    let references = references();
    let texts = references["texts"].as_array().unwrap();
    let edits =
        wer(texts.iter().map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap())));
    let count = |name: &str| references["words"][name].as_u64().unwrap() as usize;
    assert_eq!(edits.substitutions, count("substitutions"));
    assert_eq!(edits.deletions, count("deletions"));
    assert_eq!(edits.insertions, count("insertions"));
    assert!((edits.rate() - references["words"]["wer"].as_f64().unwrap()).abs() < 1e-12);
}
