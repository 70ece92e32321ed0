//! Feature values of images.
//!
//! Owns: images whose kind is known only at run time, from pixels and from planes. Must not: touch
//! the memory of pixel buffers; `pixel_buffer.rs` does.
//! Flow: `features.rs` and `results.rs` → here, at each prediction with image features.
#![allow(unsafe_code, reason = "calls Objective-C")]

use super::failure::CoreMlError;
use super::pixel_buffer;
use crate::image::{ImageRef, Pixels, PixelsMut};
use crate::planes;
use coreml_spec::{ColorSpace, Elements, TensorRef};
use half::f16;
use objc2::rc::Retained;
use objc2_core_ml::MLFeatureValue;

/// Makes a feature value of an image.
pub(super) fn of_image(image: &ImageRef<'_>) -> Result<Retained<MLFeatureValue>, CoreMlError> {
    let buffer = pixel_buffer::of_image(image)?;
    // SAFETY: the value keeps the buffer alive.
    Ok(unsafe { MLFeatureValue::featureValueWithPixelBuffer(&buffer) })
}

/// Makes a feature value of the planes of an image, which parity samples hold.
pub(super) fn of_planes(
    planes: &TensorRef<'_>,
    color_space: ColorSpace,
) -> Result<Retained<MLFeatureValue>, CoreMlError> {
    let wrong = || CoreMlError::Unexpected(format!("an image of shape {:?}", planes.dims));
    let (&[1, _, height, width], Elements::Float32(elements)) = (planes.dims, planes.elements)
    else {
        return Err(wrong());
    };
    let image = OwnedImage::read(color_space, [width, height], |pixels| {
        planes::to_pixels(elements, color_space, pixels).ok_or_else(wrong)
    })?;
    of_image(&image.borrow())
}

/// Pixels of any kind, in memory of our own.
pub(super) enum OwnedImage {
    /// Bytes, one or three to a pixel.
    Bytes(Vec<u8>, [usize; 2], bool),
    /// Half-precision floats, one to a pixel.
    Floats(Vec<f16>, [usize; 2]),
}

impl OwnedImage {
    /// Makes an image by a function that writes its pixels.
    pub(super) fn read<E>(
        color_space: ColorSpace,
        size: [usize; 2],
        write: impl FnOnce(PixelsMut<'_>) -> Result<(), E>,
    ) -> Result<Self, E> {
        let count = size[0] * size[1];
        match color_space {
            ColorSpace::GrayscaleFloat16 => {
                let mut floats = vec![f16::ZERO; count];
                write(PixelsMut::GrayFloat16(&mut floats)).map(|()| Self::Floats(floats, size))
            }
            ColorSpace::Grayscale => {
                let mut bytes = vec![0; count];
                write(PixelsMut::Gray(&mut bytes)).map(|()| Self::Bytes(bytes, size, false))
            }
            ColorSpace::Rgb | ColorSpace::Bgr => {
                let mut bytes = vec![0; 3 * count];
                write(PixelsMut::Rgb(&mut bytes)).map(|()| Self::Bytes(bytes, size, true))
            }
        }
    }

    /// Borrows the pixels.
    pub(super) fn borrow(&self) -> ImageRef<'_> {
        match self {
            Self::Floats(floats, [width, height]) => {
                ImageRef { width: *width, height: *height, pixels: Pixels::GrayFloat16(floats) }
            }
            Self::Bytes(bytes, [width, height], false) => {
                ImageRef { width: *width, height: *height, pixels: Pixels::Gray(bytes) }
            }
            Self::Bytes(bytes, [width, height], true) => {
                let pixels = Pixels::Color { bytes, stride: 3, rgb: [0, 1, 2] };
                ImageRef { width: *width, height: *height, pixels }
            }
        }
    }
}
