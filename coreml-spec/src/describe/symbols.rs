//! Symbols that a package claims, held against its function.
//!
//! Owns: the check that they fit, and what they tell of outputs, whose sizes Core ML does not
//! record. Must not: read metadata.
//! Flow: `describe.rs` → [`apply`] → [`Function::symbols`].

use crate::{Dimension, Feature, FeatureKind, Flexibility, Function, SizeRange, Symbol};
use std::collections::HashSet;

/// Checks that symbols fit a function, and gives the outputs the ranges that follow from them.
///
/// Parameters: `symbols`, `function` — of a package that may come from anywhere.
/// Errors: what does not fit.
pub(super) fn apply(symbols: Vec<Symbol>, function: &mut Function) -> Result<(), String> {
    let mut seen = HashSet::new();
    for symbol in &symbols {
        let mut common: Option<SizeRange> = None;
        for dimension in symbol.inputs.iter().chain(&symbol.outputs) {
            if !seen.insert(dimension) {
                return Err(format!("{dimension} stands there twice"));
            }
        }
        for dimension in &symbol.inputs {
            let range =
                find(&function.inputs, dimension).and_then(|input| range(input, dimension.axis));
            let range = range.ok_or_else(|| format!("{dimension} is no range of an input"))?;
            if *common.get_or_insert(range) != range {
                return Err(format!("{dimension} has other bounds than {}", symbol.inputs[0]));
            }
        }
        let common = common.ok_or("a size belongs to no input")?;
        let default = symbol
            .inputs
            .first()
            .and_then(|first| size(find(&function.inputs, first)?, first.axis));
        for dimension in &symbol.outputs {
            let output =
                function.outputs.iter_mut().find(|output| output.name == dimension.feature);
            let narrowed =
                output.and_then(|output| narrow(output, dimension.axis, common, default));
            narrowed.ok_or_else(|| format!("{dimension} is no open size of an output"))?;
        }
    }
    function.symbols = symbols;
    Ok(())
}

/// Returns the feature of a dimension.
fn find<'a>(features: &'a [Feature], dimension: &Dimension) -> Option<&'a Feature> {
    features.iter().find(|feature| feature.name == dimension.feature)
}

/// Returns the bounds of a dimension that is a range.
fn range(feature: &Feature, axis: usize) -> Option<SizeRange> {
    match &feature.kind {
        FeatureKind::MultiArray { shape, .. } => match &shape.flexibility {
            Flexibility::Ranges(ranges) => ranges.get(axis).copied(),
            Flexibility::Fixed | Flexibility::Enumerated(_) => None,
        },
        FeatureKind::Image { size, .. } => {
            let (width, height) = size.ranges?;
            [None, None, Some(height), Some(width)].get(axis).copied().flatten()
        }
        FeatureKind::StringLabel | FeatureKind::Int64Label | FeatureKind::Probabilities => None,
    }
}

/// Returns the default size of a dimension.
fn size(feature: &Feature, axis: usize) -> Option<usize> {
    match &feature.kind {
        FeatureKind::MultiArray { shape, .. } => shape.default.get(axis).copied(),
        FeatureKind::Image { size, .. } => {
            [None, None, Some(size.height), Some(size.width)].get(axis).copied().flatten()
        }
        FeatureKind::StringLabel | FeatureKind::Int64Label | FeatureKind::Probabilities => None,
    }
}

/// Gives a dimension of an output, which Core ML leaves open, its bounds; `None` when it is not
/// open.
fn narrow(
    output: &mut Feature,
    axis: usize,
    bounds: SizeRange,
    default: Option<usize>,
) -> Option<()> {
    let FeatureKind::MultiArray { shape, .. } = &mut output.kind else { return None };
    let Flexibility::Ranges(ranges) = &mut shape.flexibility else { return None };
    let (range, size) = ranges.get_mut(axis).zip(shape.default.get_mut(axis))?;
    if range.max == Some(range.min) {
        return None;
    }
    (*range, *size) = (bounds, default?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ColorSpace, DataType, ImageSize, Shape};

    /// A tensor of one row and a number of columns within bounds.
    fn ranged(name: &str, min: usize, max: Option<usize>, default: usize) -> Feature {
        let one = SizeRange { min: 1, max: Some(1) };
        let flexibility = Flexibility::Ranges(vec![one, SizeRange { min, max }]);
        let shape = Shape { default: vec![1, default], flexibility };
        let kind = FeatureKind::MultiArray { data_type: DataType::Float32, shape };
        Feature { name: name.to_owned(), description: String::new(), kind, default: None }
    }

    /// A function of ids, a mask and a picture, with scores of the same length.
    fn function() -> Function {
        let range = SizeRange { min: 2, max: Some(9) };
        let size =
            ImageSize { width: 4, height: 5, ranges: Some((range, range)), enumerated: Vec::new() };
        let kind = FeatureKind::Image { size, color_space: ColorSpace::Rgb };
        let photo =
            Feature { name: "photo".to_owned(), description: String::new(), kind, default: None };
        Function {
            name: "main".to_owned(),
            inputs: vec![ranged("ids", 1, Some(32), 8), ranged("mask", 1, Some(32), 8), photo],
            outputs: vec![ranged("scores", 0, None, 0), ranged("heights", 0, None, 0)],
            states: Vec::new(),
            state_outputs: Vec::new(),
            symbols: Vec::new(),
            classifier: None,
        }
    }

    /// A dimension.
    fn place(feature: &str, axis: usize) -> Dimension {
        Dimension { feature: feature.to_owned(), axis }
    }

    /// Two symbols of that function.
    fn symbols() -> Vec<Symbol> {
        vec![
            Symbol {
                name: Some("T".to_owned()),
                inputs: vec![place("ids", 1), place("mask", 1)],
                outputs: vec![place("scores", 1)],
            },
            Symbol {
                name: None,
                inputs: vec![place("photo", 2)],
                outputs: vec![place("heights", 1)],
            },
        ]
    }

    #[test]
    fn outputs_have_the_ranges_of_what_they_follow() {
        let mut function = function();
        apply(symbols(), &mut function).unwrap();
        let kinds: Vec<String> =
            function.outputs.iter().map(|output| output.kind.to_string()).collect();
        assert_eq!(
            kinds,
            ["float32 [1, 1..=32], default [1, 8]", "float32 [1, 2..=9], default [1, 5]"]
        );
        let texts: Vec<String> = function.symbols.iter().map(Symbol::to_string).collect();
        assert_eq!(
            texts,
            [
                "T: dimension 1 of `ids`, dimension 1 of `mask`; outputs: dimension 1 of `scores`",
                "dimension 2 of `photo`; outputs: dimension 1 of `heights`",
            ]
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        type Change = fn(&mut Vec<Symbol>, &mut Function);
        let cases: [(&str, Change); 9] = [
            ("dimension 0 of `ids` stands there twice", |symbols, _| {
                symbols[0].inputs = vec![place("ids", 0), place("ids", 0)];
            }),
            ("dimension 1 of `ids` stands there twice", |symbols, _| {
                symbols[1].inputs.push(place("ids", 1))
            }),
            ("dimension 1 of `nothing` is no range", |symbols, _| {
                symbols[0].inputs[1] = place("nothing", 1)
            }),
            ("dimension 7 of `mask` is no range", |symbols, _| {
                symbols[0].inputs[1] = place("mask", 7)
            }),
            ("dimension 1 of `photo` is no range", |symbols, _| {
                symbols[1].inputs[0] = place("photo", 1)
            }),
            ("dimension 1 of `mask` has other bounds than dimension 1 of `ids`", |_, function| {
                function.inputs[1] = ranged("mask", 1, Some(31), 8);
            }),
            ("a size belongs to no input", |symbols, _| symbols[1].inputs.clear()),
            ("dimension 0 of `scores` is no open size", |symbols, _| {
                symbols[0].outputs[0] = place("scores", 0)
            }),
            ("dimension 1 of `ids` is no open size", |symbols, _| {
                symbols[0].inputs.remove(0);
                symbols[0].outputs[0] = place("ids", 1);
            }),
        ];
        for (expected, change) in cases {
            let (mut symbols, mut function) = (symbols(), function());
            change(&mut symbols, &mut function);
            let problem = apply(symbols, &mut function).unwrap_err();
            assert!(problem.contains(expected), "`{expected}` is not in: {problem}");
        }
    }
}
