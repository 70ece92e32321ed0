//! Reading the keys of inputs and outputs.
//!
//! Owns: what an element type and a sample may be, as far as Core ML limits them, and what the
//! canonical table has of inputs and outputs.
//! Must not: know what a shape or an image is: `shape.rs` and `image.rs` read them.
//! Flow: `function.rs` reads the tables `inputs` and `outputs` with it.

use super::image::{IMAGE, Image, OUTPUT_IMAGE, OutputImage, input_image, output_image};
use super::key::{self, Key, fill, rows};
use super::kind::{Absent, Kind, Table, words};
use super::named::{Named, features};
use super::sample::{SAMPLE, Sample, SampleKeys, sample, sample_keys};
use super::section::Item;
use super::shape::{self, Dimension};
use coreml_spec::{DataType, Fitting};
use serde::Serialize;
use serde_json::Number;

/// One input.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Input {
    /// Value when the caller gives none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) default: Option<Number>,
    /// Element type; an image has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dtype: Option<DataType>,
    /// How samples are drawn; the driver's default where the manifest is silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sample: Option<Sample>,
    /// What the caller gives.
    #[serde(flatten)]
    pub(super) form: Form,
}

impl Input {
    /// Returns what is done to the input where it does not fit.
    pub(super) fn fittings(&self) -> Vec<Fitting> {
        let cut = |(axis, dimension): (usize, &Dimension)| match dimension {
            Dimension::Range(range) => {
                range.longer.map(|keep| Fitting::Cut { axis, max: range.max, keep })
            }
            Dimension::Fixed(_) => None,
        };
        match &self.form {
            Form::Image(image) => image.fitting.into_iter().collect(),
            Form::Shape(dimensions) => dimensions.iter().enumerate().filter_map(cut).collect(),
            Form::Shapes(_) => Vec::new(),
        }
    }
}

/// What the caller of a model gives as an input; the variant's name is the key.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// A picture.
    Image(Box<Image>),
    /// A tensor of this shape.
    Shape(Vec<Dimension>),
    /// A tensor of one of these shapes, the first of which is the default (`EnumeratedShapes`).
    Shapes(Vec<Vec<usize>>),
}

/// One output.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Output {
    /// Element type; the module's own where the manifest is silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dtype: Option<DataType>,
    /// Present when the output is a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<OutputImage>,
}

/// Element types that an input or an output can have.
const TYPES: [(&str, DataType); 4] = [
    ("float16", DataType::Float16),
    ("float32", DataType::Float32),
    ("int32", DataType::Int32),
    ("int8", DataType::Int8),
];

/// The words of element types.
const TYPE_WORDS: &[&str] = &words(&TYPES);

/// The table of all inputs.
pub(super) static INPUTS: Table = Table {
    name: "inputs",
    text: "Inputs by name, in the order of `forward`'s arguments.",
    rows: Vec::new,
    entries: Some(&INPUT),
};

/// The table of all outputs.
pub(super) static OUTPUTS: Table = Table {
    name: "outputs",
    text: "Outputs by name, in the order of what `forward` returns.",
    rows: Vec::new,
    entries: Some(&OUTPUT),
};

/// An input.
pub(super) static INPUT: Table =
    Table { name: "input", text: "An input.", rows: || rows(INPUT_KEYS), entries: None };

/// An output.
pub(super) static OUTPUT: Table =
    Table { name: "output", text: "An output.", rows: || rows(OUTPUT_KEYS), entries: None };

/// Keys of an input.
static INPUT_KEYS: &[Key<InputKeys>] = &[
    Key {
        name: "shape",
        kind: shape::SHAPE,
        absent: Absent::Means("one of `shape`, `shapes` and `image` is needed"),
        text: "The sizes, the batch dimension included. Each may be a \
            [range](#flexible-shapes).",
        read: |keys, item| fill(&mut keys.shape, shape::shape(item)),
        ..Key::PLAIN
    },
    Key {
        name: "shapes",
        kind: shape::SHAPES,
        text: "[Enumerated shapes](#flexible-shapes), the default first.",
        read: |keys, item| fill(&mut keys.shapes, shape::shapes(item)),
        ..Key::PLAIN
    },
    Key {
        name: "image",
        kind: Kind::Table(&IMAGE),
        text: "The input is a [picture](#images). It has no `dtype` and no `default`.",
        read: |keys, item| fill(&mut keys.image, input_image(item)),
        ..Key::PLAIN
    },
    Key {
        name: "dtype",
        kind: Kind::Word(TYPE_WORDS),
        absent: Absent::Is("\"float32\""),
        text: "Element type. Core ML has no 64-bit and no boolean inputs. `\"int8\"` needs iOS26; \
            `forward` gets whole numbers that do not wrap at 127.",
        read: |keys, item| {
            keys.dtype = None;
            fill(&mut keys.dtype, data_type(item))
        },
        ..Key::PLAIN
    },
    Key {
        name: "sample",
        kind: Kind::Table(&SAMPLE),
        absent: Absent::Means("the driver's choice for the type"),
        text: "How parity samples are drawn. An integer input that indexes an embedding needs it.",
        read: |keys, item| fill(&mut keys.sample, sample_keys(item)),
        ..Key::PLAIN
    },
    Key {
        name: "default",
        kind: Kind::Number,
        absent: Absent::Means("none: the input is required"),
        text: "The value where a prediction leaves the input out, which makes it optional.",
        read: |keys, item| fill(&mut keys.default, item.number()),
        ..Key::PLAIN
    },
];

/// Keys of an output.
static OUTPUT_KEYS: &[Key<OutputKeys>] = &[
    Key {
        name: "dtype",
        kind: Kind::Word(TYPE_WORDS),
        absent: Absent::Means("`\"float32\"` or `\"int32\"`, after what `forward` returns"),
        text: "Element type. `\"int8\"` needs iOS26, and 32-bit integers that stay within -128 and \
            127.",
        read: |keys, item| fill(&mut keys.dtype, data_type(item)),
        ..Key::PLAIN
    },
    Key {
        name: "image",
        kind: Kind::Table(&OUTPUT_IMAGE),
        text: "The output is a [picture](#images). It has no `dtype`.",
        read: |keys, item| fill(&mut keys.image, output_image(item)),
        ..Key::PLAIN
    },
];

/// An input as it was written.
#[derive(Default)]
struct InputKeys {
    /// `shape`.
    shape: Option<Vec<Dimension>>,
    /// `shapes`.
    shapes: Option<Vec<Vec<usize>>>,
    /// `image`.
    image: Option<Image>,
    /// `dtype`.
    dtype: Option<DataType>,
    /// `sample`.
    sample: Option<SampleKeys>,
    /// `default`.
    default: Option<Number>,
}

/// An output as it was written.
#[derive(Default)]
struct OutputKeys {
    /// `dtype`.
    dtype: Option<DataType>,
    /// `image`.
    image: Option<OutputImage>,
}

/// Reads `inputs` over those that are there already.
pub(super) fn inputs(item: &Item<'_>, into: &mut Named<Input>) -> Option<()> {
    features(&item.section()?, &[], into, input)
}

/// Reads `outputs` over those that are there already.
pub(super) fn outputs(item: &Item<'_>, into: &mut Named<Output>) -> Option<()> {
    features(&item.section()?, &[], into, output)
}

/// Reads one input.
fn input(item: &Item<'_>) -> Option<Input> {
    let mut keys = InputKeys::default();
    let table = key::read(item, INPUT_KEYS, &mut keys)?;
    let form = match ["shape", "shapes", "image"].map(|key| table.has(key)) {
        [true, false, false] => keys.shape.map(Form::Shape),
        [false, true, false] => {
            if keys.default.is_some() {
                table.report(
                    "shapes",
                    "an input with `shapes` has no `default`: coremltools takes none",
                );
            }
            keys.shapes.map(Form::Shapes)
        }
        [false, false, true] => {
            for key in ["dtype", "default"].into_iter().filter(|key| table.has(key)) {
                table.report(
                    key,
                    "an image has no `dtype` and no `default`: its `color` says what it holds",
                );
            }
            keys.image.map(|image| Form::Image(Box::new(image)))
        }
        [false, false, false] => {
            table.report_itself(
                "an input needs a shape: write for example `shape = [1, 3, 224, 224]`",
            );
            None
        }
        _ => {
            table.report_itself("an input has one of `shape`, `shapes` and `image`, not several");
            None
        }
    };
    if form.is_some() && keys.dtype == Some(DataType::Int8) && keys.default.is_some() {
        table.report("default", "an int8 input has no `default`: Core ML has none of that type");
        return None;
    }
    let sample = match keys.sample {
        Some(written) => Some(sample(&table, written, keys.dtype, form.as_ref())),
        None => None,
    };
    table.right()?;
    let sample = match sample {
        Some(sample) => Some(sample?),
        None => None,
    };
    let form = form?;
    // An image's element type follows from its colour.
    let dtype = if matches!(form, Form::Image(_)) { None } else { Some(keys.dtype?) };
    Some(Input { default: keys.default, dtype, sample, form })
}

/// Reads one output.
fn output(item: &Item<'_>) -> Option<Output> {
    let mut keys = OutputKeys::default();
    let table = key::read(item, OUTPUT_KEYS, &mut keys)?;
    if table.has("dtype") && table.has("image") {
        table.report("image", "an output has `dtype` or `image`, not both");
        return None;
    }
    table.right()?;
    Some(Output { dtype: keys.dtype, image: keys.image })
}

/// Reads an element type.
fn data_type(item: &Item<'_>) -> Option<DataType> {
    let word = if item.is_string() { item.string() } else { None };
    match word {
        Some(wide @ ("int64" | "float64" | "bool")) => {
            item.report(format!(
                "`dtype` cannot be \"{wide}\": Core ML has no such inputs and outputs, and \
                coremltools would change it silently. Use \"{}\"",
                if wide == "float64" { "float32" } else { "int32" }
            ));
            None
        }
        _ => item.choice(&TYPES),
    }
}
