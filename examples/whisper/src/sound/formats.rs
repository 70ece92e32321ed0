//! Ogg, FLAC, MP3 and MP4 files.
//!
//! Owns: the crate symphonia.
//! Flow: `sound.rs` → here, for every file that is not named `.wav`.

use super::{Sound, mixed};
use crate::error::Error;
use std::fs::File;
use std::path::Path;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as FormatError;
use symphonia::core::formats::TrackType;
use symphonia::core::formats::probe::Hint;
use symphonia::core::io::MediaSourceStream;

/// Opens a file, by what is in it.
pub(super) fn open(path: &Path) -> Result<Sound, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::file(path, error);
    let file = File::open(path).map_err(|error| failed(&error))?;
    let stream = MediaSourceStream::new(Box::new(file), Default::default());
    let mut hint = Hint::new();
    if let Some(extension) = path.extension().and_then(|extension| extension.to_str()) {
        hint.with_extension(extension);
    }
    let probe = symphonia::default::get_probe();
    let mut format = probe
        .probe(&hint, stream, Default::default(), Default::default())
        .map_err(|error| failed(&error))?;
    let track =
        format.default_track(TrackType::Audio).ok_or_else(|| failed(&"there is no sound in it"))?;
    let (id, frames) = (track.id, track.num_frames);
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let parameters = parameters.ok_or_else(|| failed(&"its sound is of an unknown kind"))?;
    let rate = parameters.sample_rate.ok_or_else(|| failed(&"it does not say its sample rate"))?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|error| failed(&error))?;
    let shown = path.to_owned();
    let blocks = std::iter::from_fn(move || {
        loop {
            let packet = match format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return None,
                Err(error) => return Some(Err(Error::file(&shown, error))),
            };
            if packet.track_id != id {
                continue;
            }
            match decoder.decode(&packet) {
                Ok(audio) => {
                    let mut samples = vec![0.0f32; audio.samples_interleaved()];
                    audio.copy_to_slice_interleaved(&mut samples);
                    return Some(Ok(mixed(&samples, audio.spec().channels().count().max(1))));
                }
                // A packet that is damaged is a gap, not the end.
                Err(FormatError::DecodeError(_)) => {}
                Err(error) => return Some(Err(Error::file(&shown, error))),
            }
        }
    });
    Sound::from_blocks(path, Box::new(blocks), rate, frames)
}
