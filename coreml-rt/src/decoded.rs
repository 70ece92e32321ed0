//! What rustc says where something is no picture of a model.
//!
//! Owns: that message. Must not: convert; `image.rs` takes bytes, `picture.rs` the crate `image`.
//! Flow: callers write `(&picture).try_into()?` in the fields of a generated `Input`.

use crate::dimension::Dim;
use crate::image::{Color, ImageView};

/// A picture that is a model's input whatever its size. Nothing is: pictures of the crate `image`
/// (feature `image`) are checked when the program runs, by `.try_into()`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no picture of a model",
    label = "the model's input is a picture",
    note = "pictures of the crate `image` need coreml-rt's feature `image`: \
            `coreml-rt = {{ …, features = [\"image\"] }}` in Cargo.toml",
    note = "after the color of the model it takes `&RgbImage` or `&RgbaImage`, or `&GrayImage`: \
            `(&picture.to_rgb8()).try_into()?` for a `DynamicImage`",
    note = "bytes of pixels: `ImageView::from_rgb8(&bytes, width, height)?`"
)]
pub trait Picture {
    /// Borrows the pixels.
    #[doc(hidden)]
    fn borrowed<C: Color, W: Dim, H: Dim>(&self) -> ImageView<'_, C, W, H>;
}

impl<'a, P: Picture, C: Color, W: Dim, H: Dim> From<&'a P> for ImageView<'a, C, W, H> {
    fn from(picture: &'a P) -> Self {
        picture.borrowed()
    }
}
