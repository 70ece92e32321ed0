//! Text to tokens: the tokenizer that the encoder was trained with, built from its vocabulary by
//! the crate `tokenizers`.
//!
//! Owns: the parts of that tokenizer and their settings. Must not: know the network.
//! Flow: `lib.rs` → here, for the tokens of each text.

use std::error::Error;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{TokenizerImpl, TruncationParams};

/// The word pieces, a line each, in the order of their ids.
const VOCABULARY: &[u8] = include_bytes!("../data/vocabulary.txt");

/// Stands before each text, with its id.
const CLASS: (&str, u32) = ("[CLS]", 101);

/// Stands behind each text, with its id.
const SEPARATOR: (&str, u32) = ("[SEP]", 102);

/// Stands for what the vocabulary cannot spell.
const UNKNOWN: &str = "[UNK]";

/// Positions that the network has weights for; what is behind them is left out.
const LONGEST: usize = 512;

/// A tokenizer: lower case, no accents, words and punctuation apart, and words in the longest known
/// pieces.
pub(crate) struct Words(
    TokenizerImpl<WordPiece, BertNormalizer, BertPreTokenizer, BertProcessing, NoDecoder>,
);

/// Tokens are never turned back into text here.
type NoDecoder = tokenizers::decoders::wordpiece::WordPiece;

impl Words {
    /// Makes the tokenizer.
    ///
    /// Errors: none with this vocabulary.
    pub(crate) fn new() -> Result<Self, Box<dyn Error + Send + Sync>> {
        let pieces = WordPiece::read_bytes(VOCABULARY)?;
        let model = WordPiece::builder().vocab(pieces).unk_token(UNKNOWN.into()).build()?;
        let mut tokenizer = TokenizerImpl::new(model);
        tokenizer
            .with_normalizer(Some(BertNormalizer::new(true, true, None, true)))
            .with_pre_tokenizer(Some(BertPreTokenizer))
            .with_post_processor(Some(BertProcessing::new(own(SEPARATOR), own(CLASS))))
            .with_truncation(Some(TruncationParams {
                max_length: LONGEST,
                ..TruncationParams::default()
            }))?;
        Ok(Self(tokenizer))
    }

    /// Returns the tokens of a text, 2 to 512.
    ///
    /// Errors: none that a text could cause.
    pub(crate) fn tokens(&self, text: &str) -> Result<Vec<i32>, Box<dyn Error + Send + Sync>> {
        let encoding = self.0.encode(text, true)?;
        Ok(encoding.get_ids().iter().map(|&id| id.cast_signed()).collect())
    }
}

/// Returns a special token as the crate takes it.
fn own((piece, id): (&str, u32)) -> (String, u32) {
    (piece.to_owned(), id)
}
