//! What this project adds to a step of a decoder with states, besides the engine: our session
//! against the engine itself with the same graph, which passes the states on by itself.

use crate::engines::{Ours, package};
use crate::rival::{Rival, timed};
use crate::sample::{Numbers, Sample};
use crate::table::{Row, alternate};
use coreml_portable::{EngineKind, to_onnx};
use coreml_spec::Package;
use rten::{ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueOrView};
use rten_tensor::{Tensor, TensorView};
use std::path::Path;
use std::sync::Arc;

/// The models with states.
const MODELS: [&str; 2] = ["whisper_step", "llama_step"];

/// Measures each model.
pub(crate) fn rows(folder: &Path) -> Vec<Row> {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let mut rows = Vec::new();
    for model in MODELS {
        let path = package(folder, model, "fp32");
        let file = temporary.path().join(format!("{model}.onnx"));
        let opened = Package::open(&path).expect("the package is sound");
        let onnx = to_onnx(&opened, None).expect("all is supported");
        onnx.write(&file).expect("the file is written");
        let sample = Sample::read(&path, 0);
        let mut ours = Ours::load(&path, EngineKind::OnnxRuntime, 1);
        let mut plain = Rival::onnxruntime(&path, &file, 1);
        let sides = alternate(|| timed(|| ours.run(&sample)), || plain.run());
        rows.push(Row::times(
            format!("{model}: a step with states, ours / ONNX Runtime with the same graph"),
            sides,
            Some(1.05),
        ));
        let mut ours = Ours::load(&path, EngineKind::Rten, 1);
        let mut plain = PlainRten::load(&file);
        let sides = alternate(|| timed(|| ours.run(&sample)), || timed(|| plain.run(&sample)));
        rows.push(Row::times(
            format!("{model}: a step with states, ours / rten with the exported graph"),
            sides,
            Some(1.05),
        ));
    }
    rows
}

/// rten by itself with an exported file.
struct PlainRten {
    /// The model.
    model: rten::Model,
    /// Each input with its name.
    inputs: Vec<(NodeId, String)>,
    /// The states by the name of their input: what they hold.
    states: Vec<(String, Value)>,
    /// The outputs: those of the function, then what the states become, in their order.
    outputs: Vec<NodeId>,
    /// One thread.
    threads: Arc<ThreadPool>,
}

impl PlainRten {
    /// Loads a file; states are zeros.
    fn load(file: &Path) -> Self {
        let bytes = std::fs::read(file).expect("the file was written");
        let model = ModelOptions::with_all_ops().load(bytes).expect("rten has all that it needs");
        let name = |id: NodeId| {
            model.node_info(id).and_then(|node| node.name().map(str::to_owned)).unwrap_or_default()
        };
        let inputs: Vec<(NodeId, String)> =
            model.input_ids().iter().map(|id| (*id, name(*id))).collect();
        let after = |id: &NodeId| name(*id).strip_suffix("/after").map(str::to_owned);
        let (written, mut outputs): (Vec<NodeId>, Vec<NodeId>) =
            model.output_ids().iter().partition(|id| after(id).is_some());
        let zeros = |state: &str| {
            let place =
                inputs.iter().position(|(_, input)| input == state).expect("a state is an input");
            let dims = model.input_shape(place).expect("states have fixed shapes");
            let size = |size: &rten::Dimension| match size {
                rten::Dimension::Fixed(size) => *size,
                rten::Dimension::Symbolic(_) => panic!("states have fixed shapes"),
            };
            let dims: Vec<usize> = dims.iter().map(size).collect();
            Value::from(Tensor::<f32>::zeros(&dims))
        };
        let states =
            written.iter().filter_map(after).map(|state| (state.clone(), zeros(&state))).collect();
        outputs.extend(written);
        Self { inputs, states, outputs, threads: Arc::new(ThreadPool::with_num_threads(1)), model }
    }

    /// Runs a sample and hands the states on.
    fn run(&mut self, sample: &Sample) {
        let mut values: Vec<(NodeId, ValueOrView<'_>)> = Vec::new();
        let mut states: Vec<(String, Value)> = std::mem::take(&mut self.states);
        let names: Vec<String> = states.iter().map(|(name, _)| name.clone()).collect();
        for (id, name) in &self.inputs {
            let Some(input) = sample.0.get(name) else { continue };
            let dims = input.dims.as_slice();
            values.push((
                *id,
                match &input.numbers {
                    Numbers::Floats(floats) => {
                        TensorView::from_data(dims, floats.as_slice()).into()
                    }
                    Numbers::Ints(ints) => TensorView::from_data(dims, ints.as_slice()).into(),
                },
            ));
        }
        for (name, state) in states.drain(..) {
            let id = self
                .inputs
                .iter()
                .find(|(_, input)| *input == name)
                .expect("a state is an input")
                .0;
            values.push((id, state.into()));
        }
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.threads)));
        let mut outputs =
            self.model.run(values, &self.outputs, Some(options)).expect("the sample fits");
        let after = outputs.split_off(outputs.len() - names.len());
        self.states = names.into_iter().zip(after).collect();
        std::hint::black_box(&outputs);
    }
}
