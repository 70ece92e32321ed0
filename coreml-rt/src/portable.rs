//! The portable backend: an engine on the CPU, everywhere except on Apple's systems.
//!
//! Owns: images as planes, and the errors of coreml-portable as this crate's. Must not: know typed
//! tensors; `slot.rs` does.
//! Flow: `native.rs` chooses it; here → coreml-portable.

use crate::backend::{Awaited, Backend, BackendState};
use crate::buffer::Buffer;
use crate::completion::spawn;
use crate::compute_plan::ComputePlan;
use crate::error::{Cause, Error};
use crate::image::PixelsMut;
use crate::opened::OpenedModel;
use crate::options::{Engine, LoadOptions};
use crate::planes;
use crate::search::engine_of_process;
use crate::slot::{InputRef, OutputSlot, Results, take_all};
use coreml_portable::{EngineKind, Keeper, Options, Outputs, Session};
use coreml_spec::{Elements, ElementsMut, Feature, FeatureKind, Function, TensorRef};
use std::sync::{Arc, Mutex, PoisonError};

/// Inputs that are handed on without asking for memory.
const FEW: usize = 16;

/// Stands where a tensor is missing; no model takes it.
const MISSING: TensorRef<'static> = TensorRef { dims: &[0], elements: Elements::Float32(&[]) };

/// A model that was translated to ONNX and loaded by an engine.
pub(crate) struct PortableBackend {
    /// The engine's session.
    session: Arc<Session>,
    /// Name of the model, for errors.
    model: String,
    /// See [`Backend::name`].
    name: String,
}

/// The states of a model.
pub(crate) struct PortableState(coreml_portable::State);

impl Backend for PortableBackend {
    type State = PortableState;

    fn load(
        model: &OpenedModel,
        function: &Function,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        let (package, model) = (model.package()?, &model.name);
        let mut portable = Options::default();
        portable.threads = options.chosen_threads();
        portable.round_to_half = options.rounds_to_half();
        portable.engine =
            engine(options).map_err(|source| Error::Options { model: model.clone(), source })?;
        let session = Session::load_function(package, function, &portable)
            .map_err(|error| translate(model, error))?;
        let name = format!("portable ({})", session.engine());
        Ok(Self { session: Arc::new(session), model: model.clone(), name })
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn new_state(&self) -> Result<PortableState, Error> {
        self.session.new_state().map(PortableState).map_err(|error| translate(&self.model, error))
    }

    fn predict(
        &self,
        state: Option<&mut PortableState>,
        inputs: &[InputRef<'_>],
        outputs: &mut [&mut dyn OutputSlot],
    ) -> Result<(), Error> {
        let images = self.images(inputs)?;
        let (mut few, mut many) = ([MISSING; FEW], Vec::new());
        let tensors = match few.get_mut(..inputs.len()) {
            Some(few) => few,
            None => {
                many.resize(inputs.len(), MISSING);
                &mut many[..]
            }
        };
        fill(tensors, inputs, &images);
        let mut few = [const { None }; FEW];
        let keepers = keepers(inputs, &mut few);
        let results = self.session.run_keeping(state.map(|state| &mut state.0), tensors, keepers);
        let outputs_of_session = results.map_err(|error| translate(&self.model, error))?;
        let results = SessionResults {
            outputs: outputs_of_session,
            function: self.session.function(),
            model: &self.model,
        };
        take_all(outputs, &results)
    }

    /// One after the other: the engine uses all processors for each.
    fn predict_batch(
        &self,
        batch: &[&[InputRef<'_>]],
        take: &mut dyn FnMut(&dyn Results) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for inputs in batch {
            let images = self.images(inputs)?;
            let mut tensors = vec![MISSING; inputs.len()];
            fill(&mut tensors, inputs, &images);
            let outputs =
                self.session.run(&tensors).map_err(|error| translate(&self.model, error))?;
            take(&SessionResults {
                outputs,
                function: self.session.function(),
                model: &self.model,
            })?;
        }
        Ok(())
    }

    fn compute_plan(&self) -> Result<ComputePlan, Error> {
        let source = "only Core ML plans where operations run, on the device itself: use a Mac \
            with macOS 14.4 or an iPhone with iOS 17.4; `cargo coreml lint` lists on any system \
            what may keep operations off the Neural Engine";
        Err(Error::Unsupported { model: self.model.clone(), source: source.into() })
    }

    /// Runs on a thread of its own.
    fn predict_async(
        &self,
        mut state: Option<PortableState>,
        inputs: &[InputRef<'_>],
        awaited: Box<dyn Awaited<PortableState>>,
    ) {
        let images = match self.images(inputs) {
            Ok(images) => images,
            Err(error) => return awaited.finish(Err(error), Vec::new()),
        };
        let mut tensors = vec![MISSING; inputs.len()];
        fill(&mut tensors, inputs, &images);
        let copies: Vec<(Vec<usize>, Buffer)> = tensors
            .iter()
            .map(|tensor| (tensor.dims.to_vec(), Buffer::of(tensor.elements)))
            .collect();
        let (session, model) = (Arc::clone(&self.session), self.model.clone());
        // If no thread starts, its closure is dropped, and the error still needs `awaited`.
        let awaited = Arc::new(Mutex::new(Some(awaited)));
        let taken = Arc::clone(&awaited);
        let started = spawn(&self.model, move || {
            let tensors: Vec<TensorRef<'_>> = copies
                .iter()
                .map(|(dims, elements)| TensorRef { dims, elements: elements.elements() })
                .collect();
            let outputs = match &mut state {
                Some(state) => session.run_with_state(&mut state.0, &tensors),
                None => session.run(&tensors),
            };
            let Some(mut awaited) = take_awaited(&taken) else { return };
            let answer = outputs.map_err(|error| translate(&model, error)).and_then(|outputs| {
                let results =
                    SessionResults { outputs, function: session.function(), model: &model };
                let mut filled = Ok(());
                awaited.slots(&mut |slots| filled = take_all(slots, &results));
                filled
            });
            awaited.finish(answer.map(|()| state), Vec::new());
        });
        if let Err(error) = started
            && let Some(awaited) = take_awaited(&awaited)
        {
            awaited.finish(Err(error), Vec::new());
        }
    }
}

impl PortableBackend {
    /// Spreads the images among the inputs to planes.
    fn images(&self, inputs: &[InputRef<'_>]) -> Result<Vec<Planes>, Error> {
        let mut images = Vec::new();
        for (feature, input) in self.session.function().inputs.iter().zip(inputs) {
            let InputRef::Image(image) = input else { continue };
            let mut elements = Vec::new();
            let channels = match &feature.kind {
                FeatureKind::Image { color_space, .. } => {
                    planes::of_image(image, *color_space, &mut elements)
                }
                _ => None,
            };
            let channels = channels.ok_or_else(|| {
                let problem =
                    format!("input `{}` does not take an image of these colors", feature.name);
                Error::Invalid { model: self.model.clone(), source: problem.into() }
            })?;
            images.push(Planes { dims: [1, channels, image.height, image.width], elements });
        }
        Ok(images)
    }
}

/// Borrows the inputs as the engine takes them.
///
/// Parameters: `into` — one for each input; `images` — one for each image among the inputs, spread
/// to planes.
fn fill<'a>(into: &mut [TensorRef<'a>], inputs: &[InputRef<'a>], images: &'a [Planes]) {
    let mut images = images.iter();
    for (into, input) in into.iter_mut().zip(inputs) {
        *into = match input {
            InputRef::Tensor(tensor) | InputRef::Shared(tensor, _) => *tensor,
            InputRef::Image(_) => images.next().map_or(MISSING, Planes::tensor),
        };
    }
}

/// Returns what keeps each input alive and unchanged, if anything does; nothing for more than
/// [`FEW`] inputs.
fn keepers<'a>(
    inputs: &[InputRef<'_>],
    into: &'a mut [Option<Keeper>; FEW],
) -> &'a [Option<Keeper>] {
    for (into, input) in into.iter_mut().zip(inputs) {
        if let InputRef::Shared(_, owner) = input {
            *into = Some(owner.share());
        }
    }
    into.get(..inputs.len()).unwrap_or_default()
}

/// What waits for the answer of a prediction.
type AwaitedBox = Box<dyn Awaited<PortableState>>;

/// Takes what is answered at most once.
fn take_awaited(awaited: &Mutex<Option<AwaitedBox>>) -> Option<AwaitedBox> {
    awaited.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// An image as the engine takes it.
struct Planes {
    /// `[1, channels, height, width]`.
    dims: [usize; 4],
    /// 0 to 255.
    elements: Vec<f32>,
}

impl Planes {
    /// Borrows it.
    fn tensor(&self) -> TensorRef<'_> {
        TensorRef { dims: &self.dims, elements: Elements::Float32(&self.elements) }
    }
}

impl BackendState for PortableState {
    fn copy_to(&self, model: &str, index: usize, into: ElementsMut<'_>) -> Result<(), Error> {
        self.0.copy_to(index, into).map_err(|error| translate(model, error))
    }

    fn copy_from(&mut self, model: &str, index: usize, from: Elements<'_>) -> Result<(), Error> {
        self.0.copy_from(index, from).map_err(|error| translate(model, error))
    }
}

/// Returns the engine that the application chose, or else the environment, or else the default.
///
/// Errors: the environment names an engine that does not exist.
fn engine(options: &LoadOptions) -> Result<EngineKind, Cause> {
    let engine = match options.chosen_engine() {
        None => engine_of_process()?.unwrap_or_default(),
        Some(engine) => engine,
    };
    Ok(match engine {
        Engine::Rten => EngineKind::Rten,
        Engine::OnnxRuntime => EngineKind::OnnxRuntime,
    })
}

/// Results of one prediction.
struct SessionResults<'a> {
    /// In the engine's memory.
    outputs: Outputs,
    /// The function that ran.
    function: &'a Function,
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

    fn copy_pixels(&self, index: usize, into: PixelsMut<'_>) -> Result<(), Error> {
        let mut planes = vec![0.0; self.dims(index)?.iter().product()];
        self.copy_to(index, ElementsMut::Float32(&mut planes))?;
        let color_space = self.function.outputs.get(index).map(|Feature { kind, .. }| kind);
        let written = match color_space {
            Some(FeatureKind::Image { color_space, .. }) => {
                planes::to_pixels(&planes, *color_space, into)
            }
            _ => None,
        };
        written.ok_or_else(|| {
            self.mismatch(format!("its output {index} is not an image of these colors"))
        })
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
        coreml_portable::Error::Unsupported(_) => {
            Error::Unsupported { model, source: error.into() }
        }
        coreml_portable::Error::Invalid(_) => Error::Invalid { model, source: error.into() },
        coreml_portable::Error::Options(_) => Error::Options { model, source: error.into() },
        _ => Error::Engine { model, source: error.into() },
    }
}
