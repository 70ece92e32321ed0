//! Reading the keys of inputs and outputs.
//!
//! Owns: what an element type and a sample may be, as far as Core ML limits them.
//! Flow: called by `model.rs` for every entry of `inputs` and `outputs`; shapes are `shape.rs`'s.

use super::conversion::{Form, Input, Named, Output, Sample};
use super::image::{input_image, output_image};
use super::section::{Item, Section};
use coreml_spec::DataType;
use serde_json::Number;

/// Element types that an input or an output can have.
const TYPES: &[(&str, DataType)] = &[
    ("float16", DataType::Float16),
    ("float32", DataType::Float32),
    ("int32", DataType::Int32),
    ("int8", DataType::Int8),
];

/// Reads `inputs`.
pub(super) fn inputs(item: &Item<'_>) -> Option<Named<Input>> {
    named(item, input)
}

/// Reads `outputs`.
pub(super) fn outputs(item: &Item<'_>) -> Option<Named<Output>> {
    named(item, output)
}

/// Reads a table of named features with `read` for each.
fn named<T>(item: &Item<'_>, read: impl Fn(Section<'_>) -> Option<T>) -> Option<Named<T>> {
    Some(named_of(&item.section()?, read))
}

/// Reads what is left of a table as named features.
///
/// Called by: `state.rs`, whose table has a key besides.
pub(super) fn named_of<T>(
    section: &Section<'_>,
    read: impl Fn(Section<'_>) -> Option<T>,
) -> Named<T> {
    let mut features = Vec::new();
    for (name, item) in section.take_all() {
        if !is_feature_name(name) {
            item.report(format!(
                "`{name}` cannot name a feature: coremltools would rename it. Use letters, digits \
                and `_`, not \
                 starting with a digit"
            ));
            continue;
        }
        if let Some(feature) = item.section().and_then(&read) {
            features.push((name.to_owned(), feature));
        }
    }
    Named(features)
}

/// Returns whether coremltools keeps the name as it is.
pub(super) fn is_feature_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads one input.
fn input(section: Section<'_>) -> Option<Input> {
    let (dtype, default) = (section.take("dtype"), section.take("default"));
    let typed: Vec<_> = [&dtype, &default].into_iter().flatten().cloned().collect();
    let dtype = match dtype {
        Some(item) => data_type(&item),
        None => Some(DataType::Float32),
    };
    let sample = section.take("sample").map(|item| sample(&item, dtype));
    let default = default.map(|item| item.number());
    let shape = section.take("shape");
    let enumerated = section.take("shapes");
    let image = section.take("image");
    let form = match (shape, enumerated, image) {
        (Some(item), None, None) => super::shape::shape(&item).map(Form::Shape),
        (None, Some(item), None) => {
            if let Some(Some(_)) = &default {
                item.report("an input with `shapes` has no `default`: coremltools takes none");
            }
            super::shape::shapes(&item).map(Form::Shapes)
        }
        (None, None, Some(item)) => {
            for key in &typed {
                key.report(
                    "an image has no `dtype` and no `default`: its `color` says what it holds",
                );
            }
            input_image(&item).map(Form::Image)
        }
        (None, None, None) => {
            section.report(
                "an input needs a shape: write for example `shape = [1, 3, 224, 224]`".into(),
            );
            None
        }
        _ => {
            section.report("an input has one of `shape`, `shapes` and `image`, not several".into());
            None
        }
    };
    section.finish();
    let form = form?;
    if let (Some(DataType::Int8), Some(Some(_)), [.., item]) = (dtype, &default, &typed[..]) {
        item.report("an int8 input has no `default`: Core ML has none of that type");
        return None;
    }
    // An image's element type follows from its colour.
    let dtype = if matches!(form, Form::Image(_)) { None } else { Some(dtype?) };
    Some(Input { default: lift(default)?, dtype, sample: lift(sample)?, form })
}

/// Reads one output.
fn output(section: Section<'_>) -> Option<Output> {
    let dtype = section.take("dtype").map(|item| data_type(&item));
    let image = section.take("image").map(|item| (output_image(&item), item));
    section.finish();
    if let (Some(_), Some((_, item))) = (dtype, &image) {
        item.report("an output has `dtype` or `image`, not both");
        return None;
    }
    Some(Output { dtype: lift(dtype)?, image: lift(image.map(|(image, _)| image))? })
}

/// Turns "absent, wrong, or right" into `None` for wrong.
fn lift<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(None) => None,
        Some(value) => Some(value),
    }
}

/// Reads an element type.
fn data_type(item: &Item<'_>) -> Option<DataType> {
    let word = if item.is_string() { item.string() } else { None };
    match word {
        Some(wide @ ("int64" | "float64" | "bool")) => {
            item.report(format!(
                "`dtype` cannot be \"{wide}\": Core ML has no such inputs and outputs, and \
                coremltools would \
                 change it \
                 silently. Use \"{}\"",
                if wide == "float64" { "float32" } else { "int32" }
            ));
            None
        }
        _ => item.choice(TYPES),
    }
}

/// Returns whether an input holds integers.
fn is_integer(dtype: Option<DataType>) -> bool {
    matches!(dtype, Some(DataType::Int32 | DataType::Int8))
}

/// Reads how samples are drawn.
fn sample(item: &Item<'_>, dtype: Option<DataType>) -> Option<Sample> {
    let section = item.section()?;
    let (range, start) = (section.take("range"), section.take("start"));
    section.finish();
    match (range, start) {
        (Some(range), None) => sample_range(&range, dtype),
        (None, Some(start)) => {
            let first = start.number()?;
            if is_integer(dtype) && !first.is_i64() {
                start.report("the `start` of an integer input is an integer");
                return None;
            }
            Some(Sample::Start(first))
        }
        (None, None) => {
            item.report(
                "`sample` needs `range` or `start`: write for example `sample = { range = \
                [0, 1] }`",
            );
            None
        }
        (Some(_), Some(start)) => {
            start.report("`sample` has `range` or `start`, not both");
            None
        }
    }
}

/// Reads the bounds of samples.
fn sample_range(range: &Item<'_>, dtype: Option<DataType>) -> Option<Sample> {
    let bounds: Option<Vec<Number>> = range.array()?.iter().map(Item::number).collect();
    let Ok([low, high]) = <[Number; 2]>::try_from(bounds?) else {
        range.report("`range` has two numbers, the smallest and the largest value");
        return None;
    };
    if is_integer(dtype) && !(low.is_i64() && high.is_i64()) {
        range.report("the `range` of an integer input has integers");
        return None;
    }
    let within =
        |number: &Number| number.as_i64().is_some_and(|number| i8::try_from(number).is_ok());
    if dtype == Some(DataType::Int8) && !(within(&low) && within(&high)) {
        range.report("the `range` of an int8 input lies within -128 and 127");
        return None;
    }
    if low.as_f64() > high.as_f64() {
        range.report("`range` has the smallest value first");
        return None;
    }
    Some(Sample::Range([low, high]))
}
