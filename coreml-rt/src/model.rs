//! A loaded model, without the types of its inputs and outputs.
//!
//! Owns: loading, one prediction, the values of omitted inputs. Must not: know which backend runs.
//! Flow: a generated `Model` wraps it; here → `search.rs` → `opened.rs` → `backend.rs`;
//! `model/requests.rs` has asynchronous predictions and batches.

mod requests;

pub use requests::load_async;

use crate::agreement::Agreement;
use crate::backend::Backend;
use crate::buffer::Buffer;
use crate::compute_plan::ComputePlan;
use crate::description::Description;
use crate::error::Error;
use crate::file::Files;
use crate::fitting::{Fits, Fitter};
use crate::native::NativeBackend;
use crate::opened::{OpenedModel, shown};
use crate::options::LoadOptions;
use crate::search::{Location, Surroundings, find};
use crate::shape::element_count;
use crate::slot::{InputRef, InputSlot, OutputSlot};
use crate::state::State;
use coreml_spec::{
    ColorSpace, DataType, Feature, FeatureKind, Fitting, Function, Interface, TensorRef,
};
use std::path::{Path, PathBuf};

/// A model that is ready to predict.
pub struct Model {
    /// The manifest's name, for errors.
    name: String,
    /// What runs it.
    backend: NativeBackend,
    /// The function that runs.
    function: Function,
    /// The folder of the package or of the compiled model; `None` when it is embedded.
    path: Option<PathBuf>,
    /// The value of each input that may be left out, by position.
    defaults: Vec<Option<DefaultValue>>,
    /// What the shapes of its inputs must agree on.
    agreement: Agreement,
    /// What is done to inputs that do not fit.
    fitter: Fitter,
}

/// The value of an optional input.
struct DefaultValue {
    /// Sizes of the input.
    dims: Vec<usize>,
    /// The value, as often as there are elements.
    elements: Buffer,
}

impl Model {
    /// Finds, checks and loads the model of a generated module.
    ///
    /// Called by: the generated `Model::load_with`.
    pub fn load(description: &Description, options: &LoadOptions) -> Result<Self, Error> {
        let found = find(description, options, &Surroundings::of_process())?;
        Self::load_found(description, found, &types_of(description)?, options)
    }

    /// Checks and loads the model of a generated module from where it was found.
    ///
    /// Parameters: `types` — the interface that the types were generated from.
    pub(crate) fn load_found(
        description: &Description,
        found: Location,
        types: &Interface,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        let options = options.clone().or_compute_units(description.compute_units);
        let opened = OpenedModel::of_types(description, found, types)?;
        Self::of_opened(&opened, description.function, &options)
    }

    /// Opens and loads a package that no types were generated from.
    ///
    /// Parameters: `function` — of a multifunction package; `None` for its default.
    pub(crate) fn open(
        path: &Path,
        function: Option<&str>,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        Self::of_opened(&OpenedModel::read(path)?, function, options)
    }

    /// Loads a function of an opened model.
    ///
    /// Parameters: `function` — its name; `None` for the default one.
    pub(crate) fn of_opened(
        opened: &OpenedModel,
        function: Option<&str>,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        let function = opened.function(function)?;
        Ok(Self {
            name: opened.name.clone(),
            backend: NativeBackend::load(opened, function, options)?,
            path: opened.location.path().map(Path::to_owned),
            defaults: function.inputs.iter().map(default_value).collect(),
            agreement: Agreement::of(function),
            fitter: Fitter::default(),
            function: function.clone(),
        })
    }

    /// Makes inputs fit from now on.
    ///
    /// Called by: the generated `Model::load_with`, if the manifest says so.
    /// Parameters: `fittings` — by the position of the input.
    pub fn fitted(mut self, fittings: &'static [(usize, Fitting)]) -> Self {
        self.fitter = Fitter::new(fittings);
        self
    }

    /// Returns what runs the model: `portable (rten 0.27)`.
    pub fn backend(&self) -> &str {
        self.backend.name()
    }

    /// Returns the folder of the package, of the compiled model where there is no package, or
    /// `None` when the package is embedded in the program.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns the files that belong to the model, which lie where it was found.
    ///
    /// Called by: the generated `Model::files`.
    pub fn files(&self) -> Files {
        Files::new(&self.name, self.path())
    }

    /// Returns the function that runs.
    pub(crate) fn function(&self) -> &Function {
        &self.function
    }

    /// Returns states of zeros, for a model that has states.
    ///
    /// Called by: the generated `Model::new_state`.
    pub fn new_state(&self) -> Result<State, Error> {
        Ok(State::new(&self.name, self.backend.new_state()?))
    }

    /// Runs a model without states once.
    ///
    /// Called by: the generated `Model::predict_into`.
    /// Parameters: `inputs`, `outputs` — one per feature, in the package's order. Nothing is
    /// allocated here.
    pub fn predict<const INPUTS: usize>(
        &self,
        inputs: [&dyn InputSlot; INPUTS],
        outputs: &mut [&mut dyn OutputSlot],
    ) -> Result<(), Error> {
        self.predict_features(None, &self.fed(inputs), outputs)
    }

    /// Runs a model with states once, and updates them.
    ///
    /// Called by: the generated `Model::predict_into`.
    /// Parameters: as for [`Self::predict`].
    pub fn predict_with_state<const INPUTS: usize>(
        &self,
        state: &mut State,
        inputs: [&dyn InputSlot; INPUTS],
        outputs: &mut [&mut dyn OutputSlot],
    ) -> Result<(), Error> {
        self.predict_features(Some(state), &self.fed(inputs), outputs)
    }

    /// Runs the model once on zeros and drops the results. This allocates memory and prepares
    /// devices, so that the first prediction takes no longer than the others.
    ///
    /// Called by: the generated `Model::prewarm`.
    pub fn prewarm(&self) -> Result<(), Error> {
        let zeros: Vec<(Vec<usize>, Buffer)> =
            self.function.inputs.iter().filter_map(zero).collect();
        let inputs: Vec<InputRef<'_>> = zeros
            .iter()
            .map(|(dims, elements)| {
                InputRef::Tensor(TensorRef { dims, elements: elements.elements() })
            })
            .collect();
        let mut state =
            if self.function.states.is_empty() { None } else { Some(self.new_state()?) };
        self.predict_features(state.as_mut(), &inputs, &mut [])
    }

    /// Returns on which device each operation would run, as Core ML plans it.
    ///
    /// Called by: the generated `Model::compute_plan`.
    pub fn compute_plan(&self) -> Result<ComputePlan, Error> {
        self.backend.compute_plan()
    }

    /// Erases the input types and fills in defaults for omitted inputs.
    fn fed<'a, const INPUTS: usize>(
        &'a self,
        inputs: [&'a dyn InputSlot; INPUTS],
    ) -> [InputRef<'a>; INPUTS] {
        std::array::from_fn(|at| inputs[at].feature(self.default_of(at)))
    }

    /// Runs the model once; the number of inputs is known only at run time.
    pub(crate) fn predict_features(
        &self,
        state: Option<&mut State>,
        inputs: &[InputRef<'_>],
        outputs: &mut [&mut dyn OutputSlot],
    ) -> Result<(), Error> {
        let state = state.map(State::backend_mut);
        match self.checked(inputs)? {
            Some(fits) => self.backend.predict(state, &fits.apply(inputs), outputs),
            None => self.backend.predict(state, inputs, outputs),
        }
    }

    /// Refuses inputs whose shapes do not agree, and makes those fit that do not.
    fn checked(&self, inputs: &[InputRef<'_>]) -> Result<Option<Fits>, Error> {
        self.agreement.check(inputs)?;
        self.fitter.fit(inputs)
    }

    /// Returns the value of input `at` when it is left out; for a required input an empty tensor,
    /// which no backend takes.
    pub(crate) fn default_of(&self, at: usize) -> InputRef<'_> {
        match self.defaults.get(at) {
            Some(Some(value)) => InputRef::Tensor(TensorRef {
                dims: &value.dims,
                elements: value.elements.elements(),
            }),
            _ => InputRef::MISSING,
        }
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}", shown(self.path()), self.backend())
    }
}

/// Returns element type and default sizes of the tensor that an input takes, an image as planes of
/// 0 to 255; `None` for a kind that is never an input.
pub(crate) fn default_tensor(kind: &FeatureKind) -> Option<(DataType, Vec<usize>)> {
    match kind {
        FeatureKind::MultiArray { data_type, shape } => Some((*data_type, shape.default.clone())),
        FeatureKind::Image { size, color_space } => {
            let channels =
                if matches!(color_space, ColorSpace::Rgb | ColorSpace::Bgr) { 3 } else { 1 };
            Some((DataType::Float32, vec![1, channels, size.height, size.width]))
        }
        _ => None,
    }
}

/// Returns zeros for an input, in its default size; an image as black planes. `None` for what no
/// input can be.
fn zero(input: &Feature) -> Option<(Vec<usize>, Buffer)> {
    let (data_type, dims) = default_tensor(&input.kind)?;
    let zeros = Buffer::zeros(data_type, element_count(&dims)?)?;
    Some((dims, zeros))
}

/// Returns the value of `input` when it is omitted, or `None` when it is required.
fn default_value(input: &Feature) -> Option<DefaultValue> {
    let FeatureKind::MultiArray { data_type, shape } = &input.kind else { return None };
    let len = element_count(&shape.default)?;
    let elements = Buffer::from_f64s(*data_type, &vec![input.default?; len])?;
    Some(DefaultValue { dims: shape.default.clone(), elements })
}

/// Reads the interface that the types of a generated module were generated from.
pub(crate) fn types_of(description: &Description) -> Result<Interface, Error> {
    serde_json::from_str(description.interface).map_err(|error| Error::Invalid {
        model: description.name.to_owned(),
        source: error.into(),
    })
}
