//! The portable backend: an engine on the CPU, everywhere but on Apple's systems.
//!
//! Owns: translating its errors. Must not: know typed tensors; `slot.rs` does.
//! Flow: `backend.rs` chooses it; here → coreml-portable.

use crate::error::Error;
use crate::options::LoadOptions;
use crate::search::Found;
use crate::slot::{OutputSlot, Results};
use coreml_portable::{Options, Outputs};
use coreml_spec::{ElementsMut, Function, Package, TensorRef};

/// A model that was translated to ONNX and loaded by an engine.
pub(crate) struct Session {
    /// The engine's session.
    session: coreml_portable::Session,
    /// Name of the model, for errors.
    model: String,
    /// See [`Session::name`].
    name: String,
}

impl Session {
    /// Loads the default function of `package`; where it was found does not matter to it.
    ///
    /// Called by: [`crate::model::Model`].
    pub(crate) fn load(
        model: &str,
        package: &Package,
        _found: &Found,
        _function: &Function,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        let mut portable = Options::default();
        portable.threads = options.chosen_threads();
        let session = coreml_portable::Session::load(package, &portable).map_err(|error| translate(model, error))?;
        let name = format!("portable ({})", session.engine());
        Ok(Self { session, model: model.to_owned(), name })
    }

    /// Returns what runs the model: `portable (rten 0.27)`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs the model once.
    ///
    /// Parameters: `inputs`, `outputs` — in the order of the function's features.
    pub(crate) fn predict(&self, inputs: &[TensorRef<'_>], outputs: &mut [&mut dyn OutputSlot]) -> Result<(), Error> {
        let outputs_of_session = self.session.run(inputs).map_err(|error| translate(&self.model, error))?;
        let results = SessionResults { outputs: outputs_of_session, model: &self.model };
        for (index, slot) in outputs.iter_mut().enumerate() {
            slot.take(&results, index)?;
        }
        Ok(())
    }
}

/// Results of one prediction.
struct SessionResults<'a> {
    /// In the engine's memory.
    outputs: Outputs,
    /// Name of the model, for errors.
    model: &'a str,
}

impl Results for SessionResults<'_> {
    fn dims(&self, index: usize) -> Result<&[usize], Error> {
        self.outputs.dims(index).map_err(|error| translate(self.model, error))
    }

    fn copy_to(&self, index: usize, into: ElementsMut<'_>) -> Result<(), Error> {
        self.outputs.copy_to(index, into).map_err(|error| translate(self.model, error))
    }

    fn label(&self) -> Result<usize, Error> {
        self.outputs.label().map_err(|error| translate(self.model, error))
    }

    fn mismatch(&self, problem: String) -> Error {
        Error::Invalid { model: self.model.to_owned(), source: problem.into() }
    }
}

/// Keeps "not yet" and "wrong" apart, as the portable backend does.
fn translate(model: &str, error: coreml_portable::Error) -> Error {
    let model = model.to_owned();
    match error {
        coreml_portable::Error::Unsupported(_) => Error::Unsupported { model, source: error.into() },
        coreml_portable::Error::Invalid(_) => Error::Invalid { model, source: error.into() },
        _ => Error::Engine { model, source: error.into() },
    }
}
