//! How models are loaded: hints, gates, memory, and systems without them.

use super::double::*;
use super::fixture::{data, description};
use super::{encode, load};
use coreml_rt::private::{Description, Model};
use coreml_rt::{
    ComputeUnits, CoreMlError, Error, LoadOptions, ReshapeFrequency, SpecializationStrategy,
};

/// Loads `encoder`.
fn encoder(options: &LoadOptions) -> Result<Model, Error> {
    Model::load(&description("encoder"), options)
}

/// Fails with a system that is too old.
fn assert_needs(result: Result<Model, Error>, system: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert!(
        matches!(cause(&error), CoreMlError::Unavailable { since, .. } if since.contains(system)),
        "{error}"
    );
}

#[test]
fn hints_reach_core_ml() {
    let double = Double::take();
    encoder(&LoadOptions::new()).unwrap();
    assert_eq!(
        (double_last_strategy(), double_last_frequency(), double_last_low_precision()),
        (-1, -1, 0)
    );
    let options =
        LoadOptions::new().specialization_strategy(SpecializationStrategy::FastPrediction);
    encoder(&options.clone().reshape_frequency(ReshapeFrequency::Infrequent)).unwrap();
    assert_eq!((double_last_strategy(), double_last_frequency()), (1, 1));
    encoder(
        &LoadOptions::new()
            .reshape_frequency(ReshapeFrequency::Frequent)
            .low_precision_accumulation(true),
    )
    .unwrap();
    assert_eq!(
        (double_last_strategy(), double_last_frequency(), double_last_low_precision()),
        (0, 0, 1)
    );

    double_old_system(2);
    assert_needs(encoder(&options), "macOS 15");
    encoder(&LoadOptions::new().reshape_frequency(ReshapeFrequency::Infrequent)).unwrap();
    double_old_system(1);
    assert_needs(
        encoder(&LoadOptions::new().reshape_frequency(ReshapeFrequency::Infrequent)),
        "macOS 14.4",
    );
    double.assert_nothing_leaks();
}

#[test]
fn the_neural_engine_alone_needs_a_system() {
    // A program asks for the version of its system once: another system takes another program.
    let mut program = std::process::Command::new(std::env::current_exe().unwrap());
    program
        .args(["--exact", "options::on_macos_12", "--ignored"])
        .env("COREML_DOUBLE_MACOS", "12.6");
    let output = program.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
}

#[test]
#[ignore = "started by the test above, on a system of its own"]
fn on_macos_12() {
    let double = Double::take();
    assert_needs(
        encoder(&LoadOptions::new().compute_units(ComputeUnits::CpuAndNeuralEngine)),
        "macOS 13",
    );
    encoder(&LoadOptions::new().compute_units(ComputeUnits::CpuAndGpu)).unwrap();
    double.assert_nothing_leaks();
}

#[test]
fn models_that_wait_predict_one_at_a_time() {
    let double = Double::take();
    for (options, alone) in
        [(LoadOptions::new(), false), (LoadOptions::new().one_model_at_a_time(true), true)]
    {
        let models: Vec<Model> = (0..4).map(|_| encoder(&options).unwrap()).collect();
        double_reset_most();
        std::thread::scope(|scope| {
            for model in &models {
                scope.spawn(move || (0..50).for_each(|_| drop(encode(model, 1.0).unwrap())));
            }
        });
        assert_eq!(
            double_most_predicting() == 1,
            alone,
            "{} predicted at a time",
            double_most_predicting()
        );
    }
    double.assert_nothing_leaks();
}

#[test]
fn a_model_is_loaded_from_memory() {
    /// The files of `encoder`, as the linker would bring them.
    fn embedded() -> coreml_rt::private::EmbeddedFiles {
        [
            "Manifest.json",
            "Data/com.apple.CoreML/model.mlmodel",
            "Data/com.apple.CoreML/weights/weight.bin",
        ]
        .map(|name| {
            (name, &*Vec::leak(std::fs::read(data("encoder.mlpackage").join(name)).unwrap()))
        })
        .to_vec()
    }
    let double = Double::take();
    let expected = encode(&load("encoder"), 1.0).unwrap();
    let options = LoadOptions::new().in_memory(true);
    let program = Description { embedded: Some(embedded), ..description("encoder") };
    let compilations = double_compilations();
    for description in [&program, &description("encoder")] {
        let model = Model::load(description, &options).unwrap();
        assert_eq!(encode(&model, 1.0).unwrap(), expected);
    }
    assert_eq!(double_compilations(), compilations, "nothing was compiled");

    double.fail(Fail::Load);
    let error = Model::load(&program, &options).unwrap_err();
    assert!(matches!(cause(&error), CoreMlError::Framework { code: 3, .. }), "{error}");
    double.fail(Fail::Silent);
    let error = Model::load(&program, &options).unwrap_err();
    assert!(error.to_string().contains("without an answer"), "{error}");
    double.fail(Fail::Nothing);
    double_old_system(2);
    assert_needs(Model::load(&program, &options), "macOS 15");
    // One without weights needs less.
    Model::load(&description("wide"), &options).unwrap();
    double_old_system(1);
    assert_needs(Model::load(&description("wide"), &options), "macOS 13");
    double.assert_nothing_leaks();
}

#[test]
fn prewarming_runs_every_kind_of_model() {
    let double = Double::take();
    for name in ["encoder", "mix", "memory", "photo", "text", "pets"] {
        load(name).prewarm().unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    double.assert_nothing_leaks();
}
