//! Pixels as planes of floats, one for each channel: the form of the portable backend and of parity
//! samples.
//!
//! Owns: the order of channels of each color space, and rounding. Must not: scale; the program
//! applies scale and bias.
//! Flow: `portable.rs` calls it for image features, `apple/` for those of samples.

use crate::image::{ImageRef, Pixels, PixelsMut};
use coreml_spec::ColorSpace;
use half::slice::HalfFloatSliceExt;

/// Writes the planes of an image into `planes`, `[1, channels, height, width]`.
///
/// Returns: the number of channels; `None` when the image is not of the color space.
pub(crate) fn of_image(
    image: &ImageRef<'_>,
    color_space: ColorSpace,
    planes: &mut Vec<f32>,
) -> Option<usize> {
    let count = image.width * image.height;
    planes.clear();
    match (image.pixels, color_space) {
        (Pixels::Gray(bytes), ColorSpace::Grayscale) => {
            planes.extend(bytes.iter().copied().map(f32::from))
        }
        (Pixels::GrayFloat16(floats), ColorSpace::GrayscaleFloat16) => {
            planes.resize(count, 0.0);
            floats.convert_to_f32_slice(planes);
        }
        (Pixels::Color { bytes, stride, rgb }, ColorSpace::Rgb | ColorSpace::Bgr) => {
            for channel in channels(color_space) {
                planes.extend(
                    bytes.iter().skip(rgb[channel]).step_by(stride).copied().map(f32::from),
                );
            }
        }
        _ => return None,
    }
    (count != 0).then(|| planes.len() / count)
}

/// Writes planes as pixels: rounded to the nearest byte, as Core ML does, and limited to 0 to 255.
///
/// Returns: `None` when the numbers do not fit.
pub(crate) fn to_pixels(
    planes: &[f32],
    color_space: ColorSpace,
    into: PixelsMut<'_>,
) -> Option<()> {
    // A cast from a float saturates; NaN becomes 0.
    let byte = |sample: f32| sample.round_ties_even() as u8;
    match (into, color_space) {
        (PixelsMut::Gray(into), ColorSpace::Grayscale) if into.len() == planes.len() => {
            into.iter_mut().zip(planes).for_each(|(into, sample)| *into = byte(*sample));
        }
        (PixelsMut::GrayFloat16(into), ColorSpace::GrayscaleFloat16)
            if into.len() == planes.len() =>
        {
            into.convert_from_f32_slice(planes);
        }
        (PixelsMut::Rgb(into), ColorSpace::Rgb | ColorSpace::Bgr)
            if into.len() == planes.len() && !planes.is_empty() =>
        {
            let count = planes.len() / 3;
            for (plane, channel) in planes.chunks_exact(count).zip(channels(color_space)) {
                into.iter_mut()
                    .skip(channel)
                    .step_by(3)
                    .zip(plane)
                    .for_each(|(into, sample)| *into = byte(*sample));
            }
        }
        _ => return None,
    }
    Some(())
}

/// Returns which of red, green and blue each plane of a color image is.
fn channels(color_space: ColorSpace) -> [usize; 3] {
    if color_space == ColorSpace::Bgr { [2, 1, 0] } else { [0, 1, 2] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fixed, Grayscale, ImageView, Rgb};

    #[test]
    fn colors_come_in_the_order_of_the_model() {
        let image =
            ImageView::<Rgb, Fixed<2>, Fixed<1>>::from_rgba8(&[1, 2, 3, 99, 4, 5, 6, 99], 2, 1)
                .unwrap();
        let mut planes = Vec::new();
        assert_eq!(of_image(&image.as_image_ref(), ColorSpace::Rgb, &mut planes), Some(3));
        assert_eq!(planes, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(of_image(&image.as_image_ref(), ColorSpace::Bgr, &mut planes), Some(3));
        assert_eq!(planes, [3.0, 6.0, 2.0, 5.0, 1.0, 4.0]);
        let mut back = [0; 6];
        assert_eq!(to_pixels(&planes, ColorSpace::Bgr, PixelsMut::Rgb(&mut back)), Some(()));
        assert_eq!(back, [1, 2, 3, 4, 5, 6]);
        assert_eq!(of_image(&image.as_image_ref(), ColorSpace::Grayscale, &mut planes), None);
    }

    #[test]
    fn bytes_are_rounded_and_limited() {
        let mut bytes = [9; 5];
        let planes = [-3.0, 0.5, 1.5, 254.6, 1e9];
        assert_eq!(
            to_pixels(&planes, ColorSpace::Grayscale, PixelsMut::Gray(&mut bytes)),
            Some(())
        );
        assert_eq!(bytes, [0, 0, 2, 255, 255]);
        let image = ImageView::<Grayscale, Fixed<2>, Fixed<1>>::from_gray8(&[7, 8], 2, 1).unwrap();
        let mut planes = vec![1.0; 9];
        assert_eq!(of_image(&image.as_image_ref(), ColorSpace::Grayscale, &mut planes), Some(1));
        assert_eq!(planes, [7.0, 8.0]);
    }
}
