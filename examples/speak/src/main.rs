//! Says a text on the command line, and writes it as a WAV file.
//!
//! Owns: arguments, progress, the file. Must not: know models' types.
//! Flow: [`speak::Speaker::stream`] → here, a chunk at a time.

use clap::Parser;
use coreml_rt::LoadOptions;
use hound::{SampleFormat, WavSpec, WavWriter};
use speak::{CHUNK, RATE, Speaker, Vocabulary};
use std::error::Error;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::time::Instant;

/// Examples, shown below the help.
const EXAMPLES: &str = "\
Examples:
  speak \"one two three\" out.wav
  speak \"2 + 3 = 5, 9.5 %\" sum.wav    digits and signs are words; a comma begins a new phrase
  speak --words                        the words that the voice knows
  speak - long.wav < numbers.txt       a text of any length, in constant memory";

/// Says numbers and sums, with a voice that was trained on sixteen words.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    /// What to say; `-` reads it from standard input.
    #[arg(required_unless_present = "words")]
    text: Option<String>,
    /// The WAV file to write: mono, 16 kHz, 16 bits.
    #[arg(default_value = "out.wav")]
    file: PathBuf,
    /// Frames of a chunk, each of 16 ms: fewer are heard sooner, more cost less.
    #[arg(long, value_name = "FRAMES", default_value_t = CHUNK, value_parser = at_least_one)]
    chunk: usize,
    /// Threads to compute with; as many as there are cores without it. No effect on Apple's
    /// systems.
    #[arg(long, value_name = "COUNT", value_parser = at_least_one)]
    threads: Option<usize>,
    /// Prints the words that the voice knows, and ends.
    #[arg(long)]
    words: bool,
}

/// Parses a count.
fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|&count| count > 0)
        .ok_or_else(|| "a number from 1 on is needed".to_owned())
}

fn main() -> std::process::ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// Says the text, and prints how long it took.
fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    if arguments.words {
        println!("{}", Vocabulary::new()?.words().join(" "));
        return Ok(());
    }
    let text = match arguments.text.as_deref() {
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
        text => text.unwrap_or_default().to_owned(),
    };
    // A text that cannot be said is known before the models are loaded, and leaves no empty file
    // behind.
    Vocabulary::new()?.phrases(&text)?;
    let options = LoadOptions::new();
    let options = arguments.threads.map_or(options.clone(), |threads| options.threads(threads));
    let speaker = Speaker::load(&options)?;

    let shown = std::io::stderr().is_terminal();
    let spec = WavSpec {
        channels: 1,
        sample_rate: RATE as u32,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let named = |error: hound::Error| format!("{}: {error}", arguments.file.display());
    let mut file = WavWriter::create(&arguments.file, spec).map_err(named)?;
    let (mut written, mut first, mut count, mut reached) = (Ok(()), None, 0, usize::MAX);
    let start = Instant::now();
    speaker.stream(&text, arguments.chunk, |chunk| {
        first.get_or_insert_with(|| start.elapsed());
        count += chunk.samples.len();
        if chunk.phrases > 1 && chunk.phrase != reached {
            reached = chunk.phrase;
            progress(shown, reached + 1, chunk.phrases, count);
        }
        for sample in chunk.samples {
            if written.is_ok() {
                written = file
                    .write_sample((sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16);
            }
        }
    })?;
    let took = start.elapsed().as_secs_f64();
    if shown && reached != usize::MAX {
        eprintln!();
    }
    written.map_err(named)?;
    file.finalize().map_err(named)?;

    let seconds = count as f64 / RATE as f64;
    println!("{}: {seconds:.2} s of speech in {took:.2} s", arguments.file.display());
    println!("real-time factor     {:.3}", took / seconds);
    println!("first sound after    {:.0} ms", 1e3 * first.unwrap_or_default().as_secs_f64());
    Ok(())
}

/// Prints how far the speech is: in place on a terminal, else a line for each phrase.
fn progress(in_place: bool, phrase: usize, phrases: usize, samples: usize) {
    let seconds = samples as f64 / RATE as f64;
    if in_place {
        eprint!("\rphrase {phrase} of {phrases}, {seconds:.1} s ");
    } else if phrase.is_multiple_of(10) || phrase == phrases {
        eprintln!("phrase {phrase} of {phrases}, {seconds:.1} s");
    }
}
