//! Outputs of an asynchronous prediction, from the call to the result.
//!
//! Owns: what happens to them when the prediction ends. Must not: know which backend runs.
//! Flow: `model.rs` and `bucketed.rs` make one for each prediction; a backend fills it through
//! [`Awaited`].

use crate::backend::{Awaited, Written};
use crate::completion::Completer;
use crate::error::Error;
use crate::slot::{OutputSlot, Outputs};

/// All outputs of a prediction.
pub(crate) trait OutputSet: Send + 'static {
    /// Calls `with` with them, in the order of the function's.
    fn slots(&mut self, with: &mut dyn FnMut(&mut [&mut dyn OutputSlot]));
}

impl<O: Outputs> OutputSet for O {
    fn slots(&mut self, with: &mut dyn FnMut(&mut [&mut dyn OutputSlot])) {
        Outputs::slots(self, with);
    }
}

/// The outputs, and the future that waits for the result.
pub(crate) struct Waiting<O, R, W> {
    /// The outputs.
    pub(crate) outputs: O,
    /// The other end of the future.
    pub(crate) completer: Completer<R>,
    /// Makes the result of the outputs, and of the state that came back.
    pub(crate) wrap: W,
}

impl<S, O, R, W> Awaited<S> for Waiting<O, R, W>
where
    S: Send + 'static,
    O: OutputSet,
    R: Send + 'static,
    W: FnOnce(O, Option<S>) -> Result<R, Error> + Send + 'static,
{
    fn slots(&mut self, with: &mut dyn FnMut(&mut [&mut dyn OutputSlot])) {
        self.outputs.slots(with);
    }

    fn finish(self: Box<Self>, answer: Result<Option<S>, Error>, mut written: Vec<Written>) {
        let Self { mut outputs, completer, wrap } = *self;
        match answer {
            Err(error) => completer.complete(Err(error)),
            Ok(state) => completer.complete_with(move || {
                if !written.is_empty() {
                    outputs.slots(&mut |slots| {
                        for (index, memory) in written.drain(..) {
                            if let Some(slot) = slots.get_mut(index) {
                                slot.restore(Some(memory));
                            }
                        }
                    });
                }
                wrap(outputs, state)
            }),
        }
    }
}
