//! Images with color and size in their types.
//!
//! Owns: [`ImageView`] and [`Image`], which pixels they take, and their checks. Must not: scale,
//! normalise or convert colors; the model does what its manifest says.
//! Flow: fields of a generated `Input` and `Output`; `slot.rs` passes them to a backend.

use crate::dimension::Dim;
use crate::shape::{ShapeError, element_count};
use half::f16;
use std::marker::PhantomData;

/// What the pixels of an image are: [`Grayscale`], [`Rgb`] or [`GrayscaleFloat16`].
pub trait Color:
    Copy + std::fmt::Debug + PartialEq + Send + Sync + private::Sealed + 'static
{
    /// One channel of a pixel.
    type Sample: Copy + Default + PartialEq + std::fmt::Debug + Send + Sync + 'static;

    /// Channels of a pixel.
    const CHANNELS: usize;

    /// Forgets the type, for a backend to write.
    #[doc(hidden)]
    fn pixels_mut(samples: &mut [Self::Sample]) -> PixelsMut<'_>;
}

/// One byte per pixel, 0 is black.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grayscale;

/// Three bytes per pixel: red, green, blue. Models whose manifest says `bgr` use it, too: callers
/// do not see the order of channels in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb;

/// One half-precision float per pixel, not limited to 0 to 1 (iOS 16, macOS 13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrayscaleFloat16;

impl Color for Grayscale {
    type Sample = u8;
    const CHANNELS: usize = 1;

    fn pixels_mut(samples: &mut [u8]) -> PixelsMut<'_> {
        PixelsMut::Gray(samples)
    }
}

impl Color for Rgb {
    type Sample = u8;
    const CHANNELS: usize = 3;

    fn pixels_mut(samples: &mut [u8]) -> PixelsMut<'_> {
        PixelsMut::Rgb(samples)
    }
}

impl Color for GrayscaleFloat16 {
    type Sample = f16;
    const CHANNELS: usize = 1;

    fn pixels_mut(samples: &mut [f16]) -> PixelsMut<'_> {
        PixelsMut::GrayFloat16(samples)
    }
}

/// A borrowed image without its type, as a backend reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageRef<'a> {
    /// In pixels.
    pub(crate) width: usize,
    /// In pixels.
    pub(crate) height: usize,
    /// The pixels, row by row from the top.
    pub(crate) pixels: Pixels<'a>,
}

/// Pixels to read, without padding between rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pixels<'a> {
    /// One byte per pixel.
    Gray(&'a [u8]),
    /// One float per pixel.
    GrayFloat16(&'a [f16]),
    /// Several bytes per pixel.
    Color {
        /// The bytes.
        bytes: &'a [u8],
        /// Bytes per pixel.
        stride: usize,
        /// Positions of red, green and blue in a pixel.
        rgb: [usize; 3],
    },
    /// In a buffer of Core Video's, which is handed on as it is.
    #[cfg(target_vendor = "apple")]
    Buffer(crate::apple::Frame<'a>),
}

/// Pixels to write, without padding between rows.
#[doc(hidden)]
#[derive(Debug)]
pub enum PixelsMut<'a> {
    /// One byte per pixel.
    Gray(&'a mut [u8]),
    /// One float per pixel.
    GrayFloat16(&'a mut [f16]),
    /// Three bytes per pixel: red, green, blue.
    Rgb(&'a mut [u8]),
}

/// An image that borrows its pixels, with color and size in its type: the raw bytes of a decoded
/// picture.
///
/// ```
/// use coreml_rt::{Fixed, ImageView, Rgb};
///
/// type Photo<'a> = ImageView<'a, Rgb, Fixed<2>, Fixed<1>>;
/// let photo = Photo::from_rgb8(&[255, 0, 0, 0, 0, 255], 2, 1)?;
/// assert_eq!(photo, Photo::from_bgra8(&[0, 0, 255, 255, 255, 0, 0, 255], 2, 1)?);
///
/// let error = Photo::from_rgb8(&[0; 27], 3, 3).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "an image of 3x3 pixels does not fit: the width must be exactly 2, the height exactly 1"
/// );
/// # Ok::<(), coreml_rt::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ImageView<'a, C: Color, W: Dim, H: Dim> {
    /// Size and pixels.
    image: ImageRef<'a>,
    /// Color and bounds exist in the type only.
    types: PhantomData<(C, W, H)>,
}

impl<'a, C: Color, W: Dim, H: Dim> ImageView<'a, C, W, H> {
    /// Checks sizes and number of elements.
    pub(crate) fn new(pixels: Pixels<'a>, width: usize, height: usize) -> Result<Self, ShapeError> {
        let (channels, len) = match pixels {
            // A buffer has as many pixels as its size says.
            #[cfg(target_vendor = "apple")]
            Pixels::Buffer(_) => (1, width.saturating_mul(height)),
            Pixels::Gray(bytes) => (1, bytes.len()),
            Pixels::GrayFloat16(floats) => (1, floats.len()),
            Pixels::Color { bytes, stride, .. } => (stride, bytes.len()),
        };
        check_size::<W, H>(width, height)?;
        let dims = [height, width, channels];
        let expected =
            element_count(&dims).ok_or_else(|| ShapeError::TooLarge { dims: dims.to_vec() })?;
        crate::shape::check_length(&dims, expected, len)?;
        Ok(Self { image: ImageRef { width, height, pixels }, types: PhantomData })
    }

    /// Returns the width in pixels.
    pub fn width(&self) -> usize {
        self.image.width
    }

    /// Returns the height in pixels.
    pub fn height(&self) -> usize {
        self.image.height
    }

    /// Erases the type, for a backend to read.
    pub(crate) fn as_image_ref(&self) -> ImageRef<'a> {
        self.image
    }
}

impl<'a, W: Dim, H: Dim> ImageView<'a, Grayscale, W, H> {
    /// Borrows one byte per pixel, row by row from the top.
    ///
    /// Errors: [`ShapeError::ImageSize`] when the model takes no such size, [`ShapeError::Length`]
    /// when there are too many or too few bytes.
    pub fn from_gray8(pixels: &'a [u8], width: usize, height: usize) -> Result<Self, ShapeError> {
        Self::new(Pixels::Gray(pixels), width, height)
    }
}

impl<'a, W: Dim, H: Dim> ImageView<'a, GrayscaleFloat16, W, H> {
    /// Borrows one float per pixel, row by row from the top.
    ///
    /// Errors: as for [`ImageView::from_gray8`].
    pub fn from_gray_float16(
        pixels: &'a [f16],
        width: usize,
        height: usize,
    ) -> Result<Self, ShapeError> {
        Self::new(Pixels::GrayFloat16(pixels), width, height)
    }
}

impl<'a, W: Dim, H: Dim> ImageView<'a, Rgb, W, H> {
    /// Borrows red, green, blue per pixel, row by row from the top.
    ///
    /// Errors: as for [`ImageView::from_gray8`].
    pub fn from_rgb8(pixels: &'a [u8], width: usize, height: usize) -> Result<Self, ShapeError> {
        Self::new(Pixels::Color { bytes: pixels, stride: 3, rgb: [0, 1, 2] }, width, height)
    }

    /// Borrows red, green, blue, alpha per pixel; alpha is not used.
    ///
    /// Errors: as for [`ImageView::from_gray8`].
    pub fn from_rgba8(pixels: &'a [u8], width: usize, height: usize) -> Result<Self, ShapeError> {
        Self::new(Pixels::Color { bytes: pixels, stride: 4, rgb: [0, 1, 2] }, width, height)
    }

    /// Borrows blue, green, red per pixel, the order of OpenCV.
    ///
    /// Errors: as for [`ImageView::from_gray8`].
    pub fn from_bgr8(pixels: &'a [u8], width: usize, height: usize) -> Result<Self, ShapeError> {
        Self::new(Pixels::Color { bytes: pixels, stride: 3, rgb: [2, 1, 0] }, width, height)
    }

    /// Borrows blue, green, red, alpha per pixel, as Apple's cameras give them; alpha is not used.
    ///
    /// Errors: as for [`ImageView::from_gray8`].
    pub fn from_bgra8(pixels: &'a [u8], width: usize, height: usize) -> Result<Self, ShapeError> {
        Self::new(Pixels::Color { bytes: pixels, stride: 4, rgb: [2, 1, 0] }, width, height)
    }
}

/// Images are equal when their pixels are, in any order of bytes.
impl<C: Color, W: Dim, H: Dim> PartialEq for ImageView<'_, C, W, H> {
    fn eq(&self, other: &Self) -> bool {
        let same_size = self.width() == other.width() && self.height() == other.height();
        match (self.image.pixels, other.image.pixels) {
            _ if !same_size => false,
            (
                Pixels::Color { bytes: a, stride: m, rgb: p },
                Pixels::Color { bytes: b, stride: n, rgb: q },
            ) => {
                let colors = |bytes: &[u8], rgb: [usize; 3]| rgb.map(|at| bytes.get(at).copied());
                a.chunks(m).zip(b.chunks(n)).all(|(a, b)| colors(a, p) == colors(b, q))
            }
            (a, b) => a == b,
        }
    }
}

/// An image that owns its pixels, with color and size in its type.
#[derive(Clone, PartialEq)]
pub struct Image<C: Color, W: Dim, H: Dim> {
    /// Samples row by row from the top, those of a pixel side by side.
    samples: Vec<C::Sample>,
    /// In pixels.
    width: usize,
    /// In pixels.
    height: usize,
    /// Bounds exist in the type only.
    bounds: PhantomData<(W, H)>,
}

impl<C: Color, W: Dim, H: Dim> Image<C, W, H> {
    /// Returns a black image of the smallest size that the type allows: something to predict into.
    pub fn black() -> Self {
        let (width, height) = (W::BOUNDS.min, H::BOUNDS.min);
        // A type of more pixels than memory holds has no value; the first prediction into it fails.
        let len = element_count(&[height, width, C::CHANNELS]).unwrap_or_default();
        Self { samples: vec![C::Sample::default(); len], width, height, bounds: PhantomData }
    }

    /// Returns the width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns the height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Returns the samples, row by row from the top, those of a pixel side by side.
    pub fn as_slice(&self) -> &[C::Sample] {
        &self.samples
    }

    /// Gives the samples away, in the order of [`as_slice`](Self::as_slice).
    pub fn into_vec(self) -> Vec<C::Sample> {
        self.samples
    }

    /// Returns the samples of a pixel, or `None` when it is outside the image.
    ///
    /// Parameters: `x`, `y` — from the upper left corner.
    pub fn pixel(&self, x: usize, y: usize) -> Option<&[C::Sample]> {
        if x >= self.width || y >= self.height {
            return None;
        }
        let start = (y * self.width + x) * C::CHANNELS;
        self.samples.get(start..start + C::CHANNELS)
    }

    /// Changes the size, if the type allows it; the pixels are arbitrary afterwards.
    pub(crate) fn resize(&mut self, width: usize, height: usize) -> Result<(), ShapeError> {
        check_size::<W, H>(width, height)?;
        let dims = [height, width, C::CHANNELS];
        let len =
            element_count(&dims).ok_or_else(|| ShapeError::TooLarge { dims: dims.to_vec() })?;
        self.samples.resize(len, C::Sample::default());
        (self.width, self.height) = (width, height);
        Ok(())
    }

    /// Erases the type, for a backend to write.
    pub(crate) fn as_pixels_mut(&mut self) -> PixelsMut<'_> {
        C::pixels_mut(&mut self.samples)
    }
}

impl<C: Color, W: Dim, H: Dim> Default for Image<C, W, H> {
    fn default() -> Self {
        Self::black()
    }
}

impl<C: Color, W: Dim, H: Dim> std::fmt::Debug for Image<C, W, H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{} pixels of {} samples", self.width, self.height, C::CHANNELS)
    }
}

/// Compares a size with the bounds of a type.
fn check_size<W: Dim, H: Dim>(width: usize, height: usize) -> Result<(), ShapeError> {
    if W::BOUNDS.contain(width) && H::BOUNDS.contain(height) {
        return Ok(());
    }
    Err(ShapeError::ImageSize { width, height, widths: W::BOUNDS, heights: H::BOUNDS })
}

/// Keeps [`Color`] to the three types above.
mod private {
    /// Implemented in this file only.
    pub trait Sealed {}
}

impl private::Sealed for Grayscale {}
impl private::Sealed for Rgb {}
impl private::Sealed for GrayscaleFloat16 {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fixed, Range};

    #[test]
    fn sizes_and_lengths_are_checked() {
        type View<'a> = ImageView<'a, Grayscale, Fixed<2>, Range<1, 3>>;
        assert!(View::from_gray8(&[0; 6], 2, 3).is_ok());
        assert_eq!(
            View::from_gray8(&[0; 8], 2, 4).unwrap_err().to_string(),
            "an image of 2x4 pixels does not fit: the width must be exactly 2, the height 1 to 3"
        );
        assert!(matches!(
            View::from_gray8(&[0; 5], 2, 3),
            Err(ShapeError::Length { expected: 6, got: 5, .. })
        ));
    }

    #[test]
    fn order_of_bytes_does_not_matter() {
        type View<'a> = ImageView<'a, Rgb, Fixed<1>, Fixed<2>>;
        let rgb = View::from_rgb8(&[1, 2, 3, 4, 5, 6], 1, 2).unwrap();
        assert_eq!(rgb, View::from_bgr8(&[3, 2, 1, 6, 5, 4], 1, 2).unwrap());
        assert_eq!(rgb, View::from_rgba8(&[1, 2, 3, 0, 4, 5, 6, 9], 1, 2).unwrap());
        assert_ne!(rgb, View::from_rgb8(&[1, 2, 3, 4, 5, 7], 1, 2).unwrap());
    }

    #[test]
    fn outputs_take_the_size_that_comes() {
        let mut image = Image::<Rgb, Range<1, 4>, Range<1, 4>>::black();
        assert_eq!((image.width(), image.as_slice().len()), (1, 3));
        image.resize(4, 2).unwrap();
        assert_eq!(
            (image.as_slice().len(), image.pixel(3, 1).map(<[u8]>::len), image.pixel(4, 0)),
            (24, Some(3), None)
        );
        assert!(image.resize(5, 2).is_err());
    }
}
