//! Models with states, flexible shapes and images on this system's backend, as generated code uses
//! them.

#![allow(clippy::unwrap_used, reason = "this file is tests")]

mod fixture;

use coreml_rt::parity::verify;
use coreml_rt::private::{InputSlot, Model, OutputSlot, Outputs};
use coreml_rt::{
    Error, Fixed, GrayscaleFloat16, Image, ImageView, LoadOptions, Range, Rgb, ShapeError, Tensor,
    TensorView, Tolerance, f16,
};
use fixture::{data, description, sample};

/// Loads a model of the test data.
fn load(name: &str) -> Model {
    Model::load(&description(name), &LoadOptions::new()).unwrap()
}

/// The tensor of `memory`.
type Numbers = Tensor<f16, (Fixed<2>, Fixed<3>)>;

/// Position of a state.
const COUNT: usize = 1;
/// Position of the other state.
const TOTAL: usize = 0;

#[test]
fn states_are_kept_from_prediction_to_prediction() {
    for name in ["memory", "memory_io"] {
        states_of(name);
    }
}

/// Runs a model with states; the code is the same wherever they are kept.
fn states_of(name: &str) {
    let memory = load(name);
    let mut state = memory.new_state().unwrap();
    let numbers: Numbers =
        [[1.0, 2.0, 3.0], [-4.0, 0.5, 0.0]].map(|row| row.map(f16::from_f32)).into();
    let mut mean = Numbers::zeros();
    for step in 1..=3_u8 {
        memory.predict_with_state(&mut state, [&numbers.view()], &mut [&mut mean]).unwrap();
        assert_eq!(mean, numbers, "the mean of equal numbers, at step {step}");
        assert_eq!(state.get::<f16, (Fixed<1>,)>(COUNT).unwrap().as_slice(), [f16::from(step)]);
    }
    let total: Numbers = state.get(TOTAL).unwrap();
    assert_eq!(total.get([1, 0]), Some(&f16::from_f32(-12.0)));

    // A second sequence begins at zero, and the first one goes on where it was set to.
    let mut other = memory.new_state().unwrap();
    memory.predict_with_state(&mut other, [&numbers.view()], &mut [&mut mean]).unwrap();
    assert_eq!(other.get::<f16, (Fixed<1>,)>(COUNT).unwrap().as_slice(), [f16::ONE]);
    state.set::<f16, (Fixed<1>,)>(COUNT, (&[f16::from_f32(7.0)]).into()).unwrap();
    state.set(TOTAL, Numbers::zeros().view()).unwrap();
    memory.predict_with_state(&mut state, [&numbers.view()], &mut [&mut mean]).unwrap();
    assert_eq!(mean.get([0, 1]), Some(&f16::from_f32(0.25)));
}

/// Returns the outputs of a model for growing inputs, and its states at the end.
fn sequence(name: &str) -> (Vec<Numbers>, Numbers) {
    let memory = load(name);
    let mut state = memory.new_state().unwrap();
    let step = |step: usize| {
        let numbers = Numbers::from_fn(|[row, column]| {
            f16::from_f32((step * (row + 3) + column) as f32 / 7.0)
        });
        let mut mean = Numbers::zeros();
        memory.predict_with_state(&mut state, [&numbers.view()], &mut [&mut mean]).unwrap();
        mean
    };
    ((1..8).map(step).collect(), state.get(TOTAL).unwrap())
}

#[test]
fn states_as_inputs_and_outputs_give_the_same_bits() {
    assert_eq!(sequence("memory"), sequence("memory_io"));
}

#[test]
fn a_state_belongs_to_one_thread_at_a_time_and_moves() {
    /// Fails to compile when a type cannot move to another thread.
    fn assert_send<T: Send + 'static>() {}
    assert_send::<coreml_rt::private::State>();
}

#[test]
fn a_model_with_states_needs_one() {
    let mut mean = Numbers::zeros();
    let error = load("memory").predict([&Numbers::zeros().view()], &mut [&mut mean]).unwrap_err();
    // On Core ML the framework reports it.
    assert!(cfg!(target_vendor = "apple") || matches!(error, Error::Invalid { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("memory") && message.contains("state"), "{message}");
}

#[test]
fn flexible_dimensions_take_and_give_what_comes() {
    type Ids<'a> = TensorView<'a, f32, (Fixed<1>, Range<1, 8>)>;
    let text = load("text");
    let mut doubled = Tensor::<f32, (Fixed<1>, Range<0, { usize::MAX }>)>::smallest();
    let mut sum = Tensor::<f32, (Fixed<1>,)>::zeros();
    for len in [1, 8, 3] {
        let ids: Vec<f32> = (0..len).map(|id| id as f32).collect();
        let view = Ids::from_slice_with_dims(&ids, [1, len]).unwrap();
        text.predict([&view], &mut [&mut doubled, &mut sum]).unwrap();
        assert_eq!(doubled.dims(), [1, len]);
        assert!(doubled.as_slice().iter().zip(&ids).all(|(double, id)| *double == 2.0 * id));
        assert_eq!(sum.as_slice(), [ids.iter().sum::<f32>()]);
    }
    // The output of one model is the input of another.
    let again = doubled.view().with_bounds().unwrap();
    let again: Ids<'_> = again;
    text.predict(
        [&again],
        &mut [&mut Tensor::<f32, (Fixed<1>, Range<0, 8>)>::smallest(), &mut sum],
    )
    .unwrap();
    assert_eq!(sum.as_slice(), [6.0]);
}

#[test]
#[cfg(not(target_vendor = "apple"))] // there it is Core ML that refuses
fn an_enumerated_shape_must_be_one_of_them() {
    let choice = load("choice");
    let predict = |len: usize| {
        let ids = vec![1.0; len];
        let view =
            TensorView::<'_, f32, (Fixed<1>, Range<1, 8>)>::from_slice_with_dims(&ids, [1, len])
                .unwrap();
        let mut doubled = Tensor::<f32, (Fixed<1>, Range<0, 8>)>::smallest();
        let mut sum = Tensor::<f32, (Fixed<1>,)>::zeros();
        choice.predict([&view], &mut [&mut doubled, &mut sum]).map(|()| sum.into_vec())
    };
    assert_eq!(predict(2).unwrap(), [2.0]);
    assert_eq!(predict(4).unwrap(), [4.0]);
    let message = predict(3).unwrap_err().to_string();
    assert!(message.contains("ids") && message.contains("[1, 3]"), "{message}");
}

#[test]
#[cfg(not(target_vendor = "apple"))] // the double has no such network
fn enumerated_shapes_of_two_inputs_go_together() {
    let pair = load("pair");
    let predict = |a: usize, b: usize| {
        let (ones, twos) = (vec![1.0; a], vec![2.0; b]);
        let a = TensorView::<'_, f32, (Fixed<1>, Range<1, 8>)>::from_slice_with_dims(&ones, [1, a])
            .unwrap();
        let b = TensorView::<'_, f32, (Fixed<1>, Range<1, 8>)>::from_slice_with_dims(&twos, [1, b])
            .unwrap();
        let mut product = Tensor::<f32, (Fixed<1>, Range<0, 8>)>::smallest();
        pair.predict([&a, &b], &mut [&mut product]).map(|()| product.into_vec())
    };
    assert_eq!(predict(2, 3).unwrap(), [6.0; 2]);
    assert_eq!(predict(4, 6).unwrap(), [12.0; 4]);
    // An engine would compute it, Core ML has no such graph.
    let message = predict(2, 6).unwrap_err().to_string();
    assert!(message.ends_with("`a` has shape [1, 2], `b` has [1, 6]"), "{message}");
}

#[test]
fn sizes_of_one_symbol_are_equal() {
    type Line<'a> = TensorView<'a, f32, (Fixed<1>, Range<1, 8>)>;
    type Upright<'a> = TensorView<'a, f32, (Range<1, 8>, Fixed<1>)>;
    let masked = load("masked");
    let ones = [1.0; 8];
    let line = |length: usize| Line::from_slice_with_dims(&ones[..length], [1, length]).unwrap();
    let upright =
        |length: usize| Upright::from_slice_with_dims(&ones[..length], [length, 1]).unwrap();
    let mut sum = Tensor::<f32, (Fixed<1>,)>::zeros();
    let mut predict = |ids: usize, mask: usize| {
        let mut kept = Tensor::<f32, (Fixed<1>, Range<1, 8>)>::smallest();
        masked
            .predict([&line(ids), &upright(mask)], &mut [&mut kept, &mut sum])
            .map(|()| kept.dims())
    };
    for length in [1, 8, 3] {
        assert_eq!(predict(length, length).unwrap(), [1, length]);
    }
    // Either would be broadcast, to a wrong result.
    for (ids, mask) in [(5, 1), (1, 5), (5, 4)] {
        let error = predict(ids, mask).unwrap_err();
        let sizes = [("ids".to_owned(), 1, ids), ("mask".to_owned(), 0, mask)];
        assert!(
            matches!(
                &error,
                Error::Shape(ShapeError::UnequalSizes { sizes: found }) if *found == sizes
            ),
            "{error}"
        );
    }
    let message = predict(5, 1).unwrap_err().to_string();
    let said = "dimension 1 of `ids` and dimension 0 of `mask` must have the same size, but have 5 \
        and 1";
    assert_eq!(message, said);
    // A shared tensor, a non-blocking prediction, and a batch with one wrong element.
    let shared = std::sync::Arc::new(Tensor::<f32, (Fixed<1>, Fixed<3>)>::zeros());
    let shared = TensorView::from(&shared);
    let message = |error: Error| assert!(error.to_string().contains("but have 3 and 1"), "{error}");
    message(masked.predict([&shared, &upright(1)], &mut []).unwrap_err());
    message(masked.predict_async([&line(3), &upright(1)], Both::default()).wait().unwrap_err());
    let batch: [[&dyn InputSlot; 2]; 2] = [[&line(2), &upright(2)], [&line(3), &upright(1)]];
    message(masked.predict_batch::<2, Both>(batch).unwrap_err());
}

/// The output of `masked`, as the macro would generate it.
#[derive(Debug)]
struct Both(Tensor<f32, (Fixed<1>, Range<1, 8>)>, Tensor<f32, (Fixed<1>,)>);

impl Default for Both {
    fn default() -> Self {
        Self(Tensor::smallest(), Tensor::zeros())
    }
}

impl Outputs for Both {
    fn slots(&mut self, with: &mut dyn FnMut(&mut [&mut dyn OutputSlot])) {
        with(&mut [&mut self.0, &mut self.1]);
    }
}

#[test]
fn pixels_go_in_and_come_out() {
    let bytes: Vec<u8> = (0..24).collect();
    for name in ["photo", "photo_bgr"] {
        let photo = load(name);
        let picture = ImageView::<Rgb, Fixed<4>, Fixed<2>>::from_rgb8(&bytes, 4, 2).unwrap();
        let mut negative = Image::<Rgb, Fixed<4>, Fixed<2>>::black();
        let mut brightness = Tensor::<f32, (Fixed<1>, Fixed<3>)>::zeros();
        photo.predict([&picture], &mut [&mut negative, &mut brightness]).unwrap();
        // Caller and model agree about colors, in any order of channels inside the model.
        assert!(
            negative.as_slice().iter().zip(&bytes).all(|(negative, byte)| *negative == 255 - byte),
            "{name}"
        );
        let red_first = [10.5, 11.5, 12.5];
        let expected = if name == "photo" { red_first } else { [12.5, 11.5, 10.5] };
        assert_eq!(brightness.as_slice(), expected, "{name}");
    }
}

#[test]
fn half_precision_pixels_go_in_and_come_out() {
    let depth = load("depth");
    let pixels: Vec<f16> = (0..15).map(|at| f16::from_f32(at as f32 / 4.0 - 2.0)).collect();
    let picture =
        ImageView::<GrayscaleFloat16, Fixed<5>, Fixed<3>>::from_gray_float16(&pixels, 5, 3)
            .unwrap();
    let mut deeper = Image::<GrayscaleFloat16, Fixed<5>, Fixed<3>>::black();
    depth.predict([&picture], &mut [&mut deeper]).unwrap();
    assert!(
        deeper
            .as_slice()
            .iter()
            .zip(&pixels)
            .all(|(deeper, depth)| deeper.to_f32() == 2.0 * depth.to_f32())
    );
}

#[test]
#[cfg(not(target_vendor = "apple"))] // the double has no package of several functions
fn each_function_of_a_package_is_a_model() {
    use coreml_rt::private::Description;

    let package = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../coreml-spec/tests/data/packages/multifunction.mlpackage"
    );
    let interface = coreml_spec::Package::open(package).unwrap().interface().unwrap();
    let interface = String::leak(serde_json::to_string(&interface).unwrap());
    let load = |function| {
        let found = Description {
            interface,
            built: package,
            package: "none",
            function,
            ..description("text")
        };
        Model::load(&found, &LoadOptions::new())
    };
    let rows = Tensor::<f16, (Fixed<4>, Fixed<16>)>::from_fn(|[row, column]| {
        f16::from_f32((row + column) as f32 / 8.0)
    });
    let mut four = Tensor::<f16, (Fixed<4>, Fixed<32>)>::zeros();
    load(None).unwrap().predict([&rows.view()], &mut [&mut four]).unwrap();
    let one = load(Some("one")).unwrap();
    for row in 0..4 {
        let input = TensorView::<'_, f16, (Fixed<1>, Fixed<16>)>::from_slice(
            &rows.as_slice()[16 * row..][..16],
        )
        .unwrap();
        let mut output = Tensor::<f16, (Fixed<1>, Fixed<32>)>::zeros();
        one.predict([&input], &mut [&mut output]).unwrap();
        let close = |(a, b): (&f16, &f16)| (a.to_f32() - b.to_f32()).abs() < 1e-2;
        assert!(output.as_slice().iter().zip(&four.as_slice()[32 * row..]).all(close), "row {row}");
    }
    let error = load(Some("two")).unwrap_err().to_string();
    assert!(error.contains("no function `two`"), "{error}");
}

#[test]
fn samples_of_flexible_models_states_and_images_are_compared() {
    for name in ["text", "choice", "masked", "memory", "memory_io", "photo", "photo_bgr"] {
        let package = data(&format!("{name}.mlpackage"));
        let report = verify(
            &package,
            None,
            &LoadOptions::new(),
            &[sample(name)],
            Some(Tolerance::Psnr(60.0)),
        )
        .unwrap();
        assert!(report.passed(), "{report}");
    }
}
