//! Convolutions: MIL's `conv.py`.
//!
//! Flow: rows of the table in `ops.rs`; `window.rs` has the arithmetic of windows, and `volume.rs`
//! three spatial dimensions for engines without them.

use super::volume;
use super::window::{Window, fixed};
use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value};
use crate::limit::{Limit, VARYING_OUTPUT_SHAPE, VARYING_VOLUME};
use crate::onnx::AttributeProto;
use crate::op::Opset::{CoreML5, CoreML7};
use crate::op::{Op, Param, op, opt, req};

/// Parameters of `conv`.
const CONV: &[Param] = &[
    req("x"),
    req("weight"),
    opt("bias"),
    opt("strides"),
    opt("pad_type"),
    opt("pad"),
    opt("dilations"),
    opt("groups"),
];
/// Parameters of `conv_transpose`.
const CONV_TRANSPOSE: &[Param] = &[
    req("x"),
    req("weight"),
    opt("bias"),
    opt("pad"),
    opt("output_shape"),
    opt("pad_type"),
    opt("strides"),
    opt("dilations"),
    opt("groups"),
];

/// What a convolution cannot express.
const CONV_LIMITS: &[Limit] = &[VARYING_VOLUME];
/// What a transposed convolution cannot express.
const CONV_TRANSPOSE_LIMITS: &[Limit] = &[VARYING_OUTPUT_SHAPE, VARYING_VOLUME];

/// The rows.
pub(super) const OPS: &[Op] = &[
    op("conv", &[CoreML5, CoreML7], CONV, conv).limited(CONV_LIMITS),
    op("conv_transpose", &[CoreML5, CoreML7], CONV_TRANSPOSE, conv_transpose)
        .limited(CONV_TRANSPOSE_LIMITS),
];

/// Convolution over one to three spatial dimensions.
fn conv(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let weight = a.tensor(g, "weight")?;
    convolution(a, g, &weight)
}

/// Convolution with a weight whose type is that of the argument `weight`.
pub(super) fn convolution(a: &Args<'_, '_>, g: &mut Graph, weight: &Value) -> Result<(), OpError> {
    let (x, bias) = (a.tensor(g, "x")?, a.optional(g, "bias")?);
    let kernel =
        fixed(&a.ty("weight")?.dims[2.min(a.rank("weight")?)..]).ok_or_else(varying_kernel)?;
    let (window, groups) = (Window::read(a, &kernel)?, a.get_or("groups", 1)?);
    let y = if kernel.len() == 3 && !g.dialect().volumes {
        volume::convolve(a, g, [&x, weight, &bias], &window, groups)?
    } else {
        let mut attributes = window.attributes();
        attributes.push(AttributeProto::int("group", groups));
        let inputs =
            if bias.name().is_empty() { vec![&x, weight] } else { vec![&x, weight, &bias] };
        g.node("Conv", &inputs, attributes)
    };
    g.give(y);
    Ok(())
}

/// Transposed convolution: the gradient of `conv` with respect to its input.
fn conv_transpose(a: &Args<'_, '_>, g: &mut Graph) -> Result<(), OpError> {
    let (x, weight, bias) = (a.tensor(g, "x")?, a.tensor(g, "weight")?, a.optional(g, "bias")?);
    let kernel =
        fixed(&a.ty("weight")?.dims[2.min(a.rank("weight")?)..]).ok_or_else(varying_kernel)?;
    let spatial = kernel.len();
    let strides: Vec<i64> = a.get_or("strides", vec![1; spatial])?;
    let dilations: Vec<i64> = a.get_or("dilations", vec![1; spatial])?;
    let mut pads: Vec<i64> = a.get_or("pad", vec![0; 2 * spatial])?;
    if strides.len() != spatial || dilations.len() != spatial || pads.len() != 2 * spatial {
        return Err(OpError::invalid("its strides, dilations or padding do not fit its kernel"));
    }
    let pad_type = a.get_or("pad_type", "valid".to_owned())?;
    let extents: Vec<i64> = (0..spatial).map(|i| (kernel[i] - 1) * dilations[i] + 1).collect();
    match pad_type.as_str() {
        "custom" => {}
        "valid" => pads.fill(0),
        // The output is `stride` times the input: what the kernel reaches beyond is cut off, the
        // odd one at the end.
        "same" => {
            for i in 0..spatial {
                let excess = (extents[i] - strides[i]).max(0);
                (pads[2 * i], pads[2 * i + 1]) = (excess / 2, excess - excess / 2);
            }
        }
        _ => return Err(OpError::unsupported(format!("its pad_type `{pad_type}` is unknown"))),
    }
    let mut output_padding = vec![0; spatial];
    if pad_type == "same" {
        (0..spatial).for_each(|i| output_padding[i] = (strides[i] - extents[i]).max(0));
    }
    if let Some(shape) = a.get::<Vec<i64>>("output_shape")? {
        let x_dims = fixed(&a.ty("x")?.dims[2.min(a.rank("x")?)..])
            .ok_or_else(|| VARYING_OUTPUT_SHAPE.error())?;
        if shape.len() != spatial + 2 || x_dims.len() != spatial {
            return Err(OpError::invalid("its output_shape does not fit its kernel"));
        }
        for i in 0..spatial {
            let natural = (x_dims[i] - 1) * strides[i] + extents[i] - pads[2 * i] - pads[2 * i + 1];
            output_padding[i] = shape[i + 2] - natural;
            if output_padding[i] < 0 {
                // A smaller output than the formula's: cut more off the end.
                pads[2 * i + 1] -= output_padding[i];
                output_padding[i] = 0;
            }
        }
    }
    // ONNX wants output padding below the stride; a larger one is less cutting at the end.
    for i in 0..spatial {
        let kept = output_padding[i].min(pads[2 * i + 1]);
        pads[2 * i + 1] -= kept;
        output_padding[i] -= kept;
    }
    let (begins, ends) = (pads.iter().step_by(2), pads.iter().skip(1).step_by(2));
    let pads = Some(begins.chain(ends).copied().collect());
    let window = Window { kernel, strides, dilations, pads, lower: false };
    let groups = a.get_or("groups", 1)?;
    let y = if spatial == 3 && !g.dialect().volumes {
        volume::spread(a, g, [&x, &weight, &bias], &window, &output_padding, groups)?
    } else {
        let mut attributes = window.attributes();
        attributes.push(AttributeProto::int("group", groups));
        if output_padding.iter().any(|extra| *extra != 0) {
            attributes.push(AttributeProto::ints("output_padding", &output_padding));
        }
        let inputs =
            if bias.name().is_empty() { vec![&x, &weight] } else { vec![&x, &weight, &bias] };
        g.node("ConvTranspose", &inputs, attributes)
    };
    g.give(y);
    Ok(())
}

/// Makes the error of a computed weight whose sizes are not known; coremltools writes none.
fn varying_kernel() -> OpError {
    OpError::unsupported("a kernel whose size varies")
}
