//! Two models of one manifest: an encoder sums a noisy digit up in 24 numbers, a decoder draws it
//! again without the noise.
//!
//! Owns: the generated types, and the chain of the two. Must not: print, read files.
//! Flow: `build.rs` converts `restore.toml` → the attribute below generates its types → `main.rs`
//! restores noisy digits.
//!
//! The decoder takes what the encoder returns, and rustc checks it. An image has another shape than
//! a code, so this does not compile (`tests/compile_errors.rs` reads the message):
//!
//! ```compile_fail
//! use pipeline::restore::{Models, decoder};
//!
//! let models = Models::load()?;
//! let image = coreml_rt::Tensor::<f32, pipeline::Image>::zeros();
//! // Expected 24 numbers, found an image:
//! let restored = models.decoder.predict(&decoder::Input { code: image.view() })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use coreml_rt::{Error, Fixed, Tensor, TensorView};

#[coreml_rt::coreml_model("restore.toml")]
pub mod restore {}

/// A digit: 8 rows of 8 pixels, 0.0 for paper and 1.0 for ink.
pub type Image = (Fixed<1>, Fixed<1>, Fixed<8>, Fixed<8>);

/// Returns the image without its noise.
///
/// Errors: as the models' `predict`.
pub fn restored(
    models: &restore::Models,
    noisy: TensorView<'_, f32, Image>,
) -> Result<Tensor<f32, Image>, Error> {
    let encoded = models.encoder.predict(&restore::encoder::Input { noisy })?;
    let decoded = models.decoder.predict(&restore::decoder::Input { code: encoded.code.view() })?;
    Ok(decoded.clean)
}

#[cfg(test)]
mod tests {
    //! Non-blocking predictions of the pair.

    use super::*;
    use coreml_rt::LoadOptions;
    use restore::{Models, decoder, encoder};

    #[test]
    fn what_is_awaited_is_what_a_prediction_gives() -> Result<(), Error> {
        let models = Models::load_async(LoadOptions::new()).wait()?;
        let images = [0.0, 0.5, 1.0]
            .map(|ink| Tensor::<f32, Image>::from_fn(|[_, _, row, _]| ink * row as f32 / 8.0));
        // Outputs go from prediction to prediction.
        let (mut code, mut clean) = (encoder::Output::zeros(), decoder::Output::zeros());
        for image in &images {
            code = models
                .encoder
                .predict_into_async(&encoder::Input { noisy: image.view() }, code)
                .wait()?;
            clean = models
                .decoder
                .predict_into_async(&decoder::Input { code: code.code.view() }, clean)
                .wait()?;
            assert_eq!(clean.clean, restored(&models, image.view())?);
        }
        let missing = Models::load_async(LoadOptions::new().path("/nowhere")).wait();
        assert!(matches!(missing, Err(Error::NotFound { .. })));
        Ok(())
    }
}
