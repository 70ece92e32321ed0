//! One prediction with the inputs of a step.
//!
//! Owns: which inputs are fed, and the defaults of the others. Must not: judge.
//! Flow: `parity.rs` and `timing.rs` → here → `subject.rs`.

use super::output::Output;
use super::step::{Fed, Step};
use super::subject::Subject;
use crate::error::Error;
use crate::slot::{InputRef, OutputSlot};
use crate::state::State;
use coreml_spec::TensorRef;

/// Returns what a step feeds for each input; `None` for one that it leaves out, and for one that
/// the model fills.
pub(super) fn fed<'a>(model: &Subject, step: &Step<'a>) -> Result<Vec<Option<Fed<'a>>>, Error> {
    let feed = |(at, input)| match model.fills(at) {
        true => step.refuse_zeros(input).map(|()| None),
        false => step.input(input),
    };
    model.function()?.inputs.iter().enumerate().map(feed).collect()
}

/// Predicts once.
pub(super) fn predict(
    model: &Subject,
    state: Option<&mut State>,
    fed: &[Option<Fed<'_>>],
    outputs: &mut [Output],
) -> Result<(), Error> {
    let inputs: Vec<InputRef<'_>> = fed
        .iter()
        .enumerate()
        .filter(|(at, _)| !model.fills(*at))
        .map(|(at, fed)| match fed {
            Some(fed) => {
                InputRef::Tensor(TensorRef { dims: fed.dims, elements: fed.buffer.elements() })
            }
            None => model.default_of(at),
        })
        .collect();
    let mut slots: Vec<&mut dyn OutputSlot> =
        outputs.iter_mut().map(|output| output as &mut dyn OutputSlot).collect();
    model.predict(state, &inputs, &mut slots)
}
