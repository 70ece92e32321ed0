//! A typed call against the engine's session with the same buffers.
//!
//! Owns: the measurement of the types' cost at run time. Must not: build crates.
//! Flow: `build.rs` converts `call.toml` → both sides load the same package here.

use crate::allocations;
use bench_table::{Row, median};
use coreml_portable::{Options, Session};
use coreml_rt::LoadOptions;
use coreml_spec::{Element, Package, TensorRef};
use std::path::Path;
use std::time::{Duration, Instant};

/// The network of `call.toml`.
#[coreml_rt::coreml_model("call.toml")]
mod network {}

/// Sizes of its input.
const DIMS: [usize; 4] = [1, 3, 64, 64];

/// Scores that it returns.
const SCORES: usize = 10;

/// Calls of each side that are measured.
const CALLS: usize = 2000;

/// Calls of each side before the measurement, while the engine fills its caches and pools.
const WARM_UP: usize = 50;

/// One thread: with more, the scheduler is what is measured.
const THREADS: usize = 1;

/// Measures time and allocations of both sides.
pub(crate) fn rows() -> Vec<Row> {
    let model = network::Model::load_with(&LoadOptions::new().threads(THREADS))
        .unwrap_or_else(|error| panic!("{error}"));
    let path = Path::new(env!("OUT_DIR")).join("coreml/call.toml/call.mlpackage");
    let package = Package::open(path).unwrap_or_else(|error| panic!("{error}"));
    let mut options = Options::default();
    options.threads = Some(THREADS);
    let session = Session::load(&package, &options).unwrap_or_else(|error| panic!("{error}"));

    let pixels: Vec<f32> =
        (0..DIMS.iter().product::<usize>()).map(|at| (at % 255) as f32 / 255.0).collect();
    let mut output = network::Output::default();
    let mut scores = [0.0_f32; SCORES];
    let mut typed = || {
        let image = pixels.as_slice().try_into().unwrap_or_else(|error| panic!("{error}"));
        model
            .predict_into(&network::Input { image }, &mut output)
            .unwrap_or_else(|error| panic!("{error}"));
    };
    let mut direct = || {
        let input = TensorRef { dims: &DIMS, elements: f32::elements(&pixels) };
        let outputs = session.run(&[input]).unwrap_or_else(|error| panic!("{error}"));
        outputs
            .copy_to(0, f32::elements_mut(&mut scores))
            .unwrap_or_else(|error| panic!("{error}"));
    };
    let mut allocating = || {
        let image = pixels.as_slice().try_into().unwrap_or_else(|error| panic!("{error}"));
        drop(model.predict(&network::Input { image }).unwrap_or_else(|error| panic!("{error}")));
    };

    for _ in 0..WARM_UP {
        typed();
        direct();
        allocating();
    }
    let [mut into, mut predict, mut by_hand] = [const { Vec::new() }; 3];
    for _ in 0..CALLS {
        into.push(measured(&mut typed));
        by_hand.push(measured(&mut direct));
        predict.push(measured(&mut allocating));
    }
    let ours = allocations_of(&mut typed).abs_diff(allocations_of(&mut direct));
    let by_hand = median(by_hand);
    assert!(scores.iter().any(|&score| score != 0.0), "the network does nothing");
    vec![
        Row::ratio("typed `predict`, against the engine's session", median(predict), by_hand, 1.05),
        Row::ratio(
            "typed `predict_into`, against the engine's session",
            median(into),
            by_hand,
            1.05,
        ),
        Row::absolute(
            "heap allocations of a `predict_into`, besides the engine's",
            ours as f64,
            0.0,
            "",
        ),
    ]
}

/// Returns the time of one call.
fn measured(call: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    call();
    start.elapsed()
}

/// Returns the fewest heap allocations of one call among several: the engine's own vary while its
/// pools settle.
fn allocations_of(call: &mut impl FnMut()) -> u64 {
    let counts = (0..WARM_UP).map(|_| {
        let before = allocations::count();
        call();
        allocations::count() - before
    });
    counts.min().unwrap_or_default()
}
