//! Translates programs that a fuzzer makes up.
//!
//! An input is a specification, then a weight file, then the size of the weight file in four bytes,
//! little endian. Half of the mutations change bytes; the others change the program itself, so that
//! it stays one that the reader accepts. How to run it stands in `docs/fuzzing.md`.

#![no_main]

mod mutation;

use coreml_portable::to_onnx;
use coreml_spec::Package;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use std::borrow::Cow;

/// A manifest that names the files below.
const MANIFEST: &[u8] =
    br#"{"fileFormatVersion":"1.0.0","itemInfoEntries":{"A":{"path":"m"}},
"rootModelIdentifier":"A"}"#;

/// Cuts an input into specification and weights.
fn split(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (input, size) = input.split_last_chunk()?;
    let start = input.len().checked_sub(usize::try_from(u32::from_le_bytes(*size)).ok()?)?;
    Some(input.split_at(start))
}

/// Joins specification and weights to an input.
fn join(specification: &[u8], weights: &[u8]) -> Vec<u8> {
    [specification, weights, &(weights.len() as u32).to_le_bytes()].concat()
}

fuzz_target!(|input: &[u8]| {
    let Some((specification, weights)) = split(input) else { return };
    let file = |path: &str, bytes: &[u8]| (path.to_owned(), Cow::Owned(bytes.to_vec()));
    let package = Package::from_files([
        file("Manifest.json", MANIFEST),
        file("Data/m", specification),
        file("Data/weights/weight.bin", weights),
    ]);
    // Errors are what hostile input should give; only panics, endless work and endless memory are
    // findings.
    let Ok(package) = package else { return };
    let Ok(interface) = package.interface() else { return };
    for function in &interface.functions {
        match to_onnx(&package, Some(&function.name)) {
            Ok(onnx) => assert!(onnx.opset() > 0),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed.is_multiple_of(2) {
        return fuzzer_mutate(data, size, max_size);
    }
    let changed = split(&data[..size]).and_then(|(specification, weights)| {
        Some(join(&mutation::mutate(specification, seed)?, weights))
            .filter(|changed| changed.len() <= max_size)
    });
    let Some(changed) = changed else { return fuzzer_mutate(data, size, max_size) };
    data[..changed.len()].copy_from_slice(&changed);
    changed.len()
});
