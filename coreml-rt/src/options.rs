//! How a model is loaded.
//!
//! Owns: [`LoadOptions`], [`Engine`], [`CompiledFolder`], and the hints to Core ML. Must not: read
//! the environment; `search.rs` does.
//! Flow: the application passes them to a generated `load_with`; `model.rs`, `search.rs` and the
//! backends read them.

use coreml_spec::ComputeUnits;
use std::path::{Path, PathBuf};

/// What computes off Apple's systems, under the portable backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// rten, in pure Rust: always there.
    #[default]
    Rten,
    /// ONNX Runtime: complete, faster on convolutions, and able to round to half precision. It
    /// needs the feature `onnxruntime` of this crate, and its shared library at run time: at the
    /// path in `ORT_DYLIB_PATH`, or in the active Python environment.
    OnnxRuntime,
}

impl Engine {
    /// All engines, the default first.
    pub const ALL: [Self; 2] = [Self::Rten, Self::OnnxRuntime];

    /// Returns the name by which command line and environment choose the engine: `rten` or
    /// `onnxruntime`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rten => "rten",
            Self::OnnxRuntime => "onnxruntime",
        }
    }
}

impl std::str::FromStr for Engine {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|engine| engine.name() == name);
        let names = Self::ALL.map(Self::name).join("` or `");
        named.ok_or_else(|| format!("there is no engine `{name}`; choose `{names}`"))
    }
}

/// What Core ML optimises for when it makes a model ready for the device (macOS 15, iOS 18).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecializationStrategy {
    /// A balance.
    #[default]
    Default,
    /// Fast predictions, for a longer load and more memory.
    FastPrediction,
}

/// How often the shapes of a model's inputs change (macOS 14.4, iOS 17.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReshapeFrequency {
    /// Often: Core ML prepares little for each shape.
    #[default]
    Frequent,
    /// Seldom: Core ML spends time on a new shape, so that predictions of it are fast.
    Infrequent,
}

/// Where compiled models are kept on Apple's systems, so that each content is compiled once; see
/// [`LoadOptions::compiled_folder`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompiledFolder {
    /// `coreml-rt` in the user's Application Support. It stays until the user removes it, and is
    /// part of backups.
    #[default]
    ApplicationSupport,
    /// `coreml-rt` in the user's Caches. It goes into no backup, and the system may remove it while
    /// the program does not run: the next load compiles again, and the system prepares the model
    /// for the device again.
    Caches,
    /// This folder, made when it is missing; of an app group, say. For the same reason as above its
    /// path should stay the same.
    At(PathBuf),
}

/// Choices for loading a model; the manifest gives the defaults.
///
/// ```
/// use coreml_rt::{ComputeUnits, Engine, LoadOptions};
///
/// let options = LoadOptions::new().path("/srv/models").compute_units(ComputeUnits::CpuOnly);
/// let options = options.engine(Engine::Rten).threads(2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// See [`path`](Self::path).
    path: Option<PathBuf>,
    /// See [`compute_units`](Self::compute_units).
    compute_units: Option<ComputeUnits>,
    /// See [`threads`](Self::threads).
    threads: Option<usize>,
    /// See [`engine`](Self::engine).
    engine: Option<Engine>,
    /// See [`round_to_half`](Self::round_to_half).
    round_to_half: bool,
    /// See [`specialization_strategy`](Self::specialization_strategy).
    specialization_strategy: Option<SpecializationStrategy>,
    /// See [`reshape_frequency`](Self::reshape_frequency).
    reshape_frequency: Option<ReshapeFrequency>,
    /// See [`low_precision_accumulation`](Self::low_precision_accumulation).
    low_precision_accumulation: bool,
    /// See [`one_model_at_a_time`](Self::one_model_at_a_time).
    one_model_at_a_time: bool,
    /// See [`in_memory`](Self::in_memory).
    in_memory: bool,
    /// See [`compiled_folder`](Self::compiled_folder).
    compiled_folder: CompiledFolder,
}

impl LoadOptions {
    /// Returns the default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the model from `path` and from nowhere else: the `.mlpackage` itself, or a folder that
    /// holds it under its own name.
    ///
    /// On Apple's systems a compiled model, an `.mlmodelc` of any name, is taken as well. It cannot
    /// be compared with the types: if it is another model, the first prediction fails.
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Chooses the processors that Core ML may use, instead of the manifest's `compute-units`. The
    /// portable backend always runs on the CPU.
    pub fn compute_units(mut self, units: ComputeUnits) -> Self {
        self.compute_units = Some(units);
        self
    }

    /// Limits the portable backend to so many threads; by default it uses as many as the engine
    /// thinks right.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Chooses what computes under the portable backend; by default what the environment variable
    /// `COREML_ENGINE` names, else [`Engine::Rten`]. On Apple's systems Core ML computes, and this
    /// has no effect.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Rounds each result that the program declares as half precision, as devices do, instead of
    /// keeping it in single precision: it shows overflow and loss of precision before a device
    /// does. Of the portable backend's engines only [`Engine::OnnxRuntime`] can; on Apple's systems
    /// Core ML does so anyway, and this has no effect.
    pub fn round_to_half(mut self, round: bool) -> Self {
        self.round_to_half = round;
        self
    }

    /// Chooses what Core ML optimises for (macOS 15, iOS 18). The portable backend knows no such
    /// choice.
    pub fn specialization_strategy(mut self, strategy: SpecializationStrategy) -> Self {
        self.specialization_strategy = Some(strategy);
        self
    }

    /// Tells Core ML how often the shapes of inputs change (macOS 14.4, iOS 17.4). The portable
    /// backend does not ask.
    pub fn reshape_frequency(mut self, frequency: ReshapeFrequency) -> Self {
        self.reshape_frequency = Some(frequency);
        self
    }

    /// Lets Core ML add up in half precision on a GPU, which is faster and less exact. The portable
    /// backend never does.
    pub fn low_precision_accumulation(mut self, allow: bool) -> Self {
        self.low_precision_accumulation = allow;
        self
    }

    /// Makes this model wait while another model that was loaded with this option predicts:
    /// `predict` and `predict_batch` block, an asynchronous prediction begins later.
    ///
    /// For programs with several models on versions of macOS where Core ML crashes when two of them
    /// run at the same time. The portable backend has no use for it.
    pub fn one_model_at_a_time(mut self, wait: bool) -> Self {
        self.one_model_at_a_time = wait;
        self
    }

    /// Gives Core ML the package in memory instead of compiling it into the user's Application
    /// Support, for programs that must not write files. Needs macOS 13 or iOS 16, for packages with
    /// weight files macOS 15 or iOS 18. The system then prepares the model for the device at each
    /// start instead of once. A compiled model without its package is loaded from its own path,
    /// which writes no file either. The portable backend never writes files.
    pub fn in_memory(mut self, in_memory: bool) -> Self {
        self.in_memory = in_memory;
        self
    }

    /// Chooses where compiled models are kept on Apple's systems; by default in the user's
    /// Application Support. A model that came compiled, beside its package or without it, is not
    /// copied there. The portable backend compiles nothing.
    pub fn compiled_folder(mut self, folder: CompiledFolder) -> Self {
        self.compiled_folder = folder;
        self
    }

    /// Takes the manifest's compute units unless the application chose some.
    pub(crate) fn or_compute_units(mut self, units: ComputeUnits) -> Self {
        self.compute_units.get_or_insert(units);
        self
    }

    /// Returns the processors that Core ML may use.
    #[cfg(target_vendor = "apple")]
    pub(crate) fn chosen_compute_units(&self) -> ComputeUnits {
        self.compute_units.unwrap_or_default()
    }

    /// Returns what Core ML optimises for, if chosen.
    #[cfg(target_vendor = "apple")]
    pub(crate) fn chosen_specialization_strategy(&self) -> Option<SpecializationStrategy> {
        self.specialization_strategy
    }

    /// Returns how often shapes change, if chosen.
    #[cfg(target_vendor = "apple")]
    pub(crate) fn chosen_reshape_frequency(&self) -> Option<ReshapeFrequency> {
        self.reshape_frequency
    }

    /// Returns whether a GPU may add up in half precision.
    #[cfg(target_vendor = "apple")]
    pub(crate) fn allows_low_precision_accumulation(&self) -> bool {
        self.low_precision_accumulation
    }

    /// Returns whether predictions wait for those of other models.
    #[cfg(target_vendor = "apple")]
    pub(crate) fn waits_for_other_models(&self) -> bool {
        self.one_model_at_a_time
    }

    /// Returns whether Core ML gets the package in memory.
    #[cfg(target_vendor = "apple")]
    pub(crate) fn is_in_memory(&self) -> bool {
        self.in_memory
    }

    /// Returns where compiled models are kept.
    #[cfg(target_vendor = "apple")]
    pub(crate) fn chosen_compiled_folder(&self) -> &CompiledFolder {
        &self.compiled_folder
    }

    /// Returns the path to take the model from, if chosen.
    pub(crate) fn chosen_path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns the number of threads, if chosen.
    #[cfg(not(target_vendor = "apple"))]
    pub(crate) fn chosen_threads(&self) -> Option<usize> {
        self.threads
    }

    /// Returns the engine, if chosen.
    #[cfg(not(target_vendor = "apple"))]
    pub(crate) fn chosen_engine(&self) -> Option<Engine> {
        self.engine
    }

    /// Returns whether results are rounded to half precision.
    #[cfg(not(target_vendor = "apple"))]
    pub(crate) fn rounds_to_half(&self) -> bool {
        self.round_to_half
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_known_by_their_names() {
        for engine in Engine::ALL {
            assert_eq!(engine.name().parse(), Ok(engine));
        }
        let error = "ort".parse::<Engine>().unwrap_err();
        assert_eq!(error, "there is no engine `ort`; choose `rten` or `onnxruntime`");
    }
}
