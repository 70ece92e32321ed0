//! Frames of cameras and videos, which already are pixel buffers.
//!
//! Owns: [`Frame`]. Must not: read or copy pixels; Core ML gets the same buffer.
//! Flow: `pixel_buffer.rs` makes one from the application's buffer; `crate::image` stores it.
#![allow(unsafe_code, reason = "declares what threads may share")]

pub use objc2_core_video::CVPixelBuffer;

/// A pixel buffer of the application.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a>(pub(super) &'a CVPixelBuffer);

// SAFETY: counting references is atomic, sizes and format never change, and only Core ML reads the
// pixels.
unsafe impl Send for Frame<'_> {}
// SAFETY: as above.
unsafe impl Sync for Frame<'_> {}

/// The same buffer is the same image.
impl PartialEq for Frame<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}
