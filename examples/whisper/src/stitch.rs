//! Joining the texts of windows that overlap.
//!
//! Owns: where one text ends and the next begins.
//! Flow: `transcribe.rs` → here, for texts without timestamps.

use crate::decode::Decoding;

/// A text whose end may still be replaced by the next window's.
#[derive(Debug, Default)]
pub(crate) struct Join {
    /// Where it begins in seconds, its tokens, and how they came about.
    waiting: Option<(f64, Vec<u32>, Decoding)>,
}

impl Join {
    /// Returns what waits.
    pub(crate) fn take(&mut self) -> Option<(f64, Vec<u32>, Decoding)> {
        self.waiting.take().filter(|(_, tokens, _)| !tokens.is_empty())
    }
}

/// Takes the text of the next window, and returns the one before without what both have.
///
/// The texts are cut in the middle of the longest run of tokens that is both in the second half of
/// the first and in the first half of the second: words that a window's edge has damaged are
/// outside of it.
pub(crate) fn join(
    join: &mut Join,
    start: f64,
    next: &[u32],
    decoding: &Decoding,
) -> Option<(f64, Vec<u32>, Decoding)> {
    let mut before = join.take();
    let mut from = 0;
    if let Some((_, tokens, _)) = &mut before {
        let half = tokens.len() / 2;
        let (first, second, length) = longest_run(&tokens[half..], &next[..next.len().div_ceil(2)]);
        if length > 0 {
            tokens.truncate(half + first + length.div_ceil(2));
            from = second + length.div_ceil(2);
        }
    }
    join.waiting = Some((start, next[from..].to_vec(), decoding.clone()));
    before.filter(|(_, tokens, _)| !tokens.is_empty())
}

/// Returns the longest run of tokens that both have: where it begins in each, and its length.
fn longest_run(one: &[u32], other: &[u32]) -> (usize, usize, usize) {
    let mut best = (0, 0, 0);
    for first in 0..one.len() {
        for second in 0..other.len() {
            let length =
                one[first..].iter().zip(&other[second..]).take_while(|(a, b)| a == b).count();
            // Of runs of the same length the last of the first text: the overlap is at its end.
            if length > 0 && length >= best.2 {
                best = (first, second, length);
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A decoding that matters for nothing here.
    fn decoding() -> Decoding {
        Decoding {
            tokens: Vec::new(),
            average_log_probability: 0.0,
            no_speech: 0.0,
            compression_ratio: 1.0,
            temperature: 0.0,
        }
    }

    /// Joins texts as a transcription does.
    fn joined(texts: &[&[u32]]) -> Vec<u32> {
        let mut waiting = Join::default();
        let mut all = Vec::new();
        for text in texts {
            all.extend(
                join(&mut waiting, 0.0, text, &decoding())
                    .into_iter()
                    .flat_map(|(_, tokens, _)| tokens),
            );
        }
        all.extend(waiting.take().into_iter().flat_map(|(_, tokens, _)| tokens));
        all
    }

    #[test]
    fn what_two_windows_heard_is_said_once() {
        assert_eq!(
            joined(&[&[1, 2, 3, 4, 5, 6], &[4, 5, 6, 7, 8, 9]]),
            [1, 2, 3, 4, 5, 6, 7, 8, 9]
        );
        // The last word of the first and the first word of the second were cut, and heard as
        // something else.
        assert_eq!(joined(&[&[1, 2, 3, 4, 5, 0], &[9, 4, 5, 6, 7, 8]]), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(
            joined(&[&[1, 2, 3, 4], &[3, 4, 5, 6], &[5, 6, 7, 8]]),
            [1, 2, 3, 4, 5, 6, 7, 8]
        );
    }

    #[test]
    fn texts_with_nothing_in_common_are_kept_whole() {
        assert_eq!(joined(&[&[1, 2], &[3, 4]]), [1, 2, 3, 4]);
        assert_eq!(joined(&[&[], &[3, 4], &[]]), [3, 4]);
    }
}
