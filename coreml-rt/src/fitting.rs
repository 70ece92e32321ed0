//! Inputs that are made to fit before a prediction: cut, or scaled.
//!
//! Owns: cutting tensors, and when something is done. Must not: touch an input that fits, or pad.
//! Flow: `model.rs` and `bucketed.rs` call [`Fitter::fit`] before each prediction; `resize.rs`
//! scales pictures (feature `image`).

use crate::buffer::Buffer;
use crate::error::Error;
use crate::image::{ImageRef, Pixels};
use crate::slot::InputRef;
use coreml_spec::{Elements, Fitting, Kept, TensorRef};
use half::f16;

/// What is done to the inputs of a model.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fitter(&'static [(usize, Fitting)]);

/// An input that was made to fit.
enum Fitted {
    /// A cut tensor.
    Tensor(Vec<usize>, Buffer),
    /// A picture of this width and height.
    Picture(usize, usize, OwnedPixels),
}

/// Pixels of a picture that was scaled.
#[cfg_attr(not(feature = "image"), expect(dead_code, reason = "nothing is scaled without it"))]
pub(crate) enum OwnedPixels {
    /// One byte per pixel.
    Gray(Vec<u8>),
    /// One float per pixel.
    GrayFloat16(Vec<f16>),
    /// Red, green, blue.
    Rgb(Vec<u8>),
}

/// The inputs of one prediction that were made to fit, by their positions.
pub(crate) struct Fits(Vec<(usize, Fitted)>);

impl Fitter {
    /// Makes what a generated module says is done.
    ///
    /// Parameters: `fittings` — by the position of the input.
    pub(crate) fn new(fittings: &'static [(usize, Fitting)]) -> Self {
        Self(fittings)
    }

    /// Makes inputs fit.
    ///
    /// Returns: `None` when all fit; nothing is allocated then.
    /// Errors: a picture cannot be made to fit.
    pub(crate) fn fit(&self, inputs: &[InputRef<'_>]) -> Result<Option<Fits>, Error> {
        let mut fits = Fits(Vec::new());
        for &(at, fitting) in self.0 {
            // A tensor may be cut in two dimensions.
            let Some(input) = fits.get(at).or_else(|| inputs.get(at).copied()) else { continue };
            if let Some(fitted) = fit(input, fitting)? {
                fits.0.retain(|(other, _)| *other != at);
                fits.0.push((at, fitted));
            }
        }
        Ok((!fits.0.is_empty()).then_some(fits))
    }
}

impl Fits {
    /// Returns the inputs, those that were made to fit in their places.
    pub(crate) fn apply<'a>(&'a self, inputs: &[InputRef<'a>]) -> Vec<InputRef<'a>> {
        let inputs = inputs.iter().enumerate();
        inputs.map(|(at, input)| self.get(at).unwrap_or(*input)).collect()
    }

    /// Returns the input at a position, if it was made to fit.
    fn get(&self, at: usize) -> Option<InputRef<'_>> {
        let (_, fitted) = self.0.iter().find(|(other, _)| *other == at)?;
        Some(match fitted {
            Fitted::Tensor(dims, buffer) => {
                InputRef::Tensor(TensorRef { dims, elements: buffer.elements() })
            }
            Fitted::Picture(width, height, pixels) => {
                let pixels = match pixels {
                    OwnedPixels::Gray(bytes) => Pixels::Gray(bytes),
                    OwnedPixels::GrayFloat16(floats) => Pixels::GrayFloat16(floats),
                    OwnedPixels::Rgb(bytes) => Pixels::Color { bytes, stride: 3, rgb: [0, 1, 2] },
                };
                InputRef::Image(ImageRef { width: *width, height: *height, pixels })
            }
        })
    }
}

/// Makes one input fit; `None` for one that does.
fn fit(input: InputRef<'_>, fitting: Fitting) -> Result<Option<Fitted>, Error> {
    match (input, fitting) {
        (
            InputRef::Tensor(tensor) | InputRef::Shared(tensor, _),
            Fitting::Cut { axis, max, keep },
        ) if tensor.dims.get(axis).is_some_and(|&size| size > max) => {
            let mut dims = tensor.dims.to_vec();
            let buffer = match tensor.elements {
                Elements::Float16(all) => Buffer::Float16(cut(all, &dims, axis, max, keep)),
                Elements::Float32(all) => Buffer::Float32(cut(all, &dims, axis, max, keep)),
                Elements::Float64(all) => Buffer::Float64(cut(all, &dims, axis, max, keep)),
                Elements::Int32(all) => Buffer::Int32(cut(all, &dims, axis, max, keep)),
                Elements::Int8(all) => Buffer::Int8(cut(all, &dims, axis, max, keep)),
            };
            dims[axis] = max;
            Ok(Some(Fitted::Tensor(dims, buffer)))
        }
        (InputRef::Image(image), Fitting::Resize { how, width, height, padding })
            if (image.width, image.height) != (width, height) =>
        {
            let pixels = resized(&image, how, (width, height), padding)?;
            Ok(Some(Fitted::Picture(width, height, pixels)))
        }
        _ => Ok(None),
    }
}

/// Copies what is kept of a tensor of `dims`, of which dimension `axis` is cut to `max`.
fn cut<T: Copy>(elements: &[T], dims: &[usize], axis: usize, max: usize, keep: Kept) -> Vec<T> {
    let below: usize = dims.iter().skip(axis + 1).product();
    let size = dims.get(axis).copied().unwrap_or(max);
    let first = match keep {
        Kept::Start => 0,
        Kept::End => size.saturating_sub(max),
    };
    let blocks = elements.chunks_exact((size * below).max(1));
    blocks.flat_map(|block| block.iter().skip(first * below).take(max * below).copied()).collect()
}

/// Makes a picture of another size.
#[cfg(feature = "image")]
fn resized(
    image: &ImageRef<'_>,
    how: coreml_spec::Resize,
    size: (usize, usize),
    padding: [f32; 3],
) -> Result<OwnedPixels, Error> {
    crate::resize::resize(image, how, size, padding).ok_or_else(|| wrong_size(image, size))
}

/// Refuses the picture: generated code does not compile without the feature.
#[cfg(not(feature = "image"))]
fn resized(
    image: &ImageRef<'_>,
    _: coreml_spec::Resize,
    size: (usize, usize),
    _: [f32; 3],
) -> Result<OwnedPixels, Error> {
    Err(wrong_size(image, size))
}

/// Makes the error of a picture that cannot be made to fit.
fn wrong_size(image: &ImageRef<'_>, (width, height): (usize, usize)) -> Error {
    let exactly = |side: usize| crate::dimension::Bounds { min: side, max: side };
    let (widths, heights) = (exactly(width), exactly(height));
    let (width, height) = (image.width, image.height);
    crate::shape::ShapeError::ImageSize { width, height, widths, heights }.into()
}

/// Stops the compilation when the manifest asks for pictures to be scaled and nothing can.
///
/// Called by: a constant of a generated module that scales pictures.
#[expect(clippy::assertions_on_constants, reason = "it is false without the feature")]
pub const fn assert_resizes() {
    assert!(
        cfg!(feature = "image"),
        "`resize` of the manifest needs coreml-rt's feature `image`: `coreml-rt = {{ …, features = \
         [\"image\"] }}` in Cargo.toml"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fits one tensor, and returns sizes and elements of what comes out.
    fn fitted(
        fittings: &'static [(usize, Fitting)],
        dims: &[usize],
        elements: &[i32],
    ) -> Option<(Vec<usize>, Vec<i32>)> {
        let tensor = TensorRef { dims, elements: Elements::Int32(elements) };
        let inputs = [InputRef::Tensor(tensor)];
        let fits = Fitter::new(fittings).fit(&inputs).unwrap()?;
        let fitted = fits.apply(&inputs);
        let tensor = fitted[0].tensor().unwrap();
        let Elements::Int32(elements) = tensor.elements else { panic!() };
        Some((tensor.dims.to_vec(), elements.to_vec()))
    }

    #[test]
    fn what_is_too_long_is_cut_at_the_end_that_was_chosen() {
        const CUT: Fitting = Fitting::Cut { axis: 1, max: 2, keep: Kept::Start };
        const TAIL: Fitting = Fitting::Cut { axis: 1, max: 2, keep: Kept::End };
        let elements = [1, 2, 3, 4, 5, 6];
        let two = Some((vec![2, 2], vec![1, 2, 4, 5]));
        assert_eq!(fitted(&[(0, CUT)], &[2, 3], &elements), two);
        let two = Some((vec![2, 2], vec![2, 3, 5, 6]));
        assert_eq!(fitted(&[(0, TAIL)], &[2, 3], &elements), two);
        // What fits is not copied.
        assert_eq!(fitted(&[(0, CUT)], &[3, 2], &elements), None);
        assert_eq!(fitted(&[(1, CUT)], &[2, 3], &elements), None);
        const FIRST: Fitting = Fitting::Cut { axis: 0, max: 1, keep: Kept::End };
        let one = Some((vec![1, 2], vec![4, 5]));
        assert_eq!(fitted(&[(0, CUT), (0, FIRST)], &[2, 3], &elements), one);
        // A dimension between two others.
        let cube: Vec<i32> = (0..12).collect();
        let middle = Some((vec![2, 2, 2], vec![2, 3, 4, 5, 8, 9, 10, 11]));
        assert_eq!(fitted(&[(0, TAIL)], &[2, 3, 2], &cube), middle);
    }
}
