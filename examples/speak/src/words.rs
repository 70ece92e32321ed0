//! Text to phrases of phonemes.
//!
//! Owns: the vocabulary, what ends a phrase, digits and signs as words. Must not: know models.
//! Flow: [`crate::Speaker`] → here; `acoustic.rs` gets the phonemes.

use crate::Error;
use std::collections::HashMap;

/// What `python/train.py` wrote: the names of all phonemes, then a line for each word with those it
/// is made of.
const WORDS: &str = include_str!("../data/words.txt");

/// Words of a phrase, as many as phrases had in training.
pub const MOST_WORDS: usize = 7;

/// The phoneme before and after each phrase: silence, the first in the list.
const SILENCE: i32 = 0;

/// Characters that end a phrase.
const ENDS: [char; 7] = [',', '.', ';', ':', '!', '?', '\n'];

/// Characters that are spoken as a word.
const SPOKEN: [(char, &str); 16] = [
    ('0', "zero"),
    ('1', "one"),
    ('2', "two"),
    ('3', "three"),
    ('4', "four"),
    ('5', "five"),
    ('6', "six"),
    ('7', "seven"),
    ('8', "eight"),
    ('9', "nine"),
    ('+', "plus"),
    ('-', "minus"),
    ('−', "minus"),
    ('×', "times"),
    ('=', "equals"),
    ('%', "percent"),
];

/// A phrase: what is said in one breath.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// Its words.
    pub text: String,
    /// Their phonemes, with silence before and after.
    pub phonemes: Vec<i32>,
}

/// The words that the voice knows.
#[derive(Debug)]
pub struct Vocabulary {
    /// The words in the order of the file.
    words: Vec<&'static str>,
    /// Each word's phonemes.
    phonemes: HashMap<&'static str, Vec<i32>>,
}

impl Vocabulary {
    /// Reads the vocabulary that is part of the program.
    ///
    /// Errors: the file names a phoneme that its first line lacks.
    pub fn new() -> Result<Self, Error> {
        let mut lines = WORDS.lines();
        let names: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        let (mut words, mut phonemes) = (Vec::new(), HashMap::new());
        for line in lines {
            let mut parts = line.split(' ');
            let word = parts.next().unwrap_or_default();
            let places = parts.map(|part| names.iter().position(|name| *name == part));
            let places: Option<Vec<i32>> = places.map(|place| i32::try_from(place?).ok()).collect();
            let places = places.ok_or_else(|| {
                Error::Text(format!(
                    "data/words.txt: `{word}` has a phoneme that the first line lacks: train again"
                ))
            })?;
            words.push(word);
            phonemes.insert(word, places);
        }
        Ok(Self { words, phonemes })
    }

    /// Returns the words that the voice knows.
    pub fn words(&self) -> &[&'static str] {
        &self.words
    }

    /// Cuts a text into phrases: at punctuation, and after 7 words.
    ///
    /// Digits and the signs + - × = % are words, and so is a point between two digits; all else has
    /// to be in the vocabulary.
    /// Errors: no word, or unknown ones; the message names all of those.
    pub fn phrases(&self, text: &str) -> Result<Vec<Phrase>, Error> {
        let (mut phrases, mut unknown) = (Vec::new(), Vec::new());
        for part in spoken(text).split(ENDS) {
            let words: Vec<&str> = part.split_whitespace().collect();
            unknown.extend(
                words
                    .iter()
                    .filter(|word| !self.phonemes.contains_key(**word))
                    .map(|word| format!("`{word}`")),
            );
            for words in words.chunks(MOST_WORDS) {
                let phonemes =
                    words.iter().filter_map(|word| self.phonemes.get(word)).flatten().copied();
                let phonemes = std::iter::once(SILENCE).chain(phonemes).chain([SILENCE]).collect();
                phrases.push(Phrase { text: words.join(" "), phonemes });
            }
        }
        let known = || self.words.join(", ");
        if !unknown.is_empty() {
            unknown.dedup();
            let unknown = unknown.join(", ");
            return Err(Error::Text(format!(
                "the voice does not know {unknown}: it was trained on {}",
                known()
            )));
        }
        if phrases.is_empty() {
            return Err(Error::Text(format!(
                "there is no word to say in {text:?}: the voice knows {}",
                known()
            )));
        }
        Ok(phrases)
    }
}

/// Returns a text in lower case with digits and signs as words.
fn spoken(text: &str) -> String {
    let characters: Vec<char> = text.to_lowercase().chars().collect();
    let digit = |place: Option<usize>| {
        place.and_then(|place| characters.get(place)).is_some_and(char::is_ascii_digit)
    };
    let mut spoken = String::new();
    for (place, &character) in characters.iter().enumerate() {
        let word = SPOKEN.iter().find(|(sign, _)| *sign == character).map(|(_, word)| *word);
        let between = character == '.' && digit(place.checked_sub(1)) && digit(Some(place + 1));
        match word.or(between.then_some("point")) {
            Some(word) => spoken.extend([" ", word, " "]),
            None => spoken.push(character),
        }
    }
    spoken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the words of each phrase.
    fn texts(text: &str) -> Vec<String> {
        Vocabulary::new()
            .unwrap()
            .phrases(text)
            .unwrap()
            .into_iter()
            .map(|phrase| phrase.text)
            .collect()
    }

    #[test]
    fn punctuation_and_length_cut_phrases() {
        assert_eq!(texts("One two, three.\nfour!"), ["one two", "three", "four"]);
        assert_eq!(texts("123456789"), ["one two three four five six seven", "eight nine"]);
    }

    #[test]
    fn signs_are_words() {
        assert_eq!(texts("2+3=5"), ["two plus three equals five"]);
        assert_eq!(texts("-9.5%. 4"), ["minus nine point five percent", "four"]);
    }

    #[test]
    fn phonemes_stand_between_silences() {
        let vocabulary = Vocabulary::new().unwrap();
        let phrase = vocabulary.phrases("two two").unwrap().remove(0);
        assert_eq!((phrase.phonemes[0], phrase.phonemes[5]), (0, 0));
        assert_eq!(phrase.phonemes[1..3], phrase.phonemes[3..5]);
    }

    #[test]
    fn what_is_unknown_is_named() {
        let vocabulary = Vocabulary::new().unwrap();
        let message = vocabulary.phrases("one hello two world").unwrap_err().to_string();
        assert!(
            message.starts_with(
                "the voice does not know `hello`, `world`: it was trained on zero, one,"
            ),
            "{message}"
        );
        let message = vocabulary.phrases(" ,.").unwrap_err().to_string();
        assert!(message.starts_with("there is no word to say in \" ,.\""), "{message}");
    }
}
