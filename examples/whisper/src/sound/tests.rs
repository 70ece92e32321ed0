//! Tests of reading and resampling.

use super::*;

/// Writes a second of a sine of 440 Hz.
fn sine(path: &Path, spec: hound::WavSpec) {
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for at in 0..spec.sample_rate {
        let value =
            0.5 * (2.0 * std::f32::consts::PI * 440.0 * at as f32 / spec.sample_rate as f32).sin();
        for channel in 0..spec.channels {
            // The second channel is silent, so that the mix has half the level.
            let value = if channel == 0 { value } else { 0.0 };
            match spec.sample_format {
                hound::SampleFormat::Float => writer.write_sample(value).unwrap(),
                hound::SampleFormat::Int => writer.write_sample((value * 32767.0) as i32).unwrap(),
            }
        }
    }
    writer.finalize().unwrap();
}

#[test]
fn any_rate_and_channels_become_sixteen_kilohertz_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let float = (hound::SampleFormat::Float, 32);
    let int = (hound::SampleFormat::Int, 16);
    for (rate, channels, (sample_format, bits_per_sample)) in [
        (16_000, 1, int),
        (16_000, 2, float),
        (22_050, 1, int),
        (44_100, 2, int),
        (48_000, 1, float),
        (8_000, 1, int),
    ] {
        let path = folder.path().join("sine.wav");
        sine(&path, hound::WavSpec { channels, sample_rate: rate, bits_per_sample, sample_format });
        let mut sound = Sound::open(&path).unwrap();
        assert_eq!(sound.duration(), Some(1.0));
        let mut samples = Vec::new();
        // In pieces, as windows take them.
        for count in [1000, 1500, 100_000] {
            sound.fill(&mut samples, count).unwrap();
        }
        assert_eq!(samples.len(), RATE, "{rate} Hz, {channels} channels");
        let level = if channels == 2 { 0.25 } else { 0.5 };
        let wrong = samples.iter().enumerate().skip(1000).take(14_000).map(|(at, sample)| {
            (sample - level * (2.0 * std::f32::consts::PI * 440.0 * at as f32 / RATE as f32).sin())
                .abs()
        });
        let wrong = wrong.fold(0.0, f32::max);
        // The filter delays by a fraction of a sample, of which whole ones are taken off: at most
        // half of one is left.
        assert!(
            wrong < 0.045 && (rate != 16_000 || wrong < 1e-4),
            "{rate} Hz, {channels} channels: {wrong}"
        );
    }
}

#[test]
fn what_is_no_sound_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.wav");
    std::fs::write(&path, "no sound").unwrap();
    let message = Sound::open(&path).err().unwrap().to_string();
    assert!(message.starts_with(&path.display().to_string()), "{message}");
    assert!(Sound::open(&folder.path().join("missing.ogg")).is_err());
}
