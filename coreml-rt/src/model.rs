//! A loaded model, under the types.
//!
//! Owns: the steps of loading, and one prediction. Must not: know which backend runs.
//! Flow: a generated `Model` wraps it; here → `search.rs` → coreml-spec's `Package` →
//! `difference.rs` → `backend.rs`; `model/requests.rs` has asynchronous predictions and batches.

mod requests;

pub use requests::load_async;

use crate::agreement::Agreement;
use crate::backend::Backend;
use crate::buffer::Buffer;
use crate::description::Description;
use crate::difference::{difference_of_buckets, differences};
use crate::error::Error;
use crate::options::LoadOptions;
use crate::plan::ComputePlan;
use crate::search::{Found, Surroundings, find};
use crate::shape::element_count;
use crate::slot::{InputRef, InputSlot, OutputSlot};
use crate::state::State;
use coreml_spec::{
    ColorSpace, DataType, Feature, FeatureKind, Function, Interface, Package, TensorRef,
};
use std::path::{Path, PathBuf};

/// What [`Error`] calls the place of an embedded package.
const EMBEDDED_LOCATION: &str = "(embedded in the program)";

/// A model that is ready to predict.
pub struct Model {
    /// The manifest's name, for errors.
    name: String,
    /// What runs it.
    backend: Backend,
    /// The function that runs.
    function: Function,
    /// The folder of the package or of the compiled model; `None` when it is embedded.
    path: Option<PathBuf>,
    /// The value of each input that may be left out, by position.
    defaults: Vec<Option<DefaultValue>>,
    /// What the shapes of its inputs must agree on.
    agreement: Agreement,
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
        Self::load_found(description, found, options)
    }

    /// Checks and loads the model of a generated module from where it was found.
    ///
    /// Called by: [`crate::bucketed::BucketedModel`], which finds all buckets before it loads one.
    pub(crate) fn load_found(
        description: &Description,
        found: Found,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        let name = description.name;
        let types: Interface = serde_json::from_str(description.interface)
            .map_err(|error| Error::Invalid { model: name.to_owned(), source: error.into() })?;
        let options = options.clone().or_compute_units(description.compute_units);
        let package = match &found {
            Found::Folder(path) => Package::open(path),
            Found::Embedded(files) => Package::from_embedded(files),
            // It says nothing about itself that the types could be compared with.
            Found::Compiled(_) => {
                return Self::of_interface(
                    name,
                    found,
                    None,
                    description.function,
                    &types,
                    &options,
                );
            }
        };
        let package = package.map_err(|error| unreadable(name, error))?;
        Self::of_package(name, found, &package, description.function, Some(&types), &options)
    }

    /// Loads a package that no types were made from.
    ///
    /// Called by: [`crate::parity::verify`].
    /// Parameters: `function` — of a multifunction package; `None` for its default.
    pub(crate) fn open(
        path: &Path,
        function: Option<&str>,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let package = Package::open(path).map_err(|error| unreadable(&name, error))?;
        Self::of_package(&name, Found::Folder(path.to_owned()), &package, function, None, options)
    }

    /// Checks and loads a function of an opened package.
    ///
    /// Parameters: `function` — its name; `None` for the default one; `types` — what generated code
    /// was made from.
    fn of_package(
        name: &str,
        found: Found,
        package: &Package,
        function: Option<&str>,
        types: Option<&Interface>,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        let interface = package.interface().map_err(|error| unreadable(name, error))?;
        if let Some(types) = types {
            let found_function = named(&interface, name, function)?;
            let mut differences = match types.function(function) {
                Some(types) => differences(types, found_function),
                None => vec![format!("the types have no function `{}`", found_function.name)],
            };
            differences
                .extend(difference_of_buckets(types.buckets.as_ref(), interface.buckets.as_ref()));
            if !differences.is_empty() {
                let location = location(found.path());
                return Err(Error::Interface { model: name.to_owned(), location, differences });
            }
        }
        Self::of_interface(name, found, Some(package), function, &interface, options)
    }

    /// Loads a function of a model that has this interface.
    ///
    /// Parameters: `package` — `None` for a compiled model.
    fn of_interface(
        name: &str,
        found: Found,
        package: Option<&Package>,
        function: Option<&str>,
        interface: &Interface,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        let function = named(interface, name, function)?.clone();
        let defaults = function.inputs.iter().map(default_value).collect();
        let agreement = Agreement::of(&function);
        // Only packages of several functions may be asked for one by name.
        let is_one_of_several = interface.functions.len() > 1;
        let backend = Backend::load(name, package, &found, &function, is_one_of_several, options)?;
        let path = found.path().map(Path::to_owned);
        Ok(Self { name: name.to_owned(), backend, function, path, defaults, agreement })
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

    /// Runs a model with states once; they are then those after the prediction.
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

    /// Runs the model once on zeros and forgets what it gave: memory is allocated then and devices
    /// are ready, so that the first prediction takes no longer than the others.
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

    /// Returns on what device each operation would run, as Core ML plans it.
    ///
    /// Called by: the generated `Model::compute_plan`, and [`crate::plan::of_package`].
    pub fn compute_plan(&self) -> Result<ComputePlan, Error> {
        self.backend.compute_plan()
    }

    /// Forgets the types of the inputs, and puts defaults where there is none.
    fn fed<'a, const INPUTS: usize>(
        &'a self,
        inputs: [&'a dyn InputSlot; INPUTS],
    ) -> [InputRef<'a>; INPUTS] {
        std::array::from_fn(|at| inputs[at].feature(self.default_of(at)))
    }

    /// Runs the model once, with as many inputs as it turns out to have.
    ///
    /// Called by: [`crate::parity`], `bucketed.rs`, and the predictions above.
    pub(crate) fn predict_features(
        &self,
        state: Option<&mut State>,
        inputs: &[InputRef<'_>],
        outputs: &mut [&mut dyn OutputSlot],
    ) -> Result<(), Error> {
        self.agreement.check(inputs)?;
        self.backend.predict(state.map(State::backend_mut), inputs, outputs)
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
        write!(f, "{} on {}", location(self.path()), self.backend())
    }
}

/// Returns element type and default sizes of the tensor that an input takes, an image as planes of
/// 0 to 255; `None` for what no input can be.
///
/// Called by: [`zero`], and [`crate::parity::Sample`] for made-up inputs.
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

/// Returns the value that `input` takes when it is left out, or `None` when it must be given.
fn default_value(input: &Feature) -> Option<DefaultValue> {
    let FeatureKind::MultiArray { data_type, shape } = &input.kind else { return None };
    let len = element_count(&shape.default)?;
    let elements = Buffer::from_f64s(*data_type, &vec![input.default?; len])?;
    Some(DefaultValue { dims: shape.default.clone(), elements })
}

/// Returns a function of an interface.
///
/// Parameters: `function` — its name; `None` for the default one; `model` — for the error.
fn named<'a>(
    interface: &'a Interface,
    model: &str,
    function: Option<&str>,
) -> Result<&'a Function, Error> {
    let wanted = function.unwrap_or(&interface.default_function);
    interface.function(Some(wanted)).ok_or_else(|| {
        let names: Vec<&str> =
            interface.functions.iter().map(|function| function.name.as_str()).collect();
        let source =
            format!("the package has no function `{wanted}`; it has {}", names.join(", ")).into();
        Error::Options { model: model.to_owned(), source }
    })
}

/// Returns the place of a package, for a message.
fn location(path: Option<&Path>) -> String {
    path.map_or_else(|| EMBEDDED_LOCATION.to_owned(), |path| path.display().to_string())
}

/// Makes the error of a package that cannot be read.
pub(crate) fn unreadable(name: &str, error: coreml_spec::Error) -> Error {
    let model = name.to_owned();
    match error {
        coreml_spec::Error::Unsupported { .. } => {
            Error::Unsupported { model, source: error.into() }
        }
        _ => Error::Package { model, source: error.into() },
    }
}
