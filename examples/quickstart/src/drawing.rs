//! Digits in a terminal.
//!
//! Owns: pixels as text. Must not: print.
//! Flow: `main.rs` prints the lines.

use crate::test_split::PIXELS;

/// From paper to ink; each pixel is two characters wide, because a character is twice as high as
/// wide.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];

/// Characters of an image's row.
const WIDTH: usize = 16;

/// Space between two images.
const GAP: &str = "   ";

/// Returns the lines of a row of images, each with its caption below it.
///
/// Parameters: `images` — pixels from 0.0 to 1.0, row by row, and a caption of at most 16
/// characters.
pub(crate) fn side_by_side(images: &[(&[f32; PIXELS], String)]) -> Vec<String> {
    let mut lines: Vec<String> = (0..8)
        .map(|row| {
            let strips = images
                .iter()
                .map(|(pixels, _)| pixels.iter().skip(row * 8).take(8).flat_map(|&ink| shade(ink)));
            strips.map(String::from_iter).collect::<Vec<_>>().join(GAP)
        })
        .collect();
    let captions = images.iter().map(|(_, caption)| format!("{caption:^WIDTH$}"));
    lines.push(captions.collect::<Vec<_>>().join(GAP));
    lines
}

/// Returns a pixel.
fn shade(ink: f32) -> [char; 2] {
    let last = SHADES.len() - 1;
    let step = (ink.clamp(0.0, 1.0) * last as f32).round() as usize;
    [SHADES[step.min(last)]; 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_keep_their_place_and_darkness() {
        let mut pixels = [0.0; PIXELS];
        pixels[1] = 1.0;
        pixels[8 * 7] = 0.5;
        let lines = side_by_side(&[(&pixels, "left".into()), (&[1.0; PIXELS], "right".into())]);
        assert_eq!(lines.len(), 9);
        assert_eq!(lines[0], format!("  ██{}{GAP}{}", " ".repeat(12), "█".repeat(16)));
        assert_eq!(lines[7], format!("▒▒{}{GAP}{}", " ".repeat(14), "█".repeat(16)));
        assert_eq!(lines[8], format!("{:^16}{GAP}{:^16}", "left", "right"));
    }
}
