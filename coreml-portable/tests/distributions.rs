//! Random numbers: whether they are distributed as MIL says, on every engine.
//!
//! Owns: the judgement of drawn numbers by their frequencies and moments. A program draws 20 000
//! numbers; a frequency or mean may be five standard errors off, which by chance happens once in
//! two million times.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its tools too"
)]

#[allow(dead_code, reason = "not every test reads all of an archive")]
mod archive;

use coreml_portable::{EngineKind, Options, Session};
use coreml_spec::{Elements, ElementsMut, TensorRef};

/// How many standard errors a mean may be off.
const FAR: f64 = 5.0;

/// Loads a program and draws twice.
fn draw_twice(name: &str, engine: EngineKind) -> [Vec<f32>; 2] {
    let case = archive::read("distributions").remove(name).unwrap();
    let mut options = Options::default();
    options.engine = engine;
    let session = Session::load(&case.package(), &options).unwrap();
    let zero = TensorRef { dims: &[1], elements: Elements::Float32(&[0.0]) };
    let draw = || {
        let outputs = session.run(&[zero]).unwrap();
        let mut drawn = vec![0.0; outputs.dims(0).unwrap().iter().product()];
        outputs.copy_to(0, ElementsMut::Float32(&mut drawn)).unwrap();
        drawn
    };
    [draw(), draw()]
}

/// Loads a program and draws.
fn draw(name: &str, engine: EngineKind) -> Vec<f32> {
    let [drawn, _] = draw_twice(name, engine);
    drawn
}

/// Fails unless the mean of what `measure` makes of the numbers is near `mean`, given its standard
/// deviation.
fn near(what: &str, drawn: &[f32], measure: impl Fn(f64) -> f64, mean: f64, deviation: f64) {
    let count = drawn.len() as f64;
    let found = drawn.iter().map(|number| measure(f64::from(*number))).sum::<f64>() / count;
    let error = deviation / count.sqrt();
    assert!(
        (found - mean).abs() <= FAR * error,
        "{what}: the mean is {found}, not {mean} ± {error}"
    );
}

/// Fails unless a share of the numbers is near a probability.
fn share(what: &str, drawn: &[f32], hit: impl Fn(f64) -> bool, probability: f64) {
    let deviation = (probability * (1.0 - probability)).sqrt();
    near(what, drawn, |number| f64::from(u8::from(hit(number))), probability, deviation);
}

/// Judges all distributions, seeded or not.
fn judge(engine: EngineKind, suffix: &str) {
    let normal = draw(&format!("normal{suffix}"), engine);
    near("normal", &normal, |x| x, 1.0, 2.0);
    near("normal, squared", &normal, |x| ((x - 1.0) / 2.0).powi(2), 1.0, 2.0_f64.sqrt());
    share("normal, one deviation", &normal, |x| (x - 1.0).abs() < 2.0, 0.682_689_492);
    share("normal, two deviations", &normal, |x| (x - 1.0).abs() < 4.0, 0.954_499_736);

    let uniform = draw(&format!("uniform{suffix}"), engine);
    assert!(uniform.iter().all(|x| (-1.0..=3.0).contains(x)), "uniform: beyond its limits");
    for eighth in 1..8 {
        let part = f64::from(eighth) / 8.0;
        share("uniform", &uniform, |x| x < -1.0 + 4.0 * part, part);
    }

    let bernoulli = draw(&format!("bernoulli{suffix}"), engine);
    assert!(bernoulli.iter().all(|x| [0.0, 1.0].contains(x)), "bernoulli: neither 0 nor 1");
    share("bernoulli", &bernoulli, |x| x == 1.0, 0.25);

    for mode in ["logits", "probs"] {
        let categorical = draw(&format!("categorical_{mode}{suffix}"), engine);
        for (class, probability) in [(0.0, 0.1), (1.0, 0.2), (2.0, 0.7)] {
            share(
                &format!("categorical by {mode}, class {class}"),
                &categorical,
                |x| x == class,
                probability,
            );
        }
    }
    if suffix.is_empty() {
        let [first, second] = draw_twice("normal", engine);
        assert!(first != second, "without a seed the same numbers come again");
    } else {
        let again = draw(&format!("normal{suffix}"), engine);
        assert!(normal == again, "a seed does not repeat its numbers");
    }
}

#[test]
fn rten_draws_as_told() {
    judge(EngineKind::Rten, "");
    judge(EngineKind::Rten, "_seeded");
}

#[cfg(feature = "onnxruntime")]
#[coreml_test_needs::needs(onnxruntime)]
#[test]
fn onnx_runtime_draws_as_told() {
    judge(EngineKind::OnnxRuntime, "");
    judge(EngineKind::OnnxRuntime, "_seeded");
}
