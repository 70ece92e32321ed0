//! The default engine: rten, in pure Rust.
//!
//! Owns: loading and running with rten.
//! Flow: `engine.rs` → here → the `rten` crate.

use super::{Buffer, Engine, Input, Numbers, Tensor};
use crate::error::Error;
use crate::graph::WEIGHTS_FILE;
use crate::translation::Translation;
use prost::Message;
use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueOrView, ValueView};
use rten_tensor::TensorView;
use rten_tensor::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Name and version, for callers and messages.
const NAME: &str = "rten 0.27";

/// A model in rten.
pub(super) struct Rten {
    /// The model.
    model: Model,
    /// Its inputs, in order: those of the function, then the states.
    inputs: Vec<NodeId>,
    /// For each state, whether the function writes it.
    written: Vec<bool>,
    /// Its outputs, in order: those of the function, then the states that it writes.
    outputs: Vec<NodeId>,
    /// Threads of its own, or those that all models share.
    threads: Option<Arc<ThreadPool>>,
}

impl std::fmt::Debug for Rten {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rten").field("model", &self.model).finish_non_exhaustive()
    }
}

impl Rten {
    /// Loads a translated function.
    ///
    /// Parameters: `threads` — how many to compute with; `None` for as many as the machine has
    /// cores.
    pub(super) fn load(translation: Translation, threads: Option<usize>) -> Result<Self, Error> {
        let written = translation.states.iter().map(|state| state.output.is_some()).collect();
        let graph = translation.model.encode_to_vec();
        drop(translation.model);
        let mut options = ModelOptions::with_all_ops();
        options.external_data(WEIGHTS_FILE, translation.weights.into_bytes());
        let model = options.load(graph).map_err(failed)?;
        let inputs = model.input_ids().to_vec();
        let outputs = model.output_ids().to_vec();
        let threads = threads.map(|count| Arc::new(ThreadPool::with_num_threads(count.max(1))));
        Ok(Self { model, inputs, written, outputs, threads })
    }
}

impl Engine for Rten {
    fn name(&self) -> &str {
        NAME
    }

    fn run(&self, inputs: &[Input<'_>], states: &mut [Tensor]) -> Result<Vec<Tensor>, Error> {
        let mut values: Vec<(NodeId, ValueOrView<'_>)> = Vec::with_capacity(self.inputs.len());
        let (ids, state_ids) = self.inputs.split_at(inputs.len().min(self.inputs.len()));
        for (id, input) in ids.iter().zip(inputs) {
            values.push((*id, view(input.dims, input.numbers)?));
        }
        // A state that is written goes in by value, so that the engine may change it in place.
        let mut kept = Vec::new();
        for ((id, state), written) in state_ids.iter().zip(states.iter_mut()).zip(&self.written) {
            if *written {
                let buffer = std::mem::replace(&mut state.buffer, Buffer::Int(Vec::new()));
                values.push((*id, owned(&state.dims, buffer)?));
            } else {
                kept.push((*id, &*state));
            }
        }
        for (id, state) in &kept {
            values.push((*id, view(&state.dims, state.buffer.numbers())?));
        }
        let options = RunOptions::default().with_thread_pool(self.threads.clone());
        let run = || self.model.run(values, &self.outputs, Some(options)).map_err(failed);
        let outputs = caught(run)?;
        let mut outputs = outputs.into_iter().map(tensor).collect::<Result<Vec<_>, _>>()?;
        let written = states.iter_mut().zip(&self.written).filter(|(_, written)| **written);
        let after = outputs.split_off(
            self.outputs.len() - self.written.iter().filter(|written| **written).count(),
        );
        written.zip(after).for_each(|((state, _), after)| *state = after);
        Ok(outputs)
    }
}

/// Runs what may panic inside of rten: arithmetic of integers does where a build checks overflow.
///
/// Errors: those of `run`, or what the panic says.
fn caught<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        let text = text.unwrap_or_else(|| "it panicked".to_owned());
        let advice = if text.contains("overflow") {
            "; integers of the model overflow: set `overflow-checks = false` for rten in the \
             profile, as in `[profile.dev.package.rten]`, to have them wrap around"
        } else {
            ""
        };
        Err(failed(format!("{text}{advice}")))
    })
}

/// Borrows elements as a value.
fn view<'a>(dims: &'a [usize], numbers: Numbers<'a>) -> Result<ValueOrView<'a>, Error> {
    let view: ValueView<'a> = match numbers {
        Numbers::Float(elements) => {
            TensorView::try_from_data(dims, elements).map_err(failed)?.into()
        }
        Numbers::Int(elements) => TensorView::try_from_data(dims, elements).map_err(failed)?.into(),
    };
    Ok(view.into())
}

/// Makes elements a value.
fn owned(dims: &[usize], buffer: Buffer) -> Result<ValueOrView<'static>, Error> {
    let value: Value = match buffer {
        Buffer::Float(elements) => {
            rten_tensor::Tensor::try_from_data(dims, elements).map_err(failed)?.into()
        }
        Buffer::Int(elements) => {
            rten_tensor::Tensor::try_from_data(dims, elements).map_err(failed)?.into()
        }
        #[cfg(feature = "onnxruntime")]
        Buffer::Held(_) => return Err(failed("a state is in the memory of another engine")),
    };
    Ok(value.into())
}

/// Takes the elements out of a value; moves them where they are in row-major order.
fn tensor(value: Value) -> Result<Tensor, Error> {
    match value {
        Value::FloatTensor(tensor) => {
            Ok(Tensor { dims: tensor.shape().to_vec(), buffer: Buffer::Float(tensor.into_data()) })
        }
        Value::Int32Tensor(tensor) => {
            Ok(Tensor { dims: tensor.shape().to_vec(), buffer: Buffer::Int(tensor.into_data()) })
        }
        other => Err(failed(format!("an output has the unexpected type {:?}", other.dtype()))),
    }
}

/// Wraps what rten says.
fn failed(error: impl std::fmt::Display) -> Error {
    Error::Engine { engine: NAME.to_owned(), message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_rten_is_its_error() {
        let message = |run: fn() -> Result<(), Error>| caught(run).unwrap_err().to_string();
        let overflow = message(|| panic!("attempt to {} with overflow", "add"));
        assert!(
            overflow.starts_with("the engine rten 0.27 failed: attempt to add with overflow; ")
                && overflow.contains("`overflow-checks = false`"),
            "{overflow}"
        );
        assert_eq!(message(|| panic!("why")), "the engine rten 0.27 failed: why");
        assert_eq!(message(|| Err(failed("no"))), "the engine rten 0.27 failed: no");
    }
}
