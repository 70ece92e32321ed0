//! Reading `image` of inputs and outputs.
//!
//! Owns: the keys of an image, and the two ways to spell its preprocessing.
//! Flow: `feature.rs` reads images with it; the driver puts the preprocessing in front of the
//! module.

use super::key::{self, Key, Read, fill, rows};
use super::kind::{Absent, Goes, Kind, Table, words};
use super::section::Item;
use super::shape::{Dimension, SIZE, dimension};
use coreml_spec::{Fitting, Resize};
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
    /// What is done to a picture of another size; it converts nothing.
    #[serde(skip)]
    pub(crate) fitting: Option<Fitting>,
}

impl Image {
    /// Returns what to ask about numbers that `ToTensor` does not go with: it divides by 255 before
    /// they are used.
    pub(super) fn question(&self) -> Option<String> {
        let is_large = |number: &Number| number.as_f64().is_some_and(|number| number > 1.0);
        let divided = |numbers: &[Number]| {
            let shares = numbers.iter().filter_map(Number::as_f64);
            let shares: Vec<_> = shares
                .map(|number| if number > 1.0 { number / LARGEST_BYTE } else { number })
                .map(|share| format!("{share:.3}"))
                .collect();
            format!("[{}]", shares.join(", "))
        };
        let mean = self.mean.as_deref().filter(|mean| mean.iter().any(is_large))?;
        if self.color == Color::GrayscaleFloat16 {
            return None;
        }
        let mut better = format!("`mean = {}`", divided(mean));
        if let Some(std) = &self.std {
            better += &format!(" and `std = {}`", divided(std));
        }
        Some(format!(
            "is a `mean` above 1 meant? Pixels are divided by 255 before `mean` and `std` are \
             used, as by torchvision's `ToTensor`; numbers for pixels from 0 to 255 are here \
             {better}"
        ))
    }
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

/// Pixel layouts by their words.
const COLORS: [(&str, Color); 4] = [
    ("rgb", Color::Rgb),
    ("bgr", Color::Bgr),
    ("grayscale", Color::Grayscale),
    ("grayscale-float16", Color::GrayscaleFloat16),
];

/// The largest value of an 8-bit colour.
const LARGEST_BYTE: f64 = 255.0;

/// What torchvision's models with weights of ImageNet are trained with.
const IMAGENET: &str = "`mean = [0.485, 0.456, 0.406]` and `std = [0.229, 0.224, 0.225]`";

/// The words of pixel layouts.
const COLOR_WORDS: &[&str] = &words(&COLORS);

/// A number for all channels, or one for each.
const NUMBERS: Kind = Kind::Either(&[Kind::Number, Kind::List(&Kind::Number, 1, 3)]);

/// The image of an input.
pub(super) static IMAGE: Table =
    Table { name: "image", text: "A picture as an input.", rows: || rows(INPUT), entries: None };

/// The image of an output.
pub(super) static OUTPUT_IMAGE: Table = Table {
    name: "output-image",
    text: "A picture as an output.",
    rows: || rows(OUTPUT),
    entries: None,
};

/// Keys of an input's image.
static INPUT: &[Key<Pixels>] = &[
    Key {
        name: "width",
        kind: SIZE,
        absent: Absent::Needed("width = 224"),
        text: "Columns of pixels.",
        read: |pixels, item| fill(&mut pixels.width, dimension(item)),
        ..Key::PLAIN
    },
    Key {
        name: "height",
        kind: SIZE,
        absent: Absent::Needed("height = 224"),
        text: "Rows of pixels.",
        read: |pixels, item| fill(&mut pixels.height, dimension(item)),
        ..Key::PLAIN
    },
    Key {
        name: "color",
        kind: Kind::Word(COLOR_WORDS),
        absent: Absent::Needed("color = \"rgb\""),
        text: "The pixel layout. `forward` gets `[1, 3, height, width]` or `[1, 1, height, \
            width]`, channels in this order. `\"grayscale-float16\"` needs iOS16.",
        read: |pixels, item| fill(&mut pixels.color, item.choice(&COLORS)),
        ..Key::PLAIN
    },
    Key {
        name: "scale",
        kind: NUMBERS,
        absent: Absent::Means("1: raw pixels, 0 to 255"),
        text: "`pixel * scale + bias`, as in coremltools; one number, or one for each channel.",
        read: |pixels, item| fill(&mut pixels.scale, numbers(item)),
        ..Key::PLAIN
    },
    Key {
        name: "bias",
        kind: NUMBERS,
        absent: Absent::Means("0"),
        text: "See `scale`.",
        read: |pixels, item| fill(&mut pixels.bias, numbers(item)),
        ..Key::PLAIN
    },
    Key {
        name: "mean",
        kind: NUMBERS,
        absent: Absent::Means("0"),
        text: "torchvision's `ToTensor` and `Normalize` instead: `(pixel / 255 - mean) / std`. A \
            `grayscale-float16` pixel is not divided.",
        read: |pixels, item| fill(&mut pixels.mean, numbers(item)),
        ..Key::PLAIN
    },
    Key {
        name: "std",
        kind: NUMBERS,
        absent: Absent::Means("1"),
        text: "See `mean`.",
        read: |pixels, item| fill(&mut pixels.std, numbers(item)),
        ..Key::PLAIN
    },
    Key {
        name: "resize",
        kind: Kind::Word(RESIZE_WORDS),
        absent: Absent::Is("\"reject\""),
        goes: Goes::Index,
        text: "What becomes of a picture of another size: an error, or it is [made to \
            fit](#inputs-that-do-not-fit) when the program runs.",
        read: |pixels, item| {
            let resize = item.choice(&RESIZE);
            pixels.resize = resize?;
            Some(())
        },
        ..Key::PLAIN
    },
    Key {
        name: "padding",
        kind: NUMBERS,
        absent: Absent::Means("0, black"),
        goes: Goes::Index,
        text: "The colour of the bars that `resize = \"fit\"` adds, as a pixel: one number, or \
            one for each channel.",
        read: |pixels, item| fill(&mut pixels.padding, numbers(item)),
        ..Key::PLAIN
    },
];

/// What becomes of a picture of another size, by the word.
const RESIZE: [(&str, Option<Resize>); 4] = [
    ("reject", None),
    ("fit", Some(Resize::Fit)),
    ("fill", Some(Resize::Fill)),
    ("crop", Some(Resize::Crop)),
];

/// The words of it.
const RESIZE_WORDS: &[&str] = &words(&RESIZE);

/// Keys of an output's image.
static OUTPUT: &[Key<Option<Color>>] = &[Key {
    name: "color",
    kind: Kind::Word(COLOR_WORDS),
    absent: Absent::Needed("color = \"rgb\""),
    text: "The pixel layout.",
    read: |color, item| fill(color, item.choice(&COLORS)),
    ..Key::PLAIN
}];

/// An input's image as it was written.
#[derive(Default)]
struct Pixels {
    /// `width`.
    width: Option<Dimension>,
    /// `height`.
    height: Option<Dimension>,
    /// `color`.
    color: Option<Color>,
    /// `scale`.
    scale: Option<Numbers>,
    /// `bias`.
    bias: Option<Numbers>,
    /// `mean`.
    mean: Option<Numbers>,
    /// `std`.
    std: Option<Numbers>,
    /// `resize`.
    resize: Option<Resize>,
    /// `padding`.
    padding: Option<Numbers>,
}

/// Numbers for the channels of an image.
enum Numbers {
    /// The same for all.
    Same(Number),
    /// One for each.
    Each(Vec<Number>),
}

/// Reads the `image` of an input.
pub(super) fn input_image(item: &Item<'_>) -> Option<Image> {
    let mut pixels = Pixels::default();
    if let Some(size) = item.is_table().then(|| item.section()?.get("size", &SIZE)).flatten() {
        size.report(
            "an image has no `size`, but `width` and `height`: write `width = 224, height = 224`",
        );
        return None;
    }
    let table = key::read(item, INPUT, &mut pixels)?;
    let channels = pixels.color.map_or(1, Color::channels);
    let mut right = table.right();
    let mut expand = |key: &str, numbers: Option<Numbers>| {
        let all = match numbers? {
            Numbers::Same(number) => vec![number; channels],
            Numbers::Each(all) => all,
        };
        if all.len() != channels {
            let plural = if channels == 1 { "" } else { "s" };
            let found = all.len();
            table.report(
                key,
                format!("the image has {channels} channel{plural}, found {found} numbers"),
            );
            right = None;
        }
        Some(all)
    };
    let scale = expand("scale", pixels.scale);
    let bias = expand("bias", pixels.bias);
    let mean = expand("mean", pixels.mean);
    let std = expand("std", pixels.std);
    let padding = expand("padding", pixels.padding);
    if let Some(key) = ["mean", "std"].into_iter().find(|key| table.has(key))
        && (table.has("scale") || table.has("bias"))
    {
        table.report(key, "an image has `scale` and `bias`, or `mean` and `std`, not both");
        return None;
    }
    for (key, factors) in [("scale", &scale), ("std", &std)] {
        if factors.iter().flatten().any(|factor| factor.as_f64() == Some(0.0)) {
            table.report(key, format!("`{key}` is zero: every pixel would be the same"));
            return None;
        }
    }
    right?;
    let Pixels { width, height, color, resize, .. } = pixels;
    let (width, height, color) = (width?, height?, color?);
    let sizes = [("width", &width), ("height", &height)];
    for (key, _) in sizes
        .iter()
        .filter(|(_, size)| matches!(size, Dimension::Range(range) if range.longer.is_some()))
    {
        table.report(key, "a picture has no `longer`: `resize` says what becomes of other sizes");
        right = None;
    }
    right?;
    let fitting = fitting(&table, resize, padding, (&width, &height), color)?;
    Some(Image { bias, color, height, mean, scale, std, width, fitting })
}

/// Makes what is done to a picture of another size.
fn fitting(
    table: &Read<'_>,
    resize: Option<Resize>,
    padding: Option<Vec<Number>>,
    sizes: (&Dimension, &Dimension),
    color: Color,
) -> Option<Option<Fitting>> {
    if padding.is_some() && resize != Some(Resize::Fit) {
        table.report("padding", "`padding` is the colour of what `resize = \"fit\"` adds");
        return None;
    }
    let Some(how) = resize else { return Some(None) };
    let (&Dimension::Fixed(width), &Dimension::Fixed(height)) = sizes else {
        table.report(
            "resize",
            "`resize` needs one `width` and one `height`: a picture that takes several sizes has \
            none to be made to fit",
        );
        return None;
    };
    let mut colors = [0.0; 3];
    for (channel, number) in colors.iter_mut().zip(padding.iter().flatten()) {
        let value = number.as_f64()?;
        if color != Color::GrayscaleFloat16 && !(0.0..=LARGEST_BYTE).contains(&value) {
            table.report("padding", "`padding` is a pixel: its numbers lie between 0 and 255");
            return None;
        }
        *channel = value as f32;
    }
    if color == Color::Bgr {
        colors.reverse();
    }
    Some(Some(Fitting::Resize { how, width, height, padding: colors }))
}

/// Reads the `image` of an output.
pub(super) fn output_image(item: &Item<'_>) -> Option<OutputImage> {
    let mut color = None;
    key::read(item, OUTPUT, &mut color)?;
    Some(OutputImage { color: color? })
}

/// Reads a number for all channels, or one for each.
fn numbers(item: &Item<'_>) -> Option<Numbers> {
    if item.is_string() {
        item.report(format!(
            "this is a number for all channels, or one for each; those of ImageNet are {IMAGENET}"
        ));
        return None;
    }
    if !item.is_array() {
        return item.number().map(Numbers::Same);
    }
    item.array()?.iter().map(Item::number).collect::<Option<_>>().map(Numbers::Each)
}
