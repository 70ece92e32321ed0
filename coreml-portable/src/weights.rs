//! The elements of a program's large constants, in one buffer that the engine reads without a further copy.
//!
//! Owns: alignment, and widening of half-precision weights (once, while copying out of the mapped package).
//! Must not: know names or graphs.
//! Flow: `graph.rs` appends while rows are emitted; the engine takes the buffer as external data of the ONNX model.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Alignment of each constant, in bytes: a cache line, which is also what the widest vector load likes.
const ALIGNMENT: usize = 64;

/// Elements converted at a time, so that the temporary stays in the first-level cache.
const CHUNK: usize = 2048;

/// A growing buffer of little-endian elements.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    /// The bytes; constants begin at multiples of [`ALIGNMENT`].
    bytes: Vec<u8>,
}

/// Where a constant lies in the buffer, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// First byte.
    pub(crate) offset: usize,
    /// Number of bytes.
    pub(crate) length: usize,
}

impl Weights {
    /// Appends elements as they are.
    pub(crate) fn push(&mut self, elements: &[u8]) -> Span {
        self.append(|bytes| bytes.extend_from_slice(elements))
    }

    /// Appends half-precision elements as single precision.
    ///
    /// Parameters: `elements` — little endian, two bytes each.
    pub(crate) fn push_f16(&mut self, elements: &[u8]) -> Span {
        self.append(|bytes| {
            let (mut halves, mut floats) = ([f16::ZERO; CHUNK], [0.0; CHUNK]);
            for chunk in elements.chunks(2 * CHUNK) {
                let count = chunk.len() / 2;
                for (half, pair) in halves.iter_mut().zip(chunk.chunks_exact(2)) {
                    *half = f16::from_le_bytes([pair[0], pair[1]]);
                }
                halves[..count].convert_to_f32_slice(&mut floats[..count]);
                bytes.extend(floats[..count].iter().flat_map(|float| float.to_le_bytes()));
            }
        })
    }

    /// Removes the constant that was appended last and returns its elements.
    ///
    /// Parameters: `span` — what the last append returned.
    pub(crate) fn take(&mut self, span: Span) -> Vec<u8> {
        self.bytes.split_off(span.offset.min(self.bytes.len()))
    }

    /// Returns the whole buffer.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Aligns the end, runs `write`, and returns what it appended.
    fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        let offset = self.bytes.len();
        write(&mut self.bytes);
        Span { offset, length: self.bytes.len() - offset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_aligned_and_widened() {
        let mut weights = Weights::default();
        let first = weights.push(&[1, 2, 3]);
        let values: Vec<f32> = (0..3 * CHUNK).map(|i| i as f32 - 7.5).collect();
        let halves: Vec<u8> = values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
        let second = weights.push_f16(&halves);
        assert_eq!((first.offset, first.length, second.offset), (0, 3, ALIGNMENT));
        let read: Vec<f32> =
            weights.take(second).chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let expected: Vec<f32> = values.iter().map(|v| f16::from_f32(*v).to_f32()).collect();
        assert_eq!(read, expected);
    }
}
