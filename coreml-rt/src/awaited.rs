//! Outputs of an asynchronous prediction, on their way to a backend and back.
//!
//! Owns: what becomes of them when it is over. Must not: know which backend runs.
//! Flow: `model.rs` and `bucketed.rs` make one for each prediction; a backend fills it through
//! [`Awaited`].

use crate::backend::{Awaited, BackendState, Written};
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

/// The outputs, and whoever waits for what is made of them.
pub(crate) struct Waiting<O, R, W> {
    /// The outputs.
    pub(crate) outputs: O,
    /// Who waits.
    pub(crate) completer: Completer<R>,
    /// Makes the result of the outputs, and of the state that came back.
    pub(crate) wrap: W,
}

impl<O, R, W> Awaited for Waiting<O, R, W>
where
    O: OutputSet,
    R: Send + 'static,
    W: FnOnce(O, Option<BackendState>) -> Result<R, Error> + Send + 'static,
{
    fn slots(&mut self, with: &mut dyn FnMut(&mut [&mut dyn OutputSlot])) {
        self.outputs.slots(with);
    }

    fn finish(
        self: Box<Self>,
        answer: Result<Option<BackendState>, Error>,
        mut written: Vec<Written>,
    ) {
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
