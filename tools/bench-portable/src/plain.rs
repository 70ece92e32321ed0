//! ONNX Runtime by itself with an ONNX file, in a process of its own, because a process can have
//! only one environment of the library, and this project's engine has one.
//!
//! Owns: loading and running; the process reports the times.
//! Flow: `rival.rs` starts the process → `main.rs` → [`child`] answers.

use crate::sample::{Numbers, Sample};
use ort::environment::Environment;
use ort::session::SessionInputValue;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{DynValue, TensorRef};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

/// An ONNX file in ONNX Runtime.
pub(crate) struct Plain {
    /// The session.
    session: ort::session::Session,
    /// For each input that is no part of a sample, what it was after the last run, and the output
    /// that it then becomes.
    carried: Vec<(String, String, DynValue)>,
}

impl Plain {
    /// Loads an ONNX file. Inputs that the sample lacks are states: zeros at first, then the
    /// outputs called `NAME/after` or `SUFFIX_after` of the run before.
    pub(crate) fn load(file: &Path, threads: usize, sample: &Sample) -> Self {
        let builder = ort::session::Session::builder(environment()).expect("a builder");
        let builder =
            builder.with_optimization_level(GraphOptimizationLevel::All).expect("a level");
        let mut builder = builder.with_intra_threads(threads).expect("threads");
        let session = builder
            .commit_from_file(file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut carried = Vec::new();
        for input in session.inputs() {
            let name = input.name().to_owned();
            if sample.0.contains_key(&name) {
                continue;
            }
            let after = session.outputs().iter().map(|output| output.name().to_owned());
            let mut after = after.filter(|output| {
                let stem = output.strip_suffix("/after").or_else(|| output.strip_suffix("_after"));
                stem.is_some_and(|stem| name.ends_with(stem))
            });
            let after =
                after.next().unwrap_or_else(|| panic!("no output follows the input {name}"));
            let shape = input.dtype().tensor_shape().expect("states are tensors");
            let count: usize = shape
                .iter()
                .map(|size| usize::try_from(*size).expect("states have fixed shapes"))
                .product();
            let shape: Vec<i64> = shape.iter().copied().collect();
            let zeros =
                ort::value::Tensor::from_array((shape, vec![0.0_f32; count])).expect("zeros");
            carried.push((name, after, zeros.into_dyn()));
        }
        Self { session, carried }
    }

    /// Runs a sample.
    pub(crate) fn run(&mut self, sample: &Sample) {
        let mut values: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::new();
        for (name, input) in &sample.0 {
            let shape: Vec<i64> = input.dims.iter().map(|size| *size as i64).collect();
            let value = match &input.numbers {
                Numbers::Floats(floats) => {
                    TensorRef::from_array_view((shape, floats.as_slice())).expect("fits").into()
                }
                Numbers::Ints(ints) => {
                    TensorRef::from_array_view((shape, ints.as_slice())).expect("fits").into()
                }
            };
            values.push((name.as_str().into(), value));
        }
        for (name, _, value) in &self.carried {
            values.push((name.as_str().into(), SessionInputValue::from(value)));
        }
        let mut outputs = self.session.run(values).expect("the sample fits");
        for (_, after, value) in &mut self.carried {
            *value = outputs.remove(after.as_str()).expect("the states are outputs");
        }
        std::hint::black_box(&outputs);
    }
}

/// Returns ONNX Runtime's environment.
fn environment() -> &'static Environment {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let path = std::env::var_os("ORT_DYLIB_PATH")
            .expect("set ORT_DYLIB_PATH to the library of ONNX Runtime");
        let builder = ort::init_from(PathBuf::from(path)).expect("the library loads");
        builder.with_telemetry(false).build().expect("an environment")
    })
}

/// Answers each line of standard input: loads the model of the arguments if the line says so, runs
/// it once, and prints the nanoseconds.
pub(crate) fn child(arguments: &[String]) {
    let [package, file, threads] = arguments else {
        panic!("a package, a file and a number of threads")
    };
    let sample = Sample::read(Path::new(package), 0);
    let threads = threads.parse().expect("a number of threads");
    // Made before time is taken: ours has an environment already when it loads.
    environment();
    let load = || Plain::load(Path::new(file), threads, &sample);
    let mut plain = None;
    for line in std::io::stdin().lines() {
        let fresh = line.expect("standard input is text") == "load";
        let mut model = if fresh { None } else { Some(plain.take().unwrap_or_else(load)) };
        let start = Instant::now();
        let run = model.get_or_insert_with(load);
        run.run(&sample);
        println!("{}", start.elapsed().as_nanos());
        plain = model;
    }
}
