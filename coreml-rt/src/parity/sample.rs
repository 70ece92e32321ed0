//! One sample: a safetensors file of inputs and reference outputs, for one prediction or several in
//! a row.
//!
//! Owns: [`Sample`] and the meaning of its keys. Must not: know which of them a model has.
//! Flow: a conversion writes it; `parity.rs` reads it, `step.rs` takes one step after the other
//! from it.

use super::array::Array;
use super::file;
use crate::error::Error;
use crate::model::default_tensor;
use crate::shape::element_count;
use coreml_spec::{DataType, Feature, FeatureKind, Function};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What the keys of inputs start with, behind the number of the step.
pub(super) const INPUT_PREFIX: &str = "in/";

/// What the keys of reference outputs start with, behind the number of the step.
pub(super) const OUTPUT_PREFIX: &str = "out/";

/// What the keys of states after the last step start with.
const FINAL_STATE_PREFIX: &str = "final_state/";

/// The keys that there may be, for messages.
const KEYS: &str = "`in/NAME`, `out/NAME`, `step0/in/NAME`, `step0/out/NAME`, `step1/in/NAME`, …, \
    `final_state/NAME`";

/// Inputs as PyTorch was fed, and its outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The file's name, for messages.
    name: String,
    /// Every tensor of the file by its key.
    tensors: BTreeMap<String, Array>,
    /// How many steps have numbers; `None` when there is one, without a number.
    steps: Option<usize>,
}

impl Sample {
    /// Reads a file.
    ///
    /// Errors: [`Error::Sample`] when it is no safetensors file, has an unknown key, or holds a
    /// type that is no number.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| {
            let problem = format!(
                "it cannot be read ({error}); check the path, or build again after `cargo clean`"
            );
            Error::Sample { sample: name.clone(), problem }
        })?;
        let short =
            path.file_name().map_or(name.clone(), |file| file.to_string_lossy().into_owned());
        Self::from_bytes(&short, &bytes)
    }

    /// Reads the bytes of a file.
    ///
    /// Parameters: `name` — what messages call the sample.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let mut sample = Self { name: name.to_owned(), tensors: BTreeMap::new(), steps: None };
        let file = file::read(bytes).map_err(|problem| {
            sample.error(format!("it is not a safetensors file ({problem}); write it again"))
        })?;
        let (mut numbers, mut plain) = (BTreeSet::new(), None);
        for (key, tensor) in &file {
            let (number, rest) = split(key);
            if rest.starts_with(INPUT_PREFIX) || rest.starts_with(OUTPUT_PREFIX) {
                match number {
                    Some(number) => drop(numbers.insert(number)),
                    None => plain = Some(key),
                }
            } else if number.is_some() || !rest.starts_with(FINAL_STATE_PREFIX) {
                return Err(sample
                    .error(format!("its key `{key}` must be one of {KEYS}; rename or remove it")));
            }
            let array = Array::read(tensor)
                .map_err(|problem| sample.error(format!("`{key}` {problem}")))?;
            sample.tensors.insert(key.to_owned(), array);
        }
        if let (Some(key), Some(step)) = (plain, numbers.first()) {
            let both = format!(
                "it has both `{key}` and keys of step {step}; give every input and output a step, \
                 or none"
            );
            return Err(sample.error(both));
        }
        if let Some(missing) = (0..numbers.len()).find(|number| !numbers.contains(number)) {
            return Err(
                sample.error(format!("it has {} steps, but no step {missing}", numbers.len()))
            );
        }
        sample.steps = Some(numbers.len()).filter(|count| *count > 0);
        Ok(sample)
    }

    /// Makes up inputs for a function: every input of its default size. There are no references.
    ///
    /// Floats are a pattern from -1 to 1. Integers are 0, so that they are valid indices. Values of
    /// an image are 0 to 255.
    pub(crate) fn made_up(function: &Function) -> Result<Self, Error> {
        let name = "(made up)".to_owned();
        let mut sample = Self { name, tensors: BTreeMap::new(), steps: None };
        for input in &function.inputs {
            let tensor = default_tensor(&input.kind);
            let neither = || {
                sample.error(format!(
                    "`{}` is neither a tensor nor an image in the model",
                    input.name
                ))
            };
            let (data_type, dims) = tensor.ok_or_else(neither)?;
            let (scale, offset) = match (&input.kind, data_type) {
                (FeatureKind::Image { .. }, _) => (127.0, 128.0),
                (_, DataType::Int32 | DataType::Int8) => (0.0, 0.0),
                _ => (1.0, 0.0),
            };
            let count = element_count(&dims);
            let count = count
                .ok_or_else(|| sample.error(format!("`{}` is too large: {dims:?}", input.name)))?;
            let values = (0..count).map(|at| offset + scale * ((at % 255) as f64 / 127.0 - 1.0));
            let array = Array::made(dims, values.collect());
            sample.tensors.insert(format!("{INPUT_PREFIX}{}", input.name), array);
        }
        Ok(sample)
    }

    /// Returns the file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns how many steps have numbers; `None` when there is one, without a number.
    pub(super) fn numbered_steps(&self) -> Option<usize> {
        self.steps
    }

    /// Returns what the state `name` should hold at the end, or `None` when the sample does not
    /// say.
    ///
    /// Parameters: `dims` — the state's sizes.
    pub(super) fn final_state(&self, name: &str, dims: &[usize]) -> Result<Option<&[f64]>, Error> {
        let key = format!("{FINAL_STATE_PREFIX}{name}");
        if self.find(&key).is_none() { Ok(None) } else { self.reference(&key, dims).map(Some) }
    }

    /// Refuses states that the model does not have.
    pub(super) fn refuse_unknown_states(&self, states: &[Feature]) -> Result<(), Error> {
        self.refuse_unknown("state", FINAL_STATE_PREFIX, states)
    }

    /// Refuses tensors whose key is `prefix` and a name that no feature has.
    pub(super) fn refuse_unknown(
        &self,
        role: &str,
        prefix: &str,
        features: &[Feature],
    ) -> Result<(), Error> {
        let known = |name: &str| features.iter().any(|feature| feature.name == name);
        match self
            .tensors
            .keys()
            .filter_map(|key| key.strip_prefix(prefix))
            .find(|name| !known(name))
        {
            None => Ok(()),
            Some(name) => {
                let names: Vec<&str> =
                    features.iter().map(|feature| feature.name.as_str()).collect();
                let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                let problem = format!(
                    "it has `{prefix}{name}`, but the model has no {role} `{name}`; it has {has}"
                );
                Err(self.error(problem))
            }
        }
    }

    /// Returns the tensor with a key.
    pub(super) fn find(&self, key: &str) -> Option<&Array> {
        self.tensors.get(key)
    }

    /// Returns whether two samples hold the same, whatever they are called.
    pub(super) fn holds_what(&self, other: &Self) -> bool {
        self.tensors == other.tensors
    }

    /// Returns a reference.
    ///
    /// Parameters: `dims` — the sizes of the model's output.
    pub(super) fn reference(&self, key: &str, dims: &[usize]) -> Result<&[f64], Error> {
        let array = self.find(key).ok_or_else(|| self.lacks(key, "gives"))?;
        // PyTorch's scalars have no dimension where Core ML has one of size 1.
        let same =
            array.dims == dims || (array.values.len() == 1 && element_count(dims) == Some(1));
        if !same {
            let expected = &array.dims;
            return Err(self.error(format!(
                "`{key}` has shape {expected:?}, but the model's output has {dims:?}"
            )));
        }
        Ok(&array.values)
    }

    /// Makes the error about a key that is not there.
    pub(super) fn lacks(&self, key: &str, verb: &str) -> Error {
        let keys = self.tensors.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        self.error(format!("it lacks `{key}`, which the model {verb}; it has {keys}"))
    }

    /// Makes the error about a state of a type that states do not have.
    pub(super) fn unreadable_state(&self, name: &str, data_type: DataType) -> Error {
        self.error(format!("the state `{name}` of type {data_type} cannot be compared"))
    }

    /// Makes an error about this sample.
    pub(super) fn error(&self, problem: String) -> Error {
        Error::Sample { sample: self.name.clone(), problem }
    }
}

/// Returns the number of the step that a key begins with, if it does, and the rest.
fn split(key: &str) -> (Option<usize>, &str) {
    let numbered = || {
        let (step, rest) = key.split_once('/')?;
        let digits = step.strip_prefix("step")?;
        // One spelling for each number, so that no step is there twice.
        let number = digits.parse::<usize>().ok().filter(|number| number.to_string() == digits)?;
        Some((Some(number), rest))
    };
    numbered().unwrap_or((None, key))
}

#[cfg(test)]
#[path = "sample/tests.rs"]
mod tests;
