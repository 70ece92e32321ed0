//! Reading `buckets`: fixed sizes that together take every length, and what inputs are padded with.
//!
//! Owns: its keys, what they must agree on with the inputs, and whether the sizes share one
//! package.
//! Must not: say what happens to outputs: the driver finds out.
//! Flow: `keys.rs` reads and completes them; the driver's `buckets.py` makes a function of each
//! size.

use super::feature::{Form, Input};
use super::function::Function;
use super::image::Image;
use super::key::{self, Key, fill, rows, set};
use super::kind::{Absent, Goes, Kind, Table};
use super::section::Item;
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

/// The table of `buckets`.
pub(super) static BUCKETS: Table = Table {
    name: "buckets",
    text: "Several fixed sizes instead of a range, with padding and masks.",
    rows: || rows(KEYS),
    entries: None,
};

/// Keys of `buckets`.
static KEYS: &[Key<BucketKeys>] = &[
    Key {
        name: "input",
        absent: Absent::Needed("input = \"ids\""),
        text: "The input whose size is the length.",
        read: |keys, item| set(&mut keys.input, item.text().map(str::to_owned)),
        ..Key::PLAIN
    },
    Key {
        name: "axis",
        kind: Kind::Integer(0, 4),
        absent: Absent::Needed("axis = 1"),
        text: "Its dimension that is the length: a range. `max` is the largest of `sizes`, `min` \
            the shortest length that callers may give.",
        read: |keys, item| set(&mut keys.axis, item.count()),
        ..Key::PLAIN
    },
    Key {
        name: "sizes",
        kind: Kind::List(&Kind::Integer(1, i32::MAX as i64), 1, MAX_SIZES),
        absent: Absent::Needed("sizes = [64, 128, 512]"),
        text: "The lengths that are converted, ascending.",
        read: |keys, item| set(&mut keys.sizes, sizes(item)),
        ..Key::PLAIN
    },
    Key {
        name: "pad",
        kind: Kind::Either(&[Kind::Number, Kind::Numbers]),
        absent: Absent::Means("0"),
        text: "The number that `input` is padded with, or a number for each of several inputs: `{ \
            ids = 1, types = 0 }`.",
        read: pad,
        ..Key::PLAIN
    },
    Key {
        name: "mask",
        text: "An input that is 1 where values are real and 0 behind them, with the length in one \
            dimension. Callers do not see it.",
        read: |keys, item| fill(&mut keys.mask, item.text().map(str::to_owned)),
        ..Key::PLAIN
    },
    Key {
        name: "share-weights",
        kind: Kind::Boolean,
        absent: Absent::Means("`true` from iOS18"),
        goes: Goes::Build,
        text: "`true`: one package with a function for each size, which share their weights \
            (iOS18). `false`: a package for each size, `NAME_64.mlpackage` and so on.",
        read: |keys, item| fill(&mut keys.share_weights, item.boolean()),
        ..Key::PLAIN
    },
];

/// `buckets` as it was written.
#[derive(Clone, Debug, Default)]
pub(super) struct BucketKeys {
    /// `input`.
    input: String,
    /// `axis`.
    axis: usize,
    /// `sizes`.
    sizes: Vec<usize>,
    /// `pad`, by input.
    pad: BTreeMap<String, Number>,
    /// `pad` where it is a number alone: that of `input`.
    pad_alone: Option<Number>,
    /// `mask`.
    mask: Option<String>,
    /// `share-weights`.
    share_weights: Option<bool>,
}

/// Reads `buckets`.
pub(super) fn buckets(item: &Item<'_>) -> Option<BucketKeys> {
    let mut keys = BucketKeys::default();
    key::read(item, KEYS, &mut keys)?.right()?;
    if let Some(value) = keys.pad_alone.take() {
        keys.pad.insert(keys.input.clone(), value);
    }
    Some(keys)
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
        let size = item.count()?;
        if let Some(before) = sizes.last().filter(|before| **before >= size) {
            item.report(format!("`sizes` ascend, each once: {size} stands behind {before}"));
            return None;
        }
        sizes.push(size);
    }
    Some(sizes)
}

/// Reads `pad`: a number, or a table of numbers by input.
fn pad(keys: &mut BucketKeys, item: &Item<'_>) -> Option<()> {
    if !item.is_table() {
        return fill(&mut keys.pad_alone, item.number());
    }
    for (name, item) in item.section()?.others(&[]) {
        keys.pad.insert(name.to_owned(), item.number()?);
    }
    Some(())
}

impl BucketKeys {
    /// Checks the keys against the model's function.
    ///
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
            if input.sample.is_some() {
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
