//! Constants of the graph: those of the program, and those that rows make up.
//!
//! Owns: which constants stand in the graph itself and which in the external buffer, and the layout
//! of matrices.
//! Flow: rows and `args.rs` → here → `weights.rs`.

use super::{Graph, Layout, Value, WEIGHTS_FILE, element_type};
use crate::constant::ConstantEntry;
use crate::error::OpError;
use crate::onnx::{DATA_LOCATION_EXTERNAL, ElementType, StringStringEntry, TensorProto};
use crate::weights::{Span, Stored};
use coreml_spec::{Constant, DataType, WeightFile};
use std::sync::Arc;

/// Constants of at least this many bytes go to the external buffer; smaller ones stand in the graph
/// itself, where an engine sees them when it folds shapes.
const EXTERNAL_FROM: usize = 1024;

/// Constants of at least this many bytes are read by the engine from the package's file; mapping a
/// smaller one, and widening it in a node of its own, costs more than copying it.
const STORED_FROM: usize = 1 << 16;

/// Alignment in the weight file, in bytes, of constants that are read from there; blob storage has
/// 64.
const STORED_ALIGNMENT: usize = 64;

/// Rows and columns of the tiles in which matrices are transposed.
const TILE: usize = 32;

/// Most elements that a constant made up by a row may have; such constants are scales and offsets
/// of normalizations.
const LARGEST_FILLED: usize = 1 << 24;

impl Graph {
    /// Returns a program's constant as a value of the graph, the same value each time.
    ///
    /// Errors: text, and integers beyond 32 bits.
    pub(crate) fn constant(
        &mut self,
        entry: &ConstantEntry<'_>,
        layout: Layout,
    ) -> Result<Value, OpError> {
        if let Some(value) = self.constants.get(&(entry.identity, layout)) {
            return Ok(value.clone());
        }
        let constant = entry.value()?;
        let value = match layout {
            Layout::Plain => self.literal(&constant)?,
            Layout::Transposed => self.literal(&transposed(&constant)?)?,
        };
        self.constants.insert((entry.identity, layout), value.clone());
        Ok(value)
    }

    /// Returns a constant as a value of the graph, a new one each time.
    ///
    /// Errors: text, and integers beyond 32 bits.
    pub(crate) fn literal(&mut self, constant: &Constant<'_>) -> Result<Value, OpError> {
        let element = element_type(constant.data_type)?;
        if matches!(constant.data_type, DataType::Float32 | DataType::Int32)
            && let Some(stored) = self.stored(constant)
        {
            let span = self.weights.push_stored(stored);
            return Ok(self.initializer(element, &constant.dims, span));
        }
        if constant.data_type == DataType::Float16
            && self.dialect.widens_constants
            && let Some(stored) = self.stored(constant)
        {
            let span = self.weights.push_stored(stored);
            let halves = self.initializer(ElementType::Float16, &constant.dims, span);
            let nodes = std::mem::replace(&mut self.nodes, std::mem::take(&mut self.widening));
            let floats = self.cast(&halves, ElementType::Float);
            self.widening = std::mem::replace(&mut self.nodes, nodes);
            return Ok(floats);
        }
        let span = match (constant.data_type, element) {
            (DataType::Float32, _) => self.weights.push_f32_bytes(&constant.bytes),
            (DataType::Bool | DataType::Int32, _) => self.weights.push(&constant.bytes),
            (DataType::Float16, _) => self.weights.push_f16(&constant.bytes),
            (_, ElementType::Float) => {
                self.weights.push_f32(constant.to_f32s().unwrap_or_default())
            }
            _ => {
                let narrow = |value: i64| {
                    i32::try_from(value).map(i32::to_le_bytes).map_err(|_| {
                        OpError::unsupported(format!("the constant {value} does not fit 32 bits"))
                    })
                };
                let elements: Result<Vec<_>, _> =
                    constant.to_i64s().unwrap_or_default().into_iter().map(narrow).collect();
                self.weights.push(elements?.as_flattened())
            }
        };
        Ok(self.initializer(element, &constant.dims, span))
    }

    /// Returns the place of a large constant in the package, or `None` when it has none or is not
    /// aligned there.
    fn stored(&self, constant: &Constant<'_>) -> Option<Stored> {
        let bytes = Some(&*constant.bytes).filter(|bytes| bytes.len() >= STORED_FROM)?;
        let place = |file: &Arc<WeightFile>| {
            Some(Stored { file: Arc::clone(file), range: file.range_of(bytes)? })
        };
        let aligned = |stored: &Stored| stored.range.start.is_multiple_of(STORED_ALIGNMENT);
        self.files.iter().find_map(place).filter(aligned)
    }

    /// Returns the vector of 64-bit integers that ONNX wants for shapes and axes.
    pub(crate) fn ints(&mut self, values: &[i64]) -> Value {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let span = self.weights.push(&bytes);
        self.initializer(ElementType::Int64, &[values.len()], span)
    }

    /// Returns a 64-bit integer scalar.
    pub(crate) fn int(&mut self, value: i64) -> Value {
        let span = self.weights.push(&value.to_le_bytes());
        self.initializer(ElementType::Int64, &[], span)
    }

    /// Returns a vector of truth values.
    pub(crate) fn bools(&mut self, values: &[bool]) -> Value {
        let bytes: Vec<u8> = values.iter().map(|value| u8::from(*value)).collect();
        let span = self.weights.push(&bytes);
        self.initializer(ElementType::Bool, &[values.len()], span)
    }

    /// Returns a vector of single-precision numbers.
    pub(crate) fn floats(&mut self, values: &[f32]) -> Value {
        let span = self.weights.push_f32(values.to_vec());
        self.initializer(ElementType::Float, &[values.len()], span)
    }

    /// Returns a single-precision scalar.
    pub(crate) fn float(&mut self, value: f32) -> Value {
        let span = self.weights.push_f32(vec![value]);
        self.initializer(ElementType::Float, &[], span)
    }

    /// Returns a scalar of the element type that MIL's `data_type` has in the graph.
    pub(crate) fn scalar(&mut self, data_type: DataType, value: f64) -> Result<Value, OpError> {
        let element = element_type(data_type)?;
        let span = match element {
            ElementType::Float => self.weights.push_f32(vec![value as f32]),
            ElementType::Bool => self.weights.push(&[u8::from(value != 0.0)]),
            _ => self.weights.push(&(value as i32).to_le_bytes()),
        };
        Ok(self.initializer(element, &[], span))
    }

    /// Returns a constant tensor with equal elements.
    ///
    /// Errors: more elements than a weight could have.
    pub(crate) fn filled(&mut self, dims: &[usize], fill: f32) -> Result<Value, OpError> {
        let count = dims.iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
        let count = count.filter(|count| *count <= LARGEST_FILLED);
        let count = count
            .ok_or_else(|| OpError::invalid(format!("its dimensions {dims:?} are too large")))?;
        let span = self.weights.push_f32(vec![fill; count]);
        Ok(self.initializer(ElementType::Float, dims, span))
    }

    /// Adds an initializer whose bytes are in the buffer already; a small one that the graph has
    /// already is not added again.
    fn initializer(&mut self, element: ElementType, dims: &[usize], span: Span) -> Value {
        let small = (span.length < EXTERNAL_FROM).then(|| self.weights.take(span));
        let key = small.as_ref().map(|bytes| (element.code(), dims.to_vec(), bytes.clone()));
        if let Some(value) = key.as_ref().and_then(|key| self.small.get(key)) {
            return value.clone();
        }
        let value = self.fresh();
        if let Some(key) = key {
            self.small.insert(key, value.clone());
        }
        let mut tensor = TensorProto {
            dims: dims.iter().map(|size| *size as i64).collect(),
            data_type: element.code(),
            name: value.0.to_string(),
            ..TensorProto::default()
        };
        if let Some(bytes) = small {
            tensor.raw_data = Some(bytes);
        } else {
            let entry = |key: &str, value: String| StringStringEntry { key: key.into(), value };
            tensor.external_data = vec![
                entry("location", WEIGHTS_FILE.into()),
                entry("offset", span.offset.to_string()),
                entry("length", span.length.to_string()),
            ];
            tensor.data_location = DATA_LOCATION_EXTERNAL;
        }
        self.initializers.push(tensor);
        value
    }
}

/// Returns a matrix with rows and columns exchanged, elements as stored.
fn transposed(constant: &Constant<'_>) -> Result<Constant<'static>, OpError> {
    let (&[rows, columns], bytes) = (constant.dims.as_slice(), constant.data_type.bits() / 8)
    else {
        return Err(OpError::invalid(format!(
            "a weight of shape {:?} is not a matrix",
            constant.dims
        )));
    };
    if bytes == 0 || constant.bytes.len() != rows * columns * bytes {
        return Err(OpError::unsupported(format!(
            "a {} matrix cannot be transposed",
            constant.data_type
        )));
    }
    let exchanged = match bytes {
        1 => exchanged::<1>(&constant.bytes, rows, columns),
        2 => exchanged::<2>(&constant.bytes, rows, columns),
        4 => exchanged::<4>(&constant.bytes, rows, columns),
        _ => exchanged::<8>(&constant.bytes, rows, columns),
    };
    Ok(Constant { dims: vec![columns, rows], bytes: exchanged.into(), strings: &[], ..*constant })
}

/// Returns elements of `N` bytes with rows and columns exchanged.
fn exchanged<const N: usize>(bytes: &[u8], rows: usize, columns: usize) -> Vec<u8> {
    let from = bytes.as_chunks::<N>().0;
    let mut exchanged = vec![[0; N]; from.len()];
    // Tile by tile, so that the lines being written stay in the cache.
    for row_tile in (0..rows).step_by(TILE) {
        for column_tile in (0..columns).step_by(TILE) {
            for column in column_tile..columns.min(column_tile + TILE) {
                let to = &mut exchanged[column * rows..][..rows];
                for row in row_tile..rows.min(row_tile + TILE) {
                    to[row] = from[row * columns + column];
                }
            }
        }
    }
    exchanged.into_flattened()
}
