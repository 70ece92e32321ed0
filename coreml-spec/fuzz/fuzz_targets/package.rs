//! Reads packages that a fuzzer makes up, all of each.
//!
//! An input is a specification, then a weight file, then the size of the weight file in two bytes,
//! little endian.
//!
//! ```sh
//! cargo install cargo-fuzz
//! cd coreml-spec/fuzz
//! cargo run --example seeds                  # fills corpus/package from the packages of the tests
//! cargo +nightly fuzz run package -- -max_total_time=600 -max_len=16384
//! ```
//! Without a nightly toolchain: `cargo fuzz run --sanitizer none package`, which finds panics but
//! no memory errors.

#![no_main]
#![allow(clippy::unwrap_used, reason = "a finding is a panic")]

#[path = "../../tests/hostile/reading.rs"]
mod reading;

use libfuzzer_sys::fuzz_target;

/// A manifest that names the files below.
const MANIFEST: &[u8] =
    br#"{"fileFormatVersion":"1.0.0","itemInfoEntries":{"A":{"path":"m"}},
"rootModelIdentifier":"A"}"#;

fuzz_target!(|input: &[u8]| {
    let Some((input, size)) = input.split_last_chunk() else { return };
    let Some(start) = input.len().checked_sub(usize::from(u16::from_le_bytes(*size))) else {
        return;
    };
    let (specification, weights) = input.split_at(start);
    let file = |path: &str, bytes: &[u8]| (path.to_owned(), bytes.to_vec());
    let files = reading::Files::from([
        file("Manifest.json", MANIFEST),
        file("Data/m", specification),
        file("Data/weights/weight.bin", weights),
    ]);
    // Errors are what hostile input should give; only panics are findings.
    let _ = reading::read_everything(&files);
});
