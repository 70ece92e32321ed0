//! Conversions of element types that callers of half-precision models need.
//!
//! Owns: which conversions exist, and their rounding. Must not: convert implicitly.
//! Flow: applications call [`Tensor::convert`] and [`TensorView::convert`].

use crate::shape::{Shape, ShapeError, check_length};
use crate::tensor::Tensor;
use crate::view::TensorView;
use coreml_spec::Element;
use half::f16;
use half::slice::HalfFloatSliceExt;

/// An element type that converts to `To`: between floats with rounding to nearest even, from `i32`
/// and `i8` to floats.
///
/// A `f32` beyond ±65 504 becomes an infinity in `f16`; an `i32` beyond ±2²⁴ is rounded in `f32`.
pub trait Cast<To: Element>: Element {
    /// Converts `from` into `to`, element by element; what is longer than the other stays as it is.
    fn cast(from: &[Self], to: &mut [To]);
}

/// Implements [`Cast`] by a conversion of one element.
macro_rules! cast {
    ($($from:ty => $to:ty: $convert:expr;)*) => {$(
        impl Cast<$to> for $from {
            fn cast(from: &[Self], to: &mut [$to]) {
                for (to, &from) in to.iter_mut().zip(from) {
                    *to = $convert(from);
                }
            }
        }
    )*};
}

cast! {
    f32 => f64: f64::from;
    f64 => f32: |element| element as f32;
    f64 => f16: f16::from_f64;
    f16 => f64: f16::to_f64;
    i32 => f32: |element| element as f32;
    i32 => f64: f64::from;
    i32 => f16: |element| f16::from_f64(f64::from(element));
    i8 => f32: f32::from;
    i8 => f64: f64::from;
    i8 => f16: f16::from;
    i8 => i32: i32::from;
}

impl Cast<f16> for f32 {
    fn cast(from: &[Self], to: &mut [f16]) {
        let len = from.len().min(to.len());
        to[..len].convert_from_f32_slice(&from[..len]);
    }
}

impl Cast<f32> for f16 {
    fn cast(from: &[Self], to: &mut [f32]) {
        let len = from.len().min(to.len());
        from[..len].convert_to_f32_slice(&mut to[..len]);
    }
}

impl<T: Element, S: Shape> TensorView<'_, T, S> {
    /// Converts each element, into a new tensor.
    ///
    /// ```
    /// use coreml_rt::{Fixed, Tensor, f16};
    ///
    /// let audio: Tensor<f32, (Fixed<3>,)> = [0.5, -0.25, 1.0].into();
    /// let half: Tensor<f16, _> = audio.view().convert();
    /// assert_eq!(half.convert::<f32>(), audio);
    /// ```
    pub fn convert<To: Element>(&self) -> Tensor<To, S>
    where
        T: Cast<To>,
    {
        let mut elements = vec![To::default(); self.len()];
        T::cast(self.as_slice(), &mut elements);
        Tensor::from_parts(elements, self.dims())
    }
}

impl<T: Element, S: Shape> Tensor<T, S> {
    /// Converts each element, into a new tensor; see [`TensorView::convert`].
    pub fn convert<To: Element>(&self) -> Tensor<To, S>
    where
        T: Cast<To>,
    {
        self.view().convert()
    }

    /// Converts each element of `from` into this tensor, without allocating.
    ///
    /// Errors: [`ShapeError::Length`] when a flexible dimension differs.
    pub fn convert_from<From: Cast<T>>(
        &mut self,
        from: TensorView<'_, From, S>,
    ) -> Result<(), ShapeError> {
        check_length(self.dims().as_ref(), self.len(), from.len())?;
        From::cast(from.as_slice(), self.as_mut_slice());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Fixed, Range, Tensor, f16};

    #[test]
    fn floats_round_to_nearest_even_and_overflow_to_infinity() {
        let wide: Tensor<f32, (Fixed<4>,)> = [2049.0, 65520.0, f32::NAN, -0.0].into();
        let half: Tensor<f16, _> = wide.convert();
        assert_eq!(half.as_slice()[0].to_f32(), 2048.0);
        assert_eq!(half.as_slice()[1], f16::INFINITY);
        assert!(half.as_slice()[2].is_nan());
        assert!(half.as_slice()[3].is_sign_negative());
    }

    #[test]
    fn converting_into_a_tensor_of_another_size_is_an_error() {
        type S = (Range<1, 4>,);
        let from = Tensor::<i32, S>::from_vec_with_dims(vec![1, 2, 3], [3]).unwrap();
        let mut to = Tensor::<f32, S>::zeros_with_dims([2]).unwrap();
        assert!(to.convert_from(from.view()).is_err());
        let mut to = Tensor::<f32, S>::zeros_with_dims([3]).unwrap();
        to.convert_from(from.view()).unwrap();
        assert_eq!(to.as_slice(), [1.0, 2.0, 3.0]);
    }
}
