//! Measures one model on the portable backend: `measure MODEL.mlpackage [THREADS] [RUNS]`.
//!
//! Prints the time to load, the time to the first prediction, the median of the following ones, and
//! the peak memory of the process. Inputs are zeros.

use coreml_portable::{Options, Session};
use coreml_spec::{DataType, Elements, FeatureKind, Package, TensorRef};
use half::f16;
use std::time::Instant;

/// Zeros of each type that an input can have.
struct Zeros {
    /// Half precision.
    halves: Vec<f16>,
    /// Single precision.
    floats: Vec<f32>,
    /// 32-bit integers.
    ints: Vec<i32>,
    /// Size of each dimension.
    dims: Vec<usize>,
    /// Which of them.
    data_type: DataType,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: measure MODEL.mlpackage [THREADS] [RUNS]")?;
    let mut options = Options::default();
    options.threads = arguments.next().map(|threads| threads.parse()).transpose()?;
    let runs: usize = arguments.next().map_or(Ok(20), |runs| runs.parse())?;
    let start = Instant::now();
    let package = Package::open(&path)?;
    let session = Session::load(&package, &options)?;
    drop(package);
    let loaded = start.elapsed();
    let zeros = |kind: &FeatureKind| match kind {
        FeatureKind::MultiArray { data_type, shape } => (*data_type, shape.default.clone()),
        FeatureKind::Image { size, .. } => (DataType::Float32, vec![1, 3, size.height, size.width]),
        _ => (DataType::Float32, Vec::new()),
    };
    let mut inputs = Vec::new();
    for feature in &session.function().inputs {
        let (data_type, dims) = zeros(&feature.kind);
        let count = dims.iter().product();
        inputs.push(Zeros {
            halves: vec![f16::ZERO; count],
            floats: vec![0.0; count],
            ints: vec![0; count],
            dims,
            data_type,
        });
    }
    let tensors: Vec<TensorRef<'_>> = inputs
        .iter()
        .map(|zeros| TensorRef {
            dims: &zeros.dims,
            elements: match zeros.data_type {
                DataType::Float16 => Elements::Float16(&zeros.halves),
                DataType::Int32 => Elements::Int32(&zeros.ints),
                _ => Elements::Float32(&zeros.floats),
            },
        })
        .collect();
    let mut state = session.new_state()?;
    let mut times = Vec::new();
    for _ in 0..=runs {
        let start = Instant::now();
        session.run_with_state(&mut state, &tensors)?;
        times.push(start.elapsed());
    }
    let first = loaded + times.remove(0);
    times.sort_unstable();
    println!("engine {}", session.engine());
    println!(
        "load {loaded:.1?}, first prediction after {first:.1?}, median of {runs} {:.2?}",
        times[times.len() / 2]
    );
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let lines = status.lines().filter(|line| {
            line.starts_with("VmHWM") || line.starts_with("RssAnon") || line.starts_with("RssFile")
        });
        lines.for_each(|line| println!("{line}"));
    }
    Ok(())
}
