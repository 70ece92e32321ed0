//! Tests of the formats.

use super::*;
use crate::decode::Decoding;
use std::cell::RefCell;
use std::rc::Rc;

/// A place to write to that can be read.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes two segments.
fn written(format: Format) -> String {
    let shared = Shared::default();
    let mut writer = Writer::new(format, Box::new(shared.clone())).unwrap();
    let decoding = Decoding {
        tokens: Vec::new(),
        average_log_probability: -0.25,
        no_speech: 0.5,
        compression_ratio: 1.5,
        temperature: 0.0,
    };
    for (start, end, text) in
        [(0.5, 1.25, "one <two>"), (3661.0004, 3662.9996, "three --> \"four\"")]
    {
        let (text, decoding) = (text.to_owned(), decoding.clone());
        writer.segment(&Segment { start, end, text, tokens: vec![1, 2], decoding }).unwrap();
    }
    writer.finish().unwrap();
    let bytes = shared.0.borrow().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn text_has_a_line_for_each_segment() {
    let expected = "[00:00:00.500 → 00:00:01.250] one <two>\n\
        [01:01:01.000 → 01:01:03.000] three --> \"four\"\n";
    assert_eq!(written(Format::Text), expected);
}

#[test]
fn json_is_an_object_with_segments_and_text() {
    let value: serde_json::Value = serde_json::from_str(&written(Format::Json)).unwrap();
    assert_eq!(value["text"], "one <two> three --> \"four\"");
    assert_eq!(value["segments"][1]["id"], 1);
    assert_eq!(value["segments"][1]["end"], 3663.0);
    assert_eq!(value["segments"][0]["tokens"], serde_json::json!([1, 2]));
    assert_eq!(value["segments"][0]["avg_logprob"], -0.25);
    assert_eq!(value.as_object().unwrap().len(), 2);
}

#[test]
fn subtitles_keep_their_marks_out_of_the_text() {
    let srt = "1\n\
        00:00:00,500 --> 00:00:01,250\n\
        one <two>\n\
        \n\
        2\n\
        01:01:01,000 --> 01:01:03,000\n\
        three --> \"four\"\n\
        \n";
    assert_eq!(written(Format::Srt), srt);
    let vtt = "WEBVTT\n\
        \n\
        00:00:00.500 --> 00:00:01.250\n\
        one &lt;two>\n\
        \n\
        01:01:01.000 --> 01:01:03.000\n\
        three -> \"four\"\n";
    assert_eq!(written(Format::Vtt), vtt);
}
