//! Tests of cutting, of seeking, and of windows by themselves, without models.

use super::*;
use crate::decode::tests::Scripted;

/// A decoding of tokens.
fn decoding(tokens: &[u32]) -> Decoding {
    Decoding {
        tokens: tokens.to_vec(),
        average_log_probability: -0.1,
        no_speech: 0.0,
        compression_ratio: 1.0,
        temperature: 0.0,
    }
}

/// Returns the texts with their times, in units of 50 ms, and the advance.
fn cut(tokens: &[u32]) -> (Vec<(String, i64, i64)>, Option<i64>) {
    let steps = |seconds: f64| (seconds * 20.0).round() as i64;
    let found = segments(&decoding(tokens), &Vocabulary::digits(), 60.0, 6.0);
    let texts = found
        .segments
        .into_iter()
        .map(|one| (one.text, steps(one.start - 60.0), steps(one.end - 60.0)));
    (texts.collect(), found.advance.map(|advance| steps(f64::from(advance))))
}

#[test]
fn segments_are_cut_at_pairs_of_timestamps() {
    let text = |text: &str, begin, end| (text.to_owned(), begin, end);
    // Complete: two segments, and the next window begins behind this one.
    assert_eq!(
        cut(&[16, 1, 34, 44, 2, 3, 64]),
        (vec![text("one", 2, 20), text("two three", 30, 50)], None)
    );
    // The second is cut by the window's end: it is heard again from the end of the first.
    assert_eq!(cut(&[16, 1, 34, 44]), (vec![text("one", 2, 20)], Some(20)));
    assert_eq!(cut(&[16, 1, 34, 44, 2]), (vec![text("one", 2, 20)], Some(20)));
    // One segment alone.
    assert_eq!(cut(&[16, 1, 34]), (vec![text("one", 2, 20)], None));
    // Nothing ends in this window: all of it is taken as it is.
    assert_eq!(cut(&[16, 1, 2]), (vec![text("one two", 0, 2)], None));
    assert_eq!(cut(&[]), (vec![], None));
}

#[test]
fn windows_without_overlap_are_not_joined() {
    let options = Options { timestamps: false, overlap: 0.0, ..Options::default() };
    // "one" behind the prompt of two tokens, in every window.
    let mut network = Scripted::new(&[&[], &[(1, 20.0)], &[(10, 20.0)]]);
    let mut texts = Vec::new();
    let length = transcribe(
        &mut Sound::from_samples(vec![0.1; 16_000 * 16]),
        &FrontEnd::Model,
        &mut network,
        &Vocabulary::digits(),
        &options,
        &mut |event| {
            if let Event::Segment(segment) = event {
                texts.push((segment.text.clone(), segment.start));
            }
            Ok(())
        },
    );
    assert_eq!(length.unwrap(), 16.0);
    assert_eq!(texts, [0.0, 6.0, 12.0].map(|start| ("one".to_owned(), start)));
}
