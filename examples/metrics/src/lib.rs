//! Metrics of the speech examples: those of the tasks instead of differences of single numbers.
//!
//! Owns: word error rate ([`wer`]), mel cepstral distortion ([`mcd`]), STOI ([`stoi`]), PESQ
//! ([`pesq()`]) and PSNR ([`psnr`]).
//! Must not: know models, read files, print.
//! Flow: `whisper`, `speak` and their tests → here, and manifests through `main.rs`. PESQ is the
//! crate `pesq`; the others are a page of code each, and `tests/references.rs` compares all of them
//! with the Python packages that papers use.
//!
//! Signals are mono, sampled at 16 kHz, and 1.0 is full scale.

mod cepstrum;
mod frames;
mod intelligibility;
mod quality;
mod words;

pub use cepstrum::mcd;
pub use intelligibility::stoi;
pub use quality::{pesq, psnr};
pub use words::{Edits, normalized, wer};

/// Samples in a second of every signal.
pub const SAMPLE_RATE: usize = 16_000;

/// Why there is no figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricError {
    /// Two signals that are compared sample by sample have different lengths.
    Lengths {
        /// Samples of the reference.
        reference: usize,
        /// Samples of the other.
        other: usize,
    },
    /// A signal is too short, or has too little that is not silence.
    TooShort {
        /// What the metric needs.
        needs: &'static str,
    },
    /// PESQ finds no speech in a signal, or not enough.
    Pesq(String),
}

impl std::fmt::Display for MetricError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lengths { reference, other } => {
                write!(
                    f,
                    "the signals have {reference} and {other} samples: cut or pad one to the \
                     other's length"
                )
            }
            Self::TooShort { needs } => {
                write!(f, "a signal is too short: the metric needs {needs}")
            }
            Self::Pesq(reason) => write!(f, "PESQ gives no score: {reason}"),
        }
    }
}

impl std::error::Error for MetricError {}

/// Fails where two signals cannot be compared sample by sample.
pub(crate) fn same_length(reference: &[f32], other: &[f32]) -> Result<(), MetricError> {
    if reference.len() == other.len() {
        return Ok(());
    }
    Err(MetricError::Lengths { reference: reference.len(), other: other.len() })
}
