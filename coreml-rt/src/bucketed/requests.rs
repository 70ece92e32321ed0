//! Non-blocking predictions and batches of a model with buckets.
//!
//! Owns: loading on a thread, asynchronous predictions, batches. Must not: pad or trim;
//! `bucketed.rs` does.
//! Flow: a generated `Model` → here → `model/requests.rs` for the bucket of each input.

use super::BucketedModel;
use crate::awaited::OutputSet;
use crate::completion::{Completion, failed};
use crate::description::Description;
use crate::error::Error;
use crate::model::load_async;
use crate::options::LoadOptions;
use crate::padding::trim;
use crate::slot::{InputRef, InputSlot, OutputSlot, Outputs, take_all};
use std::cell::RefCell;

/// Outputs that are longer than what is taken of them.
struct Trimmed<O> {
    /// The outputs.
    outputs: O,
    /// For each its dimensions that have the length.
    axes: Vec<Vec<usize>>,
    /// The true length.
    length: usize,
}

impl<O: Outputs> OutputSet for Trimmed<O> {
    fn slots(&mut self, with: &mut dyn FnMut(&mut [&mut dyn OutputSlot])) {
        let (axes, length) = (&self.axes, self.length);
        let axes: Vec<&[usize]> = axes.iter().map(Vec::as_slice).collect();
        let buffers: Vec<_> = axes.iter().map(|_| RefCell::new(None)).collect();
        Outputs::slots(&mut self.outputs, &mut |slots| trim(slots, &axes, length, &buffers, with));
    }
}

impl BucketedModel {
    /// Does the same as [`Self::load`], on a thread of its own.
    ///
    /// Called by: the generated `Model::load_async`.
    /// Parameters: `wrap` — makes the generated type.
    pub fn load_async<M: Send + 'static>(
        descriptions: &'static [(usize, Description)],
        options: LoadOptions,
        wrap: fn(Self) -> M,
    ) -> Completion<M> {
        let name = descriptions.first().map_or("", |(_, description)| description.name);
        load_async(name, move || Self::load(descriptions, &options).map(wrap))
    }

    /// Starts the smallest bucket that the inputs fit into and returns at once. Before it returns
    /// it copies the inputs, and loads the bucket on first use.
    ///
    /// Called by: the generated `Model::predict_into_async`.
    /// Parameters: `inputs` — as for [`Self::predict`]; `outputs` — come back filled.
    pub fn predict_async<const INPUTS: usize, O: Outputs>(
        &self,
        inputs: [&dyn InputSlot; INPUTS],
        outputs: O,
    ) -> Completion<O> {
        self.start(&self.fed(&inputs), outputs).unwrap_or_else(|error| failed(&self.name, error))
    }

    /// Starts a prediction.
    fn start<O: Outputs>(
        &self,
        inputs: &[InputRef<'_>],
        outputs: O,
    ) -> Result<Completion<O>, Error> {
        let fits = self.checked(inputs)?;
        let fitted = fits.as_ref().map(|fits| fits.apply(inputs));
        let inputs = fitted.as_deref().unwrap_or(inputs);
        let length = self.length(inputs)?;
        let position = self.position(length)?;
        let (size, model) = (self.sizes[position], self.slots[position].model()?);
        let function = model.function();
        let mut scratch = self.new_scratch(function)?;
        self.pad(&mut scratch, function, inputs, size, length)?;
        let fed = self.feed(&scratch, inputs, size == length);
        if size == length {
            return Ok(model.predict_features_async(None, &fed, outputs, |outputs, _| Ok(outputs)));
        }
        let axes = self.trimmed_axes(function).into_iter().map(<[usize]>::to_vec).collect();
        let trimmed = Trimmed { outputs, axes, length };
        Ok(model.predict_features_async(None, &fed, trimmed, |trimmed, _| Ok(trimmed.outputs)))
    }

    /// Runs each input in its bucket: the inputs of one bucket are one request.
    ///
    /// Called by: the generated `Model::predict_batch`.
    /// Returns: one output for each input, in the same order.
    pub fn predict_batch<'a, const INPUTS: usize, O: Outputs>(
        &'a self,
        batch: impl IntoIterator<Item = [&'a dyn InputSlot; INPUTS]>,
    ) -> Result<Vec<O>, Error> {
        let given: Vec<_> = batch.into_iter().map(|inputs| self.fed(&inputs)).collect();
        let fits = given.iter().map(|inputs| self.checked(inputs));
        let fits = fits.collect::<Result<Vec<_>, Error>>()?;
        let fitted = given.iter().zip(&fits).map(|(inputs, fits)| match fits {
            Some(fits) => fits.apply(inputs),
            None => inputs.to_vec(),
        });
        let fed: Vec<Vec<InputRef<'_>>> = fitted.collect();
        let lengths =
            fed.iter().map(|inputs| self.length(inputs)).collect::<Result<Vec<_>, Error>>()?;
        let positions = lengths
            .iter()
            .map(|&length| self.position(length))
            .collect::<Result<Vec<_>, Error>>()?;
        let mut outputs: Vec<O> = fed.iter().map(|_| O::default()).collect();
        for (position, (&size, slot)) in self.sizes.iter().zip(&self.slots).enumerate() {
            let group: Vec<usize> =
                (0..fed.len()).filter(|&at| positions[at] == position).collect();
            if group.is_empty() {
                continue;
            }
            let model = slot.model()?;
            let function = model.function();
            let mut scratch = Vec::with_capacity(group.len());
            for &at in &group {
                let mut memory = self.new_scratch(function)?;
                self.pad(&mut memory, function, &fed[at], size, lengths[at])?;
                scratch.push(memory);
            }
            let requests = scratch.iter().zip(&group);
            let requests: Vec<Vec<InputRef<'_>>> = requests
                .map(|(memory, &at)| self.feed(memory, &fed[at], size == lengths[at]))
                .collect();
            let requests: Vec<&[InputRef<'_>]> = requests.iter().map(Vec::as_slice).collect();
            let axes = self.trimmed_axes(function);
            let mut next = group.iter().zip(&scratch);
            model.predict_features_batch(&requests, &mut |results| {
                let Some((&at, memory)) = next.next() else { return Ok(()) };
                let mut taken = Ok(());
                outputs[at].slots(&mut |slots| {
                    trim(slots, &axes, lengths[at], &memory.outputs, &mut |slots| {
                        taken = take_all(slots, results)
                    });
                });
                taken
            })?;
        }
        Ok(outputs)
    }
}
