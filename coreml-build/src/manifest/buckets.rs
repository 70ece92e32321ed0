//! Reading `buckets`: fixed sizes that together take every length, and what inputs are padded with.
//!
//! Owns: its keys, what they must agree on with the inputs, and whether the sizes share one
//! package.
//! Must not: say what happens to outputs: the driver finds out.
//! Flow: called by `model.rs`; the driver's `buckets.py` makes a function of each size.

use super::conversion::{Form, Function, Input};
use super::image::Image;
use super::section::{Item, Section};
use super::shape::{Dimension, Range};
use super::source::Source;
use super::target::{DeploymentTarget, Release};
use coreml_spec::DataType;
use serde::Serialize;
use serde_json::Number;
use std::collections::BTreeMap;

/// Most sizes of a model: each is a graph of its own.
const MAX_SIZES: usize = 32;

/// Buckets in the canonical table: what each size is converted by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Buckets {
    /// The dimension of `input` that is the length.
    axis: usize,
    /// The input whose length counts.
    input: String,
    /// The input that says where padding stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    mask: Option<String>,
    /// What each padded input is padded with.
    pad: BTreeMap<String, Number>,
    /// The sizes of this package, ascending.
    pub(crate) sizes: Vec<usize>,
}

/// `buckets` as it was written.
#[derive(Clone, Debug)]
pub(super) struct BucketKeys {
    /// `input`.
    input: String,
    /// `axis`.
    axis: usize,
    /// `sizes`.
    sizes: Vec<usize>,
    /// `pad`, by input; a number alone is that of `input`.
    pad: BTreeMap<String, Number>,
    /// `mask`.
    mask: Option<String>,
    /// `share-weights`.
    share_weights: Option<bool>,
}

/// Reads `buckets`.
pub(super) fn buckets(item: &Item<'_>) -> Option<BucketKeys> {
    let section = item.section()?;
    let input = section.require("input", "input = \"ids\"").and_then(|item| item.text());
    let axis = section.require("axis", "axis = 1").and_then(|item| item.integer_within(0, 4));
    let sizes = section.require("sizes", "sizes = [64, 128, 512]").and_then(|item| sizes(&item));
    let pad = pad(&section, input);
    let mask = section.take("mask").map(|item| item.text().map(str::to_owned));
    let share_weights = section.take("share-weights").map(|item| item.boolean());
    section.finish();
    Some(BucketKeys {
        input: input?.to_owned(),
        axis: usize::try_from(axis?).ok()?,
        sizes: sizes?,
        pad: pad?,
        mask: lift(mask)?,
        share_weights: lift(share_weights)?,
    })
}

/// Turns "absent, wrong, or right" into `None` for wrong.
fn lift<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    value.map_or(Some(None), |value| value.map(Some))
}

/// Reads `sizes`.
fn sizes(item: &Item<'_>) -> Option<Vec<usize>> {
    let items = item.array()?;
    if items.is_empty() || items.len() > MAX_SIZES {
        item.report(format!("`sizes` has 1 to {MAX_SIZES} sizes, found {}", items.len()));
        return None;
    }
    let mut sizes: Vec<usize> = Vec::new();
    for item in items {
        let size = usize::try_from(item.integer_within(1, i64::from(i32::MAX))?).ok()?;
        if let Some(before) = sizes.last().filter(|before| **before >= size) {
            item.report(format!("`sizes` ascend, each once: {size} stands behind {before}"));
            return None;
        }
        sizes.push(size);
    }
    Some(sizes)
}

/// Reads `pad`: a number for `input`, or a table of numbers by input.
fn pad(section: &Section<'_>, input: Option<&str>) -> Option<BTreeMap<String, Number>> {
    let Some(item) = section.take("pad") else { return Some(BTreeMap::new()) };
    if !item.is_table() {
        let value = item.number()?;
        return Some(input.map(|input| (input.to_owned(), value)).into_iter().collect());
    }
    let all = item.section()?.take_all().into_iter();
    all.map(|(name, item)| Some((name.to_owned(), item.number()?))).collect()
}

impl BucketKeys {
    /// Checks the keys against the model's function.
    ///
    /// Called by: [`super::model::Keys::complete`].
    /// Parameters: `report` — takes (key inside the model, message).
    /// Returns: the buckets, and whether their functions share one package; `None` when something
    /// has been reported.
    pub(super) fn complete(
        self,
        function: &Function,
        target: DeploymentTarget,
        has_classifier: bool,
        report: &impl Fn(&str, String),
    ) -> Option<(Buckets, bool)> {
        let faults = std::cell::Cell::new(0);
        let report = |key: &str, message: String| {
            faults.set(faults.get() + 1);
            report(key, message);
        };
        let shares =
            self.share_weights.unwrap_or_else(|| target.older_than(Release::Ios18).is_none());
        if let Some(needed) = target.older_than(Release::Ios18).filter(|_| shares) {
            let message = "buckets that share weights are functions of one package, which need";
            report(
                "buckets.share-weights",
                format!(
                    "{message} `minimum-deployment-target = \"{needed}\"`, here it is \"{target}\""
                ),
            );
        }
        if matches!(function.source, Source::Mil { .. }) {
            let message = "buckets are made of a PyTorch model, not of a MIL program: only PyTorch \
                shows that padding changes \
                           no result. Make a program of each size, and choose between them in Rust";
            report("buckets", message.into());
        }
        if !function.states.is_empty() {
            let message = "`states` have no place beside `buckets`: padding would be written to \
                them, and beyond their end. \
                           Let a model without states take the prompt, which returns them as \
                           outputs, and put those into \
                           the `State` of the model that goes on (docs/manifest.md)";
            report("states", message.into());
        }
        if has_classifier && shares && self.sizes.len() > 1 {
            let message = "the functions of one package have no classifier: write `share-weights = \
                false` into `buckets`";
            report("classifier", message.into());
        }
        let inputs = &function.inputs.0;
        let bounds = self.bounds(inputs, &report)?;
        let mut pad = BTreeMap::new();
        for (name, input) in inputs {
            let mut axes = 0;
            for (axis, dimension) in ranges(&input.form) {
                let is_length = *name == self.input && axis == Some(self.axis);
                if is_length || (dimension.symbol.is_some() && dimension.symbol == bounds.symbol) {
                    axes += 1;
                    continue;
                }
                let (symbol, (min, max)) =
                    (bounds.symbol.as_deref().unwrap_or("T"), (bounds.min, bounds.max));
                report(
                    &format!("inputs.{name}"),
                    format!(
                        "buckets fix all sizes: a range beside them is the length of `{}` too, and \
                        says so by the same \
                         symbol. Write `{{ min = {min}, max = {max}, symbol = \"{symbol}\" }}` for \
                         both",
                        self.input
                    ),
                );
            }
            if matches!(input.form, Form::Shapes(_)) {
                report(
                    &format!("inputs.{name}"),
                    "`shapes` have no place beside `buckets`, which fix all sizes".into(),
                );
            }
            if axes > 0 {
                self.check_padded(name, input, axes, &mut pad, &report);
            }
        }
        for name in self.pad.keys().filter(|name| !pad.contains_key(*name)) {
            report("buckets.pad", format!("`{name}` is not an input that is padded"));
        }
        if let Some(mask) = &self.mask
            && !inputs
                .iter()
                .any(|(name, input)| name == mask && ranges(&input.form).next().is_some())
        {
            let (min, max) = (bounds.min, bounds.max);
            report(
                "buckets.mask",
                format!(
                    "the mask `{mask}` must be an input with the length of `{}`: write for example \
                    `inputs.{mask} = {{ \
                     shape = [1, {{ min = {min}, max = {max}, symbol = \"T\" }}], dtype = \
                     \"int32\" }}`",
                    self.input
                ),
            );
        }
        let Self { input, axis, mask, sizes, .. } = self;
        (faults.get() == 0).then_some((Buckets { axis, input, mask, pad, sizes }, shares))
    }

    /// Returns the range of the length.
    fn bounds<'a>(
        &self,
        inputs: &'a [(String, Input)],
        report: &impl Fn(&str, String),
    ) -> Option<&'a Range> {
        let Self { input: name, axis, sizes, .. } = self;
        let (Some(&smallest), Some(&largest)) = (sizes.first(), sizes.last()) else { return None };
        let Some((_, input)) = inputs.iter().find(|(other, _)| other == name) else {
            let names =
                inputs.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            report("buckets.input", format!("there is no input `{name}`; the inputs are {names}"));
            return None;
        };
        let Some((_, bounds)) = ranges(&input.form).find(|(found, _)| *found == Some(*axis)) else {
            report(
                "buckets.axis",
                format!(
                    "dimension {axis} of `{name}` is not a range of lengths: write `{{ min = 1, \
                    max = {largest} }}` there"
                ),
            );
            return None;
        };
        if bounds.max != largest {
            let message = format!(
                "`max` of `{name}` is {}, the largest of `sizes` {largest}: make them equal",
                bounds.max
            );
            report("buckets.sizes", message);
            return None;
        }
        if bounds.min > smallest {
            let message =
                format!("the size {smallest} is smaller than `min` of `{name}`, {}", bounds.min);
            report("buckets.sizes", message);
            return None;
        }
        if bounds.default != bounds.max {
            let message =
                "a length has no `default` beside `buckets`: each size is converted for itself";
            report(&format!("inputs.{name}"), message.into());
            return None;
        }
        Some(bounds)
    }

    /// Checks an input that has the length in so many dimensions, and notes what it is padded with.
    fn check_padded(
        &self,
        name: &str,
        input: &Input,
        axes: usize,
        pad: &mut BTreeMap<String, Number>,
        report: &impl Fn(&str, String),
    ) {
        let key = format!("inputs.{name}");
        if input.default.is_some() {
            report(&key, "an input of any length cannot be left out: remove `default`".into());
        }
        if self.mask.as_deref() == Some(name) {
            if name == self.input {
                report(
                    "buckets.mask",
                    format!("`{name}` is the input itself: a mask is another one"),
                );
            } else if axes != 1 {
                report(
                    "buckets.mask",
                    format!(
                        "the mask `{name}` must have the length in one dimension, it has {axes}"
                    ),
                );
            }
            if let Some(Some(_)) = input.sample.as_ref().map(Some) {
                report(&key, "a mask has no `sample`: it is 1 where values are real".into());
            }
            return;
        }
        let value = self.pad.get(name).cloned().unwrap_or_else(|| Number::from(0));
        let fits = match input.dtype {
            Some(DataType::Int32) => {
                value.as_i64().is_some_and(|value| i32::try_from(value).is_ok())
            }
            Some(DataType::Int8) => value.as_i64().is_some_and(|value| i8::try_from(value).is_ok()),
            _ => true,
        };
        if let Some(dtype) = input.dtype.filter(|_| !fits) {
            report(
                "buckets.pad",
                format!("`{name}` is {dtype}, and cannot be padded with {value}"),
            );
        }
        pad.insert(name.to_owned(), value);
    }
}

/// Returns the range that a dimension is.
fn range(dimension: &Dimension) -> Option<&Range> {
    if let Dimension::Range(range) = dimension { Some(range) } else { None }
}

/// Returns the ranges of an input with their dimensions; those of an image have none.
fn ranges(form: &Form) -> impl Iterator<Item = (Option<usize>, &Range)> {
    let (shape, image): (&[Dimension], Option<&Image>) = match form {
        Form::Shape(shape) => (shape, None),
        Form::Image(image) => (&[], Some(image)),
        Form::Shapes(_) => (&[], None),
    };
    let sides = image.into_iter().flat_map(|image| [&image.height, &image.width]);
    let axes =
        shape.iter().enumerate().filter_map(move |(axis, size)| Some((Some(axis), range(size)?)));
    axes.chain(sides.filter_map(move |side| Some((None, range(side)?))))
}

#[cfg(test)]
#[path = "buckets/tests.rs"]
mod tests;
