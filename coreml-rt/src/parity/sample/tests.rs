//! What a sample's keys mean, and what is said about wrong ones.

use super::*;
use crate::buffer::Buffer;
use crate::parity::step::Step;
use coreml_spec::{DataType, FeatureKind, Shape};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// A sample of bytes, two at each key.
fn sample(keys: &[&str]) -> Result<Sample, Error> {
    let views =
        keys.iter().map(|key| (*key, TensorView::new(Dtype::U8, vec![2], &[1, 2]).unwrap()));
    Sample::from_bytes("0.safetensors", &safetensors::serialize(views, None).unwrap())
}

/// A feature of one dimension.
fn feature(name: &str, data_type: DataType, default: Option<f64>) -> Feature {
    let kind = FeatureKind::MultiArray { data_type, shape: Shape::fixed([2]) };
    Feature { name: name.to_owned(), description: String::new(), kind, default }
}

/// An error's message, behind the name of the sample.
fn message<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    let message = result.unwrap_err().to_string();
    message.strip_prefix("the parity sample 0.safetensors cannot be used: ").unwrap().to_owned()
}

#[test]
fn one_prediction_has_no_number() {
    let sample = sample(&["in/x", "out/y"]).unwrap();
    let steps: Vec<_> = Step::all(&sample).collect();
    let fed = steps[0].input(&feature("x", DataType::Int32, None)).unwrap().unwrap();
    assert_eq!((steps.len(), fed.dims, fed.buffer), (1, &[2][..], Buffer::Int32(vec![1, 2])));
    assert_eq!(steps[0].output("y", &[2]).unwrap(), [1.0, 2.0]);
    assert_eq!(sample.final_state("s", &[2]).unwrap(), None);
}

#[test]
fn steps_run_in_the_order_of_their_numbers() {
    let keys: Vec<String> = (0..11).map(|step| format!("step{step}/in/x")).collect();
    let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    keys.extend(["step10/out/y", "final_state/s"]);
    let sample = sample(&keys).unwrap();
    assert_eq!(Step::all(&sample).count(), 11);
    let last = Step::all(&sample).last().unwrap();
    assert_eq!(last.output("y", &[2]).unwrap(), [1.0, 2.0]);
    assert_eq!(sample.final_state("s", &[2]).unwrap(), Some(&[1.0, 2.0][..]));
    assert!(
        message(sample.final_state("s", &[3]))
            .contains("`final_state/s` has shape [2], but the model's output has [3]")
    );
    let first = Step::all(&sample).next().unwrap();
    assert!(
        message(first.output("y", &[2]))
            .starts_with("it lacks `step0/out/y`, which the model gives; it has ")
    );
}

#[test]
fn keys_without_a_meaning_are_refused() {
    for key in [
        "y",
        "step/in/x",
        "step01/in/x",
        "step-1/in/x",
        "step0/x",
        "step0/final_state/s",
        "input/x",
    ] {
        assert!(
            message(sample(&[key])).starts_with(&format!("its key `{key}` must be one of")),
            "{key}"
        );
    }
    assert_eq!(
        message(sample(&["in/x", "step0/out/y"])),
        "it has both `in/x` and keys of step 0; give every input and output a step, or none"
    );
    assert_eq!(message(sample(&["step0/in/x", "step2/in/x"])), "it has 2 steps, but no step 1");
    assert!(
        Sample::from_bytes("x", b"no").unwrap_err().to_string().contains("not a safetensors file")
    );
    assert!(
        Sample::read(Path::new("/no/such/file")).unwrap_err().to_string().contains("/no/such/file")
    );
}

#[test]
fn what_does_not_fit_the_model_is_named() {
    let sample = sample(&["in/x", "out/y", "final_state/s"]).unwrap();
    let step = Step::all(&sample).next().unwrap();
    let missing = feature("z", DataType::Int32, None);
    assert!(
        message(step.input(&missing))
            .contains("it lacks `in/z`, which the model needs; it has final_state/s, in/x")
    );
    assert_eq!(step.input(&feature("z", DataType::Int32, Some(0.0))).unwrap(), None);
    let (x, y) = (feature("x", DataType::Int32, None), feature("y", DataType::Int32, None));
    let (x, y) = (std::slice::from_ref(&x), std::slice::from_ref(&y));
    assert!(step.refuse_unknown(x, y).is_ok());
    assert_eq!(
        message(step.refuse_unknown(y, y)),
        "it has `in/x`, but the model has no input `x`; it has y"
    );
    assert_eq!(
        message(step.refuse_unknown(x, x)),
        "it has `out/y`, but the model has no output `y`; it has x"
    );
    let problem = message(sample.refuse_unknown_states(&[]));
    assert_eq!(problem, "it has `final_state/s`, but the model has no state `s`; it has none");
    assert!(
        message(step.output("y", &[3]))
            .contains("`out/y` has shape [2], but the model's output has [3]")
    );
    assert!(message(step.label("y")).contains("`out/y` must hold one number"));
    assert!(message(step.output("w", &[3])).contains("lacks `out/w`"));
}
