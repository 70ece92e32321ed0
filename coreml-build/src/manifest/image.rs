//! Reading `image` of inputs and outputs.
//!
//! Owns: the keys of an image, and the two ways to spell its preprocessing.
//! Flow: called by `feature.rs`; the driver puts the preprocessing in front of the module.

use super::section::{Item, Section};
use super::shape::{Dimension, dimension};
use serde::Serialize;
use serde_json::Number;

/// What an image input is, and how its pixels become what `forward` takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Image {
    /// Added to each scaled pixel, per channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bias: Option<Vec<Number>>,
    /// Pixel layout.
    pub(crate) color: Color,
    /// Rows.
    pub(crate) height: Dimension,
    /// torchvision's `Normalize`, per channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mean: Option<Vec<Number>>,
    /// Factor of each pixel, per channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scale: Option<Vec<Number>>,
    /// torchvision's `Normalize`, per channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) std: Option<Vec<Number>>,
    /// Columns.
    pub(crate) width: Dimension,
}

/// What an image output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct OutputImage {
    /// Pixel layout.
    pub(crate) color: Color,
}

/// Pixel layouts, by coremltools' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Color {
    /// Three channels, red first.
    Rgb,
    /// Three channels, blue first.
    Bgr,
    /// One byte per pixel.
    Grayscale,
    /// One half-precision float per pixel.
    GrayscaleFloat16,
}

impl Color {
    /// Returns the number of channels.
    fn channels(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grayscale | Self::GrayscaleFloat16 => 1,
        }
    }
}

/// Reads the `image` of an input.
pub(super) fn input_image(item: &Item<'_>) -> Option<Image> {
    let section = item.section()?;
    let side = |key, example| section.require(key, example).and_then(|item| dimension(&item));
    let (width, height) = (side("width", "width = 224"), side("height", "height = 224"));
    let color = color(&section);
    let channels = color.map_or(1, Color::channels);
    let numbers = |key| section.take(key).map(|item| (numbers(&item, channels), item));
    let (scale, bias, mean, std) =
        (numbers("scale"), numbers("bias"), numbers("mean"), numbers("std"));
    section.finish();
    if let Some((_, place)) = mean.as_ref().or(std.as_ref())
        && (scale.is_some() || bias.is_some())
    {
        place.report("an image has `scale` and `bias`, or `mean` and `std`, not both");
        return None;
    }
    for (key, factor) in [("scale", &scale), ("std", &std)] {
        if let Some((Some(factors), place)) = factor
            && factors.iter().any(|factor| factor.as_f64() == Some(0.0))
        {
            place.report(format!("`{key}` is zero: every pixel would be the same"));
            return None;
        }
    }
    Some(Image {
        bias: given(bias)?,
        color: color?,
        height: height?,
        mean: given(mean)?,
        scale: given(scale)?,
        std: given(std)?,
        width: width?,
    })
}

/// Reads the `image` of an output.
pub(super) fn output_image(item: &Item<'_>) -> Option<OutputImage> {
    let section = item.section()?;
    let color = color(&section);
    section.finish();
    Some(OutputImage { color: color? })
}

/// Reads `color`.
fn color(section: &Section<'_>) -> Option<Color> {
    section.require("color", "color = \"rgb\"")?.choice(&[
        ("rgb", Color::Rgb),
        ("bgr", Color::Bgr),
        ("grayscale", Color::Grayscale),
        ("grayscale-float16", Color::GrayscaleFloat16),
    ])
}

/// Reads a number for all channels, or one for each.
fn numbers(item: &Item<'_>, channels: usize) -> Option<Vec<Number>> {
    if !item.is_array() {
        return Some(vec![item.number()?; channels]);
    }
    let all: Option<Vec<_>> = item.array()?.iter().map(Item::number).collect();
    let all = all?;
    if all.len() != channels {
        let plural = if channels == 1 { "" } else { "s" };
        item.report(format!(
            "the image has {channels} channel{plural}, found {} numbers",
            all.len()
        ));
        return None;
    }
    Some(all)
}

/// Turns "absent, wrong, or right" with its place into `None` for wrong.
fn given<T>(value: Option<(Option<T>, Item<'_>)>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some((value, _)) => value.map(Some),
    }
}
