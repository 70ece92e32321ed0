//! Transcribes a sound file on the command line.
//!
//! Owns: arguments, progress, and the output. Must not: know models' types.
//! Flow: `sound.rs` opens the file → `transcribe.rs` → `output.rs` writes segments as they come.

use clap::{Parser, ValueEnum};
use coreml_rt::LoadOptions;
use std::error::Error;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use whisper::log_mel::LogMel;
use whisper::network::{self, Loader};
use whisper::output::{Format, Writer, clock};
use whisper::sound::Sound;
use whisper::transcribe::{Event, FrontEnd, Options, transcribe};
use whisper::vocabulary::Vocabulary;

/// Examples, shown below the help.
const EXAMPLES: &str = "\
Examples:
  whisper speech.wav                                text with times, by the digits' model
  whisper speech.ogg --format srt --output speech.srt
                                                    subtitles
  whisper long.wav --no-timestamps --overlap 1.5    overlapping windows, joined at equal words
  whisper speech.wav --front-end model --caches io  spectrogram by Core ML, caches in the program
  whisper talk.mp3 --size tiny --words multilingual.tiktoken --language de
                                                    OpenAI's tiny (docs/speech.md)";

/// Transcribes a sound file: WAV, Ogg Vorbis, FLAC, MP3 or MP4, of any length and rate.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    /// The sound.
    file: PathBuf,
    /// The model: `digits` was trained here and knows ten words; the others are OpenAI's.
    #[arg(long, value_enum, default_value = "digits")]
    size: Size,
    /// What is written.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Where it is written; to the terminal without it.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What computes the spectrogram: Rust, or the manifest's model.
    #[arg(long, value_enum, default_value = "cpu")]
    front_end: Computer,
    /// What keeps the decoder's caches: Core ML, or the program (`digits` only).
    #[arg(long, value_enum, default_value = "coreml")]
    caches: Keeper,
    /// Threads to compute with; as many as there are cores without it. No effect on Apple's
    /// systems.
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
    /// Temperatures, tried one after the other until the text is good enough.
    #[arg(
        long,
        value_name = "NUMBERS",
        value_delimiter = ',',
        default_value = "0,0.2,0.4,0.6,0.8,1"
    )]
    temperatures: Vec<f32>,
    /// No timestamps: windows overlap, and their texts are joined.
    #[arg(long)]
    no_timestamps: bool,
    /// Seconds that windows share without timestamps.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    overlap: f64,
    /// The most tokens of a window.
    #[arg(long, value_name = "COUNT", default_value_t = usize::MAX, hide_default_value = true)]
    most_tokens: usize,
    /// Whisper's ranks file, `multilingual.tiktoken`, for OpenAI's sizes; without it tokens are
    /// written as numbers.
    #[arg(long, value_name = "FILE")]
    words: Option<PathBuf>,
    /// The language that is spoken, for OpenAI's sizes.
    #[arg(long, value_name = "CODE", default_value = "en")]
    language: String,
    /// Write English, whatever is spoken, for OpenAI's sizes.
    #[arg(long)]
    translate: bool,
}

/// What computes the spectrogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Computer {
    /// `log_mel.rs`.
    Cpu,
    /// The model `log_mel`.
    Model,
}

/// What keeps the caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Keeper {
    /// States.
    Coreml,
    /// Inputs and outputs.
    Io,
}

/// The sizes that this program was built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Size {
    /// Spoken digits, trained here.
    Digits,
    /// 39 million parameters.
    #[cfg(feature = "tiny")]
    Tiny,
    /// 74 million parameters.
    #[cfg(feature = "base")]
    Base,
    /// 244 million parameters.
    #[cfg(feature = "small")]
    Small,
    /// 769 million parameters.
    #[cfg(feature = "medium")]
    Medium,
    /// 1550 million parameters.
    #[cfg(feature = "large")]
    Large,
    /// 1550 million parameters, with more bands and one language more.
    #[cfg(feature = "large-v3")]
    LargeV3,
}

impl Size {
    /// Returns what loads the models.
    fn loader(self, caches: Keeper) -> Result<Loader, String> {
        let loader: Loader = match self {
            Self::Digits if caches == Keeper::Io => return Ok(network::digits_io::load),
            Self::Digits => network::digits::load,
            #[cfg(feature = "tiny")]
            Self::Tiny => network::tiny::load,
            #[cfg(feature = "base")]
            Self::Base => network::base::load,
            #[cfg(feature = "small")]
            Self::Small => network::small::load,
            #[cfg(feature = "medium")]
            Self::Medium => network::medium::load,
            #[cfg(feature = "large")]
            Self::Large => network::large::load,
            #[cfg(feature = "large-v3")]
            Self::LargeV3 => network::large_v3::load,
        };
        match caches {
            Keeper::Coreml => Ok(loader),
            Keeper::Io => {
                Err("only `digits` is converted with caches in and out; its manifest shows how \
                    (decoder_io)"
                    .to_owned())
            }
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Transcribes the file.
fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut options = LoadOptions::new();
    if let Some(threads) = arguments.threads {
        options = options.threads(threads);
    }
    let mut sound = Sound::open(&arguments.file)?;
    let loading = Instant::now();
    let mut network = arguments.size.loader(arguments.caches)?(&options)?;
    let loading = loading.elapsed().as_secs_f64();
    let tokens = network.layout().vocabulary;
    let vocabulary = match (arguments.size, &arguments.words) {
        (Size::Digits, _) => Vocabulary::digits(),
        (_, Some(words)) => {
            Vocabulary::multilingual(words, tokens, &arguments.language, arguments.translate)?
        }
        (_, None) => Vocabulary::numbers(tokens),
    };
    let front_end = match arguments.front_end {
        Computer::Cpu => FrontEnd::Cpu(LogMel::new(network.layout().mels)),
        Computer::Model => FrontEnd::Model,
    };
    let how = Options {
        temperatures: arguments.temperatures.clone(),
        timestamps: !arguments.no_timestamps,
        overlap: arguments.overlap,
        most_tokens: arguments.most_tokens,
        ..Options::default()
    };
    let out: Box<dyn Write> = match &arguments.output {
        Some(path) => {
            Box::new(File::create(path).map_err(|error| format!("{}: {error}", path.display()))?)
        }
        None => Box::new(std::io::stdout()),
    };
    let mut writer = Writer::new(arguments.format, out)?;
    let (duration, begun) = (sound.duration(), Instant::now());
    // Progress would mix with the lines of a text on the same terminal.
    let shown = std::io::stderr().is_terminal()
        && (arguments.output.is_some() || !std::io::stdout().is_terminal());
    let length =
        transcribe(&mut sound, &front_end, network.as_mut(), &vocabulary, &how, &mut |event| {
            match event {
                Event::Segment(segment) => writer.segment(segment)?,
                Event::Position(position) if shown => {
                    progress(position, duration, begun.elapsed().as_secs_f64())
                }
                Event::Position(_) => {}
            }
            Ok(())
        })?;
    writer.finish()?;
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!(
        "{}{} in {seconds:.2} s, real-time factor {:.4}; loading took {loading:.2} s",
        if shown { "\n" } else { "" },
        clock(length, '.'),
        seconds / length.max(1e-9)
    );
    Ok(())
}

/// Shows how far the transcription is, on one line that is written again and again.
fn progress(position: f64, duration: Option<f64>, seconds: f64) {
    let speed = position / seconds.max(1e-9);
    match duration {
        Some(duration) => {
            let share = 100.0 * (position / duration.max(1e-9)).min(1.0);
            eprint!(
                "\r{share:5.1} %  {} of {}, {speed:.0}× real time ",
                clock(position, '.'),
                clock(duration, '.')
            );
        }
        None => eprint!("\r{}, {speed:.0}× real time ", clock(position, '.')),
    }
}
