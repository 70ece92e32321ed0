//! The models of one size behind one interface, which hides how the manifests' types differ.
//!
//! Owns: [`Network`], and its implementation for each manifest. Must not: know sound, words or
//! rules of decoding.
//! Flow: `build.rs` converts → `lib.rs` has the generated types → here → `decode.rs` takes logits.

use crate::error::Error;
use coreml_rt::{LoadOptions, TensorView, f16};
use std::sync::Arc;

/// The numbers of a size that the program must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bands of the spectrogram.
    pub mels: usize,
    /// Frames of a window, of 10 ms each.
    pub frames: usize,
    /// Tokens that the decoder has positions for.
    pub context: usize,
    /// Tokens that there are.
    pub vocabulary: usize,
}

/// An encoder and a decoder, with the window that they are at.
///
/// A window is heard once; then sequences of tokens about it are begun as often as wanted, which
/// fallback does.
pub trait Network {
    /// Returns the numbers of this size.
    fn layout(&self) -> Layout;

    /// Returns the spectrogram of a window, computed by the manifest's model.
    ///
    /// Parameters: `samples` — `frames * 160` of them.
    fn spectrogram(&mut self, samples: &[f32]) -> Result<Vec<f32>, Error>;

    /// Encodes a window.
    ///
    /// Parameters: `mel` — a spectrogram, `[mels, frames]`.
    fn hear(&mut self, mel: &[f32]) -> Result<(), Error>;

    /// Forgets all tokens, and begins a new sequence about the window.
    fn begin(&mut self) -> Result<(), Error>;

    /// Takes the next token in, and returns the logits of the one behind it.
    ///
    /// Parameters: `position` — how many tokens the sequence had before.
    fn step(&mut self, token: u32, position: usize) -> Result<&[f32], Error>;
}

/// What makes the network of a size.
pub type Loader = fn(&LoadOptions) -> Result<Box<dyn Network>, Error>;

/// Implements [`Network`] for the encoder and the decoder of a manifest.
///
/// Their tensors have other shapes for each size, and so other types; the code is the same. A
/// spectrogram of the wrong length is an error at run time, a decoder that does not fit its encoder
/// one of the compiler.
macro_rules! network {
    (
        $(#[$attribute:meta])*
        $name:ident, $layout:expr, $log_mel:path, $encoder:path, $decoder:path
    ) => {
        $(#[$attribute])*
        pub mod $name {
            use super::*;
            use $decoder as decoder;
            use $encoder as encoder;
            use $log_mel as log_mel;

            /// The loaded models, and what is under way.
            pub struct Loaded {
                /// How models are loaded.
                options: LoadOptions,
                /// Samples to spectrograms, loaded when it is first needed.
                log_mel: Option<log_mel::Model>,
                /// Spectrograms to keys and values.
                encoder: encoder::Model,
                /// Tokens to logits.
                decoder: decoder::Model,
                /// The window that was heard last: shared, so that no step has to copy or to widen
                /// it again.
                heard: Arc<encoder::Output>,
                /// The caches of the sequence.
                state: decoder::State,
                /// The last logits.
                said: decoder::Output,
                /// The spectrogram in the encoder's type.
                mel: Vec<f16>,
            }

            impl Loaded {
                /// Loads both models.
                pub fn load(
                    options: &LoadOptions,
                    of_decoder: &LoadOptions,
                ) -> Result<Self, Error> {
                    let decoder = decoder::Model::load_with(of_decoder)?;
                    Ok(Self {
                        options: options.clone(),
                        log_mel: None,
                        encoder: encoder::Model::load_with(options)?,
                        state: decoder.new_state()?,
                        decoder,
                        heard: Arc::new(encoder::Output::zeros()),
                        said: decoder::Output::zeros(),
                        mel: Vec::new(),
                    })
                }
            }

            impl Network for Loaded {
                fn layout(&self) -> Layout {
                    $layout
                }

                fn spectrogram(&mut self, samples: &[f32]) -> Result<Vec<f32>, Error> {
                    let model = match &self.log_mel {
                        Some(model) => model,
                        None => self.log_mel.insert(log_mel::Model::load_with(&self.options)?),
                    };
                    let input = log_mel::Input { samples: TensorView::from_slice(samples)? };
                    Ok(model.predict(&input)?.mel.into_vec())
                }

                fn hear(&mut self, mel: &[f32]) -> Result<(), Error> {
                    self.mel.clear();
                    self.mel.extend(mel.iter().map(|level| f16::from_f32(*level)));
                    let input = encoder::Input { mel: TensorView::from_slice(&self.mel)? };
                    self.heard = Arc::new(self.encoder.predict(&input)?);
                    Ok(())
                }

                fn begin(&mut self) -> Result<(), Error> {
                    self.state = self.decoder.new_state()?;
                    Ok(())
                }

                fn step(&mut self, token: u32, position: usize) -> Result<&[f32], Error> {
                    let (token, position) = ([token as i32], [position as i32]);
                    let input = decoder::Input {
                        token: TensorView::from_slice(&token)?,
                        position: TensorView::from_slice(&position)?,
                        cross_key: TensorView::shared(&self.heard, |heard| &heard.cross_key),
                        cross_value: TensorView::shared(&self.heard, |heard| &heard.cross_value),
                    };
                    self.decoder.predict_into(&mut self.state, &input, &mut self.said)?;
                    Ok(self.said.logits.as_slice())
                }
            }

            /// Loads the network of this size.
            pub fn load(options: &LoadOptions) -> Result<Box<dyn Network>, Error> {
                load_with(options, options)
            }

            /// Loads the network of this size; its decoder has options of its own, for example
            /// another package.
            pub fn load_with(
                options: &LoadOptions,
                of_decoder: &LoadOptions,
            ) -> Result<Box<dyn Network>, Error> {
                Ok(Box::new(Loaded::load(options, of_decoder)?))
            }
        }
    };
}

/// The size that was trained here.
pub const DIGITS: Layout = Layout { mels: 80, frames: 600, context: 64, vocabulary: 135 };

/// OpenAI's sizes up to `large`.
#[cfg(any(
    feature = "tiny",
    feature = "base",
    feature = "small",
    feature = "medium",
    feature = "large"
))]
const MULTILINGUAL: Layout = Layout { mels: 80, frames: 3000, context: 448, vocabulary: 51865 };

network!(
    /// The digits, with caches that Core ML keeps.
    digits, DIGITS, crate::digits::log_mel, crate::digits::encoder, crate::digits::decoder
);
network!(
    /// The digits, with caches that go in and come out of each step.
    digits_io, DIGITS, crate::digits::log_mel, crate::digits::encoder, crate::digits::decoder_io
);
network!(
    /// The digits with weights of 8 bits.
    digits_int8, DIGITS, crate::digits::log_mel,
    crate::quantized::encoder_int8, crate::quantized::decoder_int8
);
network!(
    /// The digits with weights of 6 bits.
    digits_bits6, DIGITS, crate::digits::log_mel,
    crate::quantized::encoder_bits6, crate::quantized::decoder_bits6
);
network!(
    /// The digits with weights of 4 bits.
    digits_int4, DIGITS, crate::digits::log_mel,
    crate::quantized::encoder_int4, crate::quantized::decoder_int4
);
network!(
    /// OpenAI's `tiny`.
    #[cfg(feature = "tiny")]
    tiny, MULTILINGUAL, crate::tiny::log_mel, crate::tiny::encoder, crate::tiny::decoder
);
network!(
    /// OpenAI's `base`.
    #[cfg(feature = "base")]
    base, MULTILINGUAL, crate::base::log_mel, crate::base::encoder, crate::base::decoder
);
network!(
    /// OpenAI's `small`.
    #[cfg(feature = "small")]
    small, MULTILINGUAL, crate::small::log_mel, crate::small::encoder, crate::small::decoder
);
network!(
    /// OpenAI's `medium`.
    #[cfg(feature = "medium")]
    medium, MULTILINGUAL, crate::medium::log_mel, crate::medium::encoder, crate::medium::decoder
);
network!(
    /// OpenAI's `large`, and `large-v2`, which has its dimensions.
    #[cfg(feature = "large")]
    large, MULTILINGUAL, crate::large::log_mel, crate::large::encoder, crate::large::decoder
);
network!(
    /// OpenAI's `large-v3`: more bands, and one language more.
    #[cfg(feature = "large-v3")]
    large_v3,
    Layout { mels: 128, frames: 3000, context: 448, vocabulary: 51866 },
    crate::large_v3::log_mel, crate::large_v3::encoder, crate::large_v3::decoder
);
