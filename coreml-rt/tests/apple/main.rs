//! The Core ML backend on the double of `double/`: what the public API cannot show.
//!
//! Owns: memory, threads, errors and old systems. `predict.rs` tests what models compute, on this
//! backend as on any other.
//! Flow: `tools/apple-double` builds and runs both; without it this file is empty.
#![allow(unexpected_cfgs, reason = "`coreml_double` is set by tools/apple-double")]
#![cfg(coreml_double)]
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    reason = "this file is tests, and steers a library in C"
)]

mod asynchronous;
mod double;
#[path = "../fixture/mod.rs"]
mod fixture;
mod frames;
mod memory;
mod options;
mod plan;
mod shipped;

use coreml_rt::private::{Description, Model};
use coreml_rt::{
    ComputeUnits, CoreMlError, Error, Fixed, Image, ImageView, LoadOptions, Rgb, Tensor, f16,
};
use double::*;
use fixture::{data, description};

/// Loads a model of the test data.
fn load(name: &str) -> Model {
    Model::load(&description(name), &LoadOptions::new()).unwrap()
}

/// Runs `encoder` once.
fn encode(encoder: &Model, seed: f32) -> Result<Tensor<f32, (Fixed<1>, Fixed<3>)>, Error> {
    let image =
        Tensor::<f32, (Fixed<2>, Fixed<4>)>::from_fn(|[row, column]| seed * (row + column) as f32);
    let mut code = Tensor::zeros();
    encoder.predict([&image.view()], &mut [&mut code])?;
    Ok(code)
}

#[test]
fn loading_and_predicting_leaves_nothing_behind() {
    let double = Double::take();
    {
        let (encoder, mix) = (load("encoder"), load("mix"));
        assert_eq!(encoder.backend(), "Core ML");
        for seed in 0..20 {
            encode(&encoder, seed as f32).unwrap();
            let half = Tensor::<f32, (Fixed<2>, Fixed<3>)>::zeros().convert::<f16>();
            let ids = Tensor::from([1, 2, 3, 4]);
            let scale = Tensor::from([0.5f32]);
            let mut scaled = Tensor::<f16, (Fixed<2>, Fixed<3>)>::zeros();
            let mut doubled = Tensor::<i32, (Fixed<4>,)>::zeros();
            let mut sums = Tensor::<f32, (Fixed<2>,)>::zeros();
            mix.predict(
                [&half.view(), &ids.view(), &scale.view()],
                &mut [&mut scaled, &mut doubled, &mut sums],
            )
            .unwrap();
            assert_eq!(doubled.as_slice(), [2, 4, 6, 8]);
        }
        settle();
        // Two models; of a prediction nothing may be left, not even before its thread ends.
        assert_eq!(double_live() - double.live, 2);
    }
    double.assert_nothing_leaks();
}

#[test]
fn states_leave_nothing_behind() {
    let double = Double::take();
    {
        let memory = load("memory");
        let numbers = Tensor::<f16, (Fixed<2>, Fixed<3>)>::zeros();
        let mut mean = Tensor::<f16, (Fixed<2>, Fixed<3>)>::zeros();
        let mut state = memory.new_state().unwrap();
        for _ in 0..20 {
            memory.predict_with_state(&mut state, [&numbers.view()], &mut [&mut mean]).unwrap();
            state.get::<f16, (Fixed<1>,)>(1).unwrap();
            state.set(0, numbers.view()).unwrap();
        }
        // The double raises an exception for a name that it does not know, and knows no third
        // state.
        assert!(state.get::<f16, (Fixed<1>,)>(2).is_err());
        let error = state.set::<f16, (Fixed<2>,)>(1, Tensor::zeros().view()).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        settle();
        // The model, the state, and its two arrays.
        assert_eq!(double_live() - double.live, 4);
        // A state may be dropped on another thread, and after its model.
        drop(memory);
        std::thread::spawn(move || drop(state)).join().unwrap();
    }
    double.assert_nothing_leaks();
}

#[test]
fn states_as_inputs_and_outputs_leave_nothing_behind_and_need_no_new_system() {
    let double = Double::take();
    {
        double_old_system(1);
        let memory = load("memory_io");
        let numbers = Tensor::<f16, (Fixed<2>, Fixed<3>)>::from_fn(|[row, column]| {
            f16::from_f32((row + column) as f32)
        });
        let mut mean = Tensor::<f16, (Fixed<2>, Fixed<3>)>::zeros();
        let mut state = memory.new_state().unwrap();
        for _ in 0..20 {
            memory.predict_with_state(&mut state, [&numbers.view()], &mut [&mut mean]).unwrap();
            state.set(0, numbers.view()).unwrap();
        }
        assert_eq!(state.get::<f16, (Fixed<1>,)>(1).unwrap().as_slice(), [f16::from_f32(20.0)]);
        // What fails leaves the states as they were.
        double.fail(Fail::MissingOutput);
        assert!(
            memory.predict_with_state(&mut state, [&numbers.view()], &mut [&mut mean]).is_err()
        );
        double.fail(Fail::Nothing);
        assert_eq!(state.get::<f16, (Fixed<1>,)>(1).unwrap().as_slice(), [f16::from_f32(20.0)]);
        assert!(state.get::<f16, (Fixed<1>,)>(2).is_err());
        let error = state.set::<f16, (Fixed<2>,)>(1, Tensor::zeros().view()).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        settle();
        // The model, and the arrays of the two states.
        assert_eq!(double_live() - double.live, 3);
        drop(memory);
        std::thread::spawn(move || drop(state)).join().unwrap();
    }
    assert_eq!(double_late_changes(), 0, "an array was changed that Core ML may still read");
    double.assert_nothing_leaks();
}

#[test]
fn states_on_an_old_system_are_an_error_that_names_the_system() {
    let double = Double::take();
    {
        let memory = load("memory");
        double_old_system(1);
        let error = memory.new_state().unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains("macOS 15 or iOS 18"), "{error}");
    }
    double.assert_nothing_leaks();
}

#[test]
fn images_leave_nothing_behind_and_nothing_locked() {
    let double = Double::take();
    {
        let (photo, surfaces) = (load("photo"), double_surfaces());
        let bytes = [7; 24];
        let picture = ImageView::<Rgb, Fixed<4>, Fixed<2>>::from_rgb8(&bytes, 4, 2).unwrap();
        let mut negative = Image::<Rgb, Fixed<4>, Fixed<2>>::black();
        let mut brightness = Tensor::<f32, (Fixed<1>, Fixed<3>)>::zeros();
        for _ in 0..20 {
            photo.predict([&picture], &mut [&mut negative, &mut brightness]).unwrap();
        }
        assert_eq!(double_surfaces() - surfaces, 20, "every picture is in IOSurface memory");
        assert_eq!(negative.pixel(3, 1), Some(&[248, 248, 248][..]));
        // An image of the wrong colors is refused by the types; one of the wrong size by the
        // double.
        let mut wrong = Image::<Rgb, Fixed<5>, Fixed<2>>::black();
        let error = photo.predict([&picture], &mut [&mut wrong, &mut brightness]).unwrap_err();
        assert!(error.to_string().contains("4x2 pixels"), "{error}");
        settle();
        assert_eq!(double_live() - double.live, 1);
    }
    double.assert_nothing_leaks();
}

#[test]
fn a_package_is_compiled_once() {
    let double = Double::take();
    let folder = tempfile::tempdir().unwrap();
    fixture::copy(&data("decoder.mlpackage"), &folder.path().join("decoder.mlpackage"));
    load("decoder");
    let (compilations, loads) = (double_compilations(), double_loads());
    load("decoder");
    // The same content in another place is the same model.
    Model::load(&description("decoder"), &LoadOptions::new().path(folder.path())).unwrap();
    assert_eq!((double_compilations(), double_loads()), (compilations, loads + 2));
    double.assert_nothing_leaks();
}

#[test]
fn compute_units_are_those_of_the_options_or_of_the_manifest() {
    let _double = Double::take();
    // The numbers of MLComputeUnits.
    let units = [
        (ComputeUnits::CpuOnly, 0),
        (ComputeUnits::CpuAndGpu, 1),
        (ComputeUnits::All, 2),
        (ComputeUnits::CpuAndNeuralEngine, 3),
    ];
    for (units, number) in units {
        Model::load(&description("pets"), &LoadOptions::new().compute_units(units)).unwrap();
        assert_eq!(double_last_units(), number, "{units:?}");
        let manifest = Description { compute_units: units, ..description("pets") };
        Model::load(&manifest, &LoadOptions::new()).unwrap();
        assert_eq!(double_last_units(), number, "{units:?} in the manifest");
    }
}

#[test]
fn inputs_may_be_read_after_the_prediction() {
    let double = Double::take();
    let encoder = load("encoder");
    let mut image = Tensor::<f32, (Fixed<2>, Fixed<4>)>::zeros();
    let mut code = Tensor::<f32, (Fixed<1>, Fixed<3>)>::zeros();
    for round in 0..10 {
        image.as_mut_slice().fill(round as f32);
        encoder.predict([&image.view()], &mut [&mut code]).unwrap();
        image.as_mut_slice().fill(f32::NAN);
    }
    drop(image);
    settle();
    assert_eq!(double_late_changes(), 0);
    drop(encoder);
    double.assert_nothing_leaks();
}

#[test]
fn a_model_is_used_by_one_thread_at_a_time() {
    let double = Double::take();
    {
        let encoder = load("encoder");
        let alone: Vec<_> = (0..8).map(|seed| encode(&encoder, seed as f32).unwrap()).collect();
        std::thread::scope(|scope| {
            for (seed, expected) in alone.iter().enumerate() {
                let encoder = &encoder;
                scope.spawn(move || {
                    (0..50)
                        .for_each(|_| assert_eq!(&encode(encoder, seed as f32).unwrap(), expected))
                });
            }
        });
        assert_eq!(double_overlaps(), 0);
        // A model that is loaded here may be used and dropped there.
        std::thread::spawn(move || encode(&encoder, 1.0).unwrap()).join().unwrap();
    }
    double.assert_nothing_leaks();
}

#[test]
fn errors_of_the_framework_are_typed() {
    let double = Double::take();
    {
        let encoder = load("encoder");
        double.fail(Fail::Error);
        let error = encode(&encoder, 1.0).unwrap_err();
        assert!(matches!(error, Error::Engine { .. }), "{error}");
        let message = "Unable to compute: the device is gone".to_owned();
        assert_eq!(
            cause(&error),
            CoreMlError::Framework { domain: "com.apple.CoreML".to_owned(), code: 0, message }
        );

        double.fail(Fail::WrongFeature);
        let error = encode(&encoder, 1.0).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");

        for (fail, part) in
            [(Fail::MissingOutput, "no output `code`"), (Fail::Type, "an array of type 0x10040")]
        {
            double.fail(fail);
            let error = encode(&encoder, 1.0).unwrap_err();
            assert!(
                matches!(error, Error::Invalid { .. }) && error.to_string().contains(part),
                "{error}"
            );
        }
        double.fail(Fail::Nothing);
        encode(&encoder, 1.0).unwrap();
    }
    double.assert_nothing_leaks();
}

#[test]
fn exceptions_are_typed_and_leak_nothing() {
    let double = Double::take();
    {
        let encoder = load("encoder");
        double.fail(Fail::Exception);
        for _ in 0..5 {
            let error = encode(&encoder, 1.0).unwrap_err();
            let (name, reason) =
                ("NSGenericException".to_owned(), "the network cannot be planned".to_owned());
            assert_eq!(cause(&error), CoreMlError::Exception { name, reason });
        }
        // The model is not poisoned.
        double.fail(Fail::Nothing);
        encode(&encoder, 1.0).unwrap();
    }
    double.assert_nothing_leaks();
}

#[test]
fn failures_of_loading_are_typed() {
    let double = Double::take();
    double.fail(Fail::Load);
    let error = Model::load(&description("pets"), &LoadOptions::new()).unwrap_err();
    assert!(matches!(error, Error::Engine { .. }), "{error}");
    assert!(matches!(cause(&error), CoreMlError::Framework { code: 3, .. }), "{error}");

    double.fail(Fail::Compile);
    // A content that no other test has compiled.
    let folder = tempfile::tempdir().unwrap();
    fixture::copy(&data("pets.mlpackage"), &folder.path().join("pets.mlpackage"));
    std::fs::write(folder.path().join("pets.mlpackage/unique"), "content").unwrap();
    let error =
        Model::load(&description("pets"), &LoadOptions::new().path(folder.path())).unwrap_err();
    assert!(
        error.to_string().contains("pets.mlpackage: the file does not exist (com.apple.CoreML 3)"),
        "{error}"
    );
    double.assert_nothing_leaks();
}

#[test]
fn an_old_system_is_served_without_its_successors_methods() {
    let double = Double::take();
    {
        double_old_system(1);
        let encoder = load("encoder");
        let old = encode(&encoder, 1.0).unwrap();
        double_old_system(0);
        assert_eq!(encode(&encoder, 1.0).unwrap(), old);
    }
    double.assert_nothing_leaks();
}
