//! Inputs that do not fit, and the predictions that they become: cut texts, pictures of another
//! size.

#![allow(clippy::unwrap_used, reason = "this file is tests")]
#![cfg(not(target_vendor = "apple"))]

mod fixture;

use coreml_rt::private::{
    BucketedModel, Description, Fitting, InputSlot, Kept, Model, OutputSlot, Outputs,
};
use coreml_rt::{Fixed, LoadOptions, Range, Tensor, TensorView};
use fixture::description;

/// A length that the types leave open.
type Any = Range<1, { usize::MAX }>;

/// What callers of `masked` give.
type Line<'a> = TensorView<'a, f32, (Fixed<1>, Any)>;

/// The mask of `masked`.
type Upright<'a> = TensorView<'a, f32, (Any, Fixed<1>)>;

/// The output of `masked`, as the macro would generate it.
#[derive(Debug)]
struct Output(Tensor<f32, (Fixed<1>, Range<1, 8>)>, Tensor<f32, (Fixed<1>,)>);

impl Default for Output {
    fn default() -> Self {
        Self(Tensor::smallest(), Tensor::zeros())
    }
}

impl Outputs for Output {
    fn slots(&mut self, with: &mut dyn FnMut(&mut [&mut dyn OutputSlot])) {
        with(&mut [&mut self.0, &mut self.1]);
    }
}

/// Loads `masked`, of which ids and mask are cut alike.
fn masked(keep: Kept) -> Model {
    let cut = |axis| Fitting::Cut { axis, max: 8, keep };
    let fittings = Vec::leak(vec![(0, cut(1)), (1, cut(0))]);
    Model::load(&description("masked"), &LoadOptions::new()).unwrap().fitted(fittings)
}

#[test]
fn a_text_and_its_mask_are_cut_at_the_same_end() {
    let ids: Vec<f32> = (1..=11).map(|id| id as f32).collect();
    let mask: Vec<f32> = (1..=11).map(|at| f32::from(u8::from(at != 5 && at != 9))).collect();
    let line = Line::from_slice_with_dims(&ids, [1, 11]).unwrap();
    let upright = Upright::from_slice_with_dims(&mask, [11, 1]).unwrap();
    for (keep, expected) in [
        (Kept::Start, [1.0, 2.0, 3.0, 4.0, 0.0, 6.0, 7.0, 8.0]),
        (Kept::End, [4.0, 0.0, 6.0, 7.0, 8.0, 0.0, 10.0, 11.0]),
    ] {
        let model = masked(keep);
        let check = |output: &Output| {
            assert_eq!(output.0.dims(), [1, 8]);
            assert_eq!(output.0.as_slice(), expected);
            assert_eq!(output.1.as_slice(), [expected.iter().sum::<f32>()]);
        };
        let mut output = Output::default();
        model.predict([&line, &upright], &mut [&mut output.0, &mut output.1]).unwrap();
        check(&output);
        check(&model.predict_async([&line, &upright], Output::default()).wait().unwrap());
        // Beside one that fits.
        let (short, ones) = ([3.0, 4.0], [1.0, 1.0]);
        let short = Line::from_slice_with_dims(&short, [1, 2]).unwrap();
        let ones = Upright::from_slice_with_dims(&ones, [2, 1]).unwrap();
        let batch: [[&dyn InputSlot; 2]; 2] = [[&short, &ones], [&line, &upright]];
        let [first, second] = &model.predict_batch::<2, Output>(batch).unwrap()[..] else {
            panic!()
        };
        assert_eq!((first.0.as_slice(), first.1.as_slice()), (&[3.0, 4.0][..], &[7.0][..]));
        check(second);
        // Cut to one length, unequal ones would not show.
        let longer = Upright::from_slice_with_dims(&ids[..10], [10, 1]).unwrap();
        let error = model.predict([&line, &longer], &mut []).unwrap_err().to_string();
        assert!(error.contains("must have the same size, but have 11 and 10"), "{error}");
    }
    // Without a policy the model refuses the length itself.
    let plain = Model::load(&description("masked"), &LoadOptions::new()).unwrap();
    assert!(plain.predict([&line, &upright], &mut []).is_err());
}

/// The output of `letters`, as the macro would generate it.
#[derive(Debug)]
struct Letters {
    scaled: Tensor<f32, (Fixed<1>, Range<2, 8>)>,
    products: Tensor<f32, (Range<2, 8>, Range<2, 8>)>,
    mean: Tensor<f32, (Fixed<1>,)>,
}

impl Default for Letters {
    fn default() -> Self {
        Self { scaled: Tensor::smallest(), products: Tensor::smallest(), mean: Tensor::zeros() }
    }
}

impl Outputs for Letters {
    fn slots(&mut self, with: &mut dyn FnMut(&mut [&mut dyn OutputSlot])) {
        with(&mut [&mut self.scaled, &mut self.products, &mut self.mean]);
    }
}

#[test]
fn a_text_beyond_the_largest_bucket_is_cut_to_it() {
    let buckets: &'static [(usize, Description)] =
        Vec::leak(vec![(4, description("letters_4")), (8, description("letters_8"))]);
    let ids: Vec<i32> = (1..=11).collect();
    let rows: Vec<f32> = (0..22).map(|number| number as f32).collect();
    let ids = TensorView::<i32, (Fixed<1>, Any)>::from_slice_with_dims(&ids, [1, 11]).unwrap();
    let rows = TensorView::<f32, (Any, Fixed<2>)>::from_slice_with_dims(&rows, [11, 2]).unwrap();
    let scale: Option<TensorView<'_, f32, (Fixed<1>,)>> = None;
    let load = || BucketedModel::load(buckets, &LoadOptions::new()).unwrap();
    for (keep, first) in [(Kept::Start, 1.0), (Kept::End, 4.0)] {
        let cut = |axis| Fitting::Cut { axis, max: 8, keep };
        let model = load().fitted(Vec::leak(vec![(0, cut(1)), (1, cut(0))]));
        let check = |output: &Letters| {
            assert_eq!(output.scaled.dims(), [1, 8]);
            let step = output.scaled.as_slice()[0] / first;
            let scaled: Vec<f32> = (0..8).map(|at| step * (first + at as f32)).collect();
            assert_eq!(output.scaled.as_slice(), scaled);
            // The mask has eight ones: the mean is that of what is kept.
            assert_eq!(output.mean.as_slice(), [first + 3.5]);
            let row = |at: f32| [2.0 * at, 2.0 * at + 1.0];
            let row = row(first - 1.0);
            assert_eq!(output.products.as_slice()[0], row[0] * row[0] + row[1] * row[1]);
        };
        let mut output = Letters::default();
        let Letters { scaled, products, mean } = &mut output;
        model.predict([&ids, &rows, &scale], &mut [scaled, products, mean]).unwrap();
        check(&output);
        let started = model.predict_async([&ids, &rows, &scale], Letters::default());
        check(&started.wait().unwrap());
        let batch: [[&dyn InputSlot; 3]; 1] = [[&ids, &rows, &scale]];
        check(&model.predict_batch::<3, Letters>(batch).unwrap()[0]);
    }
    let refused = load().predict([&ids, &rows, &scale], &mut []).unwrap_err().to_string();
    assert_eq!(
        refused,
        "a length of 11 fits no bucket: the model takes 2 to 8, in buckets of 4, 8"
    );
}

#[test]
#[cfg(feature = "image")]
fn a_picture_of_another_size_is_made_to_fit() {
    use coreml_rt::private::Resize;
    use coreml_rt::{Image, ImageView, Rgb};

    // A column of three pixels, and one of bars to its right and left: the model has 4 by 2.
    let padding = [9.0, 8.0, 7.0];
    let fittings = |how| {
        let resize = Fitting::Resize { how, width: 4, height: 2, padding };
        Vec::leak(vec![(0, resize)])
    };
    let predict = |how, bytes: &[u8], width: usize, height: usize| {
        let model = Model::load(&description("photo"), &LoadOptions::new()).unwrap();
        let picture = ImageView::<Rgb, Any, Any>::from_rgb8(bytes, width, height).unwrap();
        let mut negative = Image::<Rgb, Fixed<4>, Fixed<2>>::black();
        let mut brightness = Tensor::<f32, (Fixed<1>, Fixed<3>)>::zeros();
        model
            .fitted(fittings(how))
            .predict([&picture], &mut [&mut negative, &mut brightness])
            .map(|()| negative.as_slice().iter().map(|value| 255 - value).collect::<Vec<_>>())
    };
    let square = [[1, 2, 3], [4, 5, 6], [11, 12, 13], [14, 15, 16]].concat();
    let bar = [9, 8, 7];
    assert_eq!(
        predict(Resize::Fit, &square, 2, 2).unwrap(),
        [bar, [1, 2, 3], [4, 5, 6], bar, bar, [11, 12, 13], [14, 15, 16], bar].concat()
    );
    let flat = [20, 30, 40].repeat(16);
    assert_eq!(predict(Resize::Fill, &flat, 4, 4).unwrap(), [20, 30, 40].repeat(8));
    let rows: Vec<u8> = (0..4u8).flat_map(|row| [row; 12]).collect();
    let middle: Vec<u8> = [[1; 12], [2; 12]].concat();
    assert_eq!(predict(Resize::Crop, &rows, 4, 4).unwrap(), middle);
    let error = predict(Resize::Crop, &square, 2, 2).unwrap_err().to_string();
    assert_eq!(
        error,
        "an image of 2x2 pixels does not fit: the width must be exactly 4, the height exactly 2"
    );
    assert_eq!(predict(Resize::Fit, &rows[..24], 4, 2).unwrap(), rows[..24], "it fits");
}
