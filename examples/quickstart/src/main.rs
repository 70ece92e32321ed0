//! Recognises handwritten digits with a PyTorch model that `cargo build` turned into a Rust type.
//!
//! Owns: the measurements that the program prints. Must not: know Python, Core ML or an engine.
//! Flow: `build.rs` converts `digits.toml` → the attribute below generates its types → this program
//! predicts the test split.

mod drawing;
mod test_split;

use digits::{Input, Label, Model};
use std::error::Error;
use std::time::{Duration, Instant};
use test_split::Example;

#[coreml_rt::coreml_model("digits.toml")]
pub mod digits {}

/// Images in a row of the drawing, and rows.
const DRAWN: (usize, usize) = (4, 2);

/// How often the whole split is predicted to measure the time.
const ROUNDS: usize = 10;

/// What a pass over the test split showed.
struct Measured {
    /// Images whose digit the model recognises.
    correct: usize,
    /// Images whose digit PyTorch recognises.
    pytorch_correct: usize,
    /// The largest difference between a probability and PyTorch's.
    largest_difference: f32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let examples = test_split::read()?;
    let model = Model::load()?;
    println!("model                digits.toml, {}", how_it_was_built()?);
    println!("backend              {}\n", model.backend());

    let step = examples.len() / (DRAWN.0 * DRAWN.1);
    let drawn: Vec<&Example> =
        examples.iter().step_by(step.max(1)).take(DRAWN.0 * DRAWN.1).collect();
    for row in drawn.chunks(DRAWN.0) {
        let mut images = Vec::new();
        for example in row {
            let (label, probability) = predict(&model, example)?;
            images.push((&example.pixels, format!("{label} {:.1} %", probability * 100.0)));
        }
        println!("{}\n", drawing::side_by_side(&images).join("\n"));
    }

    let measured = measure(&model, &examples)?;
    let percent =
        |correct: usize| format!("{:.2} %", correct as f64 / examples.len() as f64 * 100.0);
    println!("test split           {} images that training never saw", examples.len());
    println!("accuracy             {} ({} right)", percent(measured.correct), measured.correct);
    println!(
        "PyTorch's accuracy   {} ({} right)",
        percent(measured.pytorch_correct),
        measured.pytorch_correct
    );
    println!("largest difference   {:.6} in a probability", measured.largest_difference);
    println!(
        "time per prediction  {:.1?} (median of {})",
        median_time(&model, &examples)?,
        ROUNDS * examples.len()
    );
    Ok(())
}

/// Returns the digit that the model sees in an image, and how sure it is.
fn predict(model: &Model, example: &Example) -> Result<(Label, f32), Box<dyn Error>> {
    let output = model.predict(&Input { image: example.pixels.as_slice().try_into()? })?;
    Ok((output.class_label, output.class_label_probs.get(output.class_label)))
}

/// Predicts every image once and compares with the truth and with PyTorch.
fn measure(model: &Model, examples: &[Example]) -> Result<Measured, Box<dyn Error>> {
    let mut measured = Measured { correct: 0, pytorch_correct: 0, largest_difference: 0.0 };
    for example in examples {
        let output = model.predict(&Input { image: example.pixels.as_slice().try_into()? })?;
        let differences = output
            .class_label_probs
            .as_slice()
            .iter()
            .zip(&example.pytorch)
            .map(|(ours, theirs)| (ours - theirs).abs());
        measured.largest_difference = differences.fold(measured.largest_difference, f32::max);
        measured.correct += usize::from(digit(output.class_label) == example.digit);
        measured.pytorch_correct +=
            usize::from(most_probable(&example.pytorch) == usize::from(example.digit));
    }
    Ok(measured)
}

/// Returns the number of a label; rustc checks that no class is missing.
fn digit(label: Label) -> u8 {
    match label {
        Label::Zero => 0,
        Label::One => 1,
        Label::Two => 2,
        Label::Three => 3,
        Label::Four => 4,
        Label::Five => 5,
        Label::Six => 6,
        Label::Seven => 7,
        Label::Eight => 8,
        Label::Nine => 9,
    }
}

/// Returns the position of the largest probability.
fn most_probable(probabilities: &[f32]) -> usize {
    probabilities
        .iter()
        .enumerate()
        .max_by(|(_, left), (_, right)| left.total_cmp(right))
        .map_or(0, |(index, _)| index)
}

/// Predicts the whole split several times and returns the median time of one prediction.
fn median_time(model: &Model, examples: &[Example]) -> Result<Duration, Box<dyn Error>> {
    let mut output = digits::Output::default();
    let mut times = Vec::with_capacity(ROUNDS * examples.len());
    for example in examples.iter().cycle().take(ROUNDS * examples.len()) {
        let input = Input { image: example.pixels.as_slice().try_into()? };
        let start = Instant::now();
        model.predict_into(&input, &mut output)?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    times.get(times.len() / 2).copied().ok_or_else(|| "the test split is empty".into())
}

/// Returns whether the last run of the build script converted the model or found it in the cache.
fn how_it_was_built() -> Result<String, Box<dyn Error>> {
    let report = std::fs::read(concat!(env!("OUT_DIR"), "/coreml/digits.toml/build.json"))?;
    let build: serde_json::Value = serde_json::from_slice(&report)?;
    let model = &build["models"][0];
    let seconds = model["seconds"].as_f64().unwrap_or_default();
    Ok(match model["cached"].as_bool() {
        Some(true) => format!("found in the cache (its conversion took {seconds:.1} s once)"),
        _ => format!("converted by the last build in {seconds:.1} s"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_right_as_pytorch() {
        let examples = test_split::read().unwrap();
        assert!(examples.len() >= 300);
        let measured = measure(&Model::load().unwrap(), &examples).unwrap();
        assert!(
            measured.correct * 100 >= examples.len() * 97,
            "{} of {}",
            measured.correct,
            examples.len()
        );
        assert!(measured.correct.abs_diff(measured.pytorch_correct) <= 1);
        assert!(measured.largest_difference < 0.02, "{}", measured.largest_difference);
    }

    #[test]
    fn labels_are_the_digits_in_order() {
        let digits: Vec<u8> = Label::ALL.iter().map(|&label| digit(label)).collect();
        assert_eq!(digits, (0..10).collect::<Vec<u8>>());
    }
}
