//! Every case of the archives in `cases/`, on every engine.
//!
//! Owns: running cases and comparing outputs, and that every other result than the reference is a
//! limit of the table. Must not: know operations.
//! Flow: `cases/generate.py` writes the archives with references from PyTorch; `archive/` reads
//! them; here they run without Python.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its tools too"
)]

mod archive;

use archive::Case;
use coreml_portable::{EngineKind, Options, Session, State, operations};
use coreml_spec::{DataType, Elements, ElementsMut, Feature, FeatureKind, TensorRef};
use half::f16;
use safetensors::{Dtype, tensor::TensorView};
use std::collections::BTreeMap;

/// Elements of any type that an input can have.
enum Owned {
    Float16(Vec<f16>),
    Float32(Vec<f32>),
    Int32(Vec<i32>),
    Int8(Vec<i8>),
}

impl Owned {
    /// Reads elements of a safetensors tensor.
    fn read(view: &TensorView<'_>) -> Self {
        let bytes = view.data();
        match view.dtype() {
            Dtype::F16 => {
                Self::Float16(bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b)).collect())
            }
            Dtype::F32 => {
                Self::Float32(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
            }
            Dtype::I32 => {
                Self::Int32(bytes.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect())
            }
            Dtype::I8 => Self::Int8(bytes.iter().map(|b| i8::from_le_bytes([*b])).collect()),
            other => panic!("an archive holds the unexpected type {other:?}"),
        }
    }

    /// Borrows the elements.
    fn elements(&self) -> Elements<'_> {
        match self {
            Self::Float16(v) => Elements::Float16(v),
            Self::Float32(v) => Elements::Float32(v),
            Self::Int32(v) => Elements::Int32(v),
            Self::Int8(v) => Elements::Int8(v),
        }
    }

    /// Returns the elements as numbers to compare.
    fn numbers(&self) -> Vec<f64> {
        match self {
            Self::Float16(v) => v.iter().map(|x| x.to_f64()).collect(),
            Self::Float32(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Self::Int32(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Self::Int8(v) => v.iter().map(|x| f64::from(*x)).collect(),
        }
    }
}

/// Runs a case and returns what is wrong with it.
fn run(case: &Case, engine: EngineKind) -> Result<(), String> {
    let mut options = Options::default();
    options.engine = engine;
    let session = Session::load(&case.package(), &options).map_err(|error| error.to_string())?;
    let mut state = session.new_state().map_err(|error| error.to_string())?;
    let steps = (0..)
        .take_while(|step| case.inputs.keys().any(|key| key.starts_with(&format!("step{step}/"))))
        .count();
    if steps == 0 {
        return step(case, &session, &mut state, "");
    }
    for number in 0..steps {
        step(case, &session, &mut state, &format!("step{number}/"))?;
    }
    let states = &session.function().states;
    for (key, expected) in case.outputs.iter().filter(|(key, _)| key.starts_with("final/")) {
        let name = &key["final/".len()..];
        let index = states
            .iter()
            .position(|feature| feature.name == name)
            .ok_or(format!("no state {name}"))?;
        let dims = state.dims(index).map_err(|error| error.to_string())?;
        if dims != expected.shape() {
            return Err(format!("{key} has shape {dims:?} instead of {:?}", expected.shape()));
        }
        let wanted = Owned::read(expected).numbers();
        let given = numbers(&states[index], wanted.len(), |into| state.copy_to(index, into))?;
        compare(&given, &wanted, case.tolerance).map_err(|error| format!("{key}: {error}"))?;
    }
    Ok(())
}

/// Runs one step of a case, whose tensors' names begin with `prefix`.
fn step(case: &Case, session: &Session, state: &mut State, prefix: &str) -> Result<(), String> {
    let function = session.function();
    let mut owned = Vec::new();
    for feature in &function.inputs {
        let view = case
            .inputs
            .get(&format!("{prefix}{}", feature.name))
            .ok_or(format!("no input {}", feature.name))?;
        owned.push((view.shape(), Owned::read(view)));
    }
    let inputs: Vec<TensorRef<'_>> = owned
        .iter()
        .map(|(dims, elements)| TensorRef { dims, elements: elements.elements() })
        .collect();
    let outputs = if function.states.is_empty() {
        session.run(&inputs)
    } else {
        session.run_with_state(state, &inputs)
    };
    let outputs = outputs.map_err(|error| error.to_string())?;
    let all = case
        .outputs
        .iter()
        .filter(|(key, _)| key.starts_with(prefix) && !key.starts_with("final/"));
    for (key, expected) in all {
        let name = &key[prefix.len()..];
        let index = function
            .outputs
            .iter()
            .position(|feature| feature.name == name)
            .ok_or(format!("no output {name}"))?;
        let feature = &function.outputs[index];
        let wanted = Owned::read(expected).numbers();
        let given = if matches!(feature.kind, FeatureKind::StringLabel | FeatureKind::Int64Label) {
            vec![outputs.label().map_err(|error| error.to_string())? as f64]
        } else {
            let dims = outputs.dims(index).map_err(|error| error.to_string())?;
            if dims != expected.shape() {
                return Err(format!("{key} has shape {dims:?} instead of {:?}", expected.shape()));
            }
            numbers(feature, wanted.len(), |into| outputs.copy_to(index, into))?
        };
        compare(&given, &wanted, case.tolerance).map_err(|error| format!("{key}: {error}"))?;
    }
    Ok(())
}

/// Copies a tensor of a feature as numbers.
fn numbers(
    feature: &Feature,
    count: usize,
    copy: impl FnOnce(ElementsMut<'_>) -> Result<(), coreml_portable::Error>,
) -> Result<Vec<f64>, String> {
    let data_type = match &feature.kind {
        FeatureKind::MultiArray { data_type, .. } => *data_type,
        _ => DataType::Float32,
    };
    let mut owned = match data_type {
        DataType::Float16 => Owned::Float16(vec![f16::ZERO; count]),
        DataType::Float32 => Owned::Float32(vec![0.0; count]),
        DataType::Int32 => Owned::Int32(vec![0; count]),
        DataType::Int8 => Owned::Int8(vec![0; count]),
        other => return Err(format!("unexpected output type {other}")),
    };
    let into = match &mut owned {
        Owned::Float16(v) => ElementsMut::Float16(v),
        Owned::Float32(v) => ElementsMut::Float32(v),
        Owned::Int32(v) => ElementsMut::Int32(v),
        Owned::Int8(v) => ElementsMut::Int8(v),
    };
    copy(into).map_err(|error| error.to_string())?;
    Ok(owned.numbers())
}

/// Compares numbers: NaN equals NaN, infinities must agree, the rest within `tolerance` of the
/// largest magnitude.
fn compare(given: &[f64], wanted: &[f64], tolerance: f64) -> Result<(), String> {
    let largest =
        wanted.iter().filter(|x| x.is_finite()).fold(0.0_f64, |largest, x| largest.max(x.abs()));
    let mut worst = 0.0_f64;
    for (index, (given, wanted)) in given.iter().zip(wanted).enumerate() {
        let same = given == wanted || given.is_nan() && wanted.is_nan();
        if !(same || given.is_finite() && wanted.is_finite()) {
            return Err(format!("element {index} is {given} instead of {wanted}"));
        }
        if !same {
            worst = worst.max((given - wanted).abs());
        }
    }
    // Below the smallest normal float, "relative" means nothing.
    let allowed = tolerance * largest.max(f64::from(f32::MIN_POSITIVE));
    if worst <= allowed {
        Ok(())
    } else {
        Err(format!("differs by {worst:e}, allowed are {allowed:e}"))
    }
}

/// Runs all cases of a family, or those that the environment variable `CASE` names a part of.
fn family(name: &str, engine: EngineKind) {
    let only = std::env::var("CASE").unwrap_or_default();
    let mut failures = Vec::new();
    let mut count = 0;
    for (case_name, case) in archive::read(name).iter().filter(|(name, _)| name.contains(&only)) {
        if let Err(error) = run(case, engine) {
            failures.push(format!("{case_name}: {error}"));
        }
        count += 1;
    }
    assert!(count > 0 || !only.is_empty(), "there is no case in {name}");
    assert!(
        failures.is_empty(),
        "{} of {count} cases of {name} fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Runs the programs of `cases/differences.py` on an engine: those with a limit of it must differ,
/// and there is one for each such limit.
fn differences(engine: EngineKind) {
    let mut differing: BTreeMap<String, usize> = BTreeMap::new();
    for (name, case) in archive::read("differences") {
        let operation = name.split('-').next().unwrap();
        let limited = operations()
            .filter(|op| op.name == operation)
            .flat_map(|op| op.limits)
            .any(|limit| limit.differs && limit.concerns(engine));
        match run(&case, engine) {
            Ok(()) => assert!(!limited, "{name} is right on {engine}; take the limit off its row"),
            Err(error) => {
                assert!(limited && error.contains("y0: "), "{name} on {engine}: {error}");
                *differing.entry(operation.to_owned()).or_default() += 1;
            }
        }
    }
    for op in operations() {
        let limits = op.limits.iter().filter(|limit| limit.differs && limit.concerns(engine));
        let (stated, shown) = (limits.count(), differing.get(op.name).copied().unwrap_or(0));
        assert!(stated <= shown, "{stated} limits of {}, {shown} shown on {engine}", op.name);
    }
}

/// Defines a test for each family on an engine.
macro_rules! families {
    ($engine:ident needs($($need:ident)?) => $($family:ident)*) => {
        use coreml_test_needs::needs;

        #[test]
        fn no_family_is_left_out() {
            assert_eq!([$(stringify!($family)),*], super::archive::FAMILIES);
        }

        $(#[needs($need)])?
        #[test]
        fn each_other_result_is_a_limit_of_the_table() {
            super::differences(coreml_portable::EngineKind::$engine);
        }

        families!(@each needs($($need)?) $engine => $($family)*);
    };
    (@each $needs:ident $what:tt $engine:ident => $($family:ident)*) => {
        $(#[$needs $what]
        #[test]
        fn $family() {
            super::family(stringify!($family), coreml_portable::EngineKind::$engine);
        })*
    };
}

/// On the default engine.
mod rten {
    families!(
        Rten needs() =>
        control edges elementwise images integers linear nans networks tensors weights
    );
}

/// On ONNX Runtime, where it is found.
#[cfg(feature = "onnxruntime")]
mod onnxruntime {
    families!(
        OnnxRuntime needs(onnxruntime) =>
        control edges elementwise images integers linear nans networks tensors weights
    );
}
