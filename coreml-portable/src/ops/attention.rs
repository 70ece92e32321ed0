//! Attention: MIL's `transformers.py`.
//!
//! Flow: rows of the table in `ops.rs`.

use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value, element_type};
use crate::limit::VARYING_WIDTH;
use crate::onnx::{AttributeProto, ElementType};
use crate::op::Opset::CoreML8;
use crate::op::{Op, op, opt, req};
use coreml_spec::DataType;

/// The rows.
pub(super) const OPS: &[Op] = &[op(
    "scaled_dot_product_attention",
    &[CoreML8],
    &[req("query"), req("key"), req("value"), opt("attn_mask")],
    scaled_dot_product_attention,
)
.limited(&[VARYING_WIDTH])];

/// `softmax(query · keyᵀ / √E + mask) · value`, in the form that engines recognize and fuse.
fn scaled_dot_product_attention(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (query, key, value) = (a.tensor(g, "query")?, a.tensor(g, "key")?, a.tensor(g, "value")?);
    let ty = a.ty("query")?;
    let rank = ty.rank();
    let Some(&[_, width]) = ty.dims.get(rank.wrapping_sub(2)..) else {
        return Err(OpError::invalid("its query has fewer than two dimensions"));
    };
    let width = width.ok_or_else(|| VARYING_WIDTH.error())?;
    let mut perm: Vec<i64> = (0..rank as i64).collect();
    perm.swap(rank - 1, rank - 2);
    let key = g.transpose(&key, &perm);
    let similarity = g.node("MatMul", &[&query, &key], Vec::new());
    let mut similarity = g.scale(&similarity, 1.0 / (width as f32).sqrt());
    let mask = if a.has("attn_mask") { Some(Mask::read(a, g)?) } else { None };
    if let Some(mask) = &mask {
        similarity = g.node("Add", &[&similarity, &mask.added], Vec::new());
    }
    let weights = g.node("Softmax", &[&similarity], vec![AttributeProto::int("axis", -1)]);
    let mut y = g.node("MatMul", &[&weights, &value], Vec::new());
    if let Some(rows) = mask.and_then(|mask| mask.rows) {
        y = g.node("Mul", &[&y, &rows], Vec::new());
    }
    g.give(y);
    Ok(())
}

/// What a mask does. A row that hides everything gives 0, as in PyTorch; the softmax of such a row
/// would be NaN.
struct Mask {
    /// What is added to the similarities, nowhere −∞ along a whole row.
    added: Value,
    /// 0 for each row that hides everything and 1 for the others; `None` when there is no such row.
    rows: Option<Value>,
}

impl Mask {
    /// Reads the argument `attn_mask`.
    fn read(a: &Args<'_, '_>, g: &mut Graph) -> Result<Self, OpError> {
        let (mask, ty) = (a.tensor(g, "attn_mask")?, a.ty("attn_mask")?);
        let is_bool = element_type(ty.data_type)? == ElementType::Bool;
        let (zero, hide) = (g.float(0.0), g.float(f32::NEG_INFINITY));
        let added = if is_bool {
            g.node("Where", &[&mask, &zero, &hide], Vec::new())
        } else {
            mask.clone()
        };
        if a.is_constant("attn_mask") && !hides_a_row(a)? {
            return Ok(Self { added, rows: None });
        }
        let shown = if is_bool {
            mask
        } else {
            let hidden = g.node("Equal", &[&mask, &hide], Vec::new());
            g.node("Not", &[&hidden], Vec::new())
        };
        let shown = g.cast(&shown, ElementType::Float);
        let count = g.reduce("ReduceSum", &shown, &[ty.rank() as i64 - 1], true);
        let shows = g.node("Greater", &[&count, &zero], Vec::new());
        let added = g.node("Where", &[&shows, &added, &zero], Vec::new());
        Ok(Self { added, rows: Some(g.cast(&shows, ElementType::Float)) })
    }
}

/// Returns whether a row of the constant mask hides everything.
fn hides_a_row(a: &Args<'_, '_>) -> Result<bool, OpError> {
    let Some(mask) = a.constant("attn_mask")? else { return Ok(false) };
    let width = mask.dims.last().copied().unwrap_or(1).max(1);
    let hidden: Option<Vec<bool>> = if mask.data_type == DataType::Bool {
        mask.to_i64s().map(|shown| shown.iter().map(|shown| *shown == 0).collect())
    } else {
        mask.to_f32s().map(|added| added.iter().map(|added| *added == f32::NEG_INFINITY).collect())
    };
    // A mask that cannot be read here is treated as one that is computed.
    Ok(hidden.is_none_or(|hidden| hidden.chunks(width).any(|row| row.iter().all(|hidden| *hidden))))
}
