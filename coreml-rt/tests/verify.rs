//! Parity of packages that no types were generated from: steps with states, functions, options.
//!
//! Owns: samples made here, of packages whose results are plain arithmetic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
// The engines are those of the portable backend.
#![cfg(not(target_vendor = "apple"))]

use coreml_rt::parity::{Bound, Metric, Sample, Stage, Verdict, verify, verify_by};
use coreml_rt::{Engine, Error, LoadOptions, Tolerance, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::{Path, PathBuf};

/// Returns the path of a package that `coreml-spec/tests/data/make.py` made.
fn package(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../coreml-spec/tests/data/packages/{name}.mlpackage"))
}

/// Makes a sample of float tensors, each of two rows of three.
fn sample(tensors: &[(&str, [f32; 6])]) -> Sample {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(_, values)| values.map(f32::to_le_bytes).concat()).collect();
    let views = tensors.iter().zip(&bytes).map(|((key, _), bytes)| (*key, view(bytes)));
    Sample::from_bytes("0.safetensors", &safetensors::serialize(views, None).unwrap()).unwrap()
}

/// Two rows of three floats.
fn view(bytes: &[u8]) -> TensorView<'_> {
    TensorView::new(Dtype::F32, vec![2, 3], bytes).unwrap()
}

/// The tensors of two steps of the package `state`, which adds `x` to its state and returns twice
/// the sum.
const STEPS: [(&str, [f32; 6]); 5] = [
    ("step0/in/x", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    ("step0/out/y", [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]),
    ("step1/in/x", [0.5; 6]),
    ("step1/out/y", [3.0, 5.0, 7.0, 9.0, 11.0, 13.0]),
    ("final_state/total", [1.5, 2.5, 3.5, 4.5, 5.5, 6.5]),
];

#[test]
fn steps_share_their_states_and_samples_do_not() {
    let samples = [sample(&STEPS), sample(&STEPS)];
    let report = verify(&package("state"), None, &LoadOptions::new(), &samples, None).unwrap();
    assert!(report.passed(), "{report}");
    assert_eq!(report.tolerance, Tolerance::Psnr(35.0), "what half precision allows");
    let rows: Vec<_> =
        report.comparisons.iter().map(|row| (row.stage, row.output.as_str())).collect();
    let once = [(Stage::Step(0), "y"), (Stage::Step(1), "y"), (Stage::Final, "total")];
    assert_eq!(rows, [once, once].concat());
    assert_eq!(report.remarks, [""; 0], "halves are exact in float16");
    assert!(report.to_string().contains("0.safetensors final state  total"), "{report}");
}

#[test]
fn a_wrong_step_or_state_fails() {
    for wrong in [1, 3, 4] {
        let mut tensors = STEPS;
        tensors[wrong].1[5] += 4.0;
        let report =
            verify(&package("state"), None, &LoadOptions::new(), &[sample(&tensors)], None)
                .unwrap();
        let failed: Vec<&str> = report
            .comparisons
            .iter()
            .filter(|row| !row.passed)
            .map(|row| row.output.as_str())
            .collect();
        assert_eq!(failed, [if wrong == 4 { "total" } else { "y" }], "{report}");
    }
}

#[test]
fn the_first_operation_that_differs_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let copied = folder.path().join("state.mlpackage");
    copy(&package("state"), &copied);
    let values = coreml_spec::Package::open(&copied).unwrap().intermediate_values("main").unwrap();
    let kinds: Vec<&str> = values.iter().map(|value| value.operation.as_str()).collect();
    assert_eq!(kinds, ["read_state", "add", "read_state", "mul"]);
    // What the second step gives.
    let right: [[f32; 6]; 4] = [
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        [1.5, 2.5, 3.5, 4.5, 5.5, 6.5],
        [1.5, 2.5, 3.5, 4.5, 5.5, 6.5],
        [3.0, 5.0, 7.0, 9.0, 11.0, 13.0],
    ];
    let text =
        |numbers: &[f32]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    // The report of a conversion, with an output in the sample that no backend agrees with.
    let departure = |right: &[[f32; 6]; 4], fed: [f32; 6]| {
        let given: serde_json::Map<_, _> = values
            .iter()
            .zip(right)
            .map(|(value, one)| (value.name.clone(), text(one).into()))
            .collect();
        let origin = serde_json::json!({ "module": "sum", "file": "net.py", "line": 7 });
        let report = serde_json::json!({
            "checkpoints": { "main": [
                { "inputs": { "x": text(&STEPS[0].1) }, "values": {} },
                { "inputs": { "x": text(&fed) }, "values": given },
            ] },
            "origins": { "main": { (values[1].name.as_str()): origin } },
        });
        std::fs::write(folder.path().join("state.report.json"), report.to_string()).unwrap();
        let mut tensors = STEPS;
        tensors[3].1[5] += 4.0;
        let sample = sample(&tensors);
        verify(&copied, None, &LoadOptions::new(), &[sample], None).unwrap().departure
    };
    assert_eq!(departure(&right, STEPS[2].1), None, "no operation differs from the report");
    for (number, kind) in kinds.iter().enumerate() {
        let mut wrong = right;
        for one in &mut wrong[number..] {
            one[4] -= 4.0;
        }
        let expected = f64::from(right[number][4]);
        let departure = departure(&wrong, STEPS[2].1).unwrap();
        assert_eq!(departure.operation, *kind);
        assert_eq!((&departure.value, departure.stage), (&values[number].name, Stage::Step(1)));
        assert_eq!((departure.position, departure.got), ((4, 6), expected));
        assert_eq!(departure.expected, expected - 4.0);
        let origin = departure.origin.map(|origin| origin.to_string());
        assert_eq!(origin.as_deref(), (number == 1).then_some("sum (net.py:7)"));
    }
    let mut wrong = right;
    wrong[0][0] = 9.0;
    assert_eq!(departure(&wrong, [0.25; 6]), None, "the report is about another sample");
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

#[test]
fn a_command_judges_all_samples_together() {
    let folder = tempfile::tempdir().unwrap();
    let judged = |command: &str, bound| {
        let metric =
            Metric { command: command.to_owned(), folder: folder.path().to_owned(), bound };
        let samples = [sample(&STEPS), sample(&STEPS)];
        verify_by(&package("state"), None, &LoadOptions::new(), &samples, None, Some(&metric))
            .unwrap()
    };
    let report = judged(
        "cp \"$COREML_COMPARISON\" seen && ls \"$COREML_PACKAGE\" && echo 3",
        Bound::AtMost(3.0),
    );
    assert!(report.passed(), "{report}");
    assert!(
        report.to_string().contains("\n  metric: 3, required at most 3  pass: cp "),
        "{report}"
    );
    let seen = std::fs::read(folder.path().join("seen")).unwrap();
    let seen = safetensors::SafeTensors::deserialize(&seen).unwrap();
    let mut names = seen.names();
    names.sort_unstable();
    let of_step = ["expected/y", "got/y", "in/x"];
    let keys = |sample: usize| {
        [0, 1].map(|step| of_step.map(|name| format!("{sample}/step{step}/{name}"))).concat()
    };
    assert_eq!(names, [keys(0), keys(1)].concat());
    let (expected, got) =
        (seen.tensor("1/step1/expected/y").unwrap(), seen.tensor("1/step1/got/y").unwrap());
    assert_eq!(expected.data()[..8], 3.0f64.to_le_bytes());
    assert_eq!((expected.shape(), expected.data()), (got.shape(), got.data()));
    // A figure beyond its bound fails, however close the outputs are.
    let report = judged("echo 3", Bound::AtMost(2.9));
    assert!(!report.passed() && report.comparisons.iter().all(|row| row.passed), "{report}");
    assert!(!judged("exit 1", Bound::AtMost(2.9)).passed());
}

#[test]
fn one_step_of_a_stateful_model_needs_no_number() {
    let tensors = [("in/x", [0.1; 6]), ("out/y", [0.2; 6]), ("final_state/total", [0.1; 6])];
    let report =
        verify(&package("state"), None, &LoadOptions::new(), &[sample(&tensors)], None).unwrap();
    assert!(report.passed(), "{report}");
    assert_eq!(report.comparisons[0].stage, Stage::Only);
    let rounded = "0.safetensors: in/x is F32 and was rounded to the model's float16";
    assert_eq!(report.remarks, [rounded]);
    assert!(report.to_string().ends_with(&format!("note: {rounded}")), "{report}");
    let Verdict::Tensor(figures) = report.comparisons[0].verdict else { unreachable!() };
    let error = f64::from(f16::from_f32(0.1).to_f32()) * 2.0 - f64::from(0.2f32);
    assert!((figures.max_abs - error.abs()).abs() < 1e-9, "{report}");
}

#[test]
fn what_a_sample_must_not_have_is_named() {
    let problem = |name: &str, tensors: &[(&str, [f32; 6])]| {
        let result = verify(&package(name), None, &LoadOptions::new(), &[sample(tensors)], None);
        result.unwrap_err().to_string()
    };
    let message = problem("state", &[STEPS[0], STEPS[1], ("final_state/sum", [0.0; 6])]);
    assert!(message.contains("the model has no state `sum`; it has total"), "{message}");
    let message = problem("state", &[STEPS[0], STEPS[2], STEPS[3]]);
    assert!(message.contains("it lacks `step0/out/y`"), "{message}");
    let message = problem("state", &[("in/x", [1e5; 6]), ("out/y", [0.0; 6])]);
    assert!(
        message.contains("`in/x` has 100000, which is beyond the input's type float16"),
        "{message}"
    );
}

#[test]
fn a_function_of_several_is_chosen_by_name() {
    let bytes = vec![0; 16 * 2];
    let zeros = vec![0; 32 * 2];
    let input = TensorView::new(Dtype::F16, vec![1, 16], &bytes).unwrap();
    let output = TensorView::new(Dtype::F16, vec![1, 32], &zeros).unwrap();
    let bytes = safetensors::serialize([("in/x", input), ("out/y", output)], None).unwrap();
    let sample = Sample::from_bytes("0.safetensors", &bytes).unwrap();
    let verify = |function| {
        verify(
            &package("multifunction"),
            function,
            &LoadOptions::new(),
            std::slice::from_ref(&sample),
            None,
        )
    };
    let report = verify(Some("one")).unwrap();
    assert_eq!((report.model.as_str(), report.comparisons.len()), ("multifunction/one", 1));
    let message = verify(None).unwrap_err().to_string();
    assert!(message.contains("[4, 16]"), "the default function takes four rows: {message}");
    let error = verify(Some("two")).unwrap_err();
    assert!(matches!(error, Error::Options { .. }));
    assert!(
        error.to_string().ends_with("the package has no function `two`; it has one, four"),
        "{error}"
    );
}

#[test]
fn options_that_this_build_or_engine_lacks_are_named() {
    let load =
        |options: &LoadOptions| verify(&package("state"), None, options, &[sample(&STEPS)], None);
    let error = load(&LoadOptions::new().engine(Engine::Rten).round_to_half(true)).unwrap_err();
    assert!(matches!(error, Error::Options { .. }));
    assert!(error.to_string().contains("rten has no half precision"), "{error}");
    if !cfg!(feature = "onnxruntime") {
        let error = load(&LoadOptions::new().engine(Engine::OnnxRuntime)).unwrap_err();
        assert!(error.to_string().contains("built without the engine ONNX Runtime"), "{error}");
    }
}

#[cfg(feature = "onnxruntime")]
#[coreml_test_needs::needs(onnxruntime)]
#[test]
fn onnx_runtime_agrees() {
    for round in [false, true] {
        let options =
            LoadOptions::new().engine(Engine::OnnxRuntime).round_to_half(round).threads(1);
        let report = verify(&package("state"), None, &options, &[sample(&STEPS)], None).unwrap();
        assert!(report.passed() && report.backend.contains("ONNX Runtime"), "{report}");
    }
}

#[test]
fn images_are_fed_as_numbers() {
    let pixels: Vec<u8> =
        (0..3 * 6 * 8).map(|value| value as f32).flat_map(f32::to_le_bytes).collect();
    let input = TensorView::new(Dtype::F32, vec![1, 3, 8, 6], &pixels).unwrap();
    let bytes = safetensors::serialize([("in/x", input)], None).unwrap();
    let sample = Sample::from_bytes("0.safetensors", &bytes).unwrap();
    let message = verify(&package("image"), None, &LoadOptions::new(), &[sample], None)
        .unwrap_err()
        .to_string();
    assert!(message.contains("it lacks `out/y`"), "the image went in: {message}");
}

#[test]
fn half_precision_is_found_in_the_program() {
    let half =
        |path: &Path| coreml_spec::Package::open(path).unwrap().has_half_precision("main").unwrap();
    assert!(half(&package("state")) && half(&package("ranges")));
    let single =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/packages/encoder.mlpackage");
    assert!(!half(&single));
}
