//! Sentence embeddings: the meaning of a text as 384 numbers of length 1; texts of similar meaning
//! have vectors of similar direction.
//!
//! Owns: the generated types, and how a text becomes tokens and a vector. Must not: print; know
//! which sizes are converted.
//! Flow: `build.rs` converts `embed.toml` → the attribute below generates its types → `main.rs`
//! searches sentences.
//!
//! The weights are published ones, those of sentence-transformers/all-MiniLM-L6-v2. Neither the
//! sizes of `embed.toml` nor the mask are visible here: the input has the text's own length.

mod words;

use coreml_rt::{LoadOptions, TensorView};
use std::error::Error;
use words::Words;

#[coreml_rt::coreml_model("embed.toml")]
pub mod model {}

/// Numbers of a vector.
pub const DIMENSIONS: usize = 384;

/// Turns texts into vectors.
pub struct Embedder {
    /// The network.
    model: model::Model,
    /// What the network calls the pieces of words.
    words: Words,
}

impl Embedder {
    /// Loads the network and the vocabulary.
    ///
    /// Errors: as `Model::load_with`.
    pub fn load(options: &LoadOptions) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self { model: model::Model::load_with(options)?, words: Words::new()? })
    }

    /// Returns the vector of a text, in the smallest bucket that it fits into; of a long text, that
    /// of its first 512 tokens.
    ///
    /// Returns: `DIMENSIONS` numbers, whose squares have the sum 1.
    /// Errors: as `predict`.
    pub fn embed(&self, text: &str) -> Result<Vec<f32>, Box<dyn Error + Send + Sync>> {
        let tokens = self.words.tokens(text)?;
        let input_ids = TensorView::from_slice_with_dims(&tokens, [1, tokens.len()])?;
        Ok(self.model.predict(&model::Input { input_ids })?.embedding.into_vec())
    }
}

/// Returns the cosine of the angle between two vectors of length 1: 1 for the same meaning, about 0
/// for unrelated ones.
pub fn cosine(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

/// Returns the positions of the vectors that are nearest to `query`, with their cosines, the
/// nearest first.
pub fn nearest(query: &[f32], vectors: &[Vec<f32>], count: usize) -> Vec<(usize, f32)> {
    let mut found: Vec<(usize, f32)> =
        vectors.iter().map(|vector| cosine(query, vector)).enumerate().collect();
    found.sort_by(|one, other| other.1.total_cmp(&one.1));
    found.truncate(count);
    found
}

#[cfg(test)]
mod tests;
