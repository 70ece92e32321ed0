//! Marks the brackets without a partner in texts of any length, and measures what buckets save.
//!
//! Owns: the output. Must not: know Python, Core ML or an engine.
//! Flow: `lib.rs` runs the model; this program shows its results for texts that were not in the
//! training set, or for those of the command line.

use buckets::brackets::{checker, longest};
use buckets::{Verdict, characters, check};
use coreml_rt::{LoadOptions, TensorView};
use safetensors::SafeTensors;
use std::error::Error;
use std::time::Instant;

/// Texts that are shown by default.
const TEXTS: [&str; 3] = ["(a+b", "2*(x+(y-1))", "((a+b)*(c-(x*3))+(y)))-(12*(z+1"];

/// How often all texts are checked, when times are measured.
const ROUNDS: usize = 40;

/// From this probability on a character is marked.
const MARKED: f32 = 0.5;

/// A text with PyTorch's results.
struct Sample {
    /// The text.
    text: String,
    /// PyTorch's result, from the text without padding.
    pytorch: Verdict,
    /// Which brackets have no partner in truth.
    truth: Vec<bool>,
}

fn main() -> Result<(), Box<dyn Error>> {
    // One thread, so that the times can be compared.
    let options = LoadOptions::new().threads(1);
    let model = checker::Model::load_with(&options)?;
    let given: Vec<String> = std::env::args().skip(1).collect();
    let texts = if given.is_empty() { TEXTS.map(str::to_owned).to_vec() } else { given };
    for text in &texts {
        show(text, &check(&model, text)?, checker::Bucket::smallest(characters(text).len())?);
    }
    let loaded = checker::Bucket::ALL.into_iter().filter(|bucket| model.is_loaded(*bucket));
    println!("buckets loaded       {:?}", loaded.map(checker::Bucket::size).collect::<Vec<_>>());

    let samples = samples()?;
    let (mut right, mut all, mut apart) = (0, 0, 0.0f32);
    for sample in &samples {
        let verdict = check(&model, &sample.text)?;
        let marks = verdict.unmatched.iter().zip(&sample.truth);
        right += marks.filter(|(found, truth)| (**found > MARKED) == **truth).count();
        all += sample.truth.len();
        let pairs = verdict.unmatched.iter().zip(&sample.pytorch.unmatched);
        let largest = pairs.map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
        apart = apart.max(largest).max((verdict.balanced - sample.pytorch.balanced).abs());
    }
    println!("characters right     {:.2} % of {all}", 100.0 * right as f64 / all as f64);
    println!("largest difference   {apart:.6} from PyTorch without padding");
    times(&model, &longest::Model::load_with(&options)?, &samples)
}

/// Prints a text with a mark under each bracket without a partner.
fn show(text: &str, verdict: &Verdict, bucket: checker::Bucket) {
    let marks =
        verdict.unmatched.iter().map(|&probability| if probability > MARKED { '^' } else { ' ' });
    println!("{text}");
    println!("{}", marks.collect::<String>());
    println!(
        "{} characters in a bucket of {}, balanced: {:.3}\n",
        text.len(),
        bucket.size(),
        verdict.balanced
    );
}

/// Prints how long a prediction takes in each bucket, and how long in the largest.
fn times(
    model: &checker::Model,
    longest: &longest::Model,
    samples: &[Sample],
) -> Result<(), Box<dyn Error>> {
    println!("\nbucket  texts  time here  padded to 64");
    let mut begin = 0;
    for bucket in checker::Bucket::ALL {
        let texts = samples.iter().map(|sample| characters(&sample.text));
        let texts: Vec<Vec<i32>> =
            texts.filter(|text| (begin + 1..=bucket.size()).contains(&text.len())).collect();
        begin = bucket.size();
        model.load_bucket(bucket)?;
        let (mut here, mut there) = (checker::Output::zeros(), longest::Output::zeros());
        // The fastest round of each: what delays the others is the machine, not the model.
        let (mut own, mut padded) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..ROUNDS {
            let start = Instant::now();
            for text in &texts {
                let text = TensorView::from_slice_with_dims(text, [1, text.len()])?;
                model.predict_into(&checker::Input { text }, &mut here)?;
            }
            own = own.min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            for text in &texts {
                let text = TensorView::from_slice_with_dims(text, [1, text.len()])?;
                longest.predict_into(&longest::Input { text }, &mut there)?;
            }
            padded = padded.min(start.elapsed().as_secs_f64());
        }
        let each = |seconds: f64| 1e3 * seconds / texts.len().max(1) as f64;
        let (own, padded) = (each(own), each(padded));
        println!(
            "{:6}  {:5}  {own:6.3} ms  {padded:6.3} ms ({:.2}×)",
            bucket.size(),
            texts.len(),
            padded / own
        );
    }
    Ok(())
}

/// Reads the texts that `python/train.py` kept.
fn samples() -> Result<Vec<Sample>, Box<dyn Error>> {
    let file = SafeTensors::deserialize(include_bytes!("../data/texts.safetensors"))?;
    let floats = |name: &str| -> Result<Vec<f32>, Box<dyn Error>> {
        Ok(file
            .tensor(name)?
            .data()
            .as_chunks()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect())
    };
    let lengths =
        file.tensor("length")?.data().as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes));
    let lengths: Vec<usize> = lengths.map(usize::try_from).collect::<Result<_, _>>()?;
    let (text, truth) = (file.tensor("text")?.data(), file.tensor("truth")?.data());
    let (unmatched, balanced) = (floats("unmatched")?, floats("balanced")?);
    let width = text.len() / lengths.len().max(1);
    let rows = text
        .chunks(width)
        .zip(truth.chunks(width))
        .zip(unmatched.chunks(width))
        .zip(balanced)
        .zip(lengths);
    let samples = rows.map(|((((text, truth), unmatched), balanced), length)| Sample {
        text: text.iter().take(length).map(|&byte| char::from(byte)).collect(),
        pytorch: Verdict { unmatched: unmatched.iter().take(length).copied().collect(), balanced },
        truth: truth.iter().take(length).map(|&one| one == 1).collect(),
    });
    Ok(samples.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use coreml_rt::ShapeError;

    #[test]
    fn every_length_is_what_pytorch_gives_without_padding() {
        let model = checker::Model::load().unwrap();
        let samples = samples().unwrap();
        assert!(samples.len() > 100 && samples.iter().any(|sample| sample.text.len() < 8));
        for Sample { text, pytorch, truth } in &samples {
            let verdict = check(&model, text).unwrap();
            assert_eq!(verdict.unmatched.len(), text.len());
            let close = |one: &f32, other: &f32| (one - other).abs() < 0.02;
            assert!(
                verdict.unmatched.iter().zip(&pytorch.unmatched).all(|(a, b)| close(a, b)),
                "{text}"
            );
            assert!(close(&verdict.balanced, &pytorch.balanced), "{text}");
            assert_eq!(truth.len(), text.len());
        }
    }

    #[test]
    fn brackets_without_a_partner_are_found() {
        let model = checker::Model::load().unwrap();
        let marked = |text: &str| -> Vec<usize> {
            let verdict = check(&model, text).unwrap();
            let found = verdict.unmatched.iter().enumerate();
            found.filter(|(_, probability)| **probability > MARKED).map(|(at, _)| at).collect()
        };
        assert_eq!(marked("(a+b"), [0]);
        assert_eq!(marked("a+b)"), [3]);
        assert!(marked("2*(x+(y-1))").is_empty());
    }

    #[test]
    fn buckets_are_chosen_by_length_and_loaded_when_needed() {
        use checker::Bucket::{Size16, Size32, Size64};
        let sizes =
            [1, 16, 17, 32, 33, 64].map(|length| checker::Bucket::smallest(length).unwrap());
        assert_eq!(sizes, [Size16, Size16, Size32, Size32, Size64, Size64]);
        assert!(matches!(
            checker::Bucket::smallest(65),
            Err(ShapeError::NoBucket { length: 65, .. })
        ));
        let model = checker::Model::load().unwrap();
        check(&model, &"x".repeat(64)).unwrap();
        assert!(model.is_loaded(Size16) && !model.is_loaded(Size32) && model.is_loaded(Size64));
        let message = check(&model, &"x".repeat(65)).unwrap_err().to_string();
        assert_eq!(message, "dimension 1 of shape [1, 65] is 65, but it must be 1 to 64");
    }
}
