//! Finds brackets without a partner, in texts of any length up to 64 characters, with a PyTorch
//! model of three fixed sizes.
//!
//! Owns: the generated types, and how a text becomes the model's input. Must not: print, read
//! files.
//! Flow: `build.rs` converts `brackets.toml` → the attribute below generates its types → `main.rs`
//! checks texts.
//!
//! Neither the sizes nor the mask are visible here: input and output have the text's own length.
//! Other sizes in the manifest change no line of this file.

use coreml_rt::{Error, TensorView};

#[coreml_rt::coreml_model("brackets.toml")]
pub mod brackets {}

/// What the model makes of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The probability of each character to be a bracket without a partner.
    pub unmatched: Vec<f32>,
    /// The probability that every bracket has a partner.
    pub balanced: f32,
}

/// Checks a text with the smallest bucket that it fits into.
///
/// Errors: the text is empty or longer than 64 bytes; as `predict`.
pub fn check(model: &brackets::checker::Model, text: &str) -> Result<Verdict, Error> {
    let characters = characters(text);
    let text = TensorView::from_slice_with_dims(&characters, [1, characters.len()])?;
    let output = model.predict(&brackets::checker::Input { text })?;
    Ok(Verdict { unmatched: output.unmatched.into_vec(), balanced: output.balanced.as_slice()[0] })
}

/// Returns a text as the model takes it: ASCII, anything else being a letter.
pub fn characters(text: &str) -> Vec<i32> {
    text.chars()
        .map(|character| if character.is_ascii() { character as i32 } else { 'x' as i32 })
        .collect()
}

#[cfg(test)]
mod tests {
    //! Non-blocking predictions, and batches.

    use super::*;
    use brackets::checker::{Input, Model};
    use coreml_rt::LoadOptions;

    #[test]
    fn what_is_awaited_and_batches_are_what_a_prediction_gives() -> Result<(), Error> {
        let model = Model::load_async(LoadOptions::new()).wait()?;
        let texts = [
            "(a)",
            "((a) + (b)) * (c + (d))",
            "(",
            "(((((((((((((((((((((((((((((((((((((((((((()",
        ]
        .map(characters);
        let inputs =
            texts.iter().map(|text| TensorView::from_slice_with_dims(text, [1, text.len()]));
        let inputs =
            inputs.map(|text| Ok(Input { text: text? })).collect::<Result<Vec<_>, Error>>()?;
        let started: Vec<_> = inputs.iter().map(|input| model.predict_async(input)).collect();
        let batch = model.predict_batch(&inputs)?;
        for ((input, started), from_batch) in inputs.iter().zip(started).zip(batch) {
            let expected = model.predict(input)?;
            assert_eq!(started.wait()?, expected);
            assert_eq!(from_batch, expected);
        }
        Ok(())
    }
}
