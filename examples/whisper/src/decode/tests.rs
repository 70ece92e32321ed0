//! Tests of the rules, with a scripted network.

use super::*;
use crate::network::Layout;

/// A network that returns prepared logits, one row for each step.
pub(crate) struct Scripted {
    /// The rows: tokens with their logits; all others are at -5.
    rows: Vec<Vec<(u32, f32)>>,
    /// What was taken in.
    taken: Vec<u32>,
    /// The last logits.
    logits: Vec<f32>,
}

impl Scripted {
    /// Returns a network of the digits' vocabulary.
    pub(crate) fn new(rows: &[&[(u32, f32)]]) -> Self {
        Self {
            rows: rows.iter().map(|row| row.to_vec()).collect(),
            taken: Vec::new(),
            logits: Vec::new(),
        }
    }
}

impl Network for Scripted {
    fn layout(&self) -> Layout {
        crate::network::DIGITS
    }

    fn spectrogram(&mut self, _: &[f32]) -> Result<Vec<f32>, Error> {
        Ok(Vec::new())
    }

    fn hear(&mut self, _: &[f32]) -> Result<(), Error> {
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Error> {
        self.taken.clear();
        Ok(())
    }

    fn step(&mut self, token: u32, position: usize) -> Result<&[f32], Error> {
        assert_eq!(position, self.taken.len());
        self.taken.push(token);
        self.logits = vec![-5.0; 135];
        for (token, logit) in self.rows.get(position).into_iter().flatten() {
            self.logits[*token as usize] = *logit;
        }
        Ok(&self.logits)
    }
}

/// Decodes greedily.
fn tokens(network: &mut Scripted) -> Vec<u32> {
    decode(network, &Vocabulary::digits(), &Manner::greedy()).unwrap().tokens
}

#[test]
fn a_text_begins_with_a_time_and_times_do_not_go_back() {
    // A word is most probable, but a time must be first; 20 is before 30, so 31 is taken.
    let mut network = Scripted::new(&[
        &[(3, 9.0), (30, 5.0)],
        &[(3, 9.0)],
        &[(20, 9.0), (31, 8.0)],
        &[(10, 9.0)],
    ]);
    assert_eq!(tokens(&mut network), [30, 3, 31]);
    assert_eq!(network.taken, [11, 30, 3, 31]);
}

#[test]
fn times_come_in_pairs() {
    // Behind the time that ends a segment a word cannot follow; behind a pair no third time.
    let mut network = Scripted::new(&[
        &[(14, 9.0)],
        &[(3, 9.0)],
        &[(40, 9.0)],
        &[(5, 9.0), (45, 7.0)],
        &[(46, 9.0), (5, 6.0)],
        &[(60, 9.0)],
        &[(10, 9.0)],
    ]);
    assert_eq!(tokens(&mut network), [14, 3, 40, 45, 5, 60]);
}

#[test]
fn times_together_may_outweigh_a_word() {
    let spread: Vec<(u32, f32)> = (40..60).map(|token| (token, 4.0)).chain([(3, 5.0)]).collect();
    let mut network = Scripted::new(&[&[(14, 9.0)], &[(3, 9.0)], &spread, &[(10, 9.0)]]);
    assert_eq!(tokens(&mut network), [14, 3, 40]);
}

#[test]
fn without_timestamps_none_is_written() {
    let mut network = Scripted::new(&[&[], &[(20, 9.0), (3, 5.0)], &[(4, 9.0)], &[(10, 9.0)]]);
    let manner = Manner { timestamps: false, ..Manner::greedy() };
    let decoding = decode(&mut network, &Vocabulary::digits(), &manner).unwrap();
    assert_eq!(decoding.tokens, [3, 4]);
    assert_eq!(network.taken, [11, 13, 3, 4]);
}

#[test]
fn probabilities_are_those_of_what_was_written() {
    let mut network =
        Scripted::new(&[&[(12, 9.0), (14, 4.0)], &[(3, 9.0)], &[(40, 9.0)], &[(10, 9.0)]]);
    let decoding = decode(&mut network, &Vocabulary::digits(), &Manner::greedy()).unwrap();
    assert!(decoding.no_speech > 0.9, "{decoding:?}");
    assert!((-0.2..0.0).contains(&decoding.average_log_probability), "{decoding:?}");
}

#[test]
fn a_temperature_draws_the_same_for_the_same_seed() {
    let row: &[(u32, f32)] = &[(1, 5.0), (2, 5.0), (3, 5.0), (4, 5.0)];
    let draw = |seed| {
        let mut network = Scripted::new(&[row; 20]);
        let manner = Manner { temperature: 0.5, timestamps: false, most_tokens: 15, seed };
        decode(&mut network, &Vocabulary::digits(), &manner).unwrap().tokens
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert_eq!(draw(1).len(), 15);
    assert!(draw(3).iter().all(|token| (1..=4).contains(token)));
}

#[test]
fn repetition_compresses() {
    assert!(compression_ratio(&"one two ".repeat(50)) > 2.4);
    assert!(compression_ratio("seven three nine zero five one eight") < 1.5);
}
