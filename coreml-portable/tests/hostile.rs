//! What the fuzzer of the translator once found: each file of `hostile/` gives an error or a model,
//! never a panic.
//!
//! Owns: reading the files, which are inputs of `fuzz/fuzz_targets/translate.rs`: a specification,
//! a weight file, and the size of the weight file in four bytes, little endian.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use coreml_portable::{Error, to_onnx};
use coreml_spec::Package;
use std::borrow::Cow;
use std::path::Path;

/// A manifest that names the files below.
const MANIFEST: &[u8] = br#"{"fileFormatVersion":"1.0.0","itemInfoEntries":{"A":{"path":"m"}},
"rootModelIdentifier":"A"}"#;

/// Translates every function of a finding; returns the errors.
fn errors(name: &str) -> Vec<Error> {
    let input =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile").join(name))
            .unwrap();
    let (input, size) = input.split_last_chunk::<4>().unwrap();
    let (specification, weights) = input.split_at(input.len() - u32::from_le_bytes(*size) as usize);
    let file = |path: &str, bytes: &[u8]| (path.to_owned(), Cow::Owned(bytes.to_vec()));
    let files = [
        file("Manifest.json", MANIFEST),
        file("Data/m", specification),
        file("Data/weights/weight.bin", weights),
    ];
    let package = Package::from_files(files).unwrap();
    let interface = package.interface().unwrap();
    interface
        .functions
        .iter()
        .filter_map(|function| to_onnx(&package, Some(&function.name)).err())
        .collect()
}

#[test]
fn a_block_whose_square_is_beyond_64_bits() {
    let errors = errors("block_size_overflow.bin");
    assert!(matches!(errors[..], [Error::Invalid(_)]), "{errors:?}");
}

#[test]
fn an_axis_of_a_scalar() {
    let errors = errors("axis_of_a_scalar.bin");
    assert!(matches!(errors[0], Error::Unsupported { .. } | Error::Invalid(_)), "{errors:?}");
}

#[test]
fn an_image_that_is_upsampled_beyond_memory() {
    let errors = errors("upsampled_beyond_memory.bin");
    assert!(matches!(errors[0], Error::Unsupported { .. } | Error::Invalid(_)), "{errors:?}");
}
