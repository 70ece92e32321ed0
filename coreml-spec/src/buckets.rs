//! Buckets: functions of several fixed sizes that together take every length up to the largest.
//!
//! Owns: [`Buckets`], its form in the metadata of a package, and the check that it fits the
//! functions.
//! Must not: pad or trim; `coreml-rt` does.
//! Flow: the driver writes it into the package → `describe.rs` → [`crate::Interface`] → types,
//! runtime, `inspect`.

use crate::{Feature, FeatureKind, Flexibility, Function, Shape, SizeRange};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How functions of fixed sizes take inputs of any length: what is padded, and what is trimmed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buckets {
    /// The input whose length chooses the function.
    pub input: String,
    /// The dimension of it that is the length.
    pub axis: usize,
    /// The smallest length.
    pub min: usize,
    /// The lengths that functions take, ascending: one function for each.
    pub sizes: Vec<usize>,
    /// Inputs that are padded to the size.
    pub padded: Vec<Padded>,
    /// The input that says which positions are real.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
    /// Outputs of which only the true length is given.
    pub trimmed: Vec<Trimmed>,
}

/// An input that is padded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Padded {
    /// Its name.
    pub input: String,
    /// Its dimensions that have the length; never none.
    pub axes: Vec<usize>,
    /// What stands behind the end.
    pub value: f64,
}

/// An input of ones where the caller's values stand, and of zeros where padding does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mask {
    /// Its name.
    pub input: String,
    /// Its dimension that has the length.
    pub axis: usize,
}

/// An output that is trimmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trimmed {
    /// Its name.
    pub output: String,
    /// Its dimensions that have the length; never none.
    pub axes: Vec<usize>,
}

impl Buckets {
    /// Key of the package's own metadata under which this stands, as JSON.
    pub const METADATA_KEY: &str = "coreml-build.buckets";

    /// Returns the largest length, or 0 for a value that [`Self::check`] refuses.
    pub fn largest(&self) -> usize {
        self.sizes.last().copied().unwrap_or(0)
    }

    /// Returns the function that takes `size`.
    pub fn function<'a>(&self, functions: &'a [Function], size: usize) -> Option<&'a Function> {
        let takes = |function: &&Function| {
            let input = function.inputs.iter().find(|input| input.name == self.input);
            input.and_then(dims).and_then(|dims| dims.get(self.axis)) == Some(&size)
        };
        functions.iter().find(takes)
    }

    /// Returns what callers see instead of the functions: inputs and outputs of any length up to
    /// `largest`, no mask.
    ///
    /// Called by: `coreml-macros`, which makes types of it.
    /// Parameters: `function` — any of them; `largest` — of all packages that make the model.
    pub fn flexible(&self, function: &Function, largest: usize) -> Function {
        let range = SizeRange { min: self.min, max: Some(largest) };
        let open = |feature: &Feature, axes: Option<&[usize]>| match axes {
            Some(axes) => opened(feature, axes, range),
            None => feature.clone(),
        };
        let is_mask =
            |feature: &&Feature| self.mask.as_ref().is_some_and(|mask| mask.input == feature.name);
        let inputs = function.inputs.iter().filter(|feature| !is_mask(feature));
        let inputs = inputs.map(|feature| open(feature, self.padded_axes(&feature.name)));
        let outputs =
            function.outputs.iter().map(|feature| open(feature, self.trimmed_axes(&feature.name)));
        Function { inputs: inputs.collect(), outputs: outputs.collect(), ..function.clone() }
    }

    /// Returns the padded dimensions of an input.
    pub fn padded_axes(&self, input: &str) -> Option<&[usize]> {
        self.padded.iter().find(|padded| padded.input == input).map(|padded| padded.axes.as_slice())
    }

    /// Returns the trimmed dimensions of an output.
    pub fn trimmed_axes(&self, output: &str) -> Option<&[usize]> {
        self.trimmed
            .iter()
            .find(|trimmed| trimmed.output == output)
            .map(|trimmed| trimmed.axes.as_slice())
    }

    /// Checks that this fits the functions of a package.
    ///
    /// Parameters: `functions` — of a package that may come from anywhere.
    /// Errors: what does not fit.
    pub fn check(&self, functions: &[Function]) -> Result<(), String> {
        if self.sizes.is_empty() || !self.sizes.is_sorted_by(|one, next| one < next) {
            return Err(format!("the sizes {:?} do not ascend", self.sizes));
        }
        if !(1..=self.sizes[0]).contains(&self.min) {
            return Err(format!(
                "the smallest length is {}, the smallest size {}",
                self.min, self.sizes[0]
            ));
        }
        if functions.len() != self.sizes.len() {
            return Err(format!(
                "there are {} sizes and {} functions",
                self.sizes.len(),
                functions.len()
            ));
        }
        if self.padded_axes(&self.input).is_none_or(|axes| !axes.contains(&self.axis)) {
            return Err(format!(
                "dimension {} of {:?} is not among those that are padded",
                self.axis, self.input
            ));
        }
        if self.mask.as_ref().is_some_and(|mask| self.padded_axes(&mask.input).is_some()) {
            return Err("the mask is padded".to_owned());
        }
        let mut seen: Option<Function> = None;
        for &size in &self.sizes {
            let function = self
                .function(functions, size)
                .ok_or_else(|| format!("no function takes {size}"))?;
            self.check_size(function, size)?;
            let flexible =
                Function { name: String::new(), ..self.flexible(function, self.largest()) };
            match &seen {
                Some(first) if *first != flexible => {
                    return Err(format!(
                        "the function {:?} differs from the others in more than its size",
                        function.name
                    ));
                }
                Some(_) => {}
                None => seen = Some(flexible),
            }
        }
        Ok(())
    }

    /// Checks one function.
    fn check_size(&self, function: &Function, size: usize) -> Result<(), String> {
        if !function.states.is_empty() {
            return Err(format!("the function {:?} has states", function.name));
        }
        let check = |features: &[Feature], name: &str, axes: &[usize]| {
            let feature = features.iter().find(|feature| feature.name == name);
            let dims = feature.filter(|feature| feature.default.is_none()).and_then(dims);
            let fits = |axis: &usize| dims.is_some_and(|dims| dims.get(*axis) == Some(&size));
            // No more than the tensor has, before they are compared with each other.
            let few = !axes.is_empty() && dims.is_some_and(|dims| axes.len() <= dims.len());
            let once = || axes.iter().enumerate().all(|(at, axis)| !axes[..at].contains(axis));
            match few && axes.iter().all(fits) && once() {
                true => Ok(()),
                false => {
                    let some = axes.get(..dims.map_or(0, <[usize]>::len)).unwrap_or(axes);
                    Err(format!(
                        "{name:?} of {:?} does not have {size} in the dimensions {some:?}",
                        function.name
                    ))
                }
            }
        };
        for padded in &self.padded {
            check(&function.inputs, &padded.input, &padded.axes)?;
            if !padded.value.is_finite() {
                return Err(format!("{:?} is padded with {}", padded.input, padded.value));
            }
        }
        if let Some(mask) = &self.mask {
            check(&function.inputs, &mask.input, &[mask.axis])?;
        }
        self.trimmed
            .iter()
            .try_for_each(|trimmed| check(&function.outputs, &trimmed.output, &trimmed.axes))
    }
}

/// Returns the sizes of a tensor of fixed shape.
fn dims(feature: &Feature) -> Option<&[usize]> {
    match &feature.kind {
        FeatureKind::MultiArray {
            shape: Shape { default, flexibility: Flexibility::Fixed },
            ..
        } => Some(default),
        _ => None,
    }
}

/// Returns a tensor whose dimensions `axes` have any size in `range`.
fn opened(feature: &Feature, axes: &[usize], range: SizeRange) -> Feature {
    let FeatureKind::MultiArray { data_type, shape } = &feature.kind else {
        return feature.clone();
    };
    let largest = range.max.unwrap_or(range.min);
    let fixed = |size: usize| SizeRange { min: size, max: Some(size) };
    let sizes = shape.default.iter().enumerate();
    let ranges = sizes
        .clone()
        .map(|(axis, &size)| if axes.contains(&axis) { range } else { fixed(size) })
        .collect();
    let default =
        sizes.map(|(axis, &size)| if axes.contains(&axis) { largest } else { size }).collect();
    let shape = Shape { default, flexibility: Flexibility::Ranges(ranges) };
    Feature { kind: FeatureKind::MultiArray { data_type: *data_type, shape }, ..feature.clone() }
}

impl fmt::Display for Buckets {
    /// Writes
    /// `8, 16 by dimension 1 of ids (1..=16); padded: ids with 0; mask: mask; trimmed: hidden`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |parts: Vec<String>| parts.join(", ");
        let sizes = join(self.sizes.iter().map(usize::to_string).collect());
        let Self { input, axis, min, .. } = self;
        write!(f, "{sizes} by dimension {axis} of {input} ({min}..={})", self.largest())?;
        let padded =
            self.padded.iter().map(|padded| format!("{} with {}", padded.input, padded.value));
        write!(f, "; padded: {}", join(padded.collect()))?;
        if let Some(mask) = &self.mask {
            write!(f, "; mask: {}", mask.input)?;
        }
        if !self.trimmed.is_empty() {
            let trimmed = self.trimmed.iter().map(|trimmed| trimmed.output.clone());
            write!(f, "; trimmed: {}", join(trimmed.collect()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataType;

    /// A tensor of fixed shape.
    fn tensor(name: &str, dims: &[usize]) -> Feature {
        let kind =
            FeatureKind::MultiArray { data_type: DataType::Float32, shape: Shape::fixed(dims) };
        Feature { name: name.to_owned(), description: String::new(), kind, default: None }
    }

    /// The function of a size.
    fn function(size: usize) -> Function {
        Function {
            name: format!("bucket_{size}"),
            inputs: vec![
                tensor("ids", &[1, size]),
                tensor("mask", &[1, size]),
                tensor("scale", &[1]),
            ],
            outputs: vec![tensor("hidden", &[1, size, 4]), tensor("pooled", &[1, 4])],
            states: Vec::new(),
            state_outputs: Vec::new(),
            symbols: Vec::new(),
            classifier: None,
        }
    }

    /// Two buckets over those functions.
    fn buckets() -> Buckets {
        Buckets {
            input: "ids".to_owned(),
            axis: 1,
            min: 2,
            sizes: vec![8, 16],
            padded: vec![Padded { input: "ids".to_owned(), axes: vec![1], value: 0.0 }],
            mask: Some(Mask { input: "mask".to_owned(), axis: 1 }),
            trimmed: vec![Trimmed { output: "hidden".to_owned(), axes: vec![1] }],
        }
    }

    #[test]
    fn callers_see_lengths_and_no_mask() {
        let (buckets, functions) = (buckets(), [function(16), function(8)]);
        assert_eq!(buckets.check(&functions), Ok(()));
        assert_eq!(buckets.function(&functions, 8), Some(&functions[1]));
        let flexible = buckets.flexible(&functions[0], buckets.largest());
        let seen = |features: &[Feature]| {
            features.iter().map(|feature| feature.kind.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(seen(&flexible.inputs), ["float32 [1, 2..=16], default [1, 16]", "float32 [1]"]);
        assert_eq!(
            seen(&flexible.outputs),
            ["float32 [1, 2..=16, 4], default [1, 16, 4]", "float32 [1, 4]"]
        );
        assert_eq!(
            buckets.to_string(),
            "8, 16 by dimension 1 of ids (2..=16); padded: ids with 0; mask: mask; trimmed: hidden"
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        type Change = fn(&mut Buckets, &mut Vec<Function>);
        let cases: [(&str, Change); 13] = [
            ("do not ascend", |buckets, _| buckets.sizes = vec![16, 8]),
            ("do not ascend", |buckets, _| buckets.sizes.clear()),
            ("smallest length is 9", |buckets, _| buckets.min = 9),
            ("smallest length is 0", |buckets, _| buckets.min = 0),
            ("2 sizes and 1 functions", |_, functions| functions.truncate(1)),
            ("no function takes 16", |_, functions| functions[1] = function(32)),
            ("is not among those", |buckets, _| buckets.axis = 0),
            ("the mask is padded", |buckets, _| {
                buckets.mask = Some(Mask { input: "ids".to_owned(), axis: 1 })
            }),
            ("\"mask\" of \"bucket_8\"", |buckets, _| {
                buckets.mask = Some(Mask { input: "mask".to_owned(), axis: 7 })
            }),
            ("padded with inf", |buckets, _| buckets.padded[0].value = f64::INFINITY),
            ("\"hidden\" of", |buckets, _| buckets.trimmed[0].axes = vec![1, 1]),
            ("more than its size", |_, functions| {
                functions[1].outputs[1] = tensor("pooled", &[1, 5])
            }),
            ("has states", |_, functions| functions[0].states.push(tensor("cache", &[1]))),
        ];
        for (expected, change) in cases {
            let (mut buckets, mut functions) = (buckets(), vec![function(8), function(16)]);
            change(&mut buckets, &mut functions);
            let problem = buckets.check(&functions).unwrap_err();
            assert!(problem.contains(expected), "`{expected}` is not in: {problem}");
        }
    }
}
