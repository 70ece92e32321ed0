//! One step of a sample: the inputs of a prediction, and its expected outputs.
//!
//! Owns: finding tensors by their keys, and comparing their shapes. Must not: read files.
//! Flow: `sample.rs` → here → `parity.rs`, which takes inputs and references from it.

use super::array::Array;
use super::sample::{INPUT_PREFIX, OUTPUT_PREFIX, Sample};
use crate::buffer::Buffer;
use crate::error::Error;
use coreml_spec::{DataType, Feature, FeatureKind};

/// One prediction of a sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'a> {
    /// Where the tensors are.
    sample: &'a Sample,
    /// Its number; `None` for the only step, whose keys have no number.
    number: Option<usize>,
}

/// At which point of a sample something is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// After the only prediction.
    Only,
    /// After the prediction of this number.
    Step(usize),
    /// After the last prediction: what a state holds.
    Final,
}

impl Stage {
    /// Returns the name of a sample with the stage, as tables show it.
    pub(super) fn of(self, sample: &str) -> String {
        match self {
            Self::Only => sample.to_owned(),
            Self::Step(step) => format!("{sample} step {step}"),
            Self::Final => format!("{sample} final state"),
        }
    }
}

/// What is fed for an input.
#[derive(Debug, PartialEq)]
pub(super) struct Fed<'a> {
    /// Sizes.
    pub(super) dims: &'a [usize],
    /// Elements in the type of the model.
    pub(super) buffer: Buffer,
    /// The remark that it was rounded, if it was.
    pub(super) rounded: Option<String>,
}

impl<'a> Step<'a> {
    /// Returns the steps of a sample in order; at least one.
    pub(super) fn all(sample: &'a Sample) -> impl Iterator<Item = Self> {
        let count = sample.numbered_steps();
        let number = move |step| count.map(|_| step);
        (0..count.unwrap_or(1)).map(move |step| Self { sample, number: number(step) })
    }

    /// Returns the sample's file name.
    pub(super) fn sample(&self) -> &'a str {
        self.sample.name()
    }

    /// Returns when the step's outputs are compared.
    pub(super) fn stage(&self) -> Stage {
        self.number.map_or(Stage::Only, Stage::Step)
    }

    /// Returns its number; `None` when it is the only one.
    pub(super) fn number(&self) -> Option<usize> {
        self.number
    }

    /// Returns sizes and elements of an input in the sample, or `None` when the sample omits it.
    pub(super) fn given(&self, input: &str) -> Option<(&'a [usize], &'a [f64])> {
        let array = self.sample.find(&self.key(INPUT_PREFIX, input))?;
        Some((&array.dims, &array.values))
    }

    /// Returns what to feed for `input`, or `None` when the sample leaves an optional input out.
    pub(super) fn input(&self, input: &Feature) -> Result<Option<Fed<'a>>, Error> {
        let key = self.key(INPUT_PREFIX, &input.name);
        let Some(array) = self.sample.find(&key) else {
            let missing = || self.sample.lacks(&key, "needs");
            return if input.default.is_some() { Ok(None) } else { Err(missing()) };
        };
        let data_type = match &input.kind {
            FeatureKind::MultiArray { data_type, .. } => *data_type,
            // Values from 0 to 255, one plane for each channel.
            FeatureKind::Image { .. } => DataType::Float32,
            _ => {
                return Err(self
                    .sample
                    .error(format!("`{key}` is neither a tensor nor an image in the model")));
            }
        };
        let converted = array.convert(data_type);
        let (buffer, rounded) =
            converted.map_err(|problem| self.sample.error(format!("`{key}` {problem}")))?;
        let rounded = rounded.then(|| {
            let (sample, dtype, name) = (self.sample(), array.dtype(), &input.name);
            format!("{sample}: in/{name} is {dtype} and was rounded to the model's {data_type}")
        });
        Ok(Some(Fed { dims: &array.dims, buffer, rounded }))
    }

    /// Refuses a mask that the runtime fills otherwise: samples of buckets are not padded, so that
    /// a mask has ones alone.
    pub(super) fn refuse_zeros(&self, mask: &Feature) -> Result<(), Error> {
        let key = self.key(INPUT_PREFIX, &mask.name);
        match self
            .sample
            .find(&key)
            .is_some_and(|array| array.values.iter().any(|value| *value != 1.0))
        {
            true => Err(self.sample.error(format!(
                "`{key}` is the mask of the buckets, and has values other than 1: omit it, and \
                 give the inputs without padding"
            ))),
            false => Ok(()),
        }
    }

    /// Refuses inputs and outputs that the model does not have.
    pub(super) fn refuse_unknown(
        &self,
        inputs: &[Feature],
        outputs: &[Feature],
    ) -> Result<(), Error> {
        for (role, prefix, features) in
            [("input", INPUT_PREFIX, inputs), ("output", OUTPUT_PREFIX, outputs)]
        {
            self.sample.refuse_unknown(role, &self.key(prefix, ""), features)?;
        }
        Ok(())
    }

    /// Returns the reference for the output `name`.
    ///
    /// Parameters: `dims` — the sizes of the model's output.
    pub(super) fn output(&self, name: &str, dims: &[usize]) -> Result<&'a [f64], Error> {
        self.sample.reference(&self.key(OUTPUT_PREFIX, name), dims)
    }

    /// Returns the reference for the output `name`, whatever its shape.
    pub(super) fn expected(&self, name: &str) -> Option<&'a Array> {
        self.sample.find(&self.key(OUTPUT_PREFIX, name))
    }

    /// Returns the position of the reference class for the label output `name`.
    pub(super) fn label(&self, name: &str) -> Result<usize, Error> {
        let key = self.key(OUTPUT_PREFIX, name);
        match self.sample.find(&key).ok_or_else(|| self.sample.lacks(&key, "gives"))?.values[..] {
            [value] if value >= 0.0 && value.fract() == 0.0 => Ok(value as usize),
            _ => Err(self
                .sample
                .error(format!("`{key}` must hold one number, the position of the class"))),
        }
    }

    /// Returns the key of a tensor of this step.
    fn key(&self, prefix: &str, name: &str) -> String {
        match self.number {
            Some(number) => format!("step{number}/{prefix}{name}"),
            None => format!("{prefix}{name}"),
        }
    }
}
