//! Parts of tensors by position: `slice_by_index`, `slice_by_size`, `select` and their kin.
//!
//! Flow: rows of the table in `ops.rs`.

use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value, element_type};
use crate::onnx::AttributeProto;
use crate::op::Opset::{CoreML5, CoreML7, CoreML8};
use crate::op::{Op, Param, op, opt, req};

/// Beyond the end of any dimension. 32 bits, since some engines keep positions in them.
const END: i64 = i32::MAX as i64;
/// Before the beginning of any dimension, for slices that run backwards.
const BEFORE: i64 = -END;
/// Longest dimension whose positions stand in the graph as a list.
const LONGEST_LISTED: usize = 1 << 12;

/// Parameters of `slice_by_index`.
const BY_INDEX: &[Param] = &[
    req("x"),
    req("begin"),
    req("end"),
    opt("stride"),
    opt("begin_mask"),
    opt("end_mask"),
    opt("squeeze_mask"),
];
/// Parameters of `slice_by_size`.
const BY_SIZE: &[Param] = &[req("x"), req("begin"), req("size")];

/// Parameters of `slice_update`.
const UPDATE: &[Param] = &[
    req("x"),
    req("update"),
    req("begin"),
    req("end"),
    opt("stride"),
    opt("begin_mask"),
    opt("end_mask"),
    opt("squeeze_mask"),
];

/// The rows.
pub(super) const OPS: &[Op] = &[
    op("select", &[CoreML5], &[req("cond"), req("a"), req("b")], select),
    op("slice_by_index", &[CoreML5, CoreML7], BY_INDEX, slice_by_index),
    op("slice_by_size", &[CoreML5, CoreML7], BY_SIZE, slice_by_size),
    op("slice_update", &[CoreML8], UPDATE, slice_update),
];

/// Elements of `a` where the condition holds, of `b` elsewhere.
fn select(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (condition, x, y) = (a.tensor(g, "cond")?, a.tensor(g, "a")?, a.tensor(g, "b")?);
    let z = g.choose(&condition, &x, &y, element_type(a.ty("a")?.data_type)?);
    g.give(z);
    Ok(())
}

/// A strided range of each dimension, as in NumPy.
fn slice_by_index(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let range = Range::read(a, g)?;
    let sliced = range.slice(g, &x);
    let y = g.squeeze(&sliced, &range.squeezed);
    g.give(y);
    Ok(())
}

/// Ranges of all dimensions of a tensor, as `slice_by_index` and `slice_update` describe them.
pub(super) struct Range {
    /// First positions, as a vector.
    pub(super) starts: Value,
    /// Positions after the last ones, as a vector.
    pub(super) ends: Value,
    /// Steps.
    pub(super) strides: Vec<i64>,
    /// Dimensions of which one position is taken, and which vanish.
    pub(super) squeezed: Vec<i64>,
}

impl Range {
    /// Reads `begin`, `end`, `stride` and the masks.
    pub(super) fn read(a: &Args<'_, '_>, g: &mut Graph) -> Result<Self, OpError> {
        let rank = a.rank("x")?;
        let mut strides: Vec<i64> = a.get_or("stride", vec![1; rank])?;
        let begin_mask: Vec<bool> = a.get_or("begin_mask", vec![false; rank])?;
        let end_mask: Vec<bool> = a.get_or("end_mask", vec![false; rank])?;
        let squeeze_mask: Vec<bool> = a.get_or("squeeze_mask", vec![false; rank])?;
        if [strides.len(), begin_mask.len(), end_mask.len(), squeeze_mask.len()] != [rank; 4] {
            return Err(OpError::invalid("its stride or masks do not fit its input"));
        }
        if strides.contains(&0) {
            return Err(OpError::invalid("its stride is zero"));
        }
        (0..rank).filter(|i| squeeze_mask[*i]).for_each(|i| strides[i] = 1);
        let squeezed = (0..rank).filter(|i| squeeze_mask[*i]).map(|i| i as i64).collect();
        let first = |i: usize| if strides[i] > 0 { 0 } else { END };
        let last = |i: usize| if strides[i] > 0 { END } else { BEFORE };
        if a.is_constant("begin") && a.is_constant("end") {
            let (mut starts, mut ends): (Vec<i64>, Vec<i64>) = (a.need("begin")?, a.need("end")?);
            if starts.len() != rank || ends.len() != rank {
                return Err(OpError::invalid("its begin or end does not fit its input"));
            }
            for i in 0..rank {
                if begin_mask[i] {
                    starts[i] = first(i);
                }
                if end_mask[i] {
                    ends[i] = last(i);
                }
                if squeeze_mask[i] {
                    ends[i] = if starts[i] == -1 { END } else { starts[i] + 1 };
                }
            }
            return Ok(Self { starts: g.ints(&starts), ends: g.ints(&ends), strides, squeezed });
        }
        let (begin, end) = (a.shape_tensor(g, "begin")?, a.shape_tensor(g, "end")?);
        let starts = replaced(g, &begin, &begin_mask, first);
        let ends = replaced(g, &end, &end_mask, last);
        let ends = if squeeze_mask.contains(&true) {
            let (one, minus_one, beyond) = (g.int(1), g.int(-1), g.int(END));
            let next = g.node("Add", &[&starts, &one], Vec::new());
            let at_end = g.node("Equal", &[&starts, &minus_one], Vec::new());
            let next = g.node("Where", &[&at_end, &beyond, &next], Vec::new());
            let mask = g.bools(&squeeze_mask);
            g.node("Where", &[&mask, &next, &ends], Vec::new())
        } else {
            ends
        };
        Ok(Self { starts, ends, strides, squeezed })
    }

    /// Takes the range of a tensor, with all dimensions kept.
    pub(super) fn slice(&self, g: &mut Graph, x: &Value) -> Value {
        let axes: Vec<i64> = (0..self.strides.len() as i64).collect();
        let (axes, steps) = (g.ints(&axes), g.ints(&self.strides));
        g.node("Slice", &[x, &self.starts, &self.ends, &axes, &steps], Vec::new())
    }
}

/// Returns a vector with the masked elements replaced.
fn replaced(g: &mut Graph, x: &Value, mask: &[bool], with: impl Fn(usize) -> i64) -> Value {
    if !mask.contains(&true) {
        return x.clone();
    }
    let replacements = g.ints(&(0..mask.len()).map(with).collect::<Vec<_>>());
    let mask = g.bools(mask);
    g.node("Where", &[&mask, &replacements, x], Vec::new())
}

/// A number of positions of each dimension from a first one; -1 for all that follow.
fn slice_by_size(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let rank = a.rank("x")?;
    let (starts, ends) = if a.is_constant("begin") && a.is_constant("size") {
        let (starts, sizes): (Vec<i64>, Vec<i64>) = (a.need("begin")?, a.need("size")?);
        if starts.len() != rank || sizes.len() != rank {
            return Err(OpError::invalid("its begin or size does not fit its input"));
        }
        // From the end, position 0 is beyond the last.
        let end = |start: i64, size: i64| match start + size {
            _ if size == -1 => END,
            0 if start < 0 => END,
            end => end,
        };
        let ends: Vec<i64> =
            starts.iter().zip(&sizes).map(|(start, size)| end(*start, *size)).collect();
        (g.ints(&starts), g.ints(&ends))
    } else {
        let (begin, size) = (a.shape_tensor(g, "begin")?, a.shape_tensor(g, "size")?);
        let (zero, minus_one, beyond) = (g.int(0), g.int(-1), g.int(END));
        let shape = g.shape(&x);
        let from_end = g.node("Less", &[&begin, &zero], Vec::new());
        let wrapped = g.node("Add", &[&begin, &shape], Vec::new());
        let starts = g.node("Where", &[&from_end, &wrapped, &begin], Vec::new());
        let ends = g.node("Add", &[&starts, &size], Vec::new());
        let rest = g.node("Equal", &[&size, &minus_one], Vec::new());
        (starts, g.node("Where", &[&rest, &beyond, &ends], Vec::new()))
    };
    let y = g.node("Slice", &[&x, &starts, &ends], Vec::new());
    g.give(y);
    Ok(())
}

/// A tensor with a strided range of each dimension replaced.
///
/// The range becomes row numbers of a matrix whose rows are the longest unbroken pieces: those
/// after the last dimension that is not taken whole. That is one scatter, which engines do in
/// place, and no index for each element.
fn slice_update(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, update) = (a.tensor(g, "x")?, a.tensor(g, "update")?);
    let rank = a.rank("x")?;
    let range = Range::read(a, g)?;
    let update = g.unsqueeze(&update, &range.squeezed);
    let begin_mask: Vec<bool> = a.get_or("begin_mask", vec![false; rank])?;
    let end_mask: Vec<bool> = a.get_or("end_mask", vec![false; rank])?;
    let whole = |i: usize| {
        begin_mask[i]
            && end_mask[i]
            && range.strides[i] == 1
            && !range.squeezed.contains(&(i as i64))
    };
    let Some(last) = (0..rank).rev().find(|i| !whole(*i)) else {
        g.give(update);
        return Ok(());
    };
    let dims = a.ty("x")?.dims;
    // Sizes that are known need no nodes, which cost time whenever the model is loaded.
    let known = |from: usize| {
        dims[from..].iter().map(|size| size.map(|size| size as i64)).collect::<Option<Vec<i64>>>()
    };
    let shape = if let Some(sizes) = known(0) { g.ints(&sizes) } else { g.shape(&x) };
    let mut rows: Option<Value> = None;
    for (i, known_size) in dims.iter().enumerate().take(last + 1) {
        let axis = i as i64;
        let (size, positions) = match *known_size {
            Some(size) if size <= LONGEST_LISTED => {
                (g.int(size as i64), g.ints(&(0..size as i64).collect::<Vec<_>>()))
            }
            _ => {
                let size = g.slice(&shape, &[axis], &[axis + 1], &[0], &[1]);
                let size = g.squeeze(&size, &[0]);
                let (zero, one) = (g.int(0), g.int(1));
                let positions = g.node("Range", &[&zero, &size, &one], Vec::new());
                (size, positions)
            }
        };
        let taken = if whole(i) {
            positions
        } else {
            let start = g.slice(&range.starts, &[axis], &[axis + 1], &[0], &[1]);
            let end = g.slice(&range.ends, &[axis], &[axis + 1], &[0], &[1]);
            let (first, step) = (g.ints(&[0]), g.ints(&[range.strides[i]]));
            g.node("Slice", &[&positions, &start, &end, &first, &step], Vec::new())
        };
        rows = Some(match rows {
            None => taken,
            Some(rows) => {
                let scaled = g.node("Mul", &[&rows, &size], Vec::new());
                let column = g.unsqueeze(&scaled, &[axis]);
                g.node("Add", &[&column, &taken], Vec::new())
            }
        });
    }
    let Some(rows) = rows else { return Err(OpError::invalid("its input is a scalar")) };
    let rows = g.unsqueeze(&rows, &[last as i64 + 1]);
    let matrix_shape = if let Some(piece) = known(last + 1) {
        g.ints(&[&[-1], piece.as_slice()].concat())
    } else {
        let piece = g.slice(&shape, &[last as i64 + 1], &[END], &[0], &[1]);
        let all = g.ints(&[-1]);
        g.concat(&[&all, &piece], 0)
    };
    let matrix = g.node("Reshape", &[&x, &matrix_shape], Vec::new());
    let scattered = g.node(
        "ScatterND",
        &[&matrix, &rows, &update],
        vec![AttributeProto::string("reduction", "none")],
    );
    let y = g.node("Reshape", &[&scattered, &shape], Vec::new());
    g.give(y);
    Ok(())
}
