//! The program as a manifest's `parity.metric` runs it.
//!
//! Owns: what it reads, prints and refuses. Must not: judge the metrics: `references.rs` does.

#![expect(clippy::unwrap_used, reason = "this file is tests")]

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::Path;
use std::process::{Command, Output};

/// Writes a comparison of two samples, the second of which is half as loud as it should be, and
/// runs the program on it.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    let tone: Vec<f64> =
        (0..16_000).map(|at| (f64::from(at) * 0.2).sin() * f64::from(at % 4000) / 8000.0).collect();
    let half: Vec<f64> = tone.iter().map(|sample| sample / 2.0).collect();
    let bytes =
        |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let (tone, half) = (bytes(&tone), bytes(&half));
    let view = |bytes| TensorView::new(Dtype::F64, vec![1, 16_000], bytes).unwrap();
    let tensors = [
        ("0/expected/samples", view(&tone)),
        ("0/got/samples", view(&tone)),
        ("1/step0/expected/samples", view(&tone)),
        ("1/step0/got/samples", view(&half)),
    ];
    let path = folder.join("comparison.safetensors");
    std::fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    Command::new(env!("CARGO_BIN_EXE_speech-metrics"))
        .args(arguments)
        .env("COREML_COMPARISON", path)
        .output()
        .unwrap()
}

#[test]
fn the_worst_sample_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    for (metric, least, most) in [("psnr", 10.0, 20.0), ("stoi", 0.9, 1.0), ("mcd", 0.0, 1.0)] {
        let ran = run(folder.path(), &[metric, "samples"]);
        assert!(ran.status.success(), "{metric}: {}", String::from_utf8_lossy(&ran.stderr));
        let figure: f64 = String::from_utf8(ran.stdout).unwrap().trim().parse().unwrap();
        assert!((least..=most).contains(&figure), "{metric}: {figure}");
    }
}

#[test]
fn an_output_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["mcd", "sample"]);
    assert!(!ran.status.success() && ran.stdout.is_empty());
    assert!(String::from_utf8_lossy(&ran.stderr).contains("no sample has the output `sample`"));
}
