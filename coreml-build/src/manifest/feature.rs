//! Reading the keys of inputs, outputs and states.
//!
//! Owns: what a shape, an element type and a sample may be, as far as Core ML limits them.
//! Flow: called by `model.rs` for every entry of `inputs`, `outputs` and `states`.

use super::conversion::{Input, Named, Output, Sample};
use super::section::{Item, Section};
use coreml_spec::DataType;
use serde_json::Number;

/// Largest number of dimensions of a Core ML tensor.
const MAX_RANK: usize = 5;

/// Largest size of a dimension. Core ML counts in 64 bits, but no tensor of more elements fits into a device.
const MAX_SIZE: i64 = i32::MAX as i64;

/// Element types that an input or an output can have.
const DATA_TYPES: &[(&str, DataType)] =
    &[("float16", DataType::Float16), ("float32", DataType::Float32), ("int32", DataType::Int32)];

/// Reads `inputs`.
pub(super) fn inputs(item: &Item<'_>) -> Option<Named<Input>> {
    named(item, input)
}

/// Reads `outputs`.
pub(super) fn outputs(item: &Item<'_>) -> Option<Named<Output>> {
    named(item, output)
}

/// Reads `states`, which this version does not convert yet.
pub(super) fn states(item: &Item<'_>) {
    named(item, |section| {
        let shape = section.require("shape", "shape = [1, 8, 64, 64]");
        shape.and_then(|item| fixed_shape(&item));
        if let Some(item) = section.take("dtype") {
            item.choice(&[("float16", ())]);
        }
        section.finish();
        Some(())
    });
    item.report_later("`states`");
}

/// Reads a table of named features with `read` for each.
fn named<T>(item: &Item<'_>, read: impl Fn(Section<'_>) -> Option<T>) -> Option<Named<T>> {
    let mut features = Vec::new();
    for (name, item) in item.section()?.take_all() {
        if !is_feature_name(name) {
            item.report(format!(
                "`{name}` cannot name a feature: coremltools would rename it. Use letters, digits and `_`, not \
                 starting with a digit"
            ));
            continue;
        }
        if let Some(feature) = item.section().and_then(&read) {
            features.push((name.to_owned(), feature));
        }
    }
    Some(Named(features))
}

/// Returns whether coremltools keeps the name as it is.
fn is_feature_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads one input.
fn input(section: Section<'_>) -> Option<Input> {
    let dtype = match section.take("dtype") {
        Some(item) => data_type(&item),
        None => Some(DataType::Float32),
    };
    let sample = section.take("sample").map(|item| sample(&item, dtype));
    let default = section.take("default").map(|item| item.number());
    let fixed = section.take("shape");
    let enumerated = section.take("shapes");
    let image = section.take("image");
    let shape = match (fixed, enumerated, image) {
        (Some(item), None, None) => shape(&item),
        (None, Some(item), None) => {
            shapes(&item);
            None
        }
        (None, None, Some(item)) => {
            super::later::image(&item);
            None
        }
        (None, None, None) => {
            section.report("an input needs a shape: write for example `shape = [1, 3, 224, 224]`".into());
            None
        }
        _ => {
            section.report("an input has one of `shape`, `shapes` and `image`, not several".into());
            None
        }
    };
    section.finish();
    Some(Input { default: lift(default)?, dtype: dtype?, sample: lift(sample)?, shape: shape? })
}

/// Reads one output.
fn output(section: Section<'_>) -> Option<Output> {
    let dtype = section.take("dtype").map(|item| data_type(&item));
    section.finish();
    Some(Output { dtype: lift(dtype)? })
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
                "`dtype` cannot be \"{wide}\": Core ML has no such inputs and outputs, and coremltools would \
                 change it \
                 silently. Use \"{}\"",
                if wide == "float64" { "float32" } else { "int32" }
            ));
            None
        }
        Some("int8") => {
            item.report_later("`dtype = \"int8\"`");
            None
        }
        _ => item.choice(DATA_TYPES),
    }
}

/// Reads a fixed shape; a flexible one is validated and reported as not supported yet.
fn shape(item: &Item<'_>) -> Option<Vec<usize>> {
    let dimensions = item.array()?;
    let Some(flexible) = dimensions.iter().find(|dimension| dimension.is_table()) else { return fixed_shape(item) };
    let mut valid = true;
    for dimension in &dimensions {
        valid &= if dimension.is_table() { range(dimension).is_some() } else { size(dimension).is_some() };
    }
    if valid {
        flexible.report_later("a flexible dimension");
    }
    None
}

/// Reads a shape of fixed sizes.
pub(super) fn fixed_shape(item: &Item<'_>) -> Option<Vec<usize>> {
    let dimensions = item.array()?;
    if dimensions.is_empty() || dimensions.len() > MAX_RANK {
        item.report(format!("a shape has 1 to {MAX_RANK} dimensions, found {}", dimensions.len()));
        return None;
    }
    let sizes: Vec<_> = dimensions.iter().map(size).collect();
    sizes.into_iter().collect()
}

/// Reads the size of one dimension.
fn size(item: &Item<'_>) -> Option<usize> {
    usize::try_from(item.integer_within(1, MAX_SIZE)?).ok()
}

/// Reads the bounds of a flexible dimension.
fn range(item: &Item<'_>) -> Option<()> {
    let section = item.section()?;
    let min = section.require("min", "min = 1").and_then(|item| size(&item));
    let max = section.require("max", "max = 512").and_then(|item| size(&item));
    let default = section.take("default").map(|item| size(&item));
    section.finish();
    let (min, max, default) = (min?, max?, lift(default)?);
    if min > max || default.is_some_and(|default| !(min..=max).contains(&default)) {
        item.report("a flexible dimension needs `min` ≤ `default` ≤ `max`");
        return None;
    }
    Some(())
}

/// Reads enumerated shapes, which this version does not convert yet.
fn shapes(item: &Item<'_>) {
    let Some(all) = item.array() else { return };
    let ranks: Option<Vec<usize>> = all.iter().map(|shape| fixed_shape(shape).map(|shape| shape.len())).collect();
    match ranks {
        Some(ranks) if ranks.is_empty() => item.report("`shapes` is empty"),
        Some(ranks) if ranks.iter().any(|rank| *rank != ranks[0]) => {
            item.report("all `shapes` of an input have the same number of dimensions");
        }
        Some(_) => item.report_later("`shapes`"),
        None => {}
    }
}

/// Reads how samples are drawn.
fn sample(item: &Item<'_>, dtype: Option<DataType>) -> Option<Sample> {
    let section = item.section()?;
    let range = section.require("range", "sample = { range = [0, 1] }");
    section.finish();
    let range = range?;
    let bounds: Option<Vec<Number>> = range.array()?.iter().map(Item::number).collect();
    let Ok([low, high]) = <[Number; 2]>::try_from(bounds?) else {
        range.report("`range` has two numbers, the smallest and the largest value");
        return None;
    };
    if dtype == Some(DataType::Int32) && !(low.is_i64() && high.is_i64()) {
        range.report("the `range` of an integer input has integers");
        return None;
    }
    if low.as_f64() > high.as_f64() {
        range.report("`range` has the smallest value first");
        return None;
    }
    Some(Sample { range: [low, high] })
}
