//! Frames of cameras and videos, which are pixel buffers already.
//!
//! Owns: [`ImageView::from_pixel_buffer`]. Must not: read or copy pixels; Core ML gets the very
//! buffer.
//! Flow: an application wraps what AVFoundation gave it; `pixel_buffer.rs` hands it on.
#![allow(unsafe_code, reason = "says what may be shared between threads")]

use super::pixel_buffer;
use crate::dimension::Dim;
use crate::image::{Color, ImageView, Pixels};
use crate::shape::ShapeError;
pub use objc2_core_video::CVPixelBuffer;

/// A pixel buffer of the application's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a>(pub(super) &'a CVPixelBuffer);

// SAFETY: counting references is atomic, sizes and format never change, and the pixels are read by
// Core ML alone.
unsafe impl Send for Frame<'_> {}
// SAFETY: as above.
unsafe impl Sync for Frame<'_> {}

/// The same buffer is the same image.
impl PartialEq for Frame<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl<'a, C: Color, W: Dim, H: Dim> ImageView<'a, C, W, H> {
    /// Takes a frame of a camera or a video as it is, without a copy. Apple's systems only;
    /// [`CVPixelBuffer`] is the type of `objc2-core-video` 0.3.
    ///
    /// Core ML takes `kCVPixelFormatType_32BGRA` for [`Rgb`](crate::Rgb), `OneComponent8` for
    /// [`Grayscale`](crate::Grayscale), `OneComponent16Half` for
    /// [`GrayscaleFloat16`](crate::GrayscaleFloat16): ask the camera for that one. Another format
    /// is an error of the prediction. Core ML keeps the buffer for a while after a prediction; its
    /// pixels must not be written before it lets go.
    ///
    /// Errors: [`ShapeError::ImageSize`] when the model takes no such size.
    pub fn from_pixel_buffer(buffer: &'a CVPixelBuffer) -> Result<Self, ShapeError> {
        let (width, height) = pixel_buffer::size(buffer);
        Self::new(Pixels::Buffer(Frame(buffer)), width, height)
    }
}
