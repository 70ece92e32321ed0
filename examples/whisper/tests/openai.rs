//! The vocabulary of OpenAI's sizes against openai-whisper's own tokenizer.
//!
//! Owns: the comparison. `python/openai_tokens.py` wrote the expected tokens. OpenAI's ranks file
//! is not part of this repository: `COREML_TEST_WHISPER_RANKS` names it, and without it the test is
//! skipped.

use coreml_test_needs::needs;
use serde::Deserialize;
use std::path::Path;
use whisper::vocabulary::Vocabulary;

/// What openai-whisper's tokenizer knows.
#[derive(Deserialize)]
struct Expected {
    /// Of each model and task.
    models: Vec<Model>,
    /// Texts with their tokens.
    texts: Vec<Text>,
}

/// One model in one task.
#[derive(Deserialize)]
struct Model {
    tokens: usize,
    language: String,
    translate: bool,
    prompt: Vec<u32>,
    end: u32,
    no_speech: u32,
    no_timestamps: u32,
    first_timestamp: u32,
    suppressed: Vec<u32>,
    blank: Vec<u32>,
}

/// A text with its tokens.
#[derive(Deserialize)]
struct Text {
    text: String,
    tokens: Vec<u32>,
}

#[needs(whisper)]
#[test]
fn tokens_are_those_of_openai() {
    let ranks = std::env::var_os("COREML_TEST_WHISPER_RANKS").expect("it names OpenAI's ranks");
    let expected: Expected =
        serde_json::from_str(include_str!("../data/openai_tokens.json")).unwrap();
    assert_eq!(expected.models.len(), 8);
    for model in &expected.models {
        let what = format!("{} tokens, {}", model.tokens, model.language);
        let ours = Vocabulary::multilingual(
            Path::new(&ranks),
            model.tokens,
            &model.language,
            model.translate,
        )
        .unwrap();
        assert_eq!(ours.prompt, model.prompt, "{what}");
        assert_eq!(ours.end, model.end, "{what}");
        assert_eq!(ours.no_speech, model.no_speech, "{what}");
        assert_eq!(ours.no_timestamps, model.no_timestamps, "{what}");
        assert_eq!(ours.first_timestamp, model.first_timestamp, "{what}");
        let mut suppressed = ours.suppressed.clone();
        suppressed.sort_unstable();
        assert_eq!(suppressed, model.suppressed, "{what}");
        assert_eq!(ours.blank, model.blank, "{what}");
        for Text { text, tokens } in &expected.texts {
            assert_eq!(ours.text(tokens), text.trim(), "{what}");
        }
    }
}
