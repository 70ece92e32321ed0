//! Pooling: MIL's `pool.py`.
//!
//! Flow: rows of the table in `ops.rs`.

use super::volume;
use super::window::Window;
use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value};
use crate::limit::{NAN_POOLED, VARYING_VOLUME};
use crate::onnx::AttributeProto;
use crate::op::Opset::CoreML5;
use crate::op::{Op, op, opt, req};

/// The rows.
pub(super) const OPS: &[Op] = &[
    op(
        "avg_pool",
        &[CoreML5],
        &[
            opt("exclude_padding_from_average"),
            req("x"),
            req("kernel_sizes"),
            opt("strides"),
            req("pad_type"),
            opt("pad"),
            opt("ceil_mode"),
        ],
        avg_pool,
    )
    .limited(&[VARYING_VOLUME]),
    op(
        "l2_pool",
        &[CoreML5],
        &[
            req("x"),
            req("kernel_sizes"),
            opt("strides"),
            req("pad_type"),
            opt("pad"),
            opt("ceil_mode"),
        ],
        l2_pool,
    )
    .limited(&[VARYING_VOLUME]),
    op(
        "max_pool",
        &[CoreML5],
        &[
            req("x"),
            req("kernel_sizes"),
            opt("strides"),
            req("pad_type"),
            opt("pad"),
            opt("ceil_mode"),
        ],
        max_pool,
    )
    .limited(&[VARYING_VOLUME, NAN_POOLED]),
];

/// Mean of each window.
fn avg_pool(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let count_padding = !a.get_or("exclude_padding_from_average", false)?;
    let y = pool(
        a,
        g,
        "AveragePool",
        &x,
        vec![AttributeProto::int("count_include_pad", i64::from(count_padding))],
    )?;
    g.give(y);
    Ok(())
}

/// Square root of the sum of squares of each window.
fn l2_pool(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let squares = g.node("Mul", &[&x, &x], Vec::new());
    let means =
        pool(a, g, "AveragePool", &squares, vec![AttributeProto::int("count_include_pad", 1)])?;
    let count: i64 = a.need::<Vec<i64>>("kernel_sizes")?.iter().product();
    let sums = g.scale(&means, count as f32);
    let y = g.node("Sqrt", &[&sums], Vec::new());
    g.give(y);
    Ok(())
}

/// Maximum of each window.
fn max_pool(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let x = a.tensor(g, "x")?;
    let y = pool(a, g, "MaxPool", &x, Vec::new())?;
    g.give(y);
    Ok(())
}

/// Appends a pooling node.
fn pool(
    a: &Args<'_, '_>,
    g: &mut Graph,
    op_type: &str,
    x: &Value,
    mut attributes: Vec<AttributeProto>,
) -> Result<Value, OpError> {
    let window = Window::read(a, &a.need::<Vec<i64>>("kernel_sizes")?)?;
    if window.kernel.len() == 3 && !g.dialect().volumes {
        return volume::pool(a, g, op_type, x, &window, &attributes);
    }
    attributes.extend(window.attributes());
    attributes.push(AttributeProto::int("ceil_mode", i64::from(a.get_or("ceil_mode", false)?)));
    Ok(g.node(op_type, &[x], attributes))
}
