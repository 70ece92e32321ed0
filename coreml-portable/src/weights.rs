//! The elements of a program's large constants, each in memory of its own or still in the package.
//!
//! Owns: the place of each when all are one buffer, and widening of half-precision weights (once,
//! while copying out of the mapped package).
//! Must not: know names or graphs.
//! Flow: `graph.rs` appends while rows are emitted. ONNX Runtime takes the constants as they are,
//! one by one, and reads those that stand in the package from there by itself; rten and files take
//! them joined to the external data of the ONNX model.

use coreml_spec::WeightFile;
use half::f16;
use half::slice::HalfFloatSliceExt;
use std::ops::Range;
use std::sync::Arc;

/// Alignment of each constant in the joined buffer, in bytes: a cache line, which is also what the
/// widest vector load likes.
const ALIGNMENT: usize = 64;

/// Elements converted at a time, so that the temporary stays in the first-level cache.
const CHUNK: usize = 2048;

/// Elements of a constant.
#[derive(Debug)]
pub(crate) enum Elements {
    /// Single precision.
    Floats(Vec<f32>),
    /// Any other type, little endian.
    Bytes(Vec<u8>),
    /// A constant that the package has as the graph wants it.
    Stored(Stored),
}

/// Elements in a weight file of the package, little endian.
#[derive(Debug)]
pub(crate) struct Stored {
    /// The file.
    pub(crate) file: Arc<WeightFile>,
    /// Their place in it, in bytes.
    pub(crate) range: Range<usize>,
}

impl Stored {
    /// Returns the elements.
    pub(crate) fn bytes(&self) -> &[u8] {
        // The range was found in the mapped file, so that it cannot be missing.
        self.file.bytes().ok().and_then(|file| file.get(self.range.clone())).unwrap_or_default()
    }
}

impl Elements {
    /// Returns the number of bytes.
    fn len(&self) -> usize {
        match self {
            Self::Floats(floats) => size_of_val(floats.as_slice()),
            Self::Bytes(bytes) => bytes.len(),
            Self::Stored(stored) => stored.range.len(),
        }
    }

    /// Appends the elements to a buffer, little endian.
    fn append_to(&self, buffer: &mut Vec<u8>) {
        match self {
            Self::Floats(floats) => {
                let mut bytes = [[0; 4]; CHUNK];
                for chunk in floats.chunks(CHUNK) {
                    bytes
                        .iter_mut()
                        .zip(chunk)
                        .for_each(|(bytes, float)| *bytes = float.to_le_bytes());
                    buffer.extend_from_slice(bytes[..chunk.len()].as_flattened());
                }
            }
            Self::Bytes(bytes) => buffer.extend_from_slice(bytes),
            Self::Stored(stored) => buffer.extend_from_slice(stored.bytes()),
        }
    }
}

/// The constants so far.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    /// Each constant with its first byte in the joined buffer, a multiple of [`ALIGNMENT`].
    constants: Vec<(usize, Elements)>,
    /// End of the last one in the joined buffer.
    end: usize,
}

/// The place of a constant in the joined buffer, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// First byte.
    pub(crate) offset: usize,
    /// Number of bytes.
    pub(crate) length: usize,
}

impl Weights {
    /// Appends elements of any type but single precision, as they are.
    pub(crate) fn push(&mut self, elements: &[u8]) -> Span {
        self.append(Elements::Bytes(elements.to_vec()))
    }

    /// Appends elements that stay where they are: in a weight file of the package.
    pub(crate) fn push_stored(&mut self, stored: Stored) -> Span {
        self.append(Elements::Stored(stored))
    }

    /// Appends single-precision elements.
    pub(crate) fn push_f32(&mut self, elements: Vec<f32>) -> Span {
        self.append(Elements::Floats(elements))
    }

    /// Appends single-precision elements.
    ///
    /// Parameters: `elements` — little endian, four bytes each.
    pub(crate) fn push_f32_bytes(&mut self, elements: &[u8]) -> Span {
        self.push_f32(
            elements.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        )
    }

    /// Appends half-precision elements as single precision.
    ///
    /// Parameters: `elements` — little endian, two bytes each.
    pub(crate) fn push_f16(&mut self, elements: &[u8]) -> Span {
        let mut floats = vec![0.0; elements.len() / 2];
        let mut halves = [f16::ZERO; CHUNK];
        for (bytes, floats) in elements.chunks(2 * CHUNK).zip(floats.chunks_mut(CHUNK)) {
            halves
                .iter_mut()
                .zip(bytes.as_chunks().0)
                .for_each(|(half, bytes)| *half = f16::from_le_bytes(*bytes));
            halves[..floats.len()].convert_to_f32_slice(floats);
        }
        self.push_f32(floats)
    }

    /// Removes the constant that was appended last and returns its elements.
    ///
    /// Parameters: `span` — what the last append returned.
    pub(crate) fn take(&mut self, span: Span) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(span.length);
        if let Some((offset, elements)) = self.constants.pop() {
            self.end = offset;
            elements.append_to(&mut bytes);
        }
        bytes
    }

    /// Returns the constants in the order in which they were appended.
    #[cfg(feature = "onnxruntime")]
    pub(crate) fn into_constants(self) -> impl Iterator<Item = Elements> {
        self.constants.into_iter().map(|(_, elements)| elements)
    }

    /// Returns all constants in one buffer. Each is freed when it has been copied.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.end);
        for (offset, elements) in self.constants {
            bytes.resize(offset, 0);
            elements.append_to(&mut bytes);
        }
        bytes
    }

    /// Appends a constant.
    fn append(&mut self, elements: Elements) -> Span {
        let span = Span { offset: self.end.next_multiple_of(ALIGNMENT), length: elements.len() };
        self.end = span.offset + span.length;
        self.constants.push((span.offset, elements));
        span
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
        let third = weights.push_f32(vec![1.0; CHUNK + 1]);
        assert_eq!((first.offset, first.length, second.offset), (0, 3, ALIGNMENT));
        assert_eq!(weights.take(third), 1.0_f32.to_le_bytes().repeat(CHUNK + 1));
        let read: Vec<f32> = weights
            .take(second)
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        let expected: Vec<f32> = values.iter().map(|v| f16::from_f32(*v).to_f32()).collect();
        assert_eq!(read, expected);
        let again = weights.push_f32_bytes(&2.0_f32.to_le_bytes());
        assert_eq!((again, weights.end), (Span { offset: ALIGNMENT, length: 4 }, ALIGNMENT + 4));
        let mut joined = vec![0; ALIGNMENT];
        joined[..3].copy_from_slice(&[1, 2, 3]);
        joined.extend(2.0_f32.to_le_bytes());
        assert_eq!(weights.into_bytes(), joined);
    }
}
