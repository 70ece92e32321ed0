//! Reading shapes: fixed, with ranges, or enumerated.
//!
//! Owns: what a shape may be, as far as Core ML limits it, and its form in the canonical table.
//! Flow: `feature.rs`, `state.rs` and `image.rs` read shapes with it; the driver makes `RangeDim`
//! and `EnumeratedShapes` of them.

use super::key::{self, Key, fill, rows, set};
use super::kind::{Absent, Goes, Kind, Table, words};
use super::named::is_feature_name;
use super::section::Item;
use coreml_spec::Kept;
use serde::Serialize;

/// Largest number of dimensions of a Core ML tensor.
const MAX_RANK: usize = 5;

/// Largest size of a dimension. Core ML counts in 64 bits, but no tensor of more elements fits into
/// a device.
const MAX_SIZE: i64 = i32::MAX as i64;

/// Most enumerated shapes of an input, Core ML's own limit.
const MAX_SHAPES: usize = 128;

/// A fixed size.
const FIXED: Kind = Kind::Integer(1, MAX_SIZE);

/// A fixed size or the bounds of one.
pub(super) const SIZE: Kind = Kind::Either(&[FIXED, Kind::Table(&RANGE)]);

/// A shape of fixed sizes.
pub(super) const FIXED_SHAPE: Kind = Kind::List(&FIXED, 1, MAX_RANK);

/// A shape of fixed sizes and ranges.
pub(super) const SHAPE: Kind = Kind::List(&SIZE, 1, MAX_RANK);

/// Enumerated shapes.
pub(super) const SHAPES: Kind = Kind::List(&FIXED_SHAPE, 1, MAX_SHAPES);

/// The bounds of a size.
pub(super) static RANGE: Table = Table {
    name: "range",
    text: "A size that may change between predictions (`RangeDim`).",
    rows: || rows(BOUNDS),
    entries: None,
};

/// Keys of a range.
static BOUNDS: &[Key<Bounds>] = &[
    Key {
        name: "min",
        kind: FIXED,
        absent: Absent::Needed("min = 1"),
        text: "The smallest size.",
        read: |bounds, item| set(&mut bounds.min, item.count()),
        ..Key::PLAIN
    },
    Key {
        name: "max",
        kind: FIXED,
        absent: Absent::Needed("max = 512"),
        text: "The largest size: Core ML takes no open ends.",
        read: |bounds, item| set(&mut bounds.max, item.count()),
        ..Key::PLAIN
    },
    Key {
        name: "default",
        kind: FIXED,
        absent: Absent::Means("`max`"),
        text: "The size with which the graph is captured.",
        read: |bounds, item| fill(&mut bounds.default, item.count()),
        ..Key::PLAIN
    },
    Key {
        name: "symbol",
        absent: Absent::Means("a size of its own"),
        text: "A name. Dimensions with the same symbol always have the same size, those of images \
            included, and need equal bounds.",
        read: |bounds, item| fill(&mut bounds.symbol, symbol(item)),
        ..Key::PLAIN
    },
    Key {
        name: "longer",
        kind: Kind::Word(LONGER_WORDS),
        absent: Absent::Is("\"reject\""),
        goes: Goes::Index,
        text: "What becomes of an input that is longer than `max`: an error, or it is \
            [cut](#inputs-that-do-not-fit) at its end or its start when the program runs.",
        read: |bounds, item| set(&mut bounds.longer, item.choice(&LONGER)),
        ..Key::PLAIN
    },
];

/// What becomes of an input that is too long, by the word.
const LONGER: [(&str, Option<Kept>); 3] =
    [("reject", None), ("truncate", Some(Kept::Start)), ("truncate-start", Some(Kept::End))];

/// The words of it.
const LONGER_WORDS: &[&str] = &words(&LONGER);

/// A range as it was written.
#[derive(Default)]
struct Bounds {
    /// `min`.
    min: usize,
    /// `max`.
    max: usize,
    /// `default`.
    default: Option<usize>,
    /// `symbol`.
    symbol: Option<String>,
    /// `longer`.
    longer: Option<Kept>,
}

/// One dimension of a shape.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Dimension {
    /// Always this size.
    Fixed(usize),
    /// Any size within bounds (`RangeDim`).
    Range(Range),
}

/// A dimension whose size the caller chooses.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Range {
    /// Size with which the graph is captured.
    pub(crate) default: usize,
    /// Largest size.
    pub(crate) max: usize,
    /// Smallest size.
    pub(crate) min: usize,
    /// Dimensions with the same symbol always have the same size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) symbol: Option<String>,
    /// What is kept of an input that is longer; nothing where that is an error. It converts
    /// nothing.
    #[serde(skip)]
    pub(crate) longer: Option<Kept>,
}

/// Reads a shape of fixed sizes and ranges.
pub(super) fn shape(item: &Item<'_>) -> Option<Vec<Dimension>> {
    let dimensions = ranked(item)?;
    let dimensions: Vec<_> = dimensions.iter().map(dimension).collect();
    dimensions.into_iter().collect()
}

/// Reads a shape of fixed sizes.
pub(super) fn fixed_shape(item: &Item<'_>) -> Option<Vec<usize>> {
    let sizes: Vec<_> = ranked(item)?.iter().map(Item::count).collect();
    sizes.into_iter().collect()
}

/// Reads enumerated shapes; the first is the default.
pub(super) fn shapes(item: &Item<'_>) -> Option<Vec<Vec<usize>>> {
    let all: Vec<_> =
        item.array()?.iter().map(|shape| Some((fixed_shape(shape)?, shape.clone()))).collect();
    let all: Vec<_> = all.into_iter().collect::<Option<_>>()?;
    let Some((first, _)) = all.first() else {
        item.report("`shapes` is empty");
        return None;
    };
    if all.len() > MAX_SHAPES {
        item.report(format!(
            "Core ML takes at most {MAX_SHAPES} enumerated shapes, found {}",
            all.len()
        ));
        return None;
    }
    for (position, (shape, place)) in all.iter().enumerate() {
        if shape.len() != first.len() {
            place.report("all `shapes` of an input have the same number of dimensions");
            return None;
        }
        if all[..position].iter().any(|(other, _)| other == shape) {
            place.report(format!("the shape {shape:?} stands in `shapes` twice"));
            return None;
        }
    }
    Some(all.into_iter().map(|(shape, _)| shape).collect())
}

/// Reads one dimension: a size or a table of bounds.
pub(super) fn dimension(item: &Item<'_>) -> Option<Dimension> {
    if item.is_table() {
        range(item).map(Dimension::Range)
    } else {
        item.count().map(Dimension::Fixed)
    }
}

/// Returns the dimensions of an array, when their number is one that Core ML takes.
fn ranked<'a>(item: &Item<'a>) -> Option<Vec<Item<'a>>> {
    let dimensions = item.array()?;
    if dimensions.is_empty() || dimensions.len() > MAX_RANK {
        item.report(format!("a shape has 1 to {MAX_RANK} dimensions, found {}", dimensions.len()));
        return None;
    }
    Some(dimensions)
}

/// Reads the bounds of a flexible dimension.
fn range(item: &Item<'_>) -> Option<Range> {
    let mut bounds = Bounds::default();
    key::read(item, BOUNDS, &mut bounds)?.right()?;
    let Bounds { min, max, default, symbol, longer } = bounds;
    let default = default.unwrap_or(max);
    if min > max || !(min..=max).contains(&default) {
        item.report("a flexible dimension needs `min` ≤ `default` ≤ `max`");
        return None;
    }
    if min == max {
        item.report(format!("`min` and `max` are both {min}: write {min} for a fixed size"));
        return None;
    }
    Some(Range { default, max, min, symbol, longer })
}

/// Reads the name that dimensions of equal size share.
fn symbol(item: &Item<'_>) -> Option<String> {
    let name = item.text()?;
    if !is_feature_name(name) {
        item.report(format!(
            "`symbol` cannot be \"{name}\": it is made of letters, digits and `_`"
        ));
        return None;
    }
    Some(name.to_owned())
}
