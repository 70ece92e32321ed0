//! Reading and writing multi-arrays with padded rows.
//!
//! Owns: the arithmetic of strides, which count in elements. Must not: trust them; they come from
//! outside.
//! Flow: `multi_array.rs` → here, with memory that Core ML shows.

/// Copies an array into contiguous row-major order.
///
/// Parameters: `from` — the array's memory; `shape`, `strides` — one entry per dimension; `into` —
/// as many elements as `shape` says.
/// Errors: a text when the numbers contradict each other; nothing outside `from` is ever read.
pub(super) fn copy<T: Copy>(
    from: &[T],
    shape: &[usize],
    strides: &[usize],
    into: &mut [T],
) -> Result<(), String> {
    check(from.len(), shape, strides, into.len())?;
    runs(shape, strides, (0, 0), &mut |strided, plain, len| {
        into[plain..plain + len].copy_from_slice(&from[strided..strided + len]);
    });
    Ok(())
}

/// Copies contiguous elements in row-major order into an array; its padding stays as it is.
///
/// Parameters: `from` — as many elements as `shape` says; `shape`, `strides` — one entry per
/// dimension; `into` — the array's memory.
/// Errors: as for [`copy`].
#[cfg_attr(not(target_vendor = "apple"), allow(dead_code, reason = "elsewhere only tested"))]
pub(super) fn scatter<T: Copy>(
    from: &[T],
    shape: &[usize],
    strides: &[usize],
    into: &mut [T],
) -> Result<(), String> {
    check(into.len(), shape, strides, from.len())?;
    runs(shape, strides, (0, 0), &mut |strided, plain, len| {
        into[strided..strided + len].copy_from_slice(&from[plain..plain + len]);
    });
    Ok(())
}

/// Checks that an array of these numbers lies within its memory and has as many elements as a
/// slice.
fn check(memory: usize, shape: &[usize], strides: &[usize], elements: usize) -> Result<(), String> {
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    // One check for all: the last element is the farthest, since strides are not negative.
    let within = extent(shape, strides).is_some_and(|extent| extent <= memory);
    if shape.len() == strides.len() && count == Some(elements) && within {
        return Ok(());
    }
    Err(format!(
        "an array of shape {shape:?} and strides {strides:?} in memory for {memory} elements"
    ))
}

/// Returns how many elements of memory an array spans, without the padding behind its last element;
/// `None` when there are more than can be counted.
pub(super) fn extent(shape: &[usize], strides: &[usize]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    let mut dimensions = shape.iter().zip(strides);
    dimensions.try_fold(1usize, |extent, (&size, &stride)| {
        extent.checked_add((size - 1).checked_mul(stride)?)
    })
}

/// Calls `run` for each longest run of elements that are neighbours in the array, with the position
/// of its first element in the array's memory and in row-major order, and its length.
///
/// Parameters: `start` — both positions of the first element of all.
fn runs(
    shape: &[usize],
    strides: &[usize],
    (strided, plain): (usize, usize),
    run: &mut impl FnMut(usize, usize, usize),
) {
    let len = shape.iter().product::<usize>();
    if len == 0 {
        return;
    }
    match (shape, strides) {
        _ if is_contiguous(shape, strides) => run(strided, plain, len),
        ([size, shape @ ..], [stride, strides @ ..]) => {
            for at in 0..*size {
                runs(shape, strides, (strided + at * stride, plain + at * (len / size)), run);
            }
        }
        // An array without dimensions is contiguous.
        _ => {}
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
    use super::{copy, extent, scatter};

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
    fn writing_leaves_the_padding() {
        let mut memory = [0; 11];
        scatter(&[1, 2, 3, 4, 5, 6], &[2, 3], &[8, 1], &mut memory).unwrap();
        assert_eq!(memory, [1, 2, 3, 0, 0, 0, 0, 0, 4, 5, 6]);
        let mut memory = [0; 6];
        scatter(&[1, 2, 3, 4, 5, 6], &[3, 2], &[1, 3], &mut memory).unwrap();
        assert_eq!(memory, [1, 3, 5, 2, 4, 6]);
        assert!(scatter(&[1; 6], &[2, 3], &[8, 1], &mut [0; 10]).is_err());
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
