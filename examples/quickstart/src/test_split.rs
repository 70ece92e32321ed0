//! The digits that were not in the training set, with PyTorch's results for them.
//!
//! Owns: `data/test.safetensors`, which `python/train.py` wrote. Must not: know the model.
//! Flow: `main.rs` reads it once and predicts each image.

use safetensors::{SafeTensorError, SafeTensors};

/// Pixels of an image: 8 rows of 8.
pub(crate) const PIXELS: usize = 64;

/// Classes, and so probabilities of an image.
pub(crate) const CLASSES: usize = 10;

/// The darkest value of a pixel in the file; the model takes 0.0 for paper and 1.0 for ink.
const INK: f32 = 16.0;

/// One image of the test split.
pub(crate) struct Example {
    /// Pixels from 0.0 (paper) to 1.0 (ink), row by row.
    pub(crate) pixels: [f32; PIXELS],
    /// The digit that the writer meant.
    pub(crate) digit: u8,
    /// PyTorch's probability of each digit.
    pub(crate) pytorch: [f32; CLASSES],
}

/// Reads the test split, which is part of the program.
///
/// Errors: the file in the source tree is not what `python/train.py` writes.
pub(crate) fn read() -> Result<Vec<Example>, SafeTensorError> {
    let file = SafeTensors::deserialize(include_bytes!("../data/test.safetensors"))?;
    let images = file.tensor("images")?;
    let labels = file.tensor("labels")?;
    let probabilities = file.tensor("probabilities")?;
    let (images, _) = images.data().as_chunks::<PIXELS>();
    let (floats, _) = probabilities.data().as_chunks::<{ size_of::<f32>() }>();
    let (probabilities, _) = floats.as_chunks::<CLASSES>();
    Ok(images
        .iter()
        .zip(labels.data())
        .zip(probabilities)
        .map(|((pixels, &digit), pytorch)| Example {
            pixels: pixels.map(|value| f32::from(value) / INK),
            digit,
            pytorch: pytorch.map(f32::from_le_bytes),
        })
        .collect())
}
