//! Models on this system's backend, from loading to parity, as generated code uses them.

#![allow(clippy::unwrap_used, reason = "this file is tests")]

mod fixture;

use coreml_rt::parity::{Sample, verify};
use coreml_rt::private::{Description, InputSlot, Model, parity_test};
use coreml_rt::{
    ClassLabel, Error, Fixed, LoadOptions, Probabilities, Tensor, TensorView, Tolerance, f16,
};
use fixture::{One, copy, data, description, sample};

/// How the name of the backend begins.
const BACKEND: &str = if cfg!(target_vendor = "apple") { "Core ML" } else { "portable (" };

/// The label of `pets`, as the macro would generate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pet {
    Cat,
    Dog,
    GoldFish,
}

impl ClassLabel for Pet {
    const ALL: &'static [Self] = &[Self::Cat, Self::Dog, Self::GoldFish];

    fn index(self) -> usize {
        self as usize
    }
}

impl std::fmt::Display for Pet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(["cat", "dog", "gold fish"][self.index()])
    }
}

/// Loads a model of the test data.
fn load(name: &str) -> Model {
    Model::load(&description(name), &LoadOptions::new()).unwrap()
}

#[test]
fn a_classifier_gives_label_and_probabilities() {
    let pets = load("pets");
    assert!(pets.backend().starts_with(BACKEND), "{}", pets.backend());
    assert_eq!(pets.path(), Some(data("pets.mlpackage").as_path()));
    let numbers = [[0.5f32, -1.0, 2.0, 0.25]];
    let input: TensorView<'_, f32, (Fixed<1>, Fixed<4>)> = (&numbers).into();
    let (mut label, mut probabilities) = (Pet::Cat, Probabilities::<Pet>::zeros());
    pets.predict([&input], &mut [&mut label, &mut probabilities]).unwrap();
    // By hand: logits = sin(0..12) as 3 rows · numbers + bias
    let logits: Vec<f32> = (0..3)
        .map(|row| {
            let products =
                (0..4).map(|column| ((row * 4 + column) as f32).sin() * numbers[0][column]);
            products.sum::<f32>() + [0.25, -0.5, 0.0][row]
        })
        .collect();
    let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
    for (pet, probability) in probabilities.iter() {
        assert!(
            (probability - logits[pet.index()].exp() / sum).abs() < 1e-6,
            "{pet}: {probability}"
        );
    }
    assert_eq!(label, probabilities.top(1)[0].0);
}

#[test]
fn a_classifier_by_numbers_gives_label_and_probabilities() {
    /// The labels of `species`, which the macro would call after their numbers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Species(i64);

    impl ClassLabel for Species {
        const ALL: &'static [Self] = &[Self(40), Self(-2), Self(3_000_000_000)];

        fn index(self) -> usize {
            Self::ALL.iter().position(|label| *label == self).unwrap()
        }
    }

    impl std::fmt::Display for Species {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.fmt(f)
        }
    }

    let species = load("species");
    let mut seen = Vec::new();
    for numbers in [[9.0f32, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 9.0], [-9.0, 0.0, 9.0, 0.0]] {
        let input = TensorView::<f32, (Fixed<1>, Fixed<4>)>::from_slice(&numbers).unwrap();
        let (mut label, mut probabilities) = (Species(40), Probabilities::<Species>::zeros());
        species.predict([&input], &mut [&mut label, &mut probabilities]).unwrap();
        assert_eq!(label, probabilities.top(1)[0].0);
        let sum: f32 = probabilities.iter().map(|(_, probability)| probability).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        seen.push(label.0);
    }
    // By hand: the largest of sin(0..12) as 3 rows · numbers + bias.
    assert_eq!(seen, [3_000_000_000, -2, 40]);
}

#[test]
fn what_is_awaited_and_batches_are_what_a_prediction_gives() {
    type Code = One<Tensor<f32, (Fixed<1>, Fixed<3>)>>;
    let name: &'static Description = Box::leak(Box::new(description("encoder")));
    let encoder = Model::load_async(name, LoadOptions::new(), |model| model).wait().unwrap();
    let images: Vec<Tensor<f32, (Fixed<2>, Fixed<4>)>> = (0..4_usize)
        .map(|seed| Tensor::from_fn(|[row, column]: [usize; 2]| (seed * (row + column)) as f32))
        .collect();
    let views: Vec<_> = images.iter().map(Tensor::view).collect();
    let started: Vec<_> =
        views.iter().map(|view| encoder.predict_async([view], Code::default())).collect();
    let batch: Vec<Code> =
        encoder.predict_batch(views.iter().map(|view| [view as &dyn InputSlot])).unwrap();
    for ((view, completion), from_batch) in views.iter().zip(started).zip(batch) {
        let mut code = Tensor::zeros();
        encoder.predict([view], &mut [&mut code]).unwrap();
        assert_eq!(completion.wait().unwrap().0, code);
        assert_eq!(from_batch.0, code);
    }
    assert!(encoder.predict_batch::<1, Code>([]).unwrap().is_empty());

    let missing = LoadOptions::new().path("/nowhere");
    assert!(matches!(
        Model::load_async(name, missing, |model| model).wait(),
        Err(Error::NotFound { .. })
    ));
    // On Apple's systems it is Core ML that refuses.
    if cfg!(not(target_vendor = "apple")) {
        let wrong = Tensor::<f32, (Fixed<3>,)>::zeros();
        let error = encoder.predict_async([&wrong.view()], Code::default()).wait().unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
}

#[test]
fn element_types_and_optional_inputs() {
    let mix = load("mix");
    let half = Tensor::<f32, _>::from([[0.5, -1.5, 2.0], [4.0, 0.125, -3.0]]).convert::<f16>();
    let ids = Tensor::from([1, -2, 3, 1000]);
    let (mut scaled, mut doubled, mut sums) = (
        Tensor::<f16, (Fixed<2>, Fixed<3>)>::zeros(),
        Tensor::<i32, (Fixed<4>,)>::zeros(),
        Tensor::<f32, (Fixed<2>,)>::zeros(),
    );
    let mut predict = |scale: Option<TensorView<'_, f32, (Fixed<1>,)>>| {
        mix.predict(
            [&half.view(), &ids.view(), &scale],
            &mut [&mut scaled, &mut doubled, &mut sums],
        )
        .unwrap();
        (scaled.convert::<f32>().into_vec(), doubled.clone().into_vec(), sums.clone().into_vec())
    };
    // The default is 2.
    let expected = (vec![1.0, -3.0, 4.0, 8.0, 0.25, -6.0], vec![2, -4, 6, 2000], vec![2.0, 2.25]);
    assert_eq!(predict(None), expected);
    let (scaled, ..) = predict(Some((&[-1.0]).into()));
    assert_eq!(scaled, [-0.5, 1.5, -2.0, -4.0, -0.125, 3.0]);
}

#[test]
fn one_model_feeds_another() {
    let (encoder, decoder) = (load("encoder"), load("decoder"));
    let image =
        Tensor::<f32, (Fixed<2>, Fixed<4>)>::from_fn(|[row, column]| (row + column) as f32 / 4.0);
    let mut code = Tensor::<f32, (Fixed<1>, Fixed<3>)>::zeros();
    let mut drawn = Tensor::<f32, (Fixed<1>, Fixed<5>)>::zeros();
    encoder.predict([&image.view()], &mut [&mut code]).unwrap();
    decoder.predict([&code.view()], &mut [&mut drawn]).unwrap();
    let weight = |at: usize, count: usize| at as f32 * 2.0 / (count - 1) as f32 - 1.0;
    let codes = (0..3).map(|k| {
        image
            .as_slice()
            .iter()
            .enumerate()
            .map(|(i, x)| x * weight(i * 3 + k, 24))
            .sum::<f32>()
            .tanh()
    });
    let codes: Vec<f32> = codes.collect();
    for (j, drawn) in drawn.as_slice().iter().enumerate() {
        let expected: f32 =
            codes.iter().enumerate().map(|(k, code)| code * weight(k * 5 + j, 15)).sum();
        assert!((drawn - expected).abs() < 1e-5, "{j}: {drawn} instead of {expected}");
    }
}

#[test]
fn threads_share_a_model() {
    /// Fails to compile when a type cannot cross threads.
    fn assert_shareable<T: Send + Sync + 'static>() {}
    assert_shareable::<Model>();
    assert_shareable::<Error>();
    assert_shareable::<Tensor<f16, (Fixed<1>,)>>();
    assert_shareable::<Probabilities<Pet>>();

    let encoder = load("encoder");
    let predict = |seed: f32| {
        let image = Tensor::<f32, (Fixed<2>, Fixed<4>)>::from_fn(|[row, column]| {
            seed * (row + column) as f32
        });
        let mut code = Tensor::<f32, (Fixed<1>, Fixed<3>)>::zeros();
        encoder.predict([&image.view()], &mut [&mut code]).unwrap();
        code
    };
    let alone: Vec<_> = (0..4).map(|seed| predict(seed as f32)).collect();
    std::thread::scope(|scope| {
        for (seed, expected) in alone.iter().enumerate() {
            let predict = &predict;
            scope.spawn(move || (0..50).for_each(|_| assert_eq!(&predict(seed as f32), expected)));
        }
    });
}

#[test]
fn another_package_is_refused_with_its_differences() {
    let options = LoadOptions::new().path(data("decoder.mlpackage"));
    let error = Model::load(&description("encoder"), &options).unwrap_err();
    assert!(matches!(error, Error::Interface { .. }));
    let message = error.to_string();
    for part in [
        "the model `encoder` at ",
        "decoder.mlpackage is not the one that the program was built for:",
        "input `image` is missing in the package",
        "input `code` (float32 [1, 3]) is missing in the types",
        "output `drawn` (float32 [1, 5]) is missing in the types",
        "what to do: rebuild the program",
    ] {
        assert!(message.contains(part), "`{part}` is not in:\n{message}");
    }
}

#[test]
#[cfg(not(target_vendor = "apple"))]
fn a_compiled_model_needs_core_ml() {
    let folder = tempfile::tempdir().unwrap();
    let compiled = folder.path().join("pets.mlmodelc");
    std::fs::create_dir(&compiled).unwrap();
    let error = Model::load(&description("pets"), &LoadOptions::new().path(&compiled)).unwrap_err();
    assert!(matches!(error, Error::Options { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("pets.mlmodelc is a compiled model, which only Core ML runs"),
        "{message}"
    );
    assert!(message.ends_with("give the `.mlpackage` that it was compiled from"), "{message}");
}

#[test]
fn a_damaged_package_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("pets.mlpackage");
    copy(&data("pets.mlpackage"), &package);
    std::fs::write(package.join("Data/com.apple.CoreML/model.mlmodel"), b"\xff\xff").unwrap();
    let error =
        Model::load(&description("pets"), &LoadOptions::new().path(folder.path())).unwrap_err();
    assert!(matches!(error, Error::Package { .. }), "{error}");
    assert!(error.to_string().starts_with("the model `pets` cannot be read: "), "{error}");
}

#[test]
fn an_embedded_package_needs_no_file() {
    let files = || {
        let package = data("pets.mlpackage");
        [
            "Manifest.json",
            "Data/com.apple.CoreML/model.mlmodel",
            "Data/com.apple.CoreML/weights/weight.bin",
        ]
        .map(|file| (file, &*std::fs::read(package.join(file)).unwrap().leak()))
        .to_vec()
    };
    let description =
        Description { built: "/nowhere", embedded: Some(files), ..description("pets") };
    let model = Model::load(&description, &LoadOptions::new().threads(1)).unwrap();
    assert_eq!(model.path(), None);
    let input = TensorView::<f32, (Fixed<1>, Fixed<4>)>::from_slice(&[0.0; 4]).unwrap();
    let (mut label, mut probabilities) = (Pet::Dog, Probabilities::<Pet>::zeros());
    model.predict([&input], &mut [&mut label, &mut probabilities]).unwrap();
    assert_eq!(label, Pet::Cat, "the class of the largest bias");
}

#[test]
fn samples_decide_parity() {
    for name in ["pets", "mix", "encoder", "decoder"] {
        let path = data(&format!("{name}.safetensors"));
        assert!(
            parity_test(&description(name), &[path.to_str().unwrap()], Tolerance::Psnr(60.0), None),
            "{name}"
        );
        let package = data(&format!("{name}.mlpackage"));
        let tolerance = Tolerance::Absolute { atol: 1e-3, rtol: 1e-3 };
        let report =
            verify(&package, None, &LoadOptions::new(), &[sample(name)], Some(tolerance)).unwrap();
        assert!(report.passed(), "{report}");
        assert!(
            report.to_string().contains(&format!("parity of `{name}` with PyTorch on {BACKEND}")),
            "{report}"
        );
    }
    assert!(
        !parity_test(&description("pets"), &[], Tolerance::Psnr(60.0), None),
        "no sample proves nothing"
    );
    assert!(!parity_test(&description("pets"), &["/no/such/sample"], Tolerance::Psnr(60.0), None));
}

#[test]
fn a_wrong_reference_fails_parity() {
    let bytes = std::fs::read(data("decoder.safetensors")).unwrap();
    // The file ends with the numbers of its last tensor, the output.
    let mut wrong = bytes.clone();
    let last = wrong.len() - 4;
    wrong[last..].copy_from_slice(&7.0f32.to_le_bytes());
    let judge = |bytes: &[u8]| {
        let sample = Sample::from_bytes("0.safetensors", bytes).unwrap();
        verify(
            &data("decoder.mlpackage"),
            None,
            &LoadOptions::new(),
            &[sample],
            Some(Tolerance::Psnr(60.0)),
        )
        .unwrap()
    };
    assert!(judge(&bytes).passed());
    let report = judge(&wrong);
    assert!(!report.passed());
    assert!(report.to_string().contains("FAIL"), "{report}");
}

#[test]
fn a_sample_of_another_model_is_an_error() {
    let error = verify(&data("pets.mlpackage"), None, &LoadOptions::new(), &[sample("mix")], None);
    let message = error.unwrap_err().to_string();
    assert!(
        message.contains("mix.safetensors") && message.contains("the model has no input `half`"),
        "{message}"
    );
}
