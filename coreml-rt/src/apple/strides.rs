//! Reading multi-arrays whose rows are padded.
//!
//! Owns: the arithmetic of strides, which count in elements. Must not: trust them; they come from outside.
//! Flow: called by `multi_array.rs` with the memory that Core ML shows.

/// Copies an array into contiguous row-major order.
///
/// Parameters: `from` — the array's memory; `shape`, `strides` — one entry per dimension; `into` — as many elements as
/// `shape` says.
/// Errors: a text when the numbers do not fit each other; nothing outside `from` is ever read.
pub(super) fn copy<T: Copy>(from: &[T], shape: &[usize], strides: &[usize], into: &mut [T]) -> Result<(), String> {
    let wrong = || format!("an array of shape {shape:?} and strides {strides:?} in memory for {} elements", from.len());
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    if shape.len() != strides.len() || count != Some(into.len()) {
        return Err(wrong());
    }
    if into.is_empty() {
        return Ok(());
    }
    // One check for all: the last element is the farthest, since strides are not negative.
    if extent(shape, strides).is_none_or(|extent| extent > from.len()) {
        return Err(wrong());
    }
    copy_dimensions(from, shape, strides, into);
    Ok(())
}

/// Returns how many elements of memory an array spans, without the padding behind its last element; `None` when there
/// are more than can be counted.
pub(super) fn extent(shape: &[usize], strides: &[usize]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    let mut dimensions = shape.iter().zip(strides);
    dimensions.try_fold(1usize, |extent, (&size, &stride)| extent.checked_add((size - 1).checked_mul(stride)?))
}

/// Copies the dimensions from the outermost on; the memory is known to suffice.
fn copy_dimensions<T: Copy>(from: &[T], shape: &[usize], strides: &[usize], into: &mut [T]) {
    if is_contiguous(shape, strides) {
        into.copy_from_slice(&from[..into.len()]);
        return;
    }
    // An array without dimensions is contiguous, so there is a first one here.
    let (stride, chunk) = (strides[0], into.len() / shape[0]);
    if shape.len() == 1 {
        for (at, into) in into.iter_mut().enumerate() {
            *into = from[at * stride];
        }
        return;
    }
    for (at, into) in into.chunks_exact_mut(chunk).enumerate() {
        copy_dimensions(&from[at * stride..], &shape[1..], &strides[1..], into);
    }
}

/// Returns whether the elements follow each other without a gap.
fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    for (&size, &stride) in shape.iter().zip(strides).rev() {
        // The stride of a dimension of one element is never used.
        if size != 1 && stride != expected {
            return false;
        }
        expected *= size;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{copy, extent};

    /// Copies an array of 0, 1, 2, … in memory of `len` elements.
    fn copied(len: u32, shape: &[usize], strides: &[usize]) -> Result<Vec<u32>, String> {
        let from: Vec<u32> = (0..len).collect();
        let mut into = vec![u32::MAX; shape.iter().product()];
        copy(&from, shape, strides, &mut into).map(|()| into)
    }

    #[test]
    fn padding_is_skipped() {
        assert_eq!(copied(6, &[2, 3], &[3, 1]).unwrap(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(copied(11, &[2, 3], &[8, 1]).unwrap(), [0, 1, 2, 8, 9, 10]);
        assert_eq!(copied(64, &[2, 2, 2], &[32, 8, 1]).unwrap(), [0, 1, 8, 9, 32, 33, 40, 41]);
    }

    #[test]
    fn any_order_of_dimensions_is_read() {
        assert_eq!(copied(6, &[3, 2], &[1, 3]).unwrap(), [0, 3, 1, 4, 2, 5]);
        assert_eq!(copied(8, &[4], &[2]).unwrap(), [0, 2, 4, 6]);
        assert_eq!(copied(1, &[3], &[0]).unwrap(), [0, 0, 0]);
        assert_eq!(copied(3, &[1, 3], &[99, 1]).unwrap(), [0, 1, 2]);
        assert_eq!(copied(1, &[], &[]).unwrap(), [0]);
        assert!(copied(0, &[0, 3], &[3, 1]).unwrap().is_empty());
    }

    #[test]
    fn memory_that_is_too_short_is_refused() {
        assert!(copied(10, &[2, 3], &[8, 1]).unwrap_err().contains("memory for 10 elements"));
        assert!(copied(6, &[2, 3], &[3]).is_err());
        assert!(copied(6, &[2, 3], &[usize::MAX, 1]).is_err());
        assert!(copied(6, &[3, 2], &[usize::MAX, 1]).is_err());
        let mut short = [0; 5];
        assert!(copy(&[0; 6], &[2, 3], &[3, 1], &mut short).is_err());
        assert_eq!(extent(&[2, 3], &[8, 1]), Some(11));
    }
}
