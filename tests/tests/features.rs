//! States, flexible shapes and images, from the manifest to the results: conversion by `cargo`,
//! typed calls, parity with PyTorch.
//!
//! Owns: the proof that manifest keys, driver, macro and runtime agree about everything that is not
//! a plain tensor of one shape.

use coreml_tests::UserCrate;

/// Models of each kind.
const MANIFEST: &str = r#"[models.decoder]
source = { file = "python/nets.py", entry = "decoder" }
inputs.token = { shape = [1, 1], dtype = "int32", sample = { range = [0, 15] } }
inputs.position = { shape = [1], dtype = "int32", sample = { start = 0 } }
states.cache = { shape = [1, 4, 8], dtype = "float16" }
outputs.logits = { dtype = "float16" }

[models.text]
source = { file = "python/nets.py", entry = "text" }
inputs.ids.shape = [1, { min = 1, max = 32, default = 8, symbol = "T" }]
inputs.ids.dtype = "int32"
inputs.ids.sample = { range = [0, 15] }
inputs.mask = { shape = [1, { min = 1, max = 32, default = 8, symbol = "T" }], dtype = "float32" }
outputs.scores = { dtype = "float32" }

[models.choice]
source = { file = "python/nets.py", entry = "choice" }
inputs.x = { shapes = [[1, 8], [1, 16]], dtype = "float32" }
outputs.y = { dtype = "float32" }

[models.photo]
source = { file = "python/nets.py", entry = "photo" }
inputs.picture.image.width = 6
inputs.picture.image.height = 4
inputs.picture.image.color = "bgr"
inputs.picture.image.mean = [0.485, 0.456, 0.406]
inputs.picture.image.std = [0.229, 0.224, 0.225]
outputs.styled = { image = { color = "rgb" } }
outputs.means = { dtype = "float32" }

[models.small]
source = { file = "python/nets.py", entry = "small" }
minimum-deployment-target = "iOS26"
inputs.x = { shape = [1, 4], dtype = "int8" }
outputs.scaled = { dtype = "float32" }
outputs.next = { dtype = "int32" }
outputs.sign = { dtype = "int8" }
"#;

/// Their Python side.
const NETS: &str = include_str!("../fixtures/features_nets.py");

/// The program.
const MAIN: &str = r#"#[coreml_rt::coreml_model("nets.toml")]
pub mod nets {}

use coreml_rt::{Fixed, ImageView, Range, Rgb, Tensor, TensorView, f16};
use nets::{choice, decoder, photo, text};

fn main() -> Result<(), coreml_rt::Error> {
    let models = nets::Models::load()?;

    let mut state = models.decoder.new_state()?;
    let mut last = None;
    for step in 0..4 {
        let (token, position) = (Tensor::from([[3 + step]]), Tensor::from([step]));
        let input = decoder::Input { token: token.view(), position: position.view() };
        last = Some(models.decoder.predict(&mut state, &input)?.logits);
    }
    let written = state.cache()?.as_slice().iter().filter(|element| **element != f16::ZERO).count();
    println!("cache {written} logits {:?}", last.map(|logits| logits.dims()));
    state.set_cache(Tensor::zeros().view())?;
    println!("emptied {}", state.cache()?.as_slice().iter().all(|element| *element == f16::ZERO));

    for length in [1, 20] {
        let (ids, mask) = (vec![5; length], vec![0.5; length]);
        let input = text::Input {
            ids: TensorView::from_slice_with_dims(&ids, [1, length])?,
            mask: TensorView::from_slice_with_dims(&mask, [1, length])?,
        };
        type Scores = Tensor<f32, (Fixed<1>, Range<1, 32>, Fixed<8>)>;
        let scores: Scores = models.text.predict(&input)?.scores;
        println!("scores {:?}", scores.dims());
    }
    // Broadcast, such a mask would give a result.
    let (ids, mask) = (Tensor::<i32, (Fixed<1>, Fixed<20>)>::zeros(), [1.0]);
    let mask = TensorView::from_slice_with_dims(&mask, [1, 1])?;
    let input = text::Input { ids: ids.view().with_bounds()?, mask };
    println!("{}", models.text.predict(&input).unwrap_err());
    let long = vec![5; 33];
    type Ids<'a> = TensorView<'a, i32, (Fixed<1>, Range<1, 32>)>;
    println!("{}", Ids::from_slice_with_dims(&long, [1, 33]).unwrap_err());

    let ones = Tensor::<f32, (Fixed<1>, Fixed<16>)>::from_fn(|_| 1.0);
    let summed = models.choice.predict(&choice::Input { x: ones.view().into() })?.y;
    println!("summed {:?} of {:?}", summed.as_slice().last(), summed.dims());
    println!("{}", choice::XInput::from_slice_with_dims(&[0.0; 9], [1, 9]).unwrap_err());

    let output = models.small.predict(&nets::small::Input { x: (&[[-128i8, -1, 0, 127]]).into() })?;
    let sign: Tensor<i8, (Fixed<1>, Fixed<4>)> = output.sign;
    let (scaled, next) = (output.scaled.as_slice()[3], output.next.as_slice());
    println!("small {scaled:.2} {next:?} {:?}", sign.as_slice());

    // Red, green, blue, in any order of channels inside the model.
    let red: Vec<u8> = [255, 0, 0].repeat(6 * 4);
    let picture = ImageView::<Rgb, Fixed<6>, Fixed<4>>::from_rgb8(&red, 6, 4)?;
    let output = models.photo.predict(&photo::Input { picture })?;
    let means = output.means.as_slice().iter().map(|mean| format!("{mean:.2}"));
    let means: Vec<String> = means.collect();
    println!("means {} styled {:?}", means.join(" "), output.styled.pixel(5, 3));
    Ok(())
}
"#;

#[test]
fn they_work_the_whole_way() {
    let user = UserCrate::new("features", &["nets.toml"]);
    user.write("nets.toml", MANIFEST);
    user.write("python/nets.py", NETS);
    user.write("src/main.rs", MAIN);
    let said = user.cargo(&["run"]).succeeds().stdout;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "cache 32 logits Some([1, 16])", "{said}");
    assert_eq!(lines[1], "emptied true", "{said}");
    assert_eq!(lines[2..4], ["scores [1, 1, 8]", "scores [1, 20, 8]"], "{said}");
    let unequal = "dimension 1 of `ids` and dimension 1 of `mask` must have the same size, but \
        have 20 and 1";
    assert_eq!(lines[4], unequal, "{said}");
    assert_eq!(lines[5], "dimension 1 of shape [1, 33] is 33, but it must be 1 to 32", "{said}");
    assert_eq!(lines[6], "summed Some(16.0) of [1, 16]", "{said}");
    assert_eq!(lines[7], "the model does not take shape [1, 9], only [1, 8], [1, 16]", "{said}");
    assert_eq!(lines[8], "small 1.00 [-127, 0, 1, 128] [-1, -1, 0, 1]", "{said}");
    // The planes are blue, green, red: (0 - mean) / std of the first two, (1 - mean) / std of the
    // last; means and deviations have the order of the planes.
    assert!(lines[9].starts_with("means -2.12 -2.04 2.64 "), "{said}");

    user.cargo(&["test"])
        .succeeds()
        .has_parity("nets", &["decoder", "text", "choice", "photo", "small"]);
}
