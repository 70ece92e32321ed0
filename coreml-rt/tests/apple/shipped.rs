//! Models that are shipped compiled, functions by their names, and the folders of compiled models.
//!
//! Owns: loading without a package.
//! Flow: in each test the double compiles into a folder of its own, without the package.

use super::double::*;
use super::fixture::{self, data, description};
use super::{encode, load};
use coreml_rt::private::{BucketedModel, Description, InputSlot, Model};
use coreml_rt::{CompiledFolder, CoreMlError, Error, Fixed, LoadOptions, Range, Tensor, f16};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// Returns what is called `DIGEST.mlmodelc`, and of `name` has the content.
fn file_name(name: &str) -> String {
    format!("{}.mlmodelc", description(name).content_digest.unwrap())
}

/// Compiles a model into `folder`.
fn compile(name: &str, folder: &Path) {
    let options = LoadOptions::new().compiled_folder(CompiledFolder::At(folder.to_owned()));
    Model::load(&description(name), &options).unwrap();
    assert!(folder.join(file_name(name)).is_dir());
}

/// Makes a folder of compiled models.
fn compiled(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    names.iter().for_each(|name| compile(name, folder.path()));
    folder
}

/// Returns the description of a model of a program whose packages were built into `folder`.
fn built_in(name: &str, folder: &Path) -> Description {
    let built = String::leak(folder.join(format!("{name}.mlpackage")).to_str().unwrap().to_owned());
    Description { built, ..description(name) }
}

#[test]
fn a_compiled_model_alone_is_taken_for_its_content() {
    let double = Double::take();
    {
        let names =
            ["encoder", "mix", "memory", "memory_io", "photo", "text", "pets", "species", "masked"];
        let folder = compiled(&names);
        // Those that are compared with are compiled, too, if no other test has done it.
        names.iter().for_each(|name| drop(load(name)));
        let compilations = double_compilations();
        for name in names {
            let model = Model::load(&built_in(name, folder.path()), &LoadOptions::new()).unwrap();
            assert_eq!(model.path(), Some(&*folder.path().join(file_name(name))));
            assert_eq!(last_path(), folder.path().join(file_name(name)));
            model.prewarm().unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(model.compute_plan().unwrap(), load(name).compute_plan().unwrap());
        }
        let expected = encode(&load("encoder"), 1.0).unwrap();
        let encoder: &'static Description = Box::leak(Box::new(built_in("encoder", folder.path())));
        // Loading it writes no file, so `in_memory` allows it, too.
        for options in [LoadOptions::new().path(folder.path()), LoadOptions::new().in_memory(true)]
        {
            assert_eq!(encode(&Model::load(encoder, &options).unwrap(), 1.0).unwrap(), expected);
        }
        let awaited = Model::load_async(encoder, LoadOptions::new(), |model| model).wait().unwrap();
        assert_eq!(encode(&awaited, 1.0).unwrap(), expected);
        // The states are as the types say, though no package does.
        let memory = Model::load(&built_in("memory", folder.path()), &LoadOptions::new()).unwrap();
        let mut state = memory.new_state().unwrap();
        let (numbers, mut mean) = (Tensor::<f16, (Fixed<2>, Fixed<3>)>::zeros(), Tensor::zeros());
        memory
            .predict_with_state(
                &mut state,
                [&numbers.view()],
                &mut [&mut mean as &mut Tensor<f16, (Fixed<2>, Fixed<3>)>],
            )
            .unwrap();
        assert_eq!(state.get::<f16, (Fixed<1>,)>(1).unwrap().as_slice(), [f16::ONE]);
        // Beside its package it is what is loaded, though another is in Application Support.
        fixture::copy(&data("encoder.mlpackage"), &folder.path().join("encoder.mlpackage"));
        let beside = Model::load(encoder, &LoadOptions::new()).unwrap();
        assert_eq!(beside.path(), Some(&*folder.path().join("encoder.mlpackage")));
        assert_eq!(last_path(), folder.path().join(file_name("encoder")));
        assert_eq!(double_compilations(), compilations, "nothing was compiled");
    }
    double.assert_nothing_leaks();
}

#[test]
fn a_compiled_model_of_another_content_is_not_taken() {
    let double = Double::take();
    let folder = compiled(&["decoder"]);
    let error = Model::load(&built_in("encoder", folder.path()), &LoadOptions::new()).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    let place = format!(
        "where it was built, compiled: {}",
        folder.path().join(file_name("encoder")).display()
    );
    assert!(error.to_string().contains(&place), "{error}");
    // Beside its package one of another content does not matter either.
    fs::rename(folder.path().join(file_name("decoder")), folder.path().join("other.mlmodelc"))
        .unwrap();
    fixture::copy(&data("encoder.mlpackage"), &folder.path().join("encoder.mlpackage"));
    let model = Model::load(&built_in("encoder", folder.path()), &LoadOptions::new()).unwrap();
    assert_eq!(encode(&model, 1.0).unwrap(), encode(&load("encoder"), 1.0).unwrap());
    drop(model);
    double.assert_nothing_leaks();
}

#[test]
fn a_compiled_model_by_its_path_is_what_its_user_says() {
    let double = Double::take();
    {
        let folder = compiled(&["encoder", "decoder"]);
        let path = |name: &str| folder.path().join(name);
        fs::rename(path(&file_name("encoder")), path("right.mlmodelc")).unwrap();
        fs::rename(path(&file_name("decoder")), path("wrong.mlmodelc")).unwrap();
        fs::create_dir(path("empty.mlmodelc")).unwrap();
        let load_from =
            |name: &str| Model::load(&description("encoder"), &LoadOptions::new().path(path(name)));
        let right = load_from("right.mlmodelc").unwrap();
        assert_eq!(encode(&right, 1.0).unwrap(), encode(&load("encoder"), 1.0).unwrap());
        // Another model has other names.
        let wrong = load_from("wrong.mlmodelc").unwrap();
        for _ in 0..3 {
            let error = encode(&wrong, 1.0).unwrap_err();
            assert!(matches!(error, Error::Invalid { .. }), "{error}");
        }
        let error = wrong.prewarm().unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        let error = load_from("empty.mlmodelc").unwrap_err();
        assert!(matches!(cause(&error), CoreMlError::Framework { code: 3, .. }), "{error}");
        let error = load_from("none.mlmodelc").unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
    double.assert_nothing_leaks();
}

/// A function of `cipher`, as the macro describes it for each of `[models.cipher.functions.NAME]`.
fn function(name: &'static str, folder: &Path) -> Description {
    Description { function: Some(name), ..built_in("cipher", folder) }
}

#[test]
fn functions_are_chosen_by_their_names() {
    let double = Double::take();
    {
        let packages = data("cipher.mlpackage").parent().unwrap().to_owned();
        let alone = compiled(&["cipher"]);
        for folder in [&*packages, alone.path()] {
            let encode = Model::load(&function("encode", folder), &LoadOptions::new()).unwrap();
            let decode = Model::load(&function("decode", folder), &LoadOptions::new()).unwrap();
            // The first row and the first column of the matrix that both have.
            let mut secret = Tensor::<f32, (Fixed<1>, Fixed<3>)>::zeros();
            let plain =
                Tensor::<f32, (Fixed<1>, Fixed<4>)>::from_fn(|[_, column]| f32::from(column == 0));
            encode.predict([&plain.view()], &mut [&mut secret]).unwrap();
            let step = |at: u8| (2.0 * f64::from(at) / 11.0 - 1.0) as f32;
            assert_eq!(secret.as_slice(), [0, 1, 2].map(step));
            let mut restored = Tensor::<f32, (Fixed<1>, Fixed<4>)>::zeros();
            let one =
                Tensor::<f32, (Fixed<1>, Fixed<3>)>::from_fn(|[_, column]| f32::from(column == 0));
            decode.predict([&one.view()], &mut [&mut restored]).unwrap();
            assert_eq!(restored.as_slice(), [0, 3, 6, 9].map(step));
            let inputs: [&dyn InputSlot; 1] = [&one.view()];
            let completion = decode.predict_async(inputs, fixture::One(restored.clone()));
            assert_eq!(completion.wait().unwrap().0, restored);
            let batch: Vec<fixture::One<Tensor<f32, (Fixed<1>, Fixed<4>)>>> =
                decode.predict_batch([inputs]).unwrap();
            assert_eq!(batch[0].0, restored);
            for (model, name) in [(&encode, "encode"), (&decode, "decode")] {
                model.prewarm().unwrap();
                let plan = model.compute_plan().unwrap();
                assert!(
                    !plan.operations.is_empty()
                        && plan.operations.iter().all(|operation| operation.function == name)
                );
            }
            let error = Model::load(&function("sign", folder), &LoadOptions::new()).unwrap_err();
            assert!(error.to_string().contains("no function `sign`; it has"), "{error}");
            double_old_system(2);
            let error = Model::load(&function("decode", folder), &LoadOptions::new()).unwrap_err();
            assert!(
                matches!(
                    cause(&error),
                    CoreMlError::Unavailable { since: "macOS 15 or iOS 18", .. }
                ),
                "{error}"
            );
            double_old_system(0);
        }
        // The path of another model is an error that names the missing function.
        compile("encoder", alone.path());
        let options = LoadOptions::new().path(alone.path().join(file_name("encoder")));
        let error = Model::load(&function("decode", alone.path()), &options).unwrap_err();
        assert!(
            matches!(error, Error::Engine { .. })
                && error.to_string().contains("no function decode"),
            "{error}"
        );
    }
    double.assert_nothing_leaks();
}

#[test]
fn buckets_come_compiled_in_one_model_and_in_several() {
    let double = Double::take();
    {
        let folder = compiled(&["letters", "letters_4", "letters_8"]);
        let one = |function| Description {
            function: Some(function),
            ..built_in("letters", folder.path())
        };
        let in_one: &'static [_] = Vec::leak(vec![(4, one("bucket_4")), (8, one("bucket_8"))]);
        let several = |name| built_in(name, folder.path());
        let in_several: &'static [_] =
            Vec::leak(vec![(4, several("letters_4")), (8, several("letters_8"))]);
        let compilations = double_compilations();
        for buckets in [in_one, in_several] {
            let model = BucketedModel::load_async(buckets, LoadOptions::new(), |model| model)
                .wait()
                .unwrap();
            for length in [3, 4, 7] {
                let ids = Tensor::<i32, (Fixed<1>, Range<0, 99>)>::from_vec_with_dims(
                    vec![6; length],
                    [1, length],
                )
                .unwrap();
                let rows = Tensor::<f32, (Range<0, 99>, Fixed<2>)>::from_vec_with_dims(
                    vec![1.0; 2 * length],
                    [length, 2],
                );
                let (rows, scale) = (rows.unwrap(), Tensor::<f32, (Fixed<1>,)>::from([0.5]));
                let mut scaled = Tensor::<f32, (Fixed<1>, Range<2, 8>)>::smallest();
                let mut products = Tensor::<f32, (Range<2, 8>, Range<2, 8>)>::smallest();
                let mut mean = Tensor::<f32, (Fixed<1>,)>::zeros();
                let inputs: [&dyn InputSlot; 3] = [&ids.view(), &rows.view(), &scale.view()];
                model.predict(inputs, &mut [&mut scaled, &mut products, &mut mean]).unwrap();
                assert_eq!(scaled.as_slice(), vec![3.0; length]);
                assert_eq!(
                    (products.as_slice(), mean.as_slice()),
                    (&*vec![2.0; length * length], &[6.0][..])
                );
            }
            assert!(model.is_loaded(0) && model.is_loaded(1));
        }
        assert_eq!(double_compilations(), compilations, "nothing was compiled");
        // One is missing: that shows at once.
        fs::remove_dir_all(folder.path().join(file_name("letters_8"))).unwrap();
        let error = BucketedModel::load(in_several, &LoadOptions::new()).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
    double.assert_nothing_leaks();
}

#[test]
fn compiled_models_are_kept_where_the_options_say() {
    let double = Double::take();
    let (folder, package) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut loaded = Vec::new();
    for place in [
        CompiledFolder::ApplicationSupport,
        CompiledFolder::Caches,
        CompiledFolder::At(folder.path().join("kept")),
    ] {
        // A content that no other test has compiled.
        fixture::copy(&data("encoder.mlpackage"), &package.path().join("encoder.mlpackage"));
        fs::write(package.path().join("encoder.mlpackage/unique"), format!("{place:?}")).unwrap();
        let options = LoadOptions::new().path(package.path()).compiled_folder(place.clone());
        let compilations = double_compilations();
        for _ in 0..2 {
            Model::load(&description("encoder"), &options).unwrap();
        }
        assert_eq!(double_compilations(), compilations + 1, "{place:?}");
        let path = last_path();
        // What the system removes is made again, in the same place.
        fs::remove_dir_all(&path).unwrap();
        Model::load(&description("encoder"), &options).unwrap();
        assert_eq!(
            (double_compilations(), last_path()),
            (compilations + 2, path.clone()),
            "{place:?}"
        );
        loaded.push(path);
    }
    let folders: Vec<_> = loaded.iter().map(|path| path.parent().unwrap()).collect();
    assert_eq!(folders[2], folder.path().join("kept"));
    let library = Path::new(&std::env::var_os("HOME").unwrap()).join("Library");
    assert_eq!(folders[0], library.join("Application Support/coreml-rt"));
    assert_eq!(folders[1], library.join("Caches/coreml-rt"));
    double.assert_nothing_leaks();
}
