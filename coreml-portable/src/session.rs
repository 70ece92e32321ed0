//! A loaded function, ready to run.
//!
//! Owns: the checks of inputs against the interface, and conversions between features and the
//! engine's tensors.
//! Must not: know operations.
//! Flow: `coreml-rt` → [`Session`] → `translate.rs` at load, an engine at each run.

use crate::engine::{self, Engine, Input, Numbers};
use crate::engine_kind::EngineKind;
use crate::error::{Error, Problem};
use crate::outputs::Outputs;
use crate::shape_check::{check, check_output};
use crate::state::State;
use crate::translate::{Settings, translate};
use crate::translation::{Port, Translation};
use coreml_spec::{Elements, Feature, Function, Interface, Package, TensorRef};
use half::f16;
use half::slice::HalfFloatSliceExt;
use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// How to load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The function of a multifunction package; `None` for the package's default.
    pub function: Option<String>,
    /// Number of threads to compute with; `None` for as many as the machine has cores.
    pub threads: Option<usize>,
    /// The engine.
    pub engine: EngineKind,
    /// Whether each result that the program declares as half precision is rounded to it, as devices
    /// do, instead of being kept in single precision. Shows overflow and loss of precision before a
    /// device does. ONNX Runtime only.
    pub round_to_half: bool,
}

/// A function of a model package, translated and loaded into an engine. It can be shared between
/// threads.
#[derive(Debug)]
pub struct Session {
    /// The interface; orders the inputs and outputs.
    function: Arc<Function>,
    /// The engine with the model.
    engine: Box<dyn Engine>,
    /// For each input of the engine, which feature it is.
    inputs: Vec<usize>,
    /// For each output feature, which output of the engine it is.
    outputs: Vec<usize>,
    /// The engine's outputs.
    output_ports: Vec<Port>,
    /// For each state of the engine, which state feature it is, and its type.
    states: Vec<(usize, Port)>,
    /// Buffers for converted inputs, kept from run to run.
    scratch: Mutex<Vec<Scratch>>,
}

/// What keeps the elements of an input alive and unchanged.
pub type Keeper = Arc<dyn Any + Send + Sync>;

/// Room for one converted input.
#[derive(Debug, Default)]
struct Scratch {
    /// Widened floats.
    floats: Vec<f32>,
    /// What `floats` were widened from, where that cannot have changed since.
    of: Option<Origin>,
    /// Widened integers.
    ints: Vec<i32>,
}

/// Elements that do not change as long as their keeper lives.
#[derive(Debug)]
struct Origin {
    /// What keeps them. Not alive through this: its memory is not used for anything else while this
    /// is there, which is enough to know it again.
    keeper: Weak<dyn Any + Send + Sync>,
    /// Address of the first one.
    first: usize,
}

impl Origin {
    /// Returns where elements come from.
    fn of(keeper: &Keeper, elements: &[f16]) -> Self {
        Self { keeper: Arc::downgrade(keeper), first: elements.as_ptr().addr() }
    }

    /// Returns whether both are the same elements.
    fn is(&self, other: &Self) -> bool {
        self.keeper.ptr_eq(&other.keeper) && self.first == other.first
    }
}

impl Session {
    /// Translates a function of a package and loads it into the engine that the options choose.
    ///
    /// Errors: [`Error::Unsupported`] names everything that is missing at once, and which engine
    /// has it; [`Error::Invalid`] says what is wrong with the package, [`Error::Options`] what is
    /// wrong with the options; [`Error::Engine`] is the engine's own failure.
    pub fn load(package: &Package, options: &Options) -> Result<Self, Error> {
        let interface = package.interface()?;
        Self::load_function(package, chosen(&interface, options.function.as_deref())?, options)
    }

    /// Loads a function whose interface the caller has read already.
    ///
    /// Parameters: `function` — of this package's interface; the options' own is not looked at.
    /// Errors: as for [`Session::load`].
    pub fn load_function(
        package: &Package,
        function: &Function,
        options: &Options,
    ) -> Result<Self, Error> {
        if options.round_to_half && !options.engine.rounds() {
            let advice = "choose the engine ONNX Runtime (`onnxruntime`)";
            return Err(Error::Options(format!(
                "rten has no half precision to round results to; {advice}"
            )));
        }
        let settings =
            Settings { engine: Some(options.engine), round_to_half: options.round_to_half };
        let translation = translate(package, function, settings)
            .map_err(|error| with_alternatives(error, package, function, options.engine))?;
        let Translation { inputs, outputs, states, .. } = &translation;
        let position = |features: &[Feature], name: &str| {
            let found = features.iter().position(|feature| feature.name == name);
            found.ok_or_else(|| {
                Error::invalid(format!("the description lacks the program's `{name}`"))
            })
        };
        let output = |feature: &Feature| {
            let found = outputs.iter().position(|port| port.name == feature.name);
            found.ok_or_else(|| {
                Error::invalid(format!(
                    "the program lacks the description's output `{}`",
                    feature.name
                ))
            })
        };
        let state = |port: &Port| Ok((position(&function.states, &port.name)?, port.clone()));
        Ok(Self {
            inputs: inputs
                .iter()
                .map(|port| position(&function.inputs, &port.name))
                .collect::<Result<_, _>>()?,
            outputs: function.outputs.iter().map(output).collect::<Result<_, _>>()?,
            output_ports: outputs.clone(),
            states: states.iter().map(|port| state(&port.input)).collect::<Result<_, Error>>()?,
            scratch: Mutex::default(),
            function: Arc::new(function.clone()),
            engine: engine::load(options.engine, translation, options.threads)?,
        })
    }

    /// Returns name and version of the engine: `rten 0.27`.
    pub fn engine(&self) -> &str {
        self.engine.name()
    }

    /// Returns the function's interface, whose inputs and outputs give the order for [`Self::run`]
    /// and [`Outputs`].
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// Returns a state with all elements zero.
    ///
    /// Errors: [`Error::Invalid`] when the shape of a state varies.
    pub fn new_state(&self) -> Result<State, Error> {
        State::zero(Arc::clone(&self.function), &self.states)
    }

    /// Runs a function without states.
    ///
    /// Parameters: `inputs` — one for each of [`Self::function`]'s inputs, in its order. An image
    /// is a tensor `[1, channels, height, width]` of `Float32` with values from 0 to 255.
    /// Errors: [`Error::Invalid`] names the feature whose type or shape is wrong.
    pub fn run(&self, inputs: &[TensorRef<'_>]) -> Result<Outputs, Error> {
        self.run_keeping(None, inputs, &[])
    }

    /// Runs a function and updates its states.
    ///
    /// Parameters: `state` — from [`Self::new_state`] of this session; `inputs` — as for
    /// [`Self::run`].
    /// Errors: [`Error::Invalid`] names the feature whose type or shape is wrong, or says that the
    /// state is not of this function. When the engine itself fails, the state may be lost; further
    /// runs with it say so.
    pub fn run_with_state(
        &self,
        state: &mut State,
        inputs: &[TensorRef<'_>],
    ) -> Result<Outputs, Error> {
        self.run_keeping(Some(state), inputs, &[])
    }

    /// Runs a function whose inputs may be the same as in the run before.
    ///
    /// Parameters: `state` — needed where the function has states; `inputs` — as for [`Self::run`];
    /// `keepers` — for each input what keeps its elements unchanged, if anything does.
    /// Half precision that was widened for the run before, of the same keeper, is not widened
    /// again. No keeper is kept alive.
    /// Errors: those of [`Self::run_with_state`].
    pub fn run_keeping(
        &self,
        state: Option<&mut State>,
        inputs: &[TensorRef<'_>],
        keepers: &[Option<Keeper>],
    ) -> Result<Outputs, Error> {
        let mut none = None;
        let state = match state {
            Some(state) => state,
            None if self.states.is_empty() => none.insert(self.new_state()?),
            None => {
                let name = &self.function.name;
                let problem =
                    format!("function `{name}` has states; run it with a state from `new_state`");
                return Err(Error::invalid(problem));
            }
        };
        let features = &self.function.inputs;
        if inputs.len() != features.len() {
            let (given, wanted) = (inputs.len(), features.len());
            return Err(Error::invalid(format!(
                "the function takes {wanted} inputs, but {given} were given"
            )));
        }
        for (feature, input) in features.iter().zip(inputs) {
            check(feature, input)?;
        }
        state.check(&self.states)?;
        // Another thread's run may hold the buffers; then this one makes its own.
        let mut scratch =
            std::mem::take(&mut *self.scratch.lock().unwrap_or_else(PoisonError::into_inner));
        scratch.resize_with(self.inputs.len(), Scratch::default);
        let outputs = self.run_engine(inputs, keepers, state, &mut scratch);
        *self.scratch.lock().unwrap_or_else(PoisonError::into_inner) = scratch;
        let outputs = outputs?;
        for (output, port) in outputs.iter().zip(&self.output_ports) {
            check_output(output, port)?;
        }
        Ok(Outputs {
            function: Arc::clone(&self.function),
            positions: self.outputs.clone(),
            outputs,
        })
    }

    /// Widens what the engine does not take as it is, and runs it.
    fn run_engine(
        &self,
        inputs: &[TensorRef<'_>],
        keepers: &[Option<Keeper>],
        state: &mut State,
        scratch: &mut [Scratch],
    ) -> Result<Vec<crate::engine::Tensor>, Error> {
        let mut converted = Vec::with_capacity(self.inputs.len());
        for (position, scratch) in self.inputs.iter().zip(scratch) {
            let (input, keeper) =
                (&inputs[*position], keepers.get(*position).and_then(Option::as_ref));
            converted.push(Input {
                dims: input.dims,
                numbers: widened(input.elements, keeper, scratch),
            });
        }
        self.engine.run(&converted, &mut state.tensors)
    }
}

/// Returns the function of a name, or the default function.
///
/// Errors: [`Error::Options`] names the functions that there are.
pub(crate) fn chosen<'a>(
    interface: &'a Interface,
    name: Option<&str>,
) -> Result<&'a Function, Error> {
    interface.function(name).ok_or_else(|| {
        let names: Vec<&str> =
            interface.functions.iter().map(|function| function.name.as_str()).collect();
        let wanted = name.unwrap_or(&interface.default_function);
        Error::Options(format!(
            "the package has no function `{wanted}`; it has {}",
            names.join(", ")
        ))
    })
}

/// Notes in an error what another engine has, by translating for that one too.
///
/// Parameters: `engine` — the one that the error is about.
fn with_alternatives(
    mut error: Error,
    package: &Package,
    function: &Function,
    engine: EngineKind,
) -> Error {
    let Error::Unsupported(unsupported) = &mut error else { return error };
    for other in EngineKind::ALL.into_iter().filter(|other| *other != engine) {
        let remaining = match translate(
            package,
            function,
            Settings { engine: Some(other), round_to_half: false },
        ) {
            Ok(_) => Vec::new(),
            Err(Error::Unsupported(unsupported)) => unsupported.problems,
            Err(_) => continue,
        };
        let open =
            |problem: &&mut Problem| problem.alternative.is_none() && !remaining.contains(*problem);
        for problem in unsupported.problems.iter_mut().filter(open) {
            problem.alternative = Some(other);
        }
    }
    error
}

/// Returns elements in a type that engines take.
fn widened<'a>(
    elements: Elements<'a>,
    keeper: Option<&Keeper>,
    scratch: &'a mut Scratch,
) -> Numbers<'a> {
    let before = scratch.of.take();
    match elements {
        Elements::Float32(elements) => Numbers::Float(elements),
        Elements::Int32(elements) => Numbers::Int(elements),
        Elements::Float16(elements) => {
            scratch.of = keeper.map(|keeper| Origin::of(keeper, elements));
            let is_there =
                before.zip(scratch.of.as_ref()).is_some_and(|(before, now)| before.is(now));
            if !is_there || scratch.floats.len() != elements.len() {
                scratch.floats.resize(elements.len(), 0.0);
                elements.convert_to_f32_slice(&mut scratch.floats);
            }
            Numbers::Float(&scratch.floats)
        }
        Elements::Float64(elements) => {
            scratch.floats.clear();
            scratch.floats.extend(elements.iter().map(|element| *element as f32));
            Numbers::Float(&scratch.floats)
        }
        Elements::Int8(elements) => {
            scratch.ints.clear();
            scratch.ints.extend(elements.iter().map(|element| i32::from(*element)));
            Numbers::Int(&scratch.ints)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Widens what an `Arc` holds, and returns the numbers.
    fn of(owner: &Arc<Vec<f16>>, scratch: &mut Scratch) -> Vec<f32> {
        let keeper: Keeper = Arc::<Vec<f16>>::clone(owner);
        match widened(Elements::Float16(owner), Some(&keeper), scratch) {
            Numbers::Float(floats) => floats.to_vec(),
            Numbers::Int(_) => Vec::new(),
        }
    }

    #[test]
    fn what_is_kept_is_widened_once_and_anything_else_again() {
        let halves = |first: f32| Arc::new(vec![f16::from_f32(first), f16::from_f32(2.0)]);
        let (mut scratch, one) = (Scratch::default(), halves(1.0));
        assert_eq!(of(&one, &mut scratch), [1.0, 2.0]);
        // Nothing is widened that is there.
        scratch.floats[0] = 7.0;
        assert_eq!(of(&one, &mut scratch), [7.0, 2.0]);
        // Another owner, one that has taken its memory over, and none are.
        assert_eq!(of(&halves(3.0), &mut scratch), [3.0, 2.0]);
        assert_eq!(of(&one, &mut scratch), [1.0, 2.0]);
        let mut taken = Arc::try_unwrap(one).expect("no keeper is kept alive");
        taken[0] = f16::from_f32(4.0);
        let again = Arc::new(taken);
        assert_eq!(of(&again, &mut scratch), [4.0, 2.0]);
        let Numbers::Float(floats) = widened(Elements::Float16(&again), None, &mut scratch) else {
            unreachable!()
        };
        assert_eq!(floats, [4.0, 2.0]);
        scratch.floats[0] = 7.0;
        assert_eq!(of(&again, &mut scratch), [4.0, 2.0], "what had no keeper may have changed");
        // Other numbers in the same room.
        let Numbers::Float(floats) = widened(Elements::Float64(&[5.0, 6.0]), None, &mut scratch)
        else {
            unreachable!()
        };
        assert_eq!(floats, [5.0, 6.0]);
        assert_eq!(of(&again, &mut scratch), [4.0, 2.0]);
    }
}
