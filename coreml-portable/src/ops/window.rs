//! The window that a convolution or pooling moves over spatial dimensions.
//!
//! Owns: the arithmetic of strides, dilations and padding.
//! Flow: `conv.rs` and `pool.rs` read one from the arguments; `volume.rs` takes it apart.

use crate::args::Args;
use crate::error::OpError;
use crate::onnx::AttributeProto;

/// How a convolution's or pooling's window moves over the spatial dimensions.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Size of the window.
    pub(super) kernel: Vec<i64>,
    /// Step from one position to the next.
    pub(super) strides: Vec<i64>,
    /// Distance of neighbouring elements of the window.
    pub(super) dilations: Vec<i64>,
    /// Padding before each dimension, then after each; `None` when it follows from a size that
    /// varies.
    pub(super) pads: Option<Vec<i64>>,
    /// Whether the odd element of unknown padding goes before.
    pub(super) lower: bool,
}

impl Window {
    /// Reads `strides`, `dilations`, `pad_type` and `pad`.
    pub(super) fn read(a: &Args<'_, '_>, kernel: &[i64]) -> Result<Self, OpError> {
        let spatial = kernel.len();
        let strides: Vec<i64> = a.get_or("strides", vec![1; spatial])?;
        let dilations: Vec<i64> = a.get_or("dilations", vec![1; spatial])?;
        let pad: Vec<i64> = a.get_or("pad", vec![0; 2 * spatial])?;
        let dims = a.ty("x")?.dims;
        if dims.len() != spatial + 2
            || strides.len() != spatial
            || dilations.len() != spatial
            || pad.len() != 2 * spatial
        {
            return Err(OpError::invalid(
                "its kernel, strides, dilations or padding do not fit its input",
            ));
        }
        if kernel.iter().chain(&strides).chain(&dilations).any(|size| *size < 1) {
            return Err(OpError::invalid("its kernel, strides or dilations are not positive"));
        }
        let pad_type = a.get_or("pad_type", "valid".to_owned())?;
        let mut window = Self {
            kernel: kernel.to_vec(),
            strides,
            dilations,
            pads: Some(vec![0; 2 * spatial]),
            lower: pad_type == "same_lower",
        };
        match pad_type.as_str() {
            "valid" => {}
            "custom" => {
                window.pads = Some(
                    pad.iter().step_by(2).chain(pad.iter().skip(1).step_by(2)).copied().collect(),
                )
            }
            "same" | "same_lower" => window.pads = window.same(&dims[2..]),
            _ => return Err(OpError::unsupported(format!("its pad_type `{pad_type}` is unknown"))),
        }
        Ok(window)
    }

    /// Returns the padding with which the output has one element for each stride of the input;
    /// `None` when that depends on a size that varies.
    fn same(&self, dims: &[Option<usize>]) -> Option<Vec<i64>> {
        let spatial = self.kernel.len();
        let mut pads = vec![0; 2 * spatial];
        for i in 0..spatial {
            let extent = (self.kernel[i] - 1) * self.dilations[i] + 1;
            // With stride 1 the input's size does not matter.
            let size = if self.strides[i] == 1 { 1 } else { i64::try_from(dims[i]?).ok()? };
            let total = ((size - 1) / self.strides[i] * self.strides[i] + extent - size).max(0);
            let before = if self.lower { total - total / 2 } else { total / 2 };
            (pads[i], pads[spatial + i]) = (before, total - before);
        }
        Some(pads)
    }

    /// Returns the window as attributes of ONNX.
    pub(super) fn attributes(&self) -> Vec<AttributeProto> {
        let mut attributes = vec![
            AttributeProto::ints("kernel_shape", &self.kernel),
            AttributeProto::ints("strides", &self.strides),
        ];
        if self.dilations.iter().any(|dilation| *dilation != 1) {
            attributes.push(AttributeProto::ints("dilations", &self.dilations));
        }
        attributes.push(match &self.pads {
            Some(pads) => AttributeProto::ints("pads", pads),
            None => AttributeProto::string(
                "auto_pad",
                if self.lower { "SAME_LOWER" } else { "SAME_UPPER" },
            ),
        });
        attributes
    }
}

/// Returns sizes, or `None` when one varies.
pub(super) fn fixed(dims: &[Option<usize>]) -> Option<Vec<i64>> {
    dims.iter().map(|dim| dim.and_then(|size| i64::try_from(size).ok())).collect()
}
