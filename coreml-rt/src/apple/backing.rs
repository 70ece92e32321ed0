//! Outputs that Core ML writes directly into the caller's memory.
//!
//! Owns: lending the memory of outputs, and its owner at each moment. Must not: lend what is only
//! borrowed. The memory moves here and back; when Core ML keeps it longer than the prediction, the
//! caller gets a copy.
//! Flow: `backend.rs` and `asynchronous.rs` call it around a prediction.
#![allow(unsafe_code, reason = "calls Objective-C")]

use super::failure::CoreMlError;
use super::features::Features;
use super::multi_array;
use super::results::{CoreMlResults, Value};
use crate::backend::Written;
use crate::error::Error;
use crate::slot::{Lent, OutputSlot};
use objc2::rc::Retained;
use objc2::runtime::{AnyObject, NSObjectProtocol};
use objc2::sel;
use objc2_core_ml::{MLMultiArray, MLPredictionOptions};
use objc2_foundation::{NSMutableDictionary, NSString};
use std::any::Any;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Outputs of fewer bytes are copied: a backing takes an array, a dictionary and a block, which
/// cost more than that.
const WORTH_LENDING: usize = 16 << 10;

/// Which outputs Core ML has not written in place before, by position; they are not offered again.
#[derive(Default)]
pub(super) struct Refused(Mutex<Vec<bool>>);

/// Memory of the outputs that are lent.
#[derive(Default)]
pub(super) struct Backings {
    /// One for each.
    lent: Vec<Backing>,
}

/// Memory of one output.
struct Backing {
    /// Which output.
    index: usize,
    /// The memory.
    memory: Arc<dyn Any + Send + Sync>,
    /// The same as Core ML takes it; `None` when the prediction is over.
    array: Option<Retained<MLMultiArray>>,
    /// Whether Core ML wrote the result into it.
    is_used: bool,
}

// SAFETY: its array is only compared and released, which Apple allows on any thread; the memory is
// `Send`.
unsafe impl Send for Backing {}

impl Backings {
    /// Takes the memory of all outputs that are large enough, and returns the options that offer it
    /// to Core ML; `None` when there is no such output, or when the system (before macOS 13 and iOS
    /// 16) has no backings.
    ///
    /// Parameters: `refused` — of the same model.
    pub(super) fn lend(
        &mut self,
        features: &Features,
        outputs: &mut [&mut dyn OutputSlot],
        refused: &Refused,
    ) -> Result<Option<Retained<MLPredictionOptions>>, CoreMlError> {
        let may = |index: usize| !refused.marks().get(index).copied().unwrap_or_default();
        let mut worth = outputs.iter_mut().enumerate().filter(|(index, _)| may(*index));
        let Some((index, lent)) =
            worth.find_map(|(index, slot)| Some((index, slot.lend(WORTH_LENDING)?)))
        else {
            return Ok(None);
        };
        // SAFETY: `new` of a class without demands on its caller.
        let options = unsafe { MLPredictionOptions::new() };
        let arrays = NSMutableDictionary::<NSString, AnyObject>::new();
        self.offer(features, index, lent, &arrays)?;
        if !options.respondsToSelector(sel!(setOutputBackings:)) {
            return Ok(None);
        }
        for (index, slot) in worth {
            if let Some(lent) = slot.lend(WORTH_LENDING) {
                self.offer(features, index, lent, &arrays)?;
            }
        }
        // SAFETY: a setter of a fresh object that nobody else holds; it copies the dictionary,
        // whose values are arrays.
        unsafe { options.setOutputBackings(&arrays) };
        Ok(Some(options))
    }

    /// Adds an output to what is offered.
    fn offer(
        &mut self,
        features: &Features,
        index: usize,
        lent: Lent,
        arrays: &NSMutableDictionary<NSString, AnyObject>,
    ) -> Result<(), CoreMlError> {
        let Lent { dims, data_type, elements, memory } = lent;
        self.lent.push(Backing { index, memory: Arc::clone(&memory), array: None, is_used: false });
        let (Some(output), Some(elements)) = (features.outputs.get(index), NonNull::new(elements))
        else {
            return Ok(());
        };
        let (shape, strides) = (multi_array::shape_of(&dims), multi_array::strides_of(&dims));
        // SAFETY: the memory has as many elements as its sizes say. Only Core ML has it until the
        // prediction ends, and nothing writes it while it is shared.
        let array =
            unsafe { multi_array::of_owner(elements, data_type, &shape, &strides, memory) }?;
        arrays.insert(&*output.name, &array);
        if let Some(backing) = self.lent.last_mut() {
            backing.array = Some(array);
        }
        Ok(())
    }

    /// Looks which of the offers Core ML took: then the output is the very array.
    ///
    /// Parameters: `refused` — gets a mark for each that it did not take.
    pub(super) fn compare(&mut self, values: &[Value], refused: &Refused) {
        if self.lent.is_empty() {
            return;
        }
        let mut refused = refused.marks();
        refused.resize(values.len(), false);
        for backing in &mut self.lent {
            let given = values.get(backing.index).and_then(Value::array).map(Retained::as_ptr);
            let offered = backing.array.take();
            backing.is_used = offered.as_ref().map(Retained::as_ptr) == given && given.is_some();
            if let Some(refused) = refused.get_mut(backing.index) {
                *refused = !backing.is_used;
            }
        }
    }

    /// Returns whether Core ML wrote output `index` into the caller's memory.
    fn is_used(&self, index: usize) -> bool {
        self.lent.iter().any(|backing| backing.index == index && backing.is_used)
    }

    /// Copies every output that Core ML did not write in place.
    ///
    /// Parameters: `results` — of the same prediction, given to [`Self::compare`] before. The
    /// memory that Core ML refused is released here.
    pub(super) fn copy_rest(
        &mut self,
        results: &CoreMlResults<'_>,
        outputs: &mut [&mut dyn OutputSlot],
    ) -> Result<(), Error> {
        self.replace_refused(outputs);
        let mut copied = outputs.iter_mut().enumerate().filter(|(index, _)| !self.is_used(*index));
        copied.try_for_each(|(index, slot)| slot.take(results, index))
    }

    /// Gives new memory to the outputs that Core ML did not write in place, for copies.
    fn replace_refused(&mut self, outputs: &mut [&mut dyn OutputSlot]) {
        self.lent.retain(|backing| {
            if !backing.is_used
                && let Some(slot) = outputs.get_mut(backing.index)
            {
                slot.restore(None);
            }
            backing.is_used
        });
    }

    /// Returns the memory that Core ML wrote, after [`Self::copy_rest`]; it returns to the outputs
    /// when the result is taken.
    pub(super) fn into_written(self) -> Vec<Written> {
        self.lent.into_iter().map(|backing| (backing.index, backing.memory)).collect()
    }

    /// Gives the memory back, when all objects of the prediction are gone.
    pub(super) fn give_back(self, outputs: &mut [&mut dyn OutputSlot]) {
        for Backing { index, memory, array, .. } in self.lent {
            drop(array);
            if let Some(slot) = outputs.get_mut(index) {
                slot.restore(Some(memory));
            }
        }
    }
}

impl Refused {
    /// Locks the marks; no code panics while it holds the lock.
    fn marks(&self) -> MutexGuard<'_, Vec<bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
