//! Convolution and pooling over three spatial dimensions, for engines that know only two.
//!
//! Flow: `conv.rs` and `pool.rs` come here when the graph's dialect has no volumes. Depth becomes
//! part of the batch or of the channels, and what happens along it is a sum, or a pooling of its
//! own.

use super::window::{Window, fixed};
use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value};
use crate::limit::VARYING_VOLUME;
use crate::onnx::AttributeProto;

/// A window that moves over planes.
struct Plane {
    /// Height and width.
    kernel: [i64; 2],
    /// Steps.
    strides: [i64; 2],
    /// Distances of neighbouring elements.
    dilations: [i64; 2],
    /// Padding above, left, below, right.
    pads: [i64; 4],
}

impl Plane {
    /// Returns the window as attributes of ONNX.
    fn attributes(&self) -> Vec<AttributeProto> {
        let mut attributes = vec![
            AttributeProto::ints("kernel_shape", &self.kernel),
            AttributeProto::ints("strides", &self.strides),
            AttributeProto::ints("pads", &self.pads),
        ];
        if self.dilations != [1, 1] {
            attributes.push(AttributeProto::ints("dilations", &self.dilations));
        }
        attributes
    }
}

/// Returns the part of a window that moves over planes, and its padding in front of and behind the
/// depth.
fn parts(window: &Window) -> Result<(Plane, i64, i64), OpError> {
    let (&[_, height, width], Some(&[front, top, left, back, bottom, right])) =
        (window.kernel.as_slice(), window.pads.as_deref())
    else {
        return Err(VARYING_VOLUME.error());
    };
    let plane = Plane {
        kernel: [height, width],
        strides: [window.strides[1], window.strides[2]],
        dilations: [window.dilations[1], window.dilations[2]],
        pads: [top, left, bottom, right],
    };
    Ok((plane, front, back))
}

/// Returns the sizes of the input and the output after the batch: channels, depth, height, width.
fn sizes(a: &Args<'_, '_>) -> Result<([i64; 4], [i64; 4]), OpError> {
    let four = |dims: &[Option<usize>]| {
        let sizes =
            fixed(dims.get(1..).unwrap_or_default()).ok_or_else(|| VARYING_VOLUME.error())?;
        <[i64; 4]>::try_from(sizes)
            .map_err(|_| OpError::invalid("its input or output has not five dimensions"))
    };
    Ok((four(&a.ty("x")?.dims)?, four(&a.output(0)?.dims)?))
}

/// Pools each plane, and then along the depth: maxima and means of equal parts allow that.
///
/// Parameters: `extra` — attributes of the pooling in addition to those of the window.
pub(super) fn pool(
    a: &Args<'_, '_>,
    g: &mut Graph,
    op_type: &str,
    x: &Value,
    window: &Window,
    extra: &[AttributeProto],
) -> Result<Value, OpError> {
    let (plane, front, back) = parts(window)?;
    let ([channels, depth, height, width], [_, out_depth, out_height, out_width]) = sizes(a)?;
    let column = Plane {
        kernel: [window.kernel[0], 1],
        strides: [window.strides[0], 1],
        dilations: [1, 1],
        pads: [front, 0, back, 0],
    };
    let mut pooled = |x: &Value, shape: &[i64], window: &Plane| {
        let shaped = g.reshape(x, shape);
        g.node(op_type, &[&shaped], [window.attributes(), extra.to_vec()].concat())
    };
    let planes = pooled(x, &[0, -1, height, width], &plane);
    let columns = pooled(&planes, &[0, channels, depth, -1], &column);
    Ok(g.reshape(&columns, &[0, channels, out_depth, out_height, out_width]))
}

/// Convolves the planes with each slice of the kernel and adds up what belongs to the same depth.
///
/// Parameters: `bias` — absent or a vector; `groups` — number of groups.
pub(super) fn convolve(
    a: &Args<'_, '_>,
    g: &mut Graph,
    [x, weight, bias]: [&Value; 3],
    window: &Window,
    groups: i64,
) -> Result<Value, OpError> {
    let (plane, front, back) = parts(window)?;
    let ([channels, _, height, width], [out_channels, out_depth, out_height, out_width]) =
        sizes(a)?;
    let mut padded = x.clone();
    if front != 0 || back != 0 {
        let pads = g.ints(&[0, 0, front, 0, 0, 0, 0, back, 0, 0]);
        padded = g.node("Pad", &[x, &pads], vec![AttributeProto::string("mode", "constant")]);
    }
    let mut attributes = plane.attributes();
    attributes.push(AttributeProto::int("group", groups));
    let (stride, dilation) = (window.strides[0], window.dilations[0]);
    let mut sum: Option<Value> = None;
    for slice in 0..window.kernel[0] {
        let first = slice * dilation;
        let met =
            g.slice(&padded, &[first], &[first + (out_depth - 1) * stride + 1], &[2], &[stride]);
        let moved = g.transpose(&met, &[0, 2, 1, 3, 4]);
        let planes = g.reshape(&moved, &[-1, channels, height, width]);
        let kernel = kernel_slice(g, weight, slice);
        let inputs = if sum.is_none() && !bias.name().is_empty() {
            vec![&planes, &kernel, bias]
        } else {
            vec![&planes, &kernel]
        };
        let part = g.node("Conv", &inputs, attributes.clone());
        sum = Some(match sum {
            None => part,
            Some(sum) => g.node("Add", &[&sum, &part], Vec::new()),
        });
    }
    let sum = sum.ok_or_else(|| OpError::invalid("its kernel is empty"))?;
    let volume = g.reshape(&sum, &[-1, out_depth, out_channels, out_height, out_width]);
    Ok(g.transpose(&volume, &[0, 2, 1, 3, 4]))
}

/// Returns one slice of a kernel `[…, …, depth, height, width]`.
fn kernel_slice(g: &mut Graph, weight: &Value, slice: i64) -> Value {
    let kernel = g.slice(weight, &[slice], &[slice + 1], &[2], &[1]);
    g.squeeze(&kernel, &[2])
}

/// Spreads the planes with each slice of the kernel, and adds each result where it belongs in the
/// depth.
///
/// Parameters: `extra` — what the output has behind the natural depth, height and width.
pub(super) fn spread(
    a: &Args<'_, '_>,
    g: &mut Graph,
    [x, weight, bias]: [&Value; 3],
    window: &Window,
    extra: &[i64],
    groups: i64,
) -> Result<Value, OpError> {
    let (plane, front, back) = parts(window)?;
    let ([channels, depth, height, width], [out_channels, out_depth, out_height, out_width]) =
        sizes(a)?;
    let (Some(behind), Some(planar)) = (extra.first(), extra.get(1..3)) else {
        return Err(OpError::invalid("its output shape has not five dimensions"));
    };
    let mut attributes = plane.attributes();
    attributes.push(AttributeProto::int("group", groups));
    if planar.iter().any(|extra| *extra != 0) {
        attributes.push(AttributeProto::ints("output_padding", planar));
    }
    let moved = g.transpose(x, &[0, 2, 1, 3, 4]);
    let planes = g.reshape(&moved, &[-1, channels, height, width]);
    let (stride, dilation, slices) = (window.strides[0], window.dilations[0], window.kernel[0]);
    let zeros = || vec![AttributeProto::string("mode", "constant")];
    let mut sum: Option<Value> = None;
    for slice in 0..slices {
        let kernel = kernel_slice(g, weight, slice);
        let part = g.node("ConvTranspose", &[&planes, &kernel], attributes.clone());
        // [n, D, rest]: zeros between the depths for the stride, then before and behind for the
        // place of the slice.
        let mut rows = g.reshape(&part, &[-1, depth, out_channels * out_height * out_width]);
        if stride > 1 {
            let single = g.unsqueeze(&rows, &[2]);
            let pads = g.ints(&[0, 0, 0, 0, 0, 0, stride - 1, 0]);
            let wide = g.node("Pad", &[&single, &pads], zeros());
            let all = g.reshape(&wide, &[0, -1, out_channels * out_height * out_width]);
            rows = g.slice(&all, &[0], &[(depth - 1) * stride + 1], &[1], &[1]);
        }
        let pads =
            g.ints(&[0, slice * dilation, 0, 0, (slices - 1 - slice) * dilation + behind, 0]);
        let placed = g.node("Pad", &[&rows, &pads], zeros());
        sum = Some(match sum {
            None => placed,
            Some(sum) => g.node("Add", &[&sum, &placed], Vec::new()),
        });
    }
    let sum = sum.ok_or_else(|| OpError::invalid("its kernel is empty"))?;
    let end = if back == 0 { i64::from(i32::MAX) } else { -back };
    let cut = g.slice(&sum, &[front], &[end], &[1], &[1]);
    let volume = g.reshape(&cut, &[-1, out_depth, out_channels, out_height, out_width]);
    let y = g.transpose(&volume, &[0, 2, 1, 3, 4]);
    if bias.name().is_empty() {
        return Ok(y);
    }
    let bias = g.unsqueeze(bias, &[1, 2, 3]);
    Ok(g.node("Add", &[&y, &bias], Vec::new()))
}
