//! Elements by index: MIL's `scatter_gather.py`.
//!
//! Flow: rows of the table in `ops.rs`. What happens beyond the end of a dimension is undefined in
//! MIL; engines report an error.

use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value, element_type};
use crate::limit::{INTEGER_DIVISION, Limit, NAN_SCATTERED};
use crate::onnx::{AttributeProto, ElementType};
use crate::op::Opset::{CoreML5, CoreML6, CoreML7};
use crate::op::{Op, Param, op, opt, req};

/// Parameters of `scatter` and `scatter_along_axis`.
const SCATTER: &[Param] = &[req("data"), req("indices"), req("updates"), opt("axis"), opt("mode")];
/// The same since iOS 17.
const SCATTER_7: &[Param] = &[
    req("data"),
    req("indices"),
    req("updates"),
    opt("axis"),
    opt("mode"),
    opt("validate_indices"),
];
/// Parameters of `gather_along_axis`.
const ALONG: &[Param] = &[req("x"), req("indices"), opt("axis")];

/// What scattering cannot express.
const SCATTERING: &[Limit] = &[INTEGER_DIVISION, NAN_SCATTERED];

/// The rows.
pub(super) const OPS: &[Op] = &[
    op("gather", &[CoreML5], &[req("x"), req("indices"), opt("axis")], gather),
    op("gather", &[CoreML6], &[req("x"), req("indices"), opt("axis"), opt("batch_dims")], gather),
    op(
        "gather",
        &[CoreML7],
        &[req("x"), req("indices"), opt("axis"), opt("batch_dims"), opt("validate_indices")],
        gather,
    ),
    op("gather_along_axis", &[CoreML5, CoreML6], ALONG, gather_along_axis),
    op(
        "gather_along_axis",
        &[CoreML7],
        &[req("x"), req("indices"), opt("axis"), opt("validate_indices")],
        gather_along_axis,
    ),
    op("gather_nd", &[CoreML5], &[req("x"), req("indices")], gather_nd),
    op("gather_nd", &[CoreML6], &[req("x"), req("indices"), opt("batch_dims")], gather_nd),
    op(
        "gather_nd",
        &[CoreML7],
        &[req("x"), req("indices"), opt("batch_dims"), opt("validate_indices")],
        gather_nd,
    ),
    op("scatter", &[CoreML5], SCATTER, scatter).limited(SCATTERING),
    op("scatter", &[CoreML7], SCATTER_7, scatter).limited(SCATTERING),
    op("scatter_along_axis", &[CoreML5], SCATTER, scatter_along_axis).limited(SCATTERING),
    op("scatter_along_axis", &[CoreML7], SCATTER_7, scatter_along_axis).limited(SCATTERING),
    op(
        "scatter_nd",
        &[CoreML5],
        &[req("data"), req("indices"), req("updates"), opt("mode")],
        scatter_nd,
    )
    .limited(SCATTERING),
    op(
        "scatter_nd",
        &[CoreML7],
        &[req("data"), req("indices"), req("updates"), opt("mode"), opt("validate_indices")],
        scatter_nd,
    )
    .limited(SCATTERING),
];

/// Slices of `x` along an axis, one for each index; the first dimensions of both may run in step.
fn gather(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (rank, indices_rank) = (a.rank("x")? as i64, a.rank("indices")? as i64);
    let axis = a.axis("axis", 0, rank as usize)?;
    let batch: i64 = a.get_or("batch_dims", 0)?;
    if batch == 0 && axis == 0 && rank == 2 && a.is_stored_transposed(g, "x")? {
        // The embedding of a decoder that makes its logits, too: columns are gathered, and the
        // matrix is not stored twice.
        let (x, indices) = (a.transposed(g, "x")?, a.tensor(g, "indices")?);
        let columns = g.node("Gather", &[&x, &indices], vec![AttributeProto::int("axis", 1)]);
        let perm: Vec<i64> = (1..=indices_rank).chain([0]).collect();
        let y = g.transpose(&columns, &perm);
        g.give(y);
        return Ok(());
    }
    let (x, indices) = (a.tensor(g, "x")?, a.tensor(g, "indices")?);
    if batch == 0 {
        let y = g.node("Gather", &[&x, &indices], vec![AttributeProto::int("axis", axis)]);
        g.give(y);
        return Ok(());
    }
    if batch < 0 || batch > axis || batch > indices_rank {
        return Err(OpError::invalid(format!(
            "its batch_dims {batch} is negative or beyond its axis {axis}"
        )));
    }
    // The axis goes where the dimensions in step end, and the result's dimensions go back behind
    // those it jumped over.
    let perm: Vec<i64> =
        (0..batch).chain([axis]).chain(batch..axis).chain(axis + 1..rank).collect();
    let moved = g.transpose(&x, &perm);
    let single = long(g, &indices);
    let single = g.unsqueeze(&single, &[indices_rank]);
    let gathered =
        g.node("GatherND", &[&moved, &single], vec![AttributeProto::int("batch_dims", batch)]);
    let jumped = indices_rank..indices_rank + axis - batch;
    let rest = jumped.end..indices_rank + rank - batch - 1;
    let back: Vec<i64> = (0..batch).chain(jumped).chain(batch..indices_rank).chain(rest).collect();
    let y = g.transpose(&gathered, &back);
    g.give(y);
    Ok(())
}

/// For each position, the element of `x` there but for one coordinate, which the index gives.
fn gather_along_axis(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, indices) = (a.tensor(g, "x")?, a.tensor(g, "indices")?);
    let axis = AttributeProto::int("axis", a.axis("axis", 0, a.rank("x")?)?);
    let y = g.node("GatherElements", &[&x, &indices], vec![axis]);
    g.give(y);
    Ok(())
}

/// Slices of `x` by several leading coordinates.
fn gather_nd(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, indices) = (a.tensor(g, "x")?, a.tensor(g, "indices")?);
    let indices = long(g, &indices);
    let batch = AttributeProto::int("batch_dims", a.get_or("batch_dims", 0)?);
    let y = g.node("GatherND", &[&x, &indices], vec![batch]);
    g.give(y);
    Ok(())
}

/// How new elements meet old ones.
struct Mode {
    /// ONNX's name for it.
    reduction: &'static str,
    /// The updates, so prepared that the reduction does what the mode says.
    updates: Value,
}

impl Mode {
    /// Reads `mode`, and prepares `updates`.
    fn read(a: &Args<'_, '_>, g: &mut Graph) -> Result<Self, OpError> {
        let updates = a.tensor(g, "updates")?;
        let mode = a.get_or("mode", "add".to_owned())?;
        let float = element_type(a.ty("updates")?.data_type)? == ElementType::Float;
        let (reduction, updates) = match mode.as_str() {
            "update" => ("none", updates),
            "add" => ("add", updates),
            "sub" => ("add", g.node("Neg", &[&updates], Vec::new())),
            "mul" => ("mul", updates),
            "div" if float => ("mul", g.node("Reciprocal", &[&updates], Vec::new())),
            "div" => return Err(INTEGER_DIVISION.error()),
            "max" => ("max", updates),
            "min" => ("min", updates),
            _ => return Err(OpError::unsupported(format!("its mode `{mode}` is unknown"))),
        };
        Ok(Self { reduction, updates })
    }

    /// Returns the attribute of ONNX.
    fn attribute(&self) -> AttributeProto {
        AttributeProto::string("reduction", self.reduction)
    }
}

/// Slices written along an axis, one for each index.
fn scatter(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (data, indices) = (a.tensor(g, "data")?, a.tensor(g, "indices")?);
    let rank = a.rank("data")? as i64;
    let axis = a.axis("axis", 0, rank as usize)?;
    let mode = Mode::read(a, g)?;
    let to_front: Vec<i64> =
        [axis].into_iter().chain((0..rank).filter(|dim| *dim != axis)).collect();
    let back: Vec<i64> = (1..=axis).chain([0]).chain(axis + 1..rank).collect();
    let (data, updates) = (g.transpose(&data, &to_front), g.transpose(&mode.updates, &to_front));
    let indices = long(g, &indices);
    let single = g.unsqueeze(&indices, &[1]);
    let scattered = g.node("ScatterND", &[&data, &single, &updates], vec![mode.attribute()]);
    let y = g.transpose(&scattered, &back);
    g.give(y);
    Ok(())
}

/// Elements written where their own position says but for one coordinate, which the index gives.
fn scatter_along_axis(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (data, indices) = (a.tensor(g, "data")?, a.tensor(g, "indices")?);
    let mode = Mode::read(a, g)?;
    let axis = AttributeProto::int("axis", a.axis("axis", 0, a.rank("data")?)?);
    let y =
        g.node("ScatterElements", &[&data, &indices, &mode.updates], vec![axis, mode.attribute()]);
    g.give(y);
    Ok(())
}

/// Slices written at several leading coordinates.
fn scatter_nd(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (data, indices) = (a.tensor(g, "data")?, a.tensor(g, "indices")?);
    let mode = Mode::read(a, g)?;
    let indices = long(g, &indices);
    let y = g.node("ScatterND", &[&data, &indices, &mode.updates], vec![mode.attribute()]);
    g.give(y);
    Ok(())
}

/// Returns indices as the 64-bit integers that some ONNX operators insist on.
fn long(g: &mut Graph, indices: &Value) -> Value {
    g.cast(indices, ElementType::Int64)
}
