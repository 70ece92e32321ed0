//! Pictures of another size than a model takes (feature `image`).
//!
//! Owns: where a picture comes to lie. Must not: decode, or have filters of its own; the crate
//! `image` has.
//! Flow: `fitting.rs` → [`resize`].

use crate::fitting::OwnedPixels;
use crate::image::{ImageRef, Pixels};
use coreml_spec::Resize;
use half::f16;
use image::imageops::{FilterType, replace, resize as scale};
use image::{GenericImageView, ImageBuffer, Luma, Pixel, Rgb};

/// The filter: a pixel is a mean of those that it covers, weighted by their distance, as in
/// torchvision's and Pillow's bilinear.
const FILTER: FilterType = FilterType::Triangle;

/// Makes a picture of `size`, width and height.
///
/// Parameters: `padding` — red, green and blue of what is added; of gray the first.
/// Returns: `None` when it cannot: the picture is smaller than what is cut out of it, or lies in a
/// buffer of Core Video's.
pub(crate) fn resize(
    image: &ImageRef<'_>,
    how: Resize,
    size: (usize, usize),
    padding: [f32; 3],
) -> Option<OwnedPixels> {
    let (width, height) = (side(image.width)?, side(image.height)?);
    let size = (side(size.0)?, side(size.1)?);
    // Numbers of the manifest, which lie between 0 and 255.
    let bytes = padding.map(|value| value.round() as u8);
    match image.pixels {
        Pixels::Gray(pixels) => {
            let source = ImageBuffer::<Luma<u8>, _>::from_raw(width, height, pixels)?;
            let placed = place(&source, how, size, Luma([bytes[0]]))?;
            Some(OwnedPixels::Gray(placed.into_raw()))
        }
        Pixels::GrayFloat16(pixels) => {
            let pixels: Vec<f32> = pixels.iter().map(|pixel| pixel.to_f32()).collect();
            let source = ImageBuffer::<Luma<f32>, _>::from_raw(width, height, pixels)?;
            let placed = place(&source, how, size, Luma([padding[0]]))?.into_raw();
            Some(OwnedPixels::GrayFloat16(placed.into_iter().map(f16::from_f32).collect()))
        }
        Pixels::Color { bytes: pixels, stride, rgb } => {
            let color = |pixel: &[u8]| rgb.map(|at| pixel.get(at).copied().unwrap_or_default());
            let pixels: Vec<u8> = pixels.chunks_exact(stride).flat_map(color).collect();
            let source = ImageBuffer::<Rgb<u8>, _>::from_raw(width, height, pixels)?;
            Some(OwnedPixels::Rgb(place(&source, how, size, Rgb(bytes))?.into_raw()))
        }
        #[cfg(target_vendor = "apple")]
        Pixels::Buffer(_) => None,
    }
}

/// A picture that owns its pixels.
type Owned<P> = ImageBuffer<P, Vec<<P as Pixel>::Subpixel>>;

/// Puts a picture, or what is taken of it, into one of another size.
fn place<I>(
    source: &I,
    how: Resize,
    (width, height): (u32, u32),
    padding: I::Pixel,
) -> Option<Owned<I::Pixel>>
where
    I: GenericImageView,
    I::Pixel: Send + 'static,
    <I::Pixel as Pixel>::Subpixel: Send + 'static,
{
    let (from_width, from_height) = source.dimensions();
    // By how much each side would have to grow.
    let factors = [(width, from_width), (height, from_height)]
        .map(|(to, from)| f64::from(to) / f64::from(from));
    let scaled = |factor: f64| {
        let side = |from: u32| ((f64::from(from) * factor).round() as u32).max(1);
        (side(from_width), side(from_height))
    };
    match how {
        Resize::Crop => centre(source, (width, height)),
        Resize::Fill => {
            let (over_width, over_height) = scaled(factors[0].max(factors[1]));
            let covering = scale(source, over_width.max(width), over_height.max(height), FILTER);
            centre(&covering, (width, height))
        }
        Resize::Fit => {
            let (inner_width, inner_height) = scaled(factors[0].min(factors[1]));
            let (inner_width, inner_height) = (inner_width.min(width), inner_height.min(height));
            let inner = scale(source, inner_width, inner_height, FILTER);
            let mut whole = ImageBuffer::from_pixel(width, height, padding);
            let (x, y) = ((width - inner_width) / 2, (height - inner_height) / 2);
            replace(&mut whole, &inner, x.into(), y.into());
            Some(whole)
        }
    }
}

/// Copies the centre of a picture; `None` when it is smaller.
fn centre<I: GenericImageView>(source: &I, (width, height): (u32, u32)) -> Option<Owned<I::Pixel>>
where
    I::Pixel: 'static,
{
    let (from_width, from_height) = source.dimensions();
    let (x, y) = (from_width.checked_sub(width)? / 2, from_height.checked_sub(height)? / 2);
    Some(ImageBuffer::from_fn(width, height, |column, row| source.get_pixel(x + column, y + row)))
}

/// Returns a side in the type that `image` counts in; a picture without pixels is none.
fn side(pixels: usize) -> Option<u32> {
    u32::try_from(pixels).ok().filter(|pixels| *pixels > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Resizes a gray picture, and returns its rows.
    fn rows(pixels: &[&[u8]], how: Resize, size: (usize, usize), padding: f32) -> Vec<Vec<u8>> {
        let image = ImageRef {
            width: pixels[0].len(),
            height: pixels.len(),
            pixels: Pixels::Gray(&pixels.concat()),
        };
        let Some(OwnedPixels::Gray(found)) = resize(&image, how, size, [padding; 3]) else {
            panic!("it is gray")
        };
        found.chunks(size.0).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn the_whole_picture_fits_between_bars() {
        let wide: [&[u8]; 2] = [&[10, 10, 50, 50], &[10, 10, 50, 50]];
        assert_eq!(
            rows(&wide, Resize::Fit, (4, 5), 7.0),
            [[7; 4], [10, 10, 50, 50], [10, 10, 50, 50], [7; 4], [7; 4]]
        );
        let tall: [&[u8]; 2] = [&[100], &[200]];
        assert_eq!(
            rows(&tall, Resize::Fit, (4, 2), 0.0),
            [[0, 100, 0, 0], [0, 200, 0, 0]],
            "the larger bar lies behind"
        );
        // A twentieth of its size, a flat picture stays flat.
        let line = [80; 60];
        let large: Vec<&[u8]> = vec![&line; 40];
        assert_eq!(rows(&large, Resize::Fit, (3, 3), 9.0), [[80; 3], [80; 3], [9; 3]]);
    }

    #[test]
    fn a_picture_covers_everything_when_it_fills() {
        let wide: [&[u8]; 2] = [&[1, 20, 30, 4], &[1, 20, 30, 4]];
        assert_eq!(rows(&wide, Resize::Fill, (2, 2), 0.0), [[20, 30], [20, 30]]);
        assert_eq!(rows(&[&[50, 50]], Resize::Fill, (3, 4), 0.0), [[50; 3]; 4]);
    }

    #[test]
    fn the_centre_is_cut_out_as_it_is() {
        let picture: [&[u8]; 3] = [&[1, 2, 3, 4], &[5, 6, 7, 8], &[9, 10, 11, 12]];
        assert_eq!(rows(&picture, Resize::Crop, (2, 1), 0.0), [[6, 7]]);
        let small = ImageRef { width: 1, height: 3, pixels: Pixels::Gray(&[1, 2, 3]) };
        assert!(resize(&small, Resize::Crop, (2, 1), [0.0; 3]).is_none());
    }

    #[test]
    fn colors_keep_their_order() {
        // Blue, green, red, alpha.
        let bytes = [3, 2, 1, 0, 6, 5, 4, 0];
        let pixels = Pixels::Color { bytes: &bytes, stride: 4, rgb: [2, 1, 0] };
        let image = ImageRef { width: 2, height: 1, pixels };
        let Some(OwnedPixels::Rgb(found)) = resize(&image, Resize::Fit, (2, 2), [9.0, 8.4, 7.6])
        else {
            panic!("it has colors")
        };
        assert_eq!(found, [1, 2, 3, 4, 5, 6, 9, 8, 8, 9, 8, 8]);
        let floats = [0.5, -2.0].map(f16::from_f32);
        let image = ImageRef { width: 2, height: 1, pixels: Pixels::GrayFloat16(&floats) };
        let Some(OwnedPixels::GrayFloat16(found)) =
            resize(&image, Resize::Fit, (2, 2), [1.5, 0.0, 0.0])
        else {
            panic!("it has floats")
        };
        assert_eq!(found, [0.5, -2.0, 1.5, 1.5].map(f16::from_f32));
    }
}
