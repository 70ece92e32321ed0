//! The program as a user calls it.
//!
//! Owns: what it prints, writes and refuses. Must not: judge the sound: `speech.rs` does.

#![expect(clippy::unwrap_used, reason = "this file is tests")]

use std::path::Path;
use std::process::{Command, Output};

/// Runs the program.
fn run(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_speak")).args(arguments).current_dir(folder).output().unwrap()
}

#[test]
fn writes_a_sound_file() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["one two three", "numbers.wav"], folder.path());
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("real-time factor"), "{printed}");
    let sound = hound::WavReader::open(folder.path().join("numbers.wav")).unwrap();
    assert_eq!(
        (sound.spec().channels, sound.spec().sample_rate, sound.spec().bits_per_sample),
        (1, 16_000, 16)
    );
    // Three words take about a second.
    assert!((10_000..32_000).contains(&sound.duration()), "{} samples", sound.duration());
}

#[test]
fn says_what_it_cannot_say_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["one hello", "none.wav"], folder.path());
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        printed.starts_with(
            "error: the voice does not know `hello`: it was trained on zero, one, two"
        ),
        "{printed}"
    );
    assert!(!folder.path().join("none.wav").exists());
}

#[test]
fn lists_its_words() {
    let output = run(&["--words"], Path::new("."));
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .starts_with("zero one two three four five six seven eight nine")
    );
}
