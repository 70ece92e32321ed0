//! ONNX Runtime as an engine, through the `ort` crate.
//!
//! Owns: one environment for the process, and which constants the library reads by itself.
//! Flow: `engine.rs` → here → the `ort` crate → `libonnxruntime`, which `library.rs` finds.

mod library;

use super::{Buffer, Engine, Hold, Input, Numbers, Tensor};
use crate::error::Error;
use crate::onnx::{DATA_LOCATION_EXTERNAL, ElementType, StringStringEntry, TensorProto};
use crate::translation::Translation;
use crate::weights::{Elements, Stored};
use coreml_spec::WeightFile;
use half::f16;
use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, TensorElementType, TensorRef};
use prost::Message;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Name for messages before the library has told its version.
const NAME: &str = "ONNX Runtime";

/// Session option with the folder of the external data of a model that is in memory.
const FOLDER_OPTION: &str = "session.model_external_initializers_file_folder_path";

/// A model in ONNX Runtime.
#[derive(Debug)]
pub(super) struct OnnxRuntime {
    /// Name and version.
    name: String,
    /// The model. A run needs it alone, though the library itself would allow several.
    session: Mutex<Session>,
    /// Names of the inputs: those of the function, then the states.
    inputs: Vec<String>,
    /// Names of the function's outputs.
    outputs: Vec<String>,
    /// For each state, the output that it is after a run; `None` when the function never writes it.
    written: Vec<Option<String>>,
}

impl OnnxRuntime {
    /// Loads a translated function.
    ///
    /// Parameters: `threads` — how many to compute with; `None` for as many as the machine has
    /// cores.
    pub(super) fn load(translation: Translation, threads: Option<usize>) -> Result<Self, Error> {
        let environment = environment()?;
        let Translation { mut model, weights, inputs, outputs, states } = translation;
        let builder = Session::builder(environment).map_err(failed)?;
        let mut builder =
            builder.with_optimization_level(GraphOptimizationLevel::All).map_err(failed)?;
        if let Some(threads) = threads {
            builder = builder.with_intra_threads(threads.max(1)).map_err(failed)?;
        }
        // One by one, since the library copies all of a buffer that holds several.
        let initializers = model.graph.iter_mut().flat_map(|graph| &mut graph.initializer);
        let large =
            initializers.filter(|initializer| initializer.data_location == DATA_LOCATION_EXTERNAL);
        let mut folder = Folder::default();
        for (initializer, elements) in large.zip(weights.into_constants()) {
            if let Elements::Stored(stored) = &elements
                && folder.refer(initializer, stored)
            {
                continue;
            }
            let value = constant(initializer, elements)?;
            builder =
                builder.with_external_initializer(&initializer.name, value).map_err(failed)?;
        }
        if let Some(folder) = &folder.path {
            builder = builder.with_config_entry(FOLDER_OPTION, folder).map_err(failed)?;
        }
        let graph = model.encode_to_vec();
        drop(model);
        let session = builder.commit_from_memory(&graph).map_err(failed)?;
        let names = inputs
            .iter()
            .chain(states.iter().map(|state| &state.input))
            .map(|port| port.name.clone())
            .collect();
        Ok(Self {
            name: name(),
            session: Mutex::new(session),
            inputs: names,
            outputs: outputs.into_iter().map(|port| port.name).collect(),
            written: states.into_iter().map(|state| state.output).collect(),
        })
    }
}

impl Engine for OnnxRuntime {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, inputs: &[Input<'_>], states: &mut [Tensor]) -> Result<Vec<Tensor>, Error> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let mut values: Vec<(Cow<'_, str>, SessionInputValue<'_>)> =
            Vec::with_capacity(self.inputs.len());
        let held = states.iter().map(|state| (state.dims.as_slice(), state.buffer.numbers()));
        let given = inputs.iter().map(|input| (input.dims, input.numbers));
        for (name, (dims, numbers)) in self.inputs.iter().zip(given.chain(held)) {
            values.push((name.as_str().into(), view(dims, numbers)?));
        }
        let mut results = session.run(values).map_err(failed)?;
        let mut take = |name: &str| {
            let value = results.remove(name);
            tensor(value.ok_or_else(|| failed(format!("the model gave no output `{name}`")))?)
        };
        let outputs = self.outputs.iter().map(|name| take(name)).collect::<Result<Vec<_>, _>>()?;
        let mut after = Vec::new();
        for name in self.written.iter().flatten() {
            after.push(take(name)?);
        }
        let written = states.iter_mut().zip(&self.written).filter(|(_, written)| written.is_some());
        written.zip(after).for_each(|((state, _), after)| *state = after);
        Ok(outputs)
    }
}

/// Borrows elements as a value.
fn view<'a>(dims: &[usize], numbers: Numbers<'a>) -> Result<SessionInputValue<'a>, Error> {
    let shape: Vec<i64> = dims.iter().map(|size| *size as i64).collect();
    Ok(match numbers {
        Numbers::Float(elements) => {
            TensorRef::from_array_view((shape, elements)).map_err(failed)?.into()
        }
        Numbers::Int(elements) => {
            TensorRef::from_array_view((shape, elements)).map_err(failed)?.into()
        }
    })
}

/// The folder with the weight files that the library reads by itself.
#[derive(Default)]
struct Folder {
    /// Its path with links resolved, since the library refuses links that leave it; that of the
    /// first file.
    path: Option<String>,
    /// Each file that was asked for, with its name in the folder; `None` when it is not there.
    names: Vec<(Arc<WeightFile>, Option<String>)>,
}

impl Folder {
    /// Has the library read a constant from the package's own file, which it maps, rather than from
    /// a copy of ours.
    ///
    /// Returns: whether that can be: the file is on disk, and in the folder.
    fn refer(&mut self, initializer: &mut TensorProto, stored: &Stored) -> bool {
        let Some(name) = self.name(&stored.file) else { return false };
        let entry = |key: &str, value: String| StringStringEntry { key: key.into(), value };
        initializer.external_data = vec![
            entry("location", name),
            entry("offset", stored.range.start.to_string()),
            entry("length", stored.range.len().to_string()),
        ];
        true
    }

    /// Returns the name of a file in the folder, or `None` when it is in memory or elsewhere.
    fn name(&mut self, file: &Arc<WeightFile>) -> Option<String> {
        if let Some((_, name)) = self.names.iter().find(|(known, _)| Arc::ptr_eq(known, file)) {
            return name.clone();
        }
        let path = if file.is_on_disk() { file.path().canonicalize().ok() } else { None };
        let name = path.and_then(|path| {
            let (parent, name) = (path.parent()?.to_str()?, path.file_name()?.to_str()?);
            let folder = self.path.get_or_insert_with(|| parent.to_owned());
            (folder == parent).then(|| name.to_owned())
        });
        self.names.push((Arc::clone(file), name.clone()));
        name
    }
}

/// Makes a large constant a value of the library, in the memory that it has.
fn constant(initializer: &TensorProto, elements: Elements) -> Result<DynValue, Error> {
    let shape = initializer.dims.clone();
    let bytes = match elements {
        Elements::Floats(floats) => {
            return Ok(ort::value::Tensor::from_array((shape, floats)).map_err(failed)?.into_dyn());
        }
        Elements::Bytes(bytes) => bytes,
        Elements::Stored(stored) if initializer.data_type == ElementType::Float.code() => {
            let floats: Vec<f32> = stored
                .bytes()
                .as_chunks()
                .0
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect();
            return Ok(ort::value::Tensor::from_array((shape, floats)).map_err(failed)?.into_dyn());
        }
        Elements::Stored(stored) if initializer.data_type == ElementType::Float16.code() => {
            let halves: Vec<f16> = stored
                .bytes()
                .as_chunks()
                .0
                .iter()
                .map(|bytes| f16::from_le_bytes(*bytes))
                .collect();
            return Ok(ort::value::Tensor::from_array((shape, halves)).map_err(failed)?.into_dyn());
        }
        Elements::Stored(stored) => stored.bytes().to_vec(),
    };
    let is = |element: ElementType| initializer.data_type == element.code();
    let value = if is(ElementType::Int32) {
        let ints: Vec<i32> =
            bytes.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect();
        ort::value::Tensor::from_array((shape, ints)).map_err(failed)?.into_dyn()
    } else if is(ElementType::Int64) {
        let ints: Vec<i64> =
            bytes.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
        ort::value::Tensor::from_array((shape, ints)).map_err(failed)?.into_dyn()
    } else if is(ElementType::Bool) {
        let bools: Vec<bool> = bytes.iter().map(|byte| *byte != 0).collect();
        ort::value::Tensor::from_array((shape, bools)).map_err(failed)?.into_dyn()
    } else {
        return Err(failed(format!(
            "a constant has the unexpected type {}",
            initializer.data_type
        )));
    };
    Ok(value)
}

/// A tensor in the library's memory.
#[derive(Debug)]
struct Value {
    /// The tensor.
    value: DynValue,
    /// Whether its elements are floats; otherwise 32-bit integers.
    float: bool,
}

impl Hold for Value {
    fn numbers(&self) -> Numbers<'_> {
        // The types were compared when the value was taken, so that nothing can be missing here.
        if self.float {
            Numbers::Float(
                self.value.try_extract_tensor::<f32>().map_or(&[], |(_, elements)| elements),
            )
        } else {
            Numbers::Int(
                self.value.try_extract_tensor::<i32>().map_or(&[], |(_, elements)| elements),
            )
        }
    }
}

/// Keeps a value of the library as a tensor.
fn tensor(value: DynValue) -> Result<Tensor, Error> {
    let element = value.dtype().tensor_type();
    let float = match element {
        Some(TensorElementType::Float32) => true,
        Some(TensorElementType::Int32) => false,
        other => return Err(failed(format!("an output has the unexpected type {other:?}"))),
    };
    let dims = value.shape().iter().map(|size| usize::try_from(*size).unwrap_or(0)).collect();
    Ok(Tensor { dims, buffer: Buffer::Held(Arc::new(Value { value, float })) })
}

/// Returns the environment of the process, made at the first call.
///
/// Errors: the library is not found, or is too old.
fn environment() -> Result<&'static Environment, Error> {
    static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();
    let made = ENVIRONMENT.get_or_init(|| {
        let path = library::find().ok_or_else(|| {
            format!(
                "its shared library was not found; set {} to libonnxruntime.so (.dylib, .dll), or \
                activate \
                 a Python environment that has the package `onnxruntime`",
                library::LIBRARY_VARIABLE
            )
        })?;
        library::refuse_old(&path)?;
        let builder =
            ort::init_from(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        builder
            .with_name("coreml-portable")
            .with_telemetry(false)
            .build()
            .map_err(|error| error.to_string())
    });
    made.as_ref().map_err(|message| failed(message.clone()))
}

/// Returns the engine's name, with the library's version where that is known.
fn name() -> String {
    let version = library::find().as_deref().and_then(library::version);
    version.map_or_else(|| NAME.to_owned(), |version| format!("{NAME} {version}"))
}

/// Wraps what the library says.
fn failed(error: impl std::fmt::Display) -> Error {
    Error::Engine { engine: NAME.to_owned(), message: error.to_string() }
}
