//! SHA-256 of bytes, of fields, and of what is written.
//!
//! Owns: the form of a digest.   Must not: decide what is hashed, or remember anything.
//! Flow: `build/fingerprint.rs`, `cache/` and `python/` → here.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Bytes read at once while hashing.
const BUFFER_SIZE: usize = 1 << 18;

/// Digest over labelled fields, each with its length, so that no two lists of fields run together.
#[derive(Debug, Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    /// Adds a field.
    pub(crate) fn field(&mut self, label: &str, value: &[u8]) {
        for part in [label.as_bytes(), value] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }

    /// Returns the digest: 64 lower-case hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        hexadecimal(&self.0.finalize())
    }
}

/// Returns the digest of `bytes`: 64 lower-case hexadecimal digits.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Reads the file at `path`; returns its digest.
pub(crate) fn of_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER_SIZE];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hexadecimal(&hasher.finalize()));
        }
        hasher.update(&buffer[..count]);
    }
}

/// Returns `bytes` in lower-case hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A writer that hashes and counts what goes through it.
#[derive(Debug)]
pub(crate) struct Hashing<W> {
    /// Where it goes.
    writer: W,
    /// The digest so far.
    hasher: Sha256,
    /// Bytes so far.
    count: u64,
}

impl<W> Hashing<W> {
    /// Hashes what is written to `writer`.
    pub(crate) fn new(writer: W) -> Self {
        Self { writer, hasher: Sha256::new(), count: 0 }
    }

    /// Returns the writer, the digest and the number of bytes.
    pub(crate) fn finish(self) -> (W, String, u64) {
        (self.writer, hexadecimal(&self.hasher.finalize()), self.count)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.writer.write(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Returns whether `text` is a digest: 64 lower-case hexadecimal digits.
pub(crate) fn is_digest(text: &str) -> bool {
    text.len() == 64
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_together() {
        let digest = |fields: &[(&str, &str)]| {
            let mut hasher = Hasher::default();
            fields.iter().for_each(|(label, value)| hasher.field(label, value.as_bytes()));
            hasher.finish()
        };
        assert_ne!(digest(&[("a", "bc")]), digest(&[("ab", "c")]));
        assert_ne!(digest(&[("a", "b"), ("c", "d")]), digest(&[("a", "bcd")]));
        assert_eq!(
            of_bytes(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
