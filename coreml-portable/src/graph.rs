//! The ONNX graph under construction.
//!
//! Owns: unique names, nodes, initializers and the place of their bytes.
//! Must not: know MIL operations; rows know those and call this.
//! Flow: `translate.rs` makes one per program; rows append nodes; [`Graph::finish`] gives the model
//! for an engine.

mod constants;
mod nodes;

use crate::dialect::Dialect;
use crate::error::OpError;
use crate::limit::STATE_IN_BODY;
use crate::onnx::{
    AttributeProto, DimensionProto, ElementType, GraphProto, IR_VERSION, ModelProto, NodeProto,
    OPSET, OperatorSetId, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, TypeValue,
    ValueInfoProto,
};
use crate::weights::Weights;
use coreml_spec::{DataType, WeightFile};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

/// Name of the external data that holds the large constants; engines want this ending.
pub(crate) const WEIGHTS_FILE: &str = "weights.data";

/// A value of the graph, by its unique name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Value(Rc<str>);

impl Value {
    /// Returns the absent optional operand.
    pub(crate) fn none() -> Self {
        Self(Rc::from(""))
    }

    /// Returns the name.
    pub(crate) fn name(&self) -> &str {
        &self.0
    }
}

/// A constant's layout in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Layout {
    /// That of MIL.
    Plain,
    /// A matrix with rows and columns exchanged, for weights that MIL stores as `[out, in]`.
    Transposed,
}

/// The graph under construction.
#[derive(Debug)]
pub(crate) struct Graph {
    /// What the engine understands.
    dialect: Dialect,
    /// Nodes of the graph, or of the body that is being built.
    nodes: Vec<NodeProto>,
    /// Nodes that widen constants; they stand before all others, since bodies see what they give.
    widening: Vec<NodeProto>,
    /// Constants; those of bodies too, since bodies see the names of the graph around them.
    initializers: Vec<TensorProto>,
    /// Bytes of the large constants.
    weights: Weights,
    /// The package's weight files, where constants can stay.
    files: Vec<Arc<WeightFile>>,
    /// Names in use.
    names: HashSet<Rc<str>>,
    /// Constants that the graph has already, by identity and layout.
    constants: HashMap<(usize, Layout), Value>,
    /// Small constants by element type, sizes and bytes.
    small: HashMap<(i32, Vec<usize>, Vec<u8>), Value>,
    /// Name that new nodes and values are derived from: the first output of the operation being
    /// translated.
    origin: String,
    /// Number of the next value derived from `origin`.
    serial: usize,
    /// Results of the operation being translated.
    results: Vec<Value>,
    /// The function's states, in the order in which it declares them.
    states: Vec<State>,
    /// How many bodies deep nodes are being appended.
    depth: usize,
}

/// What a state holds at this point of the program.
#[derive(Clone, Debug)]
struct State {
    /// The tensor.
    current: Value,
    /// Whether it is another than at the start.
    written: bool,
}

impl Graph {
    /// Returns an empty graph.
    ///
    /// Parameters: `files` — the weight files of the package that is translated.
    pub(crate) fn new(dialect: Dialect, files: Vec<Arc<WeightFile>>) -> Self {
        Self {
            dialect,
            nodes: Vec::new(),
            widening: Vec::new(),
            initializers: Vec::new(),
            weights: Weights::default(),
            files,
            names: HashSet::new(),
            constants: HashMap::new(),
            small: HashMap::new(),
            origin: String::new(),
            serial: 0,
            results: Vec::new(),
            states: Vec::new(),
            depth: 0,
        }
    }

    /// Returns what the engine understands.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Sets what new nodes are named after.
    pub(crate) fn begin(&mut self, origin: &str) {
        self.origin.clear();
        self.origin.push_str(origin);
        self.serial = 0;
        self.results.clear();
    }

    /// Hands over the next result of the operation being translated.
    pub(crate) fn give(&mut self, result: Value) {
        self.results.push(result);
    }

    /// Returns the results that the row handed over.
    pub(crate) fn results(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.results)
    }

    /// Adds a state that holds `initial`, and returns its number.
    pub(crate) fn add_state(&mut self, initial: Value) -> usize {
        self.states.push(State { current: initial, written: false });
        self.states.len() - 1
    }

    /// Returns what a state holds now.
    pub(crate) fn state(&self, index: usize) -> Option<&Value> {
        self.states.get(index).map(|state| &state.current)
    }

    /// Returns what a state holds at the end, when that is another tensor than at the start.
    pub(crate) fn written_state(&self, index: usize) -> Option<&Value> {
        self.states.get(index).filter(|state| state.written).map(|state| &state.current)
    }

    /// Replaces what a state holds.
    ///
    /// Errors: inside a body, which may run any number of times.
    pub(crate) fn write_state(&mut self, index: usize, value: Value) -> Result<(), OpError> {
        if self.depth > 0 {
            return Err(STATE_IN_BODY.error());
        }
        if let Some(state) = self.states.get_mut(index) {
            *state = State { current: value, written: true };
        }
        Ok(())
    }

    /// Makes the value called `name`, an input of the graph or of a body; another name when that
    /// one is taken.
    pub(crate) fn input(&mut self, name: &str) -> Value {
        self.unique(name.to_owned())
    }

    /// Appends a node with one result.
    pub(crate) fn node(
        &mut self,
        op_type: &str,
        inputs: &[&Value],
        attributes: Vec<AttributeProto>,
    ) -> Value {
        let output = self.fresh();
        self.push(op_type, inputs, vec![output.0.to_string()], attributes);
        output
    }

    /// Appends a node with `count` results.
    pub(crate) fn nodes(
        &mut self,
        op_type: &str,
        inputs: &[&Value],
        count: usize,
        attributes: Vec<AttributeProto>,
    ) -> Vec<Value> {
        let outputs: Vec<Value> = (0..count).map(|_| self.fresh()).collect();
        self.push(
            op_type,
            inputs,
            outputs.iter().map(|output| output.0.to_string()).collect(),
            attributes,
        );
        outputs
    }

    /// Appends a node that gives `value` another name: what a graph's or a body's output must be
    /// called.
    ///
    /// Parameters: `name` — one that [`Graph::reserve`] reserved, when it is a graph's output.
    pub(crate) fn rename(&mut self, value: &Value, name: &str) {
        self.push("Identity", &[value], vec![name.to_owned()], Vec::new());
    }

    /// Reserves names for the graph's inputs and outputs, before anything else takes them.
    pub(crate) fn reserve(&mut self, name: &str) {
        self.names.insert(Rc::from(name));
    }

    /// Builds a body: a graph that sees the names of this one.
    pub(crate) fn body<E>(
        &mut self,
        build: impl FnOnce(&mut Self) -> Result<(Vec<ValueInfoProto>, Vec<ValueInfoProto>), E>,
    ) -> Result<GraphProto, E> {
        let outer = std::mem::take(&mut self.nodes);
        let (origin, serial, results) =
            (self.origin.clone(), self.serial, std::mem::take(&mut self.results));
        self.depth += 1;
        let ports = build(self);
        self.depth -= 1;
        let node = std::mem::replace(&mut self.nodes, outer);
        (self.origin, self.serial, self.results) = (origin, serial, results);
        let (input, output) = ports?;
        let name = self.fresh().0.to_string();
        Ok(GraphProto { node, name, initializer: Vec::new(), input, output })
    }

    /// Closes the graph.
    ///
    /// Returns: the model, whose large constants are external data in [`WEIGHTS_FILE`], and those,
    /// in the same order.
    pub(crate) fn finish(
        self,
        input: Vec<ValueInfoProto>,
        output: Vec<ValueInfoProto>,
    ) -> (ModelProto, Weights) {
        let node = self.widening.into_iter().chain(self.nodes).collect();
        let graph =
            GraphProto { node, name: "main".into(), initializer: self.initializers, input, output };
        let model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: env!("CARGO_PKG_NAME").into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(graph),
            opset_import: vec![OperatorSetId { domain: String::new(), version: OPSET }],
        };
        (model, self.weights)
    }

    /// Appends a node.
    fn push(
        &mut self,
        op_type: &str,
        inputs: &[&Value],
        output: Vec<String>,
        attribute: Vec<AttributeProto>,
    ) {
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|input| input.0.to_string()).collect(),
            // Some engines keep values and nodes under one roof, so a node must not be called as a
            // value is.
            name: format!("{op_type} {}", output.first().map_or("", String::as_str)),
            output,
            op_type: op_type.to_owned(),
            attribute,
            domain: String::new(),
        });
    }

    /// Returns a new value named after the operation being translated.
    fn fresh(&mut self) -> Value {
        self.serial += 1;
        self.unique(format!("{}/{}", self.origin, self.serial))
    }

    /// Returns a new value called `name`, or something like it when that is taken.
    fn unique(&mut self, mut name: String) -> Value {
        while name.is_empty() || self.names.contains(name.as_str()) {
            name.push('\'');
        }
        let name: Rc<str> = Rc::from(name);
        self.names.insert(Rc::clone(&name));
        Value(name)
    }
}

/// Returns the element type that values of a MIL type have in the graph.
///
/// Half precision is computed in single precision, and every integer type in 32 bits: engines have
/// few kernels for the others.
/// Errors: text is not computed with.
pub(crate) fn element_type(data_type: DataType) -> Result<ElementType, OpError> {
    use DataType::{BFloat16, Bool, Float8E4M3FN, Float8E5M2, Float16, Float32, Float64, String};
    match data_type {
        Float16 | Float32 | Float64 | BFloat16 | Float8E4M3FN | Float8E5M2 => {
            Ok(ElementType::Float)
        }
        Bool => Ok(ElementType::Bool),
        String => Err(OpError::unsupported("text is not a tensor")),
        _ => Ok(ElementType::Int32),
    }
}

/// Returns how a body declares an input or output: a tensor of `rank` dimensions whose sizes are
/// not said, or of any rank.
pub(crate) fn declared(value: &Value, element: ElementType, rank: Option<usize>) -> ValueInfoProto {
    let any = DimensionProto { value: None };
    let shape = rank.map(|rank| TensorShapeProto { dim: vec![any; rank] });
    let tensor = TensorTypeProto { elem_type: element.code(), shape };
    ValueInfoProto {
        name: value.name().to_owned(),
        r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)) }),
    }
}
