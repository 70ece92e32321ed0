//! Images from and to the crate `image` (feature `image`).
//!
//! Owns: the conversions. Must not: decode, scale or change colors; `image` does.
//! Flow: for applications that decode files with `image`.

use crate::dimension::Dim;
use crate::image::{Grayscale, Image, ImageView, Rgb};
use crate::shape::ShapeError;
use image::{GrayImage, RgbImage, RgbaImage};

/// Returns a side in the type that this crate counts in.
fn side(pixels: u32) -> usize {
    usize::try_from(pixels).unwrap_or(usize::MAX)
}

impl<'a, W: Dim, H: Dim> TryFrom<&'a RgbImage> for ImageView<'a, Rgb, W, H> {
    type Error = ShapeError;

    /// Borrows the pixels of a picture.
    ///
    /// ```
    /// use coreml_rt::{Fixed, ImageView, Rgb};
    ///
    /// let picture = image::RgbImage::from_pixel(4, 2, image::Rgb([255, 0, 0]));
    /// let view: ImageView<'_, Rgb, Fixed<4>, Fixed<2>> = (&picture).try_into()?;
    /// assert_eq!(view.width(), 4);
    /// # Ok::<(), coreml_rt::ShapeError>(())
    /// ```
    fn try_from(picture: &'a RgbImage) -> Result<Self, ShapeError> {
        Self::from_rgb8(picture.as_raw(), side(picture.width()), side(picture.height()))
    }
}

impl<'a, W: Dim, H: Dim> TryFrom<&'a RgbaImage> for ImageView<'a, Rgb, W, H> {
    type Error = ShapeError;

    /// Borrows the pixels of a picture, without its alpha.
    fn try_from(picture: &'a RgbaImage) -> Result<Self, ShapeError> {
        Self::from_rgba8(picture.as_raw(), side(picture.width()), side(picture.height()))
    }
}

impl<'a, W: Dim, H: Dim> TryFrom<&'a GrayImage> for ImageView<'a, Grayscale, W, H> {
    type Error = ShapeError;

    /// Borrows the pixels of a picture.
    fn try_from(picture: &'a GrayImage) -> Result<Self, ShapeError> {
        Self::from_gray8(picture.as_raw(), side(picture.width()), side(picture.height()))
    }
}

impl<W: Dim, H: Dim> From<Image<Rgb, W, H>> for RgbImage {
    fn from(image: Image<Rgb, W, H>) -> Self {
        let size = sides(image.width(), image.height());
        size.and_then(|[width, height]| Self::from_raw(width, height, image.into_vec()))
            .unwrap_or_default()
    }
}

impl<W: Dim, H: Dim> From<Image<Grayscale, W, H>> for GrayImage {
    fn from(image: Image<Grayscale, W, H>) -> Self {
        let size = sides(image.width(), image.height());
        size.and_then(|[width, height]| Self::from_raw(width, height, image.into_vec()))
            .unwrap_or_default()
    }
}

/// Returns a size in the type that `image` counts in; `None` for one of more than four thousand
/// million pixels to a side, which no memory holds.
fn sides(width: usize, height: usize) -> Option<[u32; 2]> {
    Some([width.try_into().ok()?, height.try_into().ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fixed, Range};

    #[test]
    fn pictures_come_and_go() {
        let picture = GrayImage::from_fn(3, 2, |x, y| image::Luma([(10 * y + x) as u8]));
        let view = ImageView::<Grayscale, Fixed<3>, Range<1, 2>>::try_from(&picture).unwrap();
        assert_eq!((view.width(), view.height()), (3, 2));
        assert!(ImageView::<Grayscale, Fixed<2>, Fixed<3>>::try_from(&picture).is_err());
        let mut image = Image::<Rgb, Fixed<3>, Fixed<2>>::black();
        image.resize(3, 2).unwrap();
        let back = RgbImage::from(image);
        assert_eq!((back.width(), back.height(), back.get_pixel(2, 1).0), (3, 2, [0; 3]));
    }
}
