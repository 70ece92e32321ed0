//! Models with buckets, from loading to parity, as generated code uses them: padding, masks,
//! trimming, lazy loading.

#![allow(clippy::unwrap_used, reason = "this file is tests")]

mod fixture;

use coreml_rt::parity::{Sample, verify};
use coreml_rt::private::{
    BucketedModel, Description, InputSlot, OutputSlot, Outputs, parity_test_of_buckets,
};
use coreml_rt::{Error, Fixed, LoadOptions, Range, ShapeError, Tensor, TensorView, Tolerance, f16};
use fixture::{copy, data, description};

/// The lengths of `letters`.
type Length = Range<2, 8>;

/// The output of `letters`, as the macro would generate it.
#[derive(Clone, Debug, PartialEq)]
struct Output {
    scaled: Tensor<f32, (Fixed<1>, Length)>,
    products: Tensor<f32, (Length, Length)>,
    mean: Tensor<f32, (Fixed<1>,)>,
}

impl Output {
    /// Something to predict into.
    fn zeros() -> Self {
        Self { scaled: Tensor::smallest(), products: Tensor::smallest(), mean: Tensor::zeros() }
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::zeros()
    }
}

impl Outputs for Output {
    fn slots(&mut self, with: &mut dyn FnMut(&mut [&mut dyn OutputSlot])) {
        with(&mut [&mut self.scaled, &mut self.products, &mut self.mean]);
    }
}

/// What `letters` takes.
struct Input {
    ids: Tensor<i32, (Fixed<1>, Range<0, 99>)>,
    rows: Tensor<f32, (Range<0, 99>, Fixed<2>)>,
}

impl Input {
    /// Returns 1, 2, 3, … as ids.
    fn of(length: usize) -> Self {
        let (ids, rows) =
            ((1..).take(length).collect(), (0..2 * length).map(|number| number as f32).collect());
        Self {
            ids: Tensor::from_vec_with_dims(ids, [1, length]).unwrap(),
            rows: Tensor::from_vec_with_dims(rows, [length, 2]).unwrap(),
        }
    }
}

/// Buckets as functions of one package, which is called `name` in the folder `built`.
fn in_one_package(built: &'static str) -> &'static [(usize, Description)] {
    let one = |function| Description { function: Some(function), built, ..description("letters") };
    Vec::leak(vec![(4, one("bucket_4")), (8, one("bucket_8"))])
}

/// Buckets as packages of their own.
fn in_packages() -> &'static [(usize, Description)] {
    Vec::leak(vec![(4, description("letters_4")), (8, description("letters_8"))])
}

/// Returns the path of the package with both buckets.
fn package() -> &'static str {
    String::leak(data("letters.mlpackage").to_str().unwrap().to_owned())
}

/// Loads both forms of the model.
fn both() -> [BucketedModel; 2] {
    [in_one_package(package()), in_packages()]
        .map(|buckets| BucketedModel::load(buckets, &LoadOptions::new()).unwrap())
}

/// Predicts with 1, 2, 3, … as ids.
fn predict(
    model: &BucketedModel,
    length: usize,
    scale: Option<f32>,
    output: &mut Output,
) -> Result<(), Error> {
    let ids: Vec<i32> = (1..).take(length).collect();
    let rows: Vec<f32> = (0..2 * length).map(|number| number as f32).collect();
    let ids = TensorView::<i32, (Fixed<1>, Range<0, 99>)>::from_slice_with_dims(&ids, [1, length])
        .unwrap();
    let rows =
        TensorView::<f32, (Range<0, 99>, Fixed<2>)>::from_slice_with_dims(&rows, [length, 2])
            .unwrap();
    let scale = scale.map(|scale| [scale]);
    let scale: Option<TensorView<'_, f32, (Fixed<1>,)>> = scale.as_ref().map(Into::into);
    model.predict(
        [&ids, &rows, &scale],
        &mut [&mut output.scaled, &mut output.products, &mut output.mean],
    )
}

#[test]
fn every_length_gives_what_it_would_alone() {
    for model in both() {
        let mut output = Output::zeros();
        // Up and down, so that memory of both sizes is used again.
        for length in [2, 3, 4, 5, 8, 6, 7, 3, 8, 2] {
            predict(&model, length, Some(0.5), &mut output).unwrap();
            assert_eq!(output.scaled.dims(), [1, length]);
            assert!(
                output
                    .scaled
                    .as_slice()
                    .iter()
                    .zip(1..)
                    .all(|(scaled, id)| *scaled == 0.5 * id as f32)
            );
            assert_eq!(output.products.dims(), [length, length]);
            let row = |at: usize| [2.0 * at as f32, 2.0 * at as f32 + 1.0];
            for (at, product) in output.products.as_slice().iter().enumerate() {
                let (one, other) = (row(at / length), row(at % length));
                assert_eq!(*product, one[0] * other[0] + one[1] * other[1], "{length}: {at}");
            }
            // Padded with 3 and without a mask it would be another.
            assert_eq!(output.mean.as_slice(), [(length + 1) as f32 / 2.0], "{length}");
        }
    }
}

#[test]
fn what_is_awaited_and_batches_are_what_a_prediction_gives() {
    for buckets in [in_one_package(package()), in_packages()] {
        let model =
            BucketedModel::load_async(buckets, LoadOptions::new(), |model| model).wait().unwrap();
        assert!(model.is_loaded(0) && !model.is_loaded(1));
        let lengths = [3, 8, 2, 4, 5, 8, 4];
        let inputs: Vec<Input> = lengths.into_iter().map(Input::of).collect();
        let scale = Some(TensorView::<f32, (Fixed<1>,)>::from(&[0.5]));
        let views: Vec<_> =
            inputs.iter().map(|input| (input.ids.view(), input.rows.view())).collect();
        let slots = || views.iter().map(|(ids, rows)| [ids as &dyn InputSlot, rows, &scale]);
        // Outputs are used again, whatever their length was.
        let mut again = Output::zeros();
        predict(&model, 8, None, &mut again).unwrap();
        let started: Vec<_> =
            slots().map(|slots| model.predict_async(slots, again.clone())).collect();
        let batch: Vec<Output> = model.predict_batch(slots()).unwrap();
        assert_eq!(batch.len(), lengths.len());
        for ((length, completion), from_batch) in lengths.into_iter().zip(started).zip(batch) {
            let mut expected = Output::zeros();
            predict(&model, length, Some(0.5), &mut expected).unwrap();
            assert_eq!(completion.wait().unwrap(), expected, "{length}");
            assert_eq!(from_batch, expected, "{length}");
        }
        assert!(model.predict_batch::<3, Output>([]).unwrap().is_empty());
        // A length that no bucket takes is an error of the future, and of the whole batch.
        let long = Input::of(9);
        let slots: [&dyn InputSlot; 3] = [&long.ids.view(), &long.rows.view(), &scale];
        let error = model.predict_async(slots, Output::zeros()).wait().unwrap_err();
        assert!(matches!(error, Error::Shape(ShapeError::NoBucket { length: 9, .. })), "{error}");
        let error = model.predict_batch::<3, Output>([slots]).unwrap_err();
        assert!(matches!(error, Error::Shape(ShapeError::NoBucket { .. })), "{error}");
    }
    let missing = LoadOptions::new().path("/nowhere");
    let error =
        BucketedModel::load_async(in_packages(), missing, |model| model).wait().unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
fn an_input_that_is_left_out_has_its_default_in_every_bucket() {
    for model in both() {
        for length in [3, 8] {
            let mut output = Output::zeros();
            predict(&model, length, None, &mut output).unwrap();
            assert_eq!(output.scaled.get([0, 2]), Some(&6.0));
        }
    }
}

#[test]
fn a_bucket_is_loaded_when_it_is_first_needed() {
    for model in both() {
        assert!(model.is_loaded(0) && !model.is_loaded(1), "{model:?}");
        assert!(format!("{model:?}").contains("loaded [4]"), "{model:?}");
        let mut output = Output::zeros();
        predict(&model, 4, None, &mut output).unwrap();
        assert!(!model.is_loaded(1));
        predict(&model, 5, None, &mut output).unwrap();
        assert!(model.is_loaded(1) && !model.is_loaded(2));
    }
    let [model, _] = both();
    model.load_bucket(1).unwrap();
    assert!(model.is_loaded(1));
    assert!(model.load_bucket(2).unwrap_err().to_string().contains("no such bucket"));
}

#[test]
fn a_length_that_no_bucket_takes_is_a_typed_error() {
    let [model, _] = both();
    let mut output = Output::zeros();
    let error = predict(&model, 9, None, &mut output).unwrap_err();
    let expected = ShapeError::NoBucket { length: 9, min: 2, sizes: vec![4, 8] };
    assert!(matches!(&error, Error::Shape(error) if *error == expected), "{error}");
    assert_eq!(
        error.to_string(),
        "a length of 9 fits no bucket: the model takes 2 to 8, in buckets of 4, 8"
    );
    assert!(matches!(
        predict(&model, 1, None, &mut output),
        Err(Error::Shape(ShapeError::NoBucket { length: 1, .. }))
    ));
}

#[test]
fn inputs_of_different_lengths_are_a_typed_error() {
    let [model, _] = both();
    let ids = Tensor::<i32, (Fixed<1>, Fixed<3>)>::zeros();
    let rows = Tensor::<f32, (Fixed<4>, Fixed<2>)>::zeros();
    let scale = Tensor::<f32, (Fixed<1>,)>::zeros();
    let mut output = Output::zeros();
    let error = model
        .predict(
            [&ids.view(), &rows.view(), &scale.view()],
            &mut [&mut output.scaled, &mut output.products, &mut output.mean],
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the inputs must have the same length: `ids` has 3, `rows` has 4"
    );
}

#[test]
fn threads_share_a_model_and_load_each_bucket_once() {
    /// Fails to compile when a type cannot cross threads.
    fn assert_shareable<T: Send + Sync + 'static>() {}
    assert_shareable::<BucketedModel>();

    let [model, _] = both();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let model = &model;
            scope.spawn(move || {
                let mut output = Output::zeros();
                for round in 0..20 {
                    let length = 2 + (thread + round) % 7;
                    predict(model, length, Some(1.0), &mut output).unwrap();
                    assert_eq!(output.scaled.as_slice().len(), length);
                    assert_eq!(output.mean.as_slice(), [(length + 1) as f32 / 2.0]);
                }
            });
        }
    });
}

#[test]
fn all_packages_must_be_there_at_the_start() {
    let missing =
        Description { built: "/nowhere", package: "none.mlpackage", ..description("letters_8") };
    let buckets = Vec::leak(vec![(4, description("letters_4")), (8, missing)]);
    let error = BucketedModel::load(buckets, &LoadOptions::new()).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    let both = "put letters_4.mlpackage, none.mlpackage beside the executable (`cargo coreml \
                bundle test.toml --beside PROGRAM` does)";
    assert!(error.to_string().contains(both), "{error}");
}

#[test]
fn one_compiled_model_is_not_taken_for_buckets_of_several_packages() {
    let folder = tempfile::tempdir().unwrap();
    let compiled = folder.path().join("any.mlmodelc");
    std::fs::create_dir(&compiled).unwrap();
    let error =
        BucketedModel::load(in_packages(), &LoadOptions::new().path(&compiled)).unwrap_err();
    assert!(matches!(error, Error::Options { .. }), "{error}");
    assert!(
        error.to_string().ends_with("can be only one of them: give the folder that holds them all"),
        "{error}"
    );
}

#[test]
fn a_package_that_pads_otherwise_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("letters.mlpackage");
    copy(&data("letters.mlpackage"), &other);
    let file = other.join("Data/com.apple.CoreML/model.mlmodel");
    let bytes = std::fs::read(&file).unwrap();
    let (from, to) = (b"\"value\": 3}", b"\"value\": 4}");
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    let changed = [&bytes[..at], to, &bytes[at + to.len()..]].concat();
    std::fs::write(&file, changed).unwrap();
    let options = LoadOptions::new().path(other);
    let error = BucketedModel::load(in_one_package(package()), &options).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("padded: ids with 3, rows with -1.5") && message.contains("ids with 4"),
        "{message}"
    );
}

/// Returns the sample of a length.
fn sample(length: usize) -> Sample {
    fixture::sample(&format!("letters.{length}"))
}

#[test]
fn samples_without_padding_decide_parity() {
    let tolerance = Tolerance::Absolute { atol: 1e-6, rtol: 1e-6 };
    let samples = [3, 4, 7].map(sample);
    let report =
        verify(&data("letters.mlpackage"), None, &LoadOptions::new(), &samples, Some(tolerance))
            .unwrap();
    assert!(report.passed() && report.comparisons.len() == 9, "{report}");
    let report =
        verify(&data("letters_8.mlpackage"), None, &LoadOptions::new(), &samples, None).unwrap();
    assert!(report.passed(), "{report}");
    let error = verify(&data("letters_4.mlpackage"), None, &LoadOptions::new(), &samples, None)
        .unwrap_err();
    assert!(error.to_string().contains("a length of 7 fits no bucket"), "{error}");
    // A function by its name is fed as it is, mask and padding included.
    let error =
        verify(&data("letters.mlpackage"), Some("bucket_8"), &LoadOptions::new(), &samples, None)
            .unwrap_err();
    assert!(error.to_string().contains("shape"), "{error}");
    for buckets in [in_one_package(package()), in_packages()] {
        let files = [3, 4, 7].map(|length| {
            data(&format!("letters.{length}.safetensors")).to_str().unwrap().to_owned()
        });
        let files = files.each_ref().map(String::as_str);
        assert!(parity_test_of_buckets("letters", buckets, &files, tolerance, None));
        assert!(
            !parity_test_of_buckets("letters", buckets, &[], tolerance, None),
            "no sample proves nothing"
        );
    }
}

#[test]
fn a_sample_with_padding_in_its_mask_is_an_error() {
    let bytes = std::fs::read(data("letters.3.safetensors")).unwrap();
    let ones = [f16::ONE.to_le_bytes(); 3].concat();
    let at = bytes.windows(ones.len()).rposition(|window| window == ones).unwrap();
    let mut padded = bytes.clone();
    padded[at + 4..at + 6].copy_from_slice(&f16::ZERO.to_le_bytes());
    let sample = Sample::from_bytes("0.safetensors", &padded).unwrap();
    let error =
        verify(&data("letters.mlpackage"), None, &LoadOptions::new(), &[sample], None).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`in/mask` is the mask of the buckets, and has values other than 1"),
        "{error}"
    );
}
