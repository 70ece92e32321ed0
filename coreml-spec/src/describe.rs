//! From a specification to the [`Interface`].
//!
//! Owns: how Core ML records shapes, images, classifiers, states and functions. Must not: read
//! weights.
//! Flow: [`Package::interface`] → `shape.rs`, `symbols.rs`.

mod symbols;

use crate::proto::{
    self, ArrayFeatureType, BindingKind, Block, DefaultValueKind, FeatureDescription,
    FeatureTypeKind, ImmediateKind, TensorKind, TensorType, ValueKind,
};
use crate::shape;
use crate::{
    Buckets, Classifier, DataType, Error, Feature, FeatureKind, Function, Interface, Labels,
    Package, Symbol,
};
use std::collections::{HashMap, HashSet};

/// Name of the only function of a package that is not multifunction.
const MAIN: &str = "main";

/// What to do about a feature type of other model types.
const USE_TENSORS: &str =
    "ML Programs take tensors and images and give tensors, images and class labels";

/// What to do about an output that is an input; coreml-build's driver says the same of a model.
const REMOVE_OUTPUT: &str = "remove the output, since the caller has that tensor already, or \
    return the input + 0";

/// What to do about an output that is there twice.
const RETURN_ONCE: &str = "return it once";

/// Begins the key of the metadata that names a function's states that are inputs and outputs, as
/// `INPUT=OUTPUT` separated by blanks; coreml-build writes it.
const STATES_NOTE: &str = "coreml-rt.states.";

impl Package {
    /// Returns what goes in and out of the model.
    ///
    /// Errors: [`Error::Unsupported`] when the model is no ML Program or has a feature of a type
    /// that ML Programs do not have; [`Error::Damaged`] when description and program contradict
    /// each other.
    pub fn interface(&self) -> Result<Interface, Error> {
        interface(self)
    }
}

/// Builds the interface of a package, with the errors of [`Package::interface`].
fn interface(package: &Package) -> Result<Interface, Error> {
    let model = package.model();
    let program = package.program()?;
    let description = model
        .description
        .as_ref()
        .ok_or_else(|| package.damaged("the model has no description"))?;
    let find = |name: &str| {
        let missing = || {
            package.damaged(format!(
                "the description names the function {name:?}, the program has none"
            ))
        };
        program.functions.get(name).ok_or_else(missing)
    };
    let mut functions = Vec::new();
    for function in &description.functions {
        let source = Source {
            package,
            name: &function.name,
            program: find(&function.name)?,
            input: &function.input,
            output: &function.output,
            state: &function.state,
            label: &function.predicted_feature_name,
            probabilities: &function.predicted_probabilities_name,
        };
        functions.push(source.function()?);
    }
    let mut default_function = description.default_function_name.as_str();
    if functions.is_empty() {
        default_function = MAIN;
        let source = Source {
            package,
            name: MAIN,
            program: find(MAIN)?,
            input: &description.input,
            output: &description.output,
            state: &description.state,
            label: &description.predicted_feature_name,
            probabilities: &description.predicted_probabilities_name,
        };
        functions.push(source.function()?);
    } else if !functions.iter().any(|function| function.name == default_function) {
        return Err(
            package.damaged(format!("the default function {default_function:?} is not described"))
        );
    }
    let buckets = buckets(package, &functions)?;
    Ok(Interface {
        specification_version: model.specification_version,
        default_function: default_function.to_owned(),
        functions,
        buckets,
    })
}

/// Returns the states of a function that are inputs and outputs of it: name of the input, name of
/// the output. A prediction takes the first and gives the second.
///
/// Parameters: `function` — its name; one that the package does not have has no states.
/// Errors: [`Error::Damaged`] when the note about them cannot be read.
fn functional_states<'a>(
    package: &'a Package,
    function: &str,
) -> Result<Vec<(&'a str, &'a str)>, Error> {
    let note = metadata(package, &format!("{STATES_NOTE}{function}"));
    let damaged = |pair: &str| {
        package.damaged(format!("the note about the states of {function:?} holds {pair:?}"))
    };
    let pair = |pair| str::split_once(pair, '=').ok_or_else(|| damaged(pair));
    note.into_iter().flat_map(|note| note.split_whitespace()).map(pair).collect()
}

/// Reads how the functions are one model at several sizes, when the package says so.
fn buckets(package: &Package, functions: &[Function]) -> Result<Option<Buckets>, Error> {
    let Some(text) = metadata(package, Buckets::METADATA_KEY) else { return Ok(None) };
    let damaged = |what: String| {
        package.damaged(format!(
            "the metadata {:?} does not fit the model: {what}",
            Buckets::METADATA_KEY
        ))
    };
    let buckets: Buckets =
        serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
    buckets.check(functions).map_err(damaged)?;
    Ok(Some(buckets))
}

/// Returns what the package says of itself under a key.
fn metadata<'a>(package: &'a Package, key: &str) -> Option<&'a String> {
    package.model().description.as_ref()?.metadata.as_ref()?.user_defined.get(key)
}

/// What the specification says of one function, in its two forms.
struct Source<'a> {
    /// For messages.
    package: &'a Package,
    /// Name of the function.
    name: &'a str,
    /// The function in the program.
    program: &'a proto::Function,
    /// Described inputs.
    input: &'a [FeatureDescription],
    /// Described outputs.
    output: &'a [FeatureDescription],
    /// Described states.
    state: &'a [FeatureDescription],
    /// Name of a classifier's label output; empty when there is no classifier.
    label: &'a str,
    /// Name of a classifier's probabilities output.
    probabilities: &'a str,
}

impl<'a> Source<'a> {
    /// Builds the function's interface.
    fn function(&self) -> Result<Function, Error> {
        let block = self.program.block().ok_or_else(|| {
            let Self { name, program, .. } = self;
            self.package.damaged(format!(
                "the function {name:?} has no block for its opset {:?}",
                program.opset
            ))
        })?;
        self.refuse_same_outputs(block)?;
        let types = tensor_types(self.program, block);
        let pairs = functional_states(self.package, self.name)?;
        let input = |feature| self.feature(feature, None);
        let output = |feature: &FeatureDescription| {
            if !block.outputs.contains(&feature.name) {
                let Self { name, package, .. } = self;
                return Err(package.damaged(format!(
                    "the function {name:?} does not give the output {:?}",
                    feature.name
                )));
            }
            self.feature(feature, types.get(feature.name.as_str()).copied())
        };
        let is_held =
            |feature: &&FeatureDescription| pairs.iter().any(|(held, _)| *held == feature.name);
        let is_given =
            |feature: &&FeatureDescription| pairs.iter().any(|(_, given)| *given == feature.name);
        let (held, inputs): (Vec<_>, Vec<_>) = self.input.iter().partition(is_held);
        let (given, outputs): (Vec<_>, Vec<_>) = self.output.iter().partition(is_given);
        let mut state_outputs = Vec::new();
        for state in &held {
            let pair = pairs.iter().find(|(name, _)| *name == state.name);
            state_outputs.extend(pair.map(|(_, output)| (*output).to_owned()));
        }
        if held.len() != pairs.len()
            || given.len() != pairs.len()
            || !(pairs.is_empty() || self.state.is_empty())
        {
            let Self { name, package, .. } = self;
            return Err(package.damaged(format!(
                "the states of the function {name:?} are not among its features"
            )));
        }
        let states = self.state.iter().chain(held);
        let mut function = Function {
            name: self.name.to_owned(),
            inputs: inputs.into_iter().map(input).collect::<Result<_, _>>()?,
            outputs: outputs.into_iter().map(output).collect::<Result<_, _>>()?,
            states: states.map(input).collect::<Result<_, _>>()?,
            state_outputs,
            symbols: Vec::new(),
            classifier: self.classifier(block)?,
        };
        self.apply_symbols(&mut function)?;
        Ok(function)
    }

    /// Refuses what Core ML has not: an output that is an input, or the same output twice.
    fn refuse_same_outputs(&self, block: &Block) -> Result<(), Error> {
        let inputs = self.input.iter().chain(self.state).map(|input| &input.name);
        let inputs: HashSet<&String> =
            inputs.chain(self.program.inputs.iter().map(|input| &input.name)).collect();
        let described = self.output.iter().map(|output| &output.name).collect();
        for names in [block.outputs.iter().collect::<Vec<_>>(), described] {
            let mut seen = HashSet::new();
            for name in names {
                if inputs.contains(name) {
                    let what = format!(
                        "output `{name}` is input `{name}` unchanged; Core ML has no such outputs"
                    );
                    return Err(self.package.unsupported(what, REMOVE_OUTPUT));
                }
                if !seen.insert(name) {
                    let what = format!("two outputs `{name}` are the same tensor");
                    return Err(self.package.unsupported(what, RETURN_ONCE));
                }
            }
        }
        Ok(())
    }

    /// Reads which dimensions have one size, when the package says so.
    fn apply_symbols(&self, function: &mut Function) -> Result<(), Error> {
        let key = format!("{}{}", Symbol::METADATA_KEY, self.name);
        let Some(text) = metadata(self.package, &key) else { return Ok(()) };
        let damaged = |what| {
            self.package.damaged(format!("the metadata {key:?} does not fit the model: {what}"))
        };
        let symbols: Vec<Symbol> =
            serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        symbols::apply(symbols, function).map_err(damaged)
    }

    /// Describes one feature.
    ///
    /// Parameters: `tensor` — the type that the program gives an output; `None` for inputs and
    /// states.
    fn feature(
        &self,
        feature: &FeatureDescription,
        tensor: Option<&TensorType>,
    ) -> Result<Feature, Error> {
        let name = &feature.name;
        let damaged = |what: String| self.package.damaged(format!("the feature {name:?} {what}"));
        let feature_type = feature.r#type.as_ref().ok_or_else(|| damaged("has no type".into()))?;
        let mut default = None;
        let kind = match feature_type.kind.as_ref().ok_or_else(|| damaged("has no type".into()))? {
            FeatureTypeKind::MultiArray(array) => {
                if feature_type.is_optional {
                    let value = default_value(array);
                    // The JSON forms of an interface have no infinity.
                    if !value.is_finite() {
                        let what =
                            format!("the optional input {name:?} has the default value {value}");
                        return Err(self
                            .package
                            .unsupported(what, "give it a finite default value"));
                    }
                    default = Some(value);
                }
                multi_array(array, tensor).map_err(damaged)?
            }
            FeatureTypeKind::State(state) => {
                let array =
                    state.array_type.as_ref().ok_or_else(|| damaged("has no type".into()))?;
                multi_array(array, None).map_err(damaged)?
            }
            FeatureTypeKind::Image(image) => FeatureKind::Image {
                size: shape::image_size(image).map_err(damaged)?,
                color_space: shape::color_space(image.color_space).map_err(damaged)?,
            },
            FeatureTypeKind::String(_) if name == self.label => FeatureKind::StringLabel,
            FeatureTypeKind::Int64(_) if name == self.label => FeatureKind::Int64Label,
            FeatureTypeKind::Dictionary(_) if name == self.probabilities => {
                FeatureKind::Probabilities
            }
            FeatureTypeKind::Int64(_) => return Err(self.not_a_tensor(name, "a number")),
            FeatureTypeKind::Double(_) => return Err(self.not_a_tensor(name, "a number")),
            FeatureTypeKind::String(_) => return Err(self.not_a_tensor(name, "text")),
            FeatureTypeKind::Dictionary(_) => return Err(self.not_a_tensor(name, "a map")),
            FeatureTypeKind::Sequence(_) => return Err(self.not_a_tensor(name, "a sequence")),
        };
        Ok(Feature {
            name: name.clone(),
            description: feature.short_description.clone(),
            kind,
            default,
        })
    }

    /// Reports a feature whose type belongs to other model types.
    fn not_a_tensor(&self, name: &str, what: &str) -> Error {
        self.package.unsupported(format!("the feature {name:?} is {what}"), USE_TENSORS)
    }

    /// Describes the classifier, when the function ends in one.
    fn classifier(&self, block: &Block) -> Result<Option<Classifier>, Error> {
        if self.label.is_empty() {
            return Ok(None);
        }
        let damaged = |what: &str| {
            self.package.damaged(format!("the classifier of function {:?} {what}", self.name))
        };
        for (name, role) in [(self.label, "label"), (self.probabilities, "probabilities")] {
            if !self.output.iter().any(|output| output.name == name) {
                return Err(damaged(&format!("has no output {name:?} for its {role}")));
            }
        }
        let gives_label = |operation: &&proto::Operation| {
            operation.r#type == "classify"
                && operation.outputs.iter().any(|output| output.name == self.label)
        };
        let classify = block.operations.iter().find(gives_label);
        let classify = classify.ok_or_else(|| damaged("has no classify operation"))?;
        let classes = classify.inputs.get("classes").and_then(|classes| classes.arguments.first());
        let value = match classes.and_then(|binding| binding.kind.as_ref()) {
            Some(BindingKind::Value(value)) => Some(value),
            Some(BindingKind::Name(name)) => constant_named(block, name),
            None => None,
        };
        let value = value.ok_or_else(|| damaged("has no constant classes"))?;
        let labels = labels(value)
            .ok_or_else(|| damaged("has classes that are neither all text nor all numbers"))?;
        Ok(Some(Classifier {
            label: self.label.to_owned(),
            probabilities: self.probabilities.to_owned(),
            labels,
        }))
    }
}

/// Returns the tensor types of a function's inputs and of the results of its operations, by name.
fn tensor_types<'a>(
    function: &'a proto::Function,
    block: &'a Block,
) -> HashMap<&'a str, &'a TensorType> {
    let results = block.operations.iter().flat_map(|operation| &operation.outputs);
    function
        .inputs
        .iter()
        .chain(results)
        .filter_map(|value| Some((value.name.as_str(), value.r#type.as_ref()?.tensor()?)))
        .collect()
}

/// Describes a tensor.
///
/// Parameters: `tensor` — the program's type of an output, which speaks where the description is
/// silent.
fn multi_array(
    array: &ArrayFeatureType,
    tensor: Option<&TensorType>,
) -> Result<FeatureKind, String> {
    let described = DataType::from_multi_array(array.data_type);
    let data_type = described.or_else(|| tensor?.element_type());
    let data_type =
        data_type.ok_or_else(|| format!("has the unknown element type {}", array.data_type))?;
    let is_described = !array.shape.is_empty() || array.shape_flexibility.is_some();
    let shape = match tensor {
        Some(tensor) if !is_described => shape::of_output(tensor)?,
        _ => shape::of_array(array)?,
    };
    Ok(FeatureKind::MultiArray { data_type, shape })
}

/// Returns the value of an optional tensor that the caller leaves out: zero unless the model says
/// otherwise.
fn default_value(array: &ArrayFeatureType) -> f64 {
    match array.default_value {
        Some(DefaultValueKind::Int(value)) => f64::from(value),
        Some(DefaultValueKind::Float(value)) => f64::from(value),
        Some(DefaultValueKind::Double(value)) => value,
        None => 0.0,
    }
}

/// Returns the value of the `const` operation that gives `name`.
fn constant_named<'a>(block: &'a Block, name: &str) -> Option<&'a proto::Value> {
    let gives_name =
        |operation: &&proto::Operation| operation.outputs.iter().any(|output| output.name == name);
    let constant = block.operations.iter().find(gives_name)?;
    if constant.r#type == "const" { constant.attributes.get("val") } else { None }
}

/// Returns the class labels of a list or tensor constant.
fn labels(value: &proto::Value) -> Option<Labels> {
    let Some(ValueKind::Immediate(immediate)) = &value.kind else { return None };
    match immediate.kind.as_ref()? {
        ImmediateKind::Tensor(tensor) => match tensor.kind.as_ref()? {
            TensorKind::Strings(strings) => Some(Labels::Strings(strings.values.clone())),
            TensorKind::LongInts(integers) => Some(Labels::Int64s(integers.values.clone())),
            _ => None,
        },
        ImmediateKind::List(list) => {
            let mut all: Option<Labels> = None;
            // Each element of the list is a scalar; the first tells what the others must be.
            for element in &list.values {
                // A list inside the list is refused, so this goes one level deep.
                let Some(ValueKind::Immediate(scalar)) = &element.kind else { return None };
                let Some(ImmediateKind::Tensor(_)) = scalar.kind else { return None };
                match (&mut all, labels(element)?) {
                    (Some(Labels::Strings(all)), Labels::Strings(more)) => all.extend(more),
                    (Some(Labels::Int64s(all)), Labels::Int64s(more)) => all.extend(more),
                    (all @ None, first) => *all = Some(first),
                    _ => return None,
                }
            }
            all
        }
        _ => None,
    }
}
