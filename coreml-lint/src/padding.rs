//! What padding the Neural Engine's memory layout may cost: an upper bound.
//!
//! Owns: the formula (the last axis is padded to a multiple of 64 bytes), and the sums.
//! Flow: `checks/tensors.rs` → [`Padding::of`] → rule ANE002, and [`Tally`] → the table of
//! [`crate::Report`].

use coreml_spec::DataType;
use serde::Serialize;

/// What the last axis is padded to, in bytes.
const ROW_ALIGNMENT: u64 = 64;

/// Growth from which padding is worth a warning.
const GROWTH_WARNED: f64 = 2.0;

/// Padded size from which it is, in bytes: below, it costs nothing noticeable.
const SIZE_WARNED: u64 = 16 << 10;

/// Most tensors in the table of padding.
const SHOWN: usize = 20;

/// A tensor with its size in the Neural Engine's layout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Padding {
    /// The function.
    pub function: String,
    /// Name of the tensor.
    pub name: String,
    /// Element type.
    pub data_type: DataType,
    /// Shape, in elements.
    pub shape: Vec<usize>,
    /// Size without padding, in bytes.
    pub bytes: u64,
    /// Size with padding, in bytes; at most this much.
    pub padded: u64,
}

impl Padding {
    /// Returns what padding makes of a tensor; `None` for one without elements, of text or of
    /// impossible size, and for types under a byte, which no tensor between operations has.
    ///
    /// Parameters: `shape` — a scalar is one row of one element.
    pub fn of(function: &str, name: &str, data_type: DataType, shape: &[usize]) -> Option<Self> {
        let element = u64::try_from(data_type.bits() / 8).ok().filter(|bytes| *bytes > 0)?;
        let (last, rows) = shape.split_last().map_or((1, &[][..]), |(last, rows)| (*last, rows));
        let rows =
            rows.iter().try_fold(1_u64, |rows, dim| rows.checked_mul(u64::try_from(*dim).ok()?))?;
        let row = u64::try_from(last).ok()?.checked_mul(element)?;
        let bytes = rows.checked_mul(row).filter(|bytes| *bytes > 0)?;
        let padded = rows.checked_mul(row.checked_next_multiple_of(ROW_ALIGNMENT)?)?;
        let (function, name, shape) = (function.to_owned(), name.to_owned(), shape.to_vec());
        Some(Self { function, name, data_type, shape, bytes, padded })
    }

    /// Returns how many times larger the tensor becomes.
    pub fn growth(&self) -> f64 {
        self.padded as f64 / self.bytes as f64
    }

    /// Returns whether that is worth a warning.
    pub fn is_wasteful(&self) -> bool {
        self.growth() >= GROWTH_WARNED && self.padded >= SIZE_WARNED
    }
}

/// The tensors between operations, added up.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Bytes of all of them.
    pub(crate) bytes: u64,
    /// The same with padding; at most this much.
    pub(crate) padded: u64,
    /// Those that padding makes much larger.
    wasteful: Vec<Padding>,
}

impl Tally {
    /// Adds a tensor.
    pub(crate) fn add(&mut self, padding: Padding) {
        self.bytes = self.bytes.saturating_add(padding.bytes);
        self.padded = self.padded.saturating_add(padding.padded);
        if padding.is_wasteful() {
            self.wasteful.push(padding);
        }
    }

    /// Returns the tensors that padding makes much larger, those that lose most first; no more than
    /// a table can show.
    pub(crate) fn into_worst(mut self) -> Vec<Padding> {
        self.wasteful.sort_by_key(|padding| std::cmp::Reverse(padding.padded - padding.bytes));
        self.wasteful.truncate(SHOWN);
        self.wasteful
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_axis_is_padded_to_64_bytes() {
        let padding = |data_type, shape: &[usize]| {
            Padding::of("main", "x", data_type, shape)
                .map(|padding| (padding.bytes, padding.padded))
        };
        assert_eq!(padding(DataType::Float16, &[1, 512, 1, 1]), Some((1024, 32768)));
        assert_eq!(padding(DataType::Float16, &[2, 32]), Some((128, 128)));
        assert_eq!(padding(DataType::Float32, &[2, 17]), Some((136, 256)));
        assert_eq!(padding(DataType::Int8, &[]), Some((1, 64)));
        assert_eq!(padding(DataType::Float16, &[0, 3]), None);
        assert_eq!(padding(DataType::String, &[3]), None);
        assert_eq!(padding(DataType::Float16, &[usize::MAX, 3]), None);
    }

    #[test]
    fn both_growth_and_size_decide() {
        let wasteful = |shape: &[usize]| {
            Padding::of("main", "x", DataType::Float16, shape).unwrap().is_wasteful()
        };
        assert!(wasteful(&[256, 16]) && !wasteful(&[255, 16]) && !wasteful(&[256, 17]));
    }
}
