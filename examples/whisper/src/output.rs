//! Segments as text, JSON, SubRip or WebVTT.
//!
//! Owns: the formats.
//! Flow: `main.rs` makes a [`Writer`]; segments are written as they come.

use crate::error::Error;
use crate::transcribe::Segment;
use clap::ValueEnum;
use serde::Serialize;
use std::io::Write;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line for each segment, with its times.
    Text,
    /// An object with `segments`, as OpenAI's `transcribe` names their members, and the whole
    /// `text`.
    Json,
    /// SubRip subtitles.
    Srt,
    /// WebVTT subtitles.
    Vtt,
}

/// A segment in the form of OpenAI's `transcribe`.
#[derive(Serialize)]
struct Row<'a> {
    /// Position among the segments.
    id: usize,
    /// Begin in seconds.
    start: f64,
    /// End in seconds.
    end: f64,
    /// The text.
    text: &'a str,
    /// The tokens.
    tokens: &'a [u32],
    /// The temperature that they were drawn at.
    temperature: f32,
    /// Mean logarithm of their probabilities.
    avg_logprob: f32,
    /// How much smaller zlib makes the text.
    compression_ratio: f32,
    /// Probability of silence.
    no_speech_prob: f32,
}

/// Writes segments in one format.
pub struct Writer {
    /// The format.
    format: Format,
    /// Where they go.
    out: Box<dyn Write>,
    /// Segments so far.
    count: usize,
    /// Their text, which JSON has at its end.
    text: String,
}

impl Writer {
    /// Begins a file.
    pub fn new(format: Format, mut out: Box<dyn Write>) -> Result<Self, Error> {
        let head = match format {
            Format::Text | Format::Srt => "",
            Format::Json => "{\"segments\": [",
            Format::Vtt => "WEBVTT\n",
        };
        out.write_all(head.as_bytes()).map_err(written)?;
        Ok(Self { format, out, count: 0, text: String::new() })
    }

    /// Writes a segment, and flushes, so that it can be read while the rest is transcribed.
    pub fn segment(&mut self, segment: &Segment) -> Result<(), Error> {
        let Segment { start, end, text, tokens, decoding } = segment;
        let (id, out) = (self.count, &mut self.out);
        self.count += 1;
        match self.format {
            Format::Text => writeln!(out, "[{} → {}] {text}", clock(*start, '.'), clock(*end, '.')),
            Format::Json => {
                let row = Row {
                    id,
                    start: rounded(*start),
                    end: rounded(*end),
                    text,
                    tokens,
                    temperature: decoding.temperature,
                    avg_logprob: decoding.average_log_probability,
                    compression_ratio: decoding.compression_ratio,
                    no_speech_prob: decoding.no_speech,
                };
                let row = serde_json::to_string(&row).map_err(written)?;
                self.text.push_str(if id == 0 { "" } else { " " });
                self.text.push_str(text);
                write!(out, "{}\n  {row}", if id == 0 { "" } else { "," })
            }
            Format::Srt => {
                // A blank line ends a subtitle, so its text must not contain one.
                let (start, end, text) =
                    (clock(*start, ','), clock(*end, ','), text.replace("\n\n", "\n"));
                writeln!(out, "{}\n{start} --> {end}\n{text}\n", self.count)
            }
            Format::Vtt => {
                // In WebVTT an arrow would be read as times, and `&` and `<` as marks.
                let text = text.replace('&', "&amp;").replace('<', "&lt;").replace("-->", "->");
                writeln!(out, "\n{} --> {}\n{text}", clock(*start, '.'), clock(*end, '.'))
            }
        }
        .and_then(|()| self.out.flush())
        .map_err(written)
    }

    /// Ends the file.
    pub fn finish(mut self) -> Result<(), Error> {
        if self.format == Format::Json {
            let text = serde_json::to_string(&self.text).map_err(written)?;
            writeln!(self.out, "\n], \"text\": {text}}}").map_err(written)?;
        }
        self.out.flush().map_err(written)
    }
}

/// Returns an error about the output.
fn written(cause: impl std::fmt::Display) -> Error {
    Error::File(format!("cannot write the output: {cause}"))
}

/// Returns seconds with milliseconds and no more.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// Returns seconds as `hours:minutes:seconds` with milliseconds behind a mark.
pub fn clock(seconds: f64, mark: char) -> String {
    let milliseconds = (seconds.max(0.0) * 1000.0).round() as u64;
    let (whole, rest) = (milliseconds / 1000, milliseconds % 1000);
    format!("{:02}:{:02}:{:02}{mark}{rest:03}", whole / 3600, whole / 60 % 60, whole % 60)
}

#[cfg(test)]
mod tests;
