//! Several functions in one package, from the manifest to the results: conversion by `cargo`, typed
//! calls, parity of each with PyTorch, and weights that are stored once.
//!
//! Owns: the proof that manifest keys, driver, macro and runtime agree about functions.

use coreml_tests::UserCrate;

/// A package of two functions that share their weights, one of them with a state, and each function
/// as a package of its own.
const MANIFEST: &str = r#"[models.decoder]
default-function = "step"
metadata = { description = "Reads a prompt, then one token after the other." }
parity = { samples = 2, steps = 3 }

[models.decoder.functions.prefill]
source = { file = "python/decoder.py", entry = "prefill" }
inputs.tokens = { shape = [1, 8], dtype = "int32", sample = { range = [0, 31] } }
outputs.logits = { dtype = "float32" }

[models.decoder.functions.step]
source = { file = "python/decoder.py", entry = "step" }
inputs.token = { shape = [1, 1], dtype = "int32", sample = { range = [0, 31] } }
outputs.logits = { dtype = "float32" }
states.sum = { shape = [1, 128], dtype = "float16" }

[models.alone]
source = { file = "python/decoder.py", entry = "prefill" }
inputs.tokens = { shape = [1, 8], dtype = "int32", sample = { range = [0, 31] } }
outputs.logits = { dtype = "float32" }

[models.alone_too]
source = { file = "python/decoder.py", entry = "step" }
inputs.token = { shape = [1, 1], dtype = "int32", sample = { range = [0, 31] } }
outputs.logits = { dtype = "float32" }
states.sum = { shape = [1, 128], dtype = "float16" }
"#;

/// The Python side: the state sums up the embeddings of the tokens so far.
const DECODER: &str = include_str!("../fixtures/functions_decoder.py");

/// The program: eight tokens at once give what they give one after the other.
const MAIN: &str = r#"#[coreml_rt::coreml_model("all.toml")]
pub mod all {}

use all::decoder::{prefill, step};
use coreml_rt::{Error, Tensor};
use std::path::Path;

fn weights(package: Option<&Path>) -> u64 {
    let file = package.map(|package| package.join("Data/com.apple.CoreML/weights/weight.bin"));
    file.and_then(|file| std::fs::metadata(file).ok()).map_or(0, |metadata| metadata.len())
}

fn main() -> Result<(), Error> {
    let models = all::Models::load()?;
    let tokens = Tensor::from([[3, 1, 4, 1, 5, 9, 2, 6]]);
    let whole = models.decoder.prefill.predict(&prefill::Input { tokens: tokens.view() })?.logits;
    let mut state = models.decoder.step.new_state()?;
    let mut last = None;
    for token in tokens.as_slice() {
        let token = Tensor::from([[*token]]);
        let input = step::Input { token: token.view() };
        last = Some(models.decoder.step.predict(&mut state, &input)?.logits);
    }
    let last = last.unwrap_or_else(|| whole.clone());
    let pairs = whole.as_slice().iter().zip(last.as_slice());
    let apart = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("apart {}", apart < 0.02);
    let joined = weights(models.decoder.step.path());
    println!("{joined} {} {}", weights(models.alone.path()), weights(models.alone_too.path()));
    Ok(())
}
"#;

#[test]
fn functions_of_one_package_share_weights_and_compute_what_pytorch_does() {
    let user = UserCrate::new("functions", &["all.toml"]);
    user.write("all.toml", MANIFEST);
    user.write("python/decoder.py", DECODER);
    user.write("src/main.rs", MAIN);
    let said = user.cargo(&["run"]).succeeds().stdout;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "apart true", "{said}");
    let sizes: Vec<u64> = lines[1].split(' ').filter_map(|size| size.parse().ok()).collect();
    let [joined, first, second] = sizes[..] else { panic!("{said}") };
    assert!(first > 50_000 && second > 50_000 && joined * 10 < first.max(second) * 11, "{said}");

    user.cargo(&["test"])
        .succeeds()
        .has_parity("all", &["decoder::prefill", "decoder::step", "alone", "alone_too"]);
}

#[test]
fn a_mistake_in_a_function_stands_at_its_line() {
    let user = UserCrate::new("function-mistakes", &["all.toml"]);
    user.write("all.toml", MANIFEST.replace("shape = [1, 128]", "shape = [1, 127]"));
    user.write("python/decoder.py", DECODER);
    user.write(
        "src/main.rs",
        "#[coreml_rt::coreml_model(\"all.toml\")]\npub mod all {}\nfn main() {}\n",
    );
    user.cargo(&["check"]).fails_with(&["all.toml:15:1", "model `decoder`", "sum"]);
}
