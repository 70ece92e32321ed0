//! Removes the noise from handwritten digits with two PyTorch models that `cargo build` turned into
//! Rust types.
//!
//! Owns: the output. Must not: know Python, Core ML or an engine.
//! Flow: `lib.rs` runs the two models; this program shows their results for images that were not in
//! the training set.

use pipeline::restore::Models;
use safetensors::SafeTensors;
use std::error::Error;

/// Pixels of an image.
const PIXELS: usize = 64;

/// Images that are drawn.
const DRAWN: usize = 4;

/// From paper to ink; each pixel is two characters wide, because a character is twice as high as
/// wide.
const SHADES: [&str; 5] = ["  ", "░░", "▒▒", "▓▓", "██"];

fn main() -> Result<(), Box<dyn Error>> {
    let file = SafeTensors::deserialize(include_bytes!("../data/noisy.safetensors"))?;
    let [clean, noisy, pytorch] =
        [images(&file, "clean")?, images(&file, "noisy")?, images(&file, "restored")?];
    let models = Models::load()?;
    let mut restored = Vec::with_capacity(noisy.len());
    for image in &noisy {
        restored.push(pipeline::restored(&models, image.as_slice().try_into()?)?.into_vec());
    }

    for (index, (noisy, restored)) in noisy.iter().zip(&restored).enumerate().take(DRAWN) {
        println!("{:18} {:18} restored", format!("image {index}"), "noisy");
        for row in 0..8 {
            let strip = |image: &[f32]| {
                image.iter().skip(row * 8).take(8).map(|&ink| shade(ink)).collect::<String>()
            };
            println!("{}   {}   {}", strip(&clean[index]), strip(noisy), strip(restored));
        }
        println!();
    }
    let largest =
        restored.iter().flatten().zip(pytorch.iter().flatten()).map(|(a, b)| (a - b).abs());
    println!("images               {}", noisy.len());
    println!("error before         {:.4} (mean square)", mean_square(&noisy, &clean));
    println!("error after          {:.4}", mean_square(&restored, &clean));
    println!("PyTorch's error      {:.4}", mean_square(&pytorch, &clean));
    println!("largest difference   {:.6} in a pixel", largest.fold(0.0, f32::max));
    Ok(())
}

/// Returns the images called `name`: 64 pixels each, row by row.
///
/// Errors: the file in the source tree is not what `python/train.py` writes.
fn images(
    file: &SafeTensors<'_>,
    name: &str,
) -> Result<Vec<Vec<f32>>, safetensors::SafeTensorError> {
    let tensor = file.tensor(name)?;
    let (pixels, _) = tensor.data().as_chunks::<{ size_of::<f32>() }>();
    Ok(pixels
        .chunks(PIXELS)
        .map(|image| image.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
        .collect())
}

/// Returns a pixel in text.
fn shade(ink: f32) -> &'static str {
    let last = SHADES.len() - 1;
    SHADES[((ink.clamp(0.0, 1.0) * last as f32).round() as usize).min(last)]
}

/// Returns the mean of the squared differences of all pixels.
fn mean_square(images: &[Vec<f32>], truth: &[Vec<f32>]) -> f32 {
    let squares =
        images.iter().flatten().zip(truth.iter().flatten()).map(|(a, b)| (a - b) * (a - b));
    squares.sum::<f32>() / (images.len() * PIXELS) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_goes_and_pytorch_agrees() {
        let file = SafeTensors::deserialize(include_bytes!("../data/noisy.safetensors")).unwrap();
        let [clean, noisy, pytorch] =
            ["clean", "noisy", "restored"].map(|name| images(&file, name).unwrap());
        let models = Models::load().unwrap();
        let restore = |image: &Vec<f32>| {
            pipeline::restored(&models, image.as_slice().try_into().unwrap()).unwrap()
        };
        let restored: Vec<Vec<f32>> = noisy.iter().map(|image| restore(image).into_vec()).collect();
        assert!(mean_square(&restored, &clean) < 0.4 * mean_square(&noisy, &clean));
        assert!(mean_square(&restored, &pytorch) < 1e-5);
    }
}
