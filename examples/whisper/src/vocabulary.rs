//! Tokens and their meaning: words, special tokens, timestamps.
//!
//! Owns: [`Vocabulary`], the small one of the digits, and the reader of Whisper's ranks files.
//! Must not: choose tokens (`decode.rs` does).
//! Flow: `decode.rs` and `transcribe.rs` → here.

use crate::error::Error;
use base64::Engine as _;
use std::collections::HashMap;
use std::path::Path;

/// What the model of this repository can write.
const DIGITS: [&str; 10] =
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// The languages of OpenAI's models, in the order of their tokens; the last came with `large-v3`.
const LANGUAGES: &str = "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms \
    cs ro da hu ta no th ur hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne \
    mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa \
    lb my bo tl mg as tt haw ln ha ba jw su yue";

/// What OpenAI's decoding never writes: signs that subtitles have for what is not speech.
const SIGNS: &str = "\" # ( ) * + / : ; < = > @ [ \\ ] ^ _ ` { | } ~ 「 」 『 』 << >> <<< >>> -- --- \
    -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪";

/// Notes, whose first bytes are enough.
const NOTES: &str = "♩ ♪ ♫ ♬ ♭ ♮ ♯";

/// The tokens of a model.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// For each word token its bytes; a character may be cut between two tokens.
    words: Vec<Vec<u8>>,
    /// The tokens before the first one that the decoder writes.
    pub prompt: Vec<u32>,
    /// The end of a text.
    pub end: u32,
    /// Its probability behind the start token is that of silence.
    pub no_speech: u32,
    /// In the prompt: the text comes without timestamps.
    pub no_timestamps: u32,
    /// The timestamp of 0 seconds; all tokens from it on are timestamps.
    pub first_timestamp: u32,
    /// Seconds from timestamp to timestamp.
    pub precision: f32,
    /// The latest timestamp that a window may begin with, in seconds.
    pub latest_begin: f32,
    /// Tokens that are never written.
    pub suppressed: Vec<u32>,
    /// Tokens that a text does not begin with.
    pub blank: Vec<u32>,
}

impl Vocabulary {
    /// Returns the vocabulary of the model that was trained here (`python/digit_speech.py`).
    pub fn digits() -> Self {
        Self {
            words: DIGITS.iter().map(|word| format!(" {word}").into_bytes()).collect(),
            prompt: vec![11],
            end: 10,
            no_speech: 12,
            no_timestamps: 13,
            first_timestamp: 14,
            precision: 0.05,
            latest_begin: 6.0,
            suppressed: vec![11, 12],
            blank: Vec::new(),
        }
    }

    /// Reads one of Whisper's ranks files, such as `multilingual.tiktoken`.
    ///
    /// Parameters: `tokens` — the number of the model's tokens, which determines its generation;
    /// `language` — such as `en`; `translate` — write English, whatever language is spoken.
    /// Errors: the file cannot be read or has another number of words; the language does not exist.
    pub fn multilingual(
        ranks: &Path,
        tokens: usize,
        language: &str,
        translate: bool,
    ) -> Result<Self, Error> {
        let text = std::fs::read_to_string(ranks).map_err(|error| Error::file(ranks, error))?;
        let words = parse(&text).map_err(|line| {
            Error::file(
                ranks,
                format!(
                    "line {line} is not a word in base64 and its rank; is it a .tiktoken file?"
                ),
            )
        })?;
        // Words, end, start, languages, six tokens for tasks, and 1501 timestamps.
        let languages: Vec<&str> = LANGUAGES.split(' ').collect();
        let known = tokens
            .checked_sub(words.len() + 8 + 1501)
            .filter(|known| (1..=languages.len()).contains(known));
        let Some(known) = known else {
            let count = words.len();
            return Err(Error::file(
                ranks,
                format!("its {count} words do not belong to a model of {tokens} tokens"),
            ));
        };
        let chosen =
            languages.iter().take(known).position(|known| *known == language).ok_or_else(|| {
                Error::Options(format!(
                    "no language `{language}`; there are {}",
                    languages[..known].join(", ")
                ))
            })?;
        let end = words.len() as u32;
        let (start, first_language) = (end + 1, end + 2);
        let translation = first_language + known as u32;
        let (transcription, no_speech) = (translation + 1, translation + 4);
        let task = if translate { translation } else { transcription };
        let mut suppressed = signs(&words);
        suppressed.extend([start, no_speech]);
        suppressed.extend(translation..no_speech);
        let blank = words.iter().position(|word| word == b" ").map(|space| space as u32);
        Ok(Self {
            prompt: vec![start, first_language + chosen as u32, task],
            end,
            no_speech,
            no_timestamps: no_speech + 1,
            first_timestamp: no_speech + 2,
            precision: 0.02,
            latest_begin: 1.0,
            suppressed,
            blank: blank.into_iter().chain([end]).collect(),
            words,
        })
    }

    /// Returns a vocabulary of numbers for a model without its words: one with random weights.
    ///
    /// Parameters: `tokens` — 51865 or 51866.
    pub fn numbers(tokens: usize) -> Self {
        let (end, known) = (50257u32, tokens.saturating_sub(50257 + 8 + 1501) as u32);
        let translation = end + 2 + known;
        Self {
            words: (0..end).map(|token| format!(" {token}").into_bytes()).collect(),
            prompt: vec![end + 1, end + 2, translation + 1],
            end,
            no_speech: translation + 4,
            no_timestamps: translation + 5,
            first_timestamp: translation + 6,
            precision: 0.02,
            latest_begin: 1.0,
            suppressed: vec![
                end + 1,
                translation,
                translation + 1,
                translation + 2,
                translation + 3,
                translation + 4,
            ],
            blank: vec![220, end],
        }
    }

    /// Returns the text of tokens; special tokens and timestamps have no text.
    pub fn text(&self, tokens: &[u32]) -> String {
        let words = tokens.iter().filter_map(|token| self.words.get(*token as usize));
        String::from_utf8_lossy(&words.flatten().copied().collect::<Vec<u8>>()).trim().to_owned()
    }

    /// Returns the time of a timestamp, in seconds from the window's begin; `None` for any other
    /// token.
    pub fn time(&self, token: u32) -> Option<f32> {
        token.checked_sub(self.first_timestamp).map(|steps| steps as f32 * self.precision)
    }

    /// Returns whether a token is a word, or a part of one.
    pub fn is_word(&self, token: u32) -> bool {
        token < self.end
    }
}

/// Reads a ranks file: the bytes of each word in base64, and its rank, which is its token.
///
/// Errors: the number of the first line that is something else.
fn parse(text: &str) -> Result<Vec<Vec<u8>>, usize> {
    let mut words = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let word = line.split_once(' ').and_then(|(word, rank)| {
            let rank: usize = rank.trim().parse().ok()?;
            // The files of OpenAI are in the order of the ranks.
            // A word that has no bytes, which the multilingual file ends with, is written as `=`.
            let word = word.trim_end_matches('=');
            (rank == words.len())
                .then(|| base64::engine::general_purpose::STANDARD_NO_PAD.decode(word).ok())?
        });
        words.push(word.ok_or(index + 1)?);
    }
    Ok(words)
}

/// Returns the tokens of [`SIGNS`] and [`NOTES`], with and without a space before them, and those
/// of dashes and quotation marks that begin a word.
fn signs(words: &[Vec<u8>]) -> Vec<u32> {
    let tokens: HashMap<&[u8], u32> = words.iter().map(Vec::as_slice).zip(0..).collect();
    let whole = |sign: &str| tokens.get(sign.as_bytes()).copied();
    let mut found: Vec<u32> = [" -", " '"].into_iter().filter_map(whole).collect();
    for sign in SIGNS.split(' ') {
        found.extend([whole(sign), whole(&format!(" {sign}"))].into_iter().flatten());
    }
    for note in NOTES.split(' ') {
        for text in [note.to_owned(), format!(" {note}")] {
            let bytes = text.as_bytes();
            found.extend(
                (1..=bytes.len())
                    .rev()
                    .find_map(|length| tokens.get(bytes.get(..length)?).copied()),
            );
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_written_with_spaces_and_times() {
        let vocabulary = Vocabulary::digits();
        assert_eq!(vocabulary.text(&[14, 3, 5, 30, 10]), "three five");
        assert_eq!(vocabulary.time(34), Some(1.0));
        assert_eq!(vocabulary.time(10), None);
    }

    #[test]
    fn a_ranks_file_is_read_and_a_character_may_be_cut_between_tokens() {
        // "a", " b", the two halves of "é", and the empty last line of OpenAI's file.
        let words = parse("YQ== 0\nIGI= 1\nww== 2\nqQ== 3\n= 4\n").unwrap();
        assert_eq!(words, [b"a".to_vec(), b" b".to_vec(), vec![0xc3], vec![0xa9], vec![]]);
        let vocabulary = Vocabulary { words, ..Vocabulary::digits() };
        assert_eq!(vocabulary.text(&[0, 2, 3, 1]), "aé b");
        assert_eq!(parse("YQ== 0\nIGI= 7\n"), Err(2));
    }

    #[test]
    fn numbers_are_where_the_models_have_them() {
        let v2 = Vocabulary::numbers(51865);
        assert_eq!((v2.no_speech, v2.no_timestamps, v2.first_timestamp), (50362, 50363, 50364));
        assert_eq!(v2.prompt, [50258, 50259, 50359]);
        let v3 = Vocabulary::numbers(51866);
        assert_eq!((v3.no_speech, v3.no_timestamps, v3.first_timestamp), (50363, 50364, 50365));
        assert_eq!(v3.prompt, [50258, 50259, 50360]);
    }
}
