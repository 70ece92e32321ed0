//! Attention: MIL's `transformers.py`.
//!
//! Flow: rows of the table in `ops.rs`.

use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, element_type};
use crate::limit::VARYING_WIDTH;
use crate::onnx::{AttributeProto, ElementType};
use crate::op::Opset::CoreML8;
use crate::op::{Op, op, opt, req};

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
    if a.has("attn_mask") {
        let mut mask = a.tensor(g, "attn_mask")?;
        if element_type(a.ty("attn_mask")?.data_type)? == ElementType::Bool {
            let (keep, hide) = (g.float(0.0), g.float(f32::NEG_INFINITY));
            mask = g.node("Where", &[&mask, &keep, &hide], Vec::new());
        }
        similarity = g.node("Add", &[&similarity, &mask], Vec::new());
    }
    let weights = g.node("Softmax", &[&similarity], vec![AttributeProto::int("axis", -1)]);
    let y = g.node("MatMul", &[&weights, &value], Vec::new());
    g.give(y);
    Ok(())
}
