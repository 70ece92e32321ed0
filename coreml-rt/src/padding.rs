//! Inputs that are shorter than a bucket, and outputs that are longer than the input.
//!
//! Owns: padding, masks, trimming, and their memory, which is reused. Must not: choose a bucket.
//! Flow: `bucketed.rs` pads inputs with a [`PaddedTensor`] and wraps outputs with [`trim`] before
//! `model.rs` predicts.

use crate::buffer::Buffer;
use crate::error::Error;
use crate::image::PixelsMut;
use crate::shape::element_count;
use crate::slot::{OutputSlot, Results};
use coreml_spec::{Elements, ElementsMut, TensorRef};
use std::cell::RefCell;

/// Most dimensions of a trimmed output; the generated types have fewer.
const MAX_RANK: usize = 8;

/// A tensor of a bucket's size, made of a shorter one.
#[derive(Debug)]
pub(crate) struct PaddedTensor {
    /// Sizes.
    dims: Vec<usize>,
    /// Elements.
    buffer: Buffer,
}

impl PaddedTensor {
    /// Makes the memory for an input of the buffer's type.
    pub(crate) fn new(buffer: Buffer) -> Self {
        Self { dims: Vec::new(), buffer }
    }

    /// Takes a tensor, with `value` behind its end in the dimensions `axes`, up to `size`.
    ///
    /// Returns: `None` when the tensor is not of this memory's type.
    pub(crate) fn pad(
        &mut self,
        tensor: &TensorRef<'_>,
        axes: &[usize],
        size: usize,
        value: f64,
    ) -> Option<()> {
        let sizes = tensor.dims.iter().enumerate();
        self.dims.clear();
        self.dims.extend(sizes.map(|(axis, &dim)| if axes.contains(&axis) { size } else { dim }));
        self.buffer.reset(element_count(&self.dims)?, value);
        copy_common(&tensor.elements, tensor.dims, &mut self.buffer.elements_mut(), &self.dims)
    }

    /// Becomes a mask: ones before `length` in dimension `axis`, zeros behind.
    ///
    /// Parameters: `dims` — sizes of the mask in the bucket.
    pub(crate) fn mask(&mut self, dims: &[usize], axis: usize, length: usize) -> Option<()> {
        self.dims.clear();
        self.dims.extend_from_slice(dims);
        self.buffer.reset(element_count(dims)?, 0.0);
        let below = element_count(dims.get(axis + 1..)?)?;
        let period = below * dims.get(axis)?;
        match &mut self.buffer {
            Buffer::Float16(elements) => fill(elements, period, length * below, half::f16::ONE),
            Buffer::Float32(elements) => fill(elements, period, length * below, 1.0),
            Buffer::Float64(elements) => fill(elements, period, length * below, 1.0),
            Buffer::Int32(elements) => fill(elements, period, length * below, 1),
            Buffer::Int8(elements) => fill(elements, period, length * below, 1),
        }
        Some(())
    }

    /// Borrows the tensor.
    pub(crate) fn tensor(&self) -> TensorRef<'_> {
        TensorRef { dims: &self.dims, elements: self.buffer.elements() }
    }
}

/// Writes `value` to the first `count` of every `period` elements.
fn fill<T: Copy>(elements: &mut [T], period: usize, count: usize, value: T) {
    for one in elements.chunks_mut(period.max(1)) {
        one.iter_mut().take(count).for_each(|element| *element = value);
    }
}

/// An output of which only the true length is taken.
struct TrimmedSlot<'a, 'b> {
    /// What takes it.
    slot: &'a mut (dyn OutputSlot + 'b),
    /// Dimensions that have the length; empty for an output without one.
    axes: &'a [usize],
    /// The true length.
    length: usize,
    /// Memory for the output before it is trimmed.
    buffer: &'a RefCell<Option<Buffer>>,
}

/// Calls `with` with slots that take the true length alone.
///
/// Parameters: `axes` — for each output its dimensions that have the length; `buffers` — for each,
/// memory of the whole output.
pub(crate) fn trim(
    outputs: &mut [&mut dyn OutputSlot],
    axes: &[&[usize]],
    length: usize,
    buffers: &[RefCell<Option<Buffer>>],
    with: &mut dyn FnMut(&mut [&mut dyn OutputSlot]),
) {
    let trimmed = outputs.iter_mut().zip(buffers).zip(axes);
    let mut trimmed: Vec<TrimmedSlot<'_, '_>> = trimmed
        .map(|((slot, buffer), axes)| TrimmedSlot { slot: &mut **slot, axes, length, buffer })
        .collect();
    let mut slots: Vec<&mut dyn OutputSlot> =
        trimmed.iter_mut().map(|slot| slot as &mut dyn OutputSlot).collect();
    with(&mut slots);
}

impl OutputSlot for TrimmedSlot<'_, '_> {
    fn take(&mut self, results: &dyn Results, index: usize) -> Result<(), Error> {
        if self.axes.is_empty() {
            return self.slot.take(results, index);
        }
        let full = results.dims(index)?;
        let mut dims = [0; MAX_RANK];
        let Some(trimmed) = dims.get_mut(..full.len()) else {
            return Err(
                results.mismatch(format!("its output {index} has {} dimensions", full.len()))
            );
        };
        for (axis, (trimmed, &full)) in trimmed.iter_mut().zip(full).enumerate() {
            *trimmed = if self.axes.contains(&axis) { self.length } else { full };
        }
        let trimmed = TrimmedResults { results, index, full, dims: trimmed, buffer: self.buffer };
        self.slot.take(&trimmed, index)
    }
}

/// Results in which one output is shorter than the backend returned it.
struct TrimmedResults<'a> {
    /// All of them.
    results: &'a dyn Results,
    /// The trimmed one.
    index: usize,
    /// Its sizes in the results.
    full: &'a [usize],
    /// Its sizes.
    dims: &'a [usize],
    /// Memory for the whole output.
    buffer: &'a RefCell<Option<Buffer>>,
}

impl Results for TrimmedResults<'_> {
    fn dims(&self, index: usize) -> Result<&[usize], Error> {
        if index == self.index { Ok(self.dims) } else { self.results.dims(index) }
    }

    fn copy_to(&self, index: usize, mut into: ElementsMut<'_>) -> Result<(), Error> {
        if index != self.index || self.full == self.dims {
            return self.results.copy_to(index, into);
        }
        let problem = || {
            self.results
                .mismatch(format!("its output {index} cannot be trimmed to {:?}", self.dims))
        };
        let len = element_count(self.full).ok_or_else(problem)?;
        let mut buffer = self.buffer.borrow_mut();
        let whole = match &mut *buffer {
            Some(whole) if whole.elements().data_type() == into.data_type() => {
                whole.reset(len, 0.0);
                whole
            }
            other => other.insert(Buffer::zeros(into.data_type(), len).ok_or_else(problem)?),
        };
        self.results.copy_to(index, whole.elements_mut())?;
        copy_common(&whole.elements(), self.full, &mut into, self.dims).ok_or_else(problem)
    }

    fn copy_pixels(&self, index: usize, into: PixelsMut<'_>) -> Result<(), Error> {
        self.results.copy_pixels(index, into)
    }

    fn label(&self) -> Result<usize, Error> {
        self.results.label()
    }

    fn mismatch(&self, problem: String) -> Error {
        self.results.mismatch(problem)
    }
}

/// Copies what two tensors of the same rank have in common, from the start of each dimension.
///
/// Returns: `None` when types or ranks differ; nothing is copied then.
fn copy_common(
    from: &Elements<'_>,
    from_dims: &[usize],
    into: &mut ElementsMut<'_>,
    into_dims: &[usize],
) -> Option<()> {
    if from_dims.len() != into_dims.len() {
        return None;
    }
    match (from, into) {
        (Elements::Float16(from), ElementsMut::Float16(into)) => {
            copy(from, from_dims, into, into_dims)
        }
        (Elements::Float32(from), ElementsMut::Float32(into)) => {
            copy(from, from_dims, into, into_dims)
        }
        (Elements::Float64(from), ElementsMut::Float64(into)) => {
            copy(from, from_dims, into, into_dims)
        }
        (Elements::Int32(from), ElementsMut::Int32(into)) => copy(from, from_dims, into, into_dims),
        (Elements::Int8(from), ElementsMut::Int8(into)) => copy(from, from_dims, into, into_dims),
        _ => return None,
    }
    Some(())
}

/// Copies one dimension after the other.
fn copy<T: Copy>(from: &[T], from_dims: &[usize], into: &mut [T], into_dims: &[usize]) {
    match (from_dims, into_dims) {
        ([_, from_rest @ ..], [_, into_rest @ ..]) if !from_rest.is_empty() => {
            let (from_step, into_step) =
                (from_rest.iter().product::<usize>(), into_rest.iter().product::<usize>());
            // Without elements there is nothing to copy, and no step to go by.
            if from_step > 0 && into_step > 0 {
                for (from, into) in
                    from.chunks_exact(from_step).zip(into.chunks_exact_mut(into_step))
                {
                    copy(from, from_rest, into, into_rest);
                }
            }
        }
        _ => from.iter().zip(into).for_each(|(from, into)| *into = *from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_places_between_padding() {
        let ids = [1, 2, 3, 4, 5, 6];
        let mut padded = PaddedTensor::new(Buffer::Int32(Vec::new()));
        let tensor = TensorRef { dims: &[2, 3], elements: Elements::Int32(&ids) };
        padded.pad(&tensor, &[1], 5, -1.0).unwrap();
        assert_eq!(padded.tensor().dims, [2, 5]);
        assert_eq!(padded.buffer, Buffer::Int32(vec![1, 2, 3, -1, -1, 4, 5, 6, -1, -1]));
        // The memory is used again for another size, in another dimension.
        padded.pad(&tensor, &[0], 3, 0.0).unwrap();
        assert_eq!(padded.buffer, Buffer::Int32(vec![1, 2, 3, 4, 5, 6, 0, 0, 0]));
        padded
            .pad(&TensorRef { dims: &[2, 3], elements: Elements::Int32(&ids) }, &[0, 1], 4, 9.0)
            .unwrap();
        assert_eq!(
            padded.buffer,
            Buffer::Int32(vec![1, 2, 3, 9, 4, 5, 6, 9, 9, 9, 9, 9, 9, 9, 9, 9])
        );
        assert_eq!(
            padded.pad(
                &TensorRef { dims: &[1], elements: Elements::Float32(&[1.0]) },
                &[0],
                4,
                0.0
            ),
            None
        );
    }

    #[test]
    fn a_mask_has_ones_before_the_end() {
        let mut mask = PaddedTensor::new(Buffer::Float32(Vec::new()));
        mask.mask(&[2, 3], 1, 2).unwrap();
        assert_eq!(mask.buffer, Buffer::Float32(vec![1.0, 1.0, 0.0, 1.0, 1.0, 0.0]));
        mask.mask(&[3, 2], 0, 1).unwrap();
        assert_eq!(mask.buffer, Buffer::Float32(vec![1.0, 1.0, 0.0, 0.0, 0.0, 0.0]));
        assert_eq!(mask.mask(&[3], 1, 1), None);
    }
}
