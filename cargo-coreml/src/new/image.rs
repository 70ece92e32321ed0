//! `cargo coreml new --image`: a classifier of pictures, and a program that decodes one.
//!
//! Owns: the texts of its files. The network needs no training, so that the first run gives a label
//! that is right. Must not: write files.
//! Flow: `new.rs` → [`image`].

use super::template::{Dependency, Template, named};

/// A picture to try: a house on a meadow.
const PICTURE: &[u8] = include_bytes!("picture.png");

/// The manifest.
const MANIFEST: &str = r#"# A classifier of pictures: its PyTorch source, its input and its labels.

[model]
source = { file = "python/NAME.py", entry = "NAME" }
classifier = { labels = ["black", "white", "red", "green", "blue", "yellow"] }

# `forward` gets (pixel / 255 - mean) / std. Most networks of torchvision were trained with
# mean = [0.485, 0.456, 0.406] and std = [0.229, 0.224, 0.225].
[model.inputs.picture]
image = { width = 224, height = 224, color = "rgb", mean = 0.0, std = 1.0 }
"#;

/// A function that returns a classifier of colours.
const PYTHON: &str = r#""""The model of NAME.toml."""

import torch

#: The colours that the module knows, in the order of the labels: red, green, blue from 0 to 1.
COLOURS = [[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]]


class Module(torch.nn.Module):
    """Says how much of a picture has which colour; replace it with your network."""

    def __init__(self):
        super().__init__()
        colours = torch.tensor(COLOURS, dtype=torch.float32)
        # How near a pixel is to each colour: its squared distance, without what all have in common.
        self.nearness = torch.nn.Conv2d(3, len(COLOURS), 1)
        self.nearness.weight.data = 2 * colours[:, :, None, None]
        self.nearness.bias.data = -(colours**2).sum(1)

    def forward(self, picture):
        """Gets (1, 3, 224, 224), returns (1, 6): a probability for each label."""
        return torch.softmax(20 * self.nearness(picture), 1).mean((2, 3))


def NAME():
    """Returns the module that is converted, with its weights."""
    return Module()
"#;

/// The program.
const PROGRAM: &str = r#"//! Says what a picture shows: `cargo run -- PICTURE`.

use coreml_rt::coreml_model;
use image::imageops::FilterType;
use std::error::Error;

#[coreml_model("NAME.toml")]
pub mod NAME {}

/// The side of the pictures that the model takes, as in NAME.toml.
const SIDE: u32 = 224;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: cargo run -- PICTURE")?;
    // What does not fit is cut off at the edges.
    let picture = image::open(&path)?.resize_to_fill(SIDE, SIDE, FilterType::Triangle).to_rgb8();
    let model = NAME::Model::load()?;
    let output = model.predict(&NAME::Input { picture: (&picture).try_into()? })?;
    let label = output.class_label;
    println!("{label} {:.0} %", 100.0 * output.class_label_probs.get(label));
    Ok(())
}
"#;

/// The crate that decodes pictures.
pub(super) const IMAGE: Dependency =
    Dependency { name: "image", version: "0.25", features: &["jpeg", "png"] };

/// Returns a classifier of pictures.
pub(super) fn image(name: &str) -> Template {
    Template {
        manifest: named(MANIFEST, name),
        python: Some(named(PYTHON, name)),
        program: Some(named(PROGRAM, name)),
        picture: Some(PICTURE),
        features: &["image"],
        dependency: Some(IMAGE),
        next: vec![format!(
            "put your network into python/{name}.py, and its size, mean and labels into {name}.toml"
        )],
    }
}
