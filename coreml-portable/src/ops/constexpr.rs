//! Constants, and the compressed forms of weights: quantized, palettized, sparse, and their
//! combinations (MIL's `constexpr_ops.py` of iOS 16 and `compression.py` of iOS 18).
//!
//! Flow: rows of the table in `ops.rs`. Weights are expanded while the graph is built; there is no
//! compressed computation.

use crate::constant::{Arguments, Expanded};
use crate::error::OpError;
use crate::limit::{LONG_VECTOR, NEVER_WRITTEN};
use crate::op::Opset::{CoreML5, CoreML6, CoreML8};
use crate::op::{Emit, Op, Param, constant, op, opt, req};
use coreml_spec::Constant;

/// Longest vector of a look-up table. coremltools makes vectors of up to 8; the limit keeps a small
/// file from becoming a huge weight.
const LONGEST_VECTOR: usize = 256;

/// Parameters of `constexpr_cast`.
const CAST: &[Param] = &[req("source_val"), req("output_dtype")];

/// The rows.
pub(super) const OPS: &[Op] = &[
    Op {
        name: "const",
        versions: &[CoreML5],
        params: &[req("val")],
        limits: &[],
        emit: Emit::Literal,
    },
    op("_const_symbolic", &[CoreML5], &[req("val")], |_, _| Err(NEVER_WRITTEN.error()))
        .limited(&[NEVER_WRITTEN]),
    constant(
        "constexpr_affine_dequantize",
        &[CoreML6],
        &[req("quantized_data"), req("zero_point"), req("scale"), req("axis")],
        affine_dequantize,
    ),
    constant(
        "constexpr_blockwise_shift_scale",
        &[CoreML8],
        &[req("data"), req("scale"), opt("offset")],
        blockwise_shift_scale,
    ),
    constant("constexpr_cast", &[CoreML6, CoreML8], CAST, cast),
    constant(
        "constexpr_lut_to_dense",
        &[CoreML6],
        &[req("indices"), req("lut"), req("shape")],
        packed_lut_to_dense,
    ),
    constant(
        "constexpr_lut_to_dense",
        &[CoreML8],
        &[req("indices"), req("lut"), opt("vector_axis")],
        lut_to_dense,
    )
    .limited(&[LONG_VECTOR]),
    constant(
        "constexpr_lut_to_sparse",
        &[CoreML8],
        &[req("indices_mask"), req("indices_nonzero_data"), req("lut"), opt("vector_axis")],
        lut_to_sparse,
    )
    .limited(&[LONG_VECTOR]),
    constant(
        "constexpr_sparse_blockwise_shift_scale",
        &[CoreML8],
        &[req("data_mask"), req("nonzero_data"), req("scale"), opt("offset")],
        sparse_blockwise_shift_scale,
    ),
    constant(
        "constexpr_sparse_to_dense",
        &[CoreML6],
        &[req("nonzero_data"), req("mask"), req("shape")],
        packed_sparse_to_dense,
    ),
    constant(
        "constexpr_sparse_to_dense",
        &[CoreML8],
        &[req("nonzero_data"), req("mask")],
        sparse_to_dense,
    ),
];

/// Returns the elements of a constant, whatever their type.
fn numbers(constant: &Constant<'_>) -> Result<Vec<f32>, OpError> {
    constant.to_f32s().ok_or_else(|| OpError::invalid("an argument is text"))
}

/// Returns the elements of a constant of integers.
fn integers(constant: &Constant<'_>) -> Result<Vec<usize>, OpError> {
    let elements =
        constant.to_i64s().ok_or_else(|| OpError::invalid("an argument is not of integers"))?;
    let natural = elements.into_iter().map(usize::try_from).collect::<Result<_, _>>();
    natural.map_err(|_| OpError::invalid("an argument has negative elements"))
}

/// `scale · (data − zero_point)`, with one scale and zero point, or one for each position along an
/// axis.
fn affine_dequantize(a: &Arguments<'_>) -> Result<Vec<Expanded>, OpError> {
    let data = a.need("quantized_data")?;
    let (scale, zero_point) = (numbers(&*a.need("scale")?)?, numbers(&*a.need("zero_point")?)?);
    let rank = data.dims.len();
    let axis = a.need("axis")?.to_i64s().and_then(|axis| axis.first().copied()).unwrap_or(0);
    let axis = crate::args::normalized(axis, rank)? as usize;
    let size = data.dims.get(axis).copied().unwrap_or(1);
    let after: usize = data.dims.iter().skip(axis + 1).product();
    let pick = |vector: &[f32], position: usize| match vector {
        [only] => Some(*only),
        _ if vector.len() == size => vector.get(position).copied(),
        _ => None,
    };
    let mut elements = numbers(&data)?;
    for (index, element) in elements.iter_mut().enumerate() {
        let position = index / after % size;
        let (Some(scale), Some(zero_point)) = (pick(&scale, position), pick(&zero_point, position))
        else {
            return Err(OpError::invalid(format!(
                "its scale or zero point does not fit the axis of {size}"
            )));
        };
        *element = scale * (*element - zero_point);
    }
    Ok(vec![Expanded { dims: data.dims.clone(), elements }])
}

/// `scale · (data − offset)`, with a scale and offset for each block.
fn blockwise_shift_scale(a: &Arguments<'_>) -> Result<Vec<Expanded>, OpError> {
    let data = a.need("data")?;
    let elements = shift_scale(a, &data.dims, numbers(&data)?)?;
    Ok(vec![Expanded { dims: data.dims.clone(), elements }])
}

/// Applies `scale` and `offset` to elements of shape `dims`.
fn shift_scale(
    a: &Arguments<'_>,
    dims: &[usize],
    mut elements: Vec<f32>,
) -> Result<Vec<f32>, OpError> {
    let scale = a.need("scale")?;
    let blocks = Blocks::new(dims, &scale.dims)?;
    let scales = numbers(&scale)?;
    let offsets = a
        .get("offset")?
        .map(|offset| numbers(&offset))
        .transpose()?
        .unwrap_or_else(|| vec![0.0; scales.len()]);
    if offsets.len() != scales.len() {
        return Err(OpError::invalid("its offset and scale differ in shape"));
    }
    for (index, element) in elements.iter_mut().enumerate() {
        let block = blocks.of(index);
        *element = scales[block] * (*element - offsets[block]);
    }
    Ok(elements)
}

/// The same numbers in another precision.
fn cast(a: &Arguments<'_>) -> Result<Vec<Expanded>, OpError> {
    let source = a.need("source_val")?;
    Ok(vec![Expanded { dims: source.dims.clone(), elements: numbers(&source)? }])
}

/// A table's elements by packed indices.
fn packed_lut_to_dense(a: &Arguments<'_>) -> Result<Vec<Expanded>, OpError> {
    let (lut, indices, dims) =
        (numbers(&*a.need("lut")?)?, a.need("indices")?, integers(&*a.need("shape")?)?);
    let bits = lut.len().trailing_zeros() as usize;
    if !lut.len().is_power_of_two() || !(1..=8).contains(&bits) {
        return Err(OpError::invalid(format!("its table has {} entries", lut.len())));
    }
    let codes = unpacked(&indices.bytes, bits, &dims)?;
    let elements = codes.into_iter().map(|code| lut[usize::from(code)]).collect();
    Ok(vec![Expanded { dims, elements }])
}

/// A table's elements or vectors by indices, with tables for groups.
fn lut_to_dense(a: &Arguments<'_>) -> Result<Vec<Expanded>, OpError> {
    let indices = a.need("indices")?;
    Ok(vec![look_up(a, &indices.dims, &integers(&indices)?)?])
}

/// Looks indices of shape `dims` up in `lut`.
fn look_up(a: &Arguments<'_>, dims: &[usize], indices: &[usize]) -> Result<Expanded, OpError> {
    let lut = a.need("lut")?;
    let rank = dims.len();
    let (Some(groups), Some(&[entries, width])) = (lut.dims.get(..rank), lut.dims.get(rank..))
    else {
        return Err(OpError::invalid("the rank of its table is not that of its indices and two"));
    };
    if width > LONGEST_VECTOR {
        return Err(LONG_VECTOR.error());
    }
    let blocks = Blocks::new(dims, groups)?;
    let table = numbers(&lut)?;
    let entry = |index: usize, lane: usize| {
        let code = indices[index];
        if code >= entries {
            return Err(OpError::invalid(format!(
                "an index is {code}, but its table has {entries} entries"
            )));
        }
        Ok(table[(blocks.of(index) * entries + code) * width + lane])
    };
    let mut dims = dims.to_vec();
    let axis = a.get("vector_axis")?.and_then(|axis| axis.to_i64s()?.first().copied());
    let after: usize = match axis {
        Some(axis) => {
            let axis = crate::args::normalized(axis, rank)? as usize;
            dims[axis] = dims[axis].saturating_mul(width);
            dims.iter().skip(axis + 1).product()
        }
        None if width == 1 => 1,
        None => return Err(OpError::invalid("its table has vectors, but there is no vector_axis")),
    };
    // The elements of a vector lie `after` apart: [.., position, after] of indices becomes [..,
    // position, lane, after].
    let mut elements = Vec::with_capacity(indices.len() * width);
    for start in (0..indices.len()).step_by(after.max(1)) {
        for lane in 0..width {
            for index in start..start + after {
                elements.push(entry(index, lane)?);
            }
        }
    }
    Ok(Expanded { dims, elements })
}

/// A mask and the table's elements where it is set.
fn lut_to_sparse(a: &Arguments<'_>) -> Result<Vec<Expanded>, OpError> {
    let (mask, codes) = (a.need("indices_mask")?, a.need("indices_nonzero_data")?);
    let set = integers(&mask)?;
    let indices: Vec<f32> = spread(&set, &numbers(&codes)?)?;
    let indices: Vec<usize> = indices.into_iter().map(|code| code as usize).collect();
    let dense = look_up(a, &mask.dims, &indices)?;
    // The mask is widened as the indices are: looked up in a table whose vectors are all 0 or all
    // 1.
    let width = dense.elements.len().checked_div(set.len()).unwrap_or(1);
    let axis = a.get("vector_axis")?.and_then(|axis| axis.to_i64s()?.first().copied());
    let axis = axis.map_or(Ok(0), |axis| crate::args::normalized(axis, mask.dims.len()))? as usize;
    let after: usize = mask.dims.iter().skip(axis + 1).product();
    let chunks = set.chunks(after.max(1));
    let wide: Vec<f32> = chunks
        .flat_map(|chunk| std::iter::repeat_n(chunk, width).flatten())
        .map(|bit| *bit as f32)
        .collect();
    let kept: Vec<f32> =
        dense.elements.iter().zip(&wide).filter(|(_, bit)| **bit != 0.0).map(|(x, _)| *x).collect();
    Ok(vec![
        Expanded { dims: dense.dims, elements: wide },
        Expanded { dims: vec![kept.len()], elements: kept },
    ])
}

/// A mask and the scaled elements where it is set.
fn sparse_blockwise_shift_scale(a: &Arguments<'_>) -> Result<Vec<Expanded>, OpError> {
    let (mask, data) = (a.need("data_mask")?, a.need("nonzero_data")?);
    let set = integers(&mask)?;
    let dense = shift_scale(a, &mask.dims, spread(&set, &numbers(&data)?)?)?;
    let kept: Vec<f32> =
        dense.into_iter().zip(&set).filter(|(_, bit)| **bit != 0).map(|(x, _)| x).collect();
    let mask = Expanded {
        dims: mask.dims.clone(),
        elements: set.into_iter().map(|bit| bit as f32).collect(),
    };
    Ok(vec![mask, Expanded { dims: vec![kept.len()], elements: kept }])
}

/// Elements where a packed mask is set, zero elsewhere.
fn packed_sparse_to_dense(a: &Arguments<'_>) -> Result<Vec<Expanded>, OpError> {
    let (data, mask, dims) =
        (a.need("nonzero_data")?, a.need("mask")?, integers(&*a.need("shape")?)?);
    let set: Vec<usize> = unpacked(&mask.bytes, 1, &dims)?.into_iter().map(usize::from).collect();
    Ok(vec![Expanded { dims, elements: spread(&set, &numbers(&data)?)? }])
}

/// Elements where a mask is set, zero elsewhere.
fn sparse_to_dense(a: &Arguments<'_>) -> Result<Vec<Expanded>, OpError> {
    let (data, mask) = (a.need("nonzero_data")?, a.need("mask")?);
    let elements = spread(&integers(&mask)?, &numbers(&data)?)?;
    Ok(vec![Expanded { dims: mask.dims.clone(), elements }])
}

/// Returns elements placed where a mask is set.
fn spread(mask: &[usize], elements: &[f32]) -> Result<Vec<f32>, OpError> {
    if mask.iter().filter(|bit| **bit != 0).count() != elements.len() {
        return Err(OpError::invalid("its mask has not as many bits set as there are elements"));
    }
    let mut rest = elements.iter();
    Ok(mask
        .iter()
        .map(|bit| if *bit == 0 { 0.0 } else { rest.next().copied().unwrap_or(0.0) })
        .collect())
}

/// Returns codes of `bits` bits, packed low bits first, for a tensor of shape `dims`.
fn unpacked(bytes: &[u8], bits: usize, dims: &[usize]) -> Result<Vec<u8>, OpError> {
    let count = dims.iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
    let wanted = count.and_then(|count| count.checked_mul(bits)).map(|bits| bits.div_ceil(8));
    let (Some(count), true) = (count, wanted == Some(bytes.len())) else {
        return Err(OpError::invalid(format!(
            "{} bytes do not hold the shape {dims:?}",
            bytes.len()
        )));
    };
    let code = |index: usize| {
        let first = index * bits;
        let byte = |at: usize| u16::from(bytes.get(at).copied().unwrap_or(0));
        let window = byte(first / 8) | byte(first / 8 + 1) << 8;
        (window >> (first % 8) & ((1 << bits) - 1)) as u8
    };
    Ok((0..count).map(code).collect())
}

/// Which block each element of a tensor belongs to, when each dimension is cut into equal parts.
struct Blocks {
    /// For each dimension: product of the sizes after it, its own size, size of a part, and product
    /// of the numbers of parts after it.
    dims: Vec<(usize, usize, usize, usize)>,
}

impl Blocks {
    /// Cuts a tensor of shape `dims` into `parts` along each dimension.
    fn new(dims: &[usize], parts: &[usize]) -> Result<Self, OpError> {
        let fits = |(size, parts): (&usize, &usize)| *parts > 0 && size % parts == 0;
        if dims.len() != parts.len() || !dims.iter().zip(parts).all(fits) {
            return Err(OpError::invalid(format!("the shape {dims:?} has no {parts:?} blocks")));
        }
        let (mut after, mut parts_after, mut cut) = (1, 1, Vec::with_capacity(dims.len()));
        for (size, parts) in dims.iter().zip(parts).rev() {
            cut.push((after, *size, size / parts, parts_after));
            (after, parts_after) = (after * size, parts_after * parts);
        }
        Ok(Self { dims: cut })
    }

    /// Returns the number of the block of an element.
    fn of(&self, index: usize) -> usize {
        self.dims
            .iter()
            .map(|(after, size, part, parts_after)| index / after % size / part * parts_after)
            .sum()
    }
}
