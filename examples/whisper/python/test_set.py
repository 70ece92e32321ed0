"""Makes the committed recordings: spoken digits of voices and texts that training never saw, and of
another synthesiser.

Owns: `data/recordings.json`, `data/unseen.ogg`, `data/flite.ogg`.   Must not: be needed by a build.
Flow: run by hand after nothing, `python python/test_set.py`; `reference.py` and `src/recordings.rs`
read the files. Needs soundfile (for Ogg Vorbis), scipy, espeakng-loader, and the program `flite` of
the Debian package of that name.

Two runs give the same sounds and print the same hashes; of a file only the serial number in Ogg's
pages differs. The committed recordings were made when espeak-ng's breath had no seed: 54 of 240
utterances have another breath than those that are made now, the other 186 and all of flite's are
the same samples.
"""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from digit_speech import LONGEST_PHRASE, WORDS, phrase, speech_data

EXAMPLE = Path(__file__).resolve().parent.parent
SEED = 1001
UTTERANCES = 240  # of unseen voices: each of the 16 variants with each accent, two or three times
FLITE_UTTERANCES = 96
FLITE_VOICES = ("slt", "rms", "awb", "kal16")
SILENCE = 3200  # samples before and behind each utterance
LEVEL = 0.5  # the largest amplitude


def flite(generator: np.random.Generator, index: int) -> tuple[np.ndarray, list[int]]:
    """Says a few digits with flite, which shares nothing with the synthesiser of training."""
    digits = generator.integers(0, len(WORDS), generator.integers(1, LONGEST_PHRASE)).tolist()
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        stretch = f"duration_stretch={generator.uniform(0.85, 1.1):.2f}"
        text = " ".join(WORDS[digit] for digit in digits)
        voice = FLITE_VOICES[index % len(FLITE_VOICES)]
        subprocess.run(
            ["flite", "-voice", voice, "--setf", stretch, "-t", text, "-o", file.name], check=True
        )
        samples, rate = soundfile.read(file.name, dtype="float32")
    if rate != speech_data.RATE:
        raise RuntimeError(f"flite's {voice} speaks at {rate} Hz")
    begin, end = speech_data.sounding(samples)
    return samples[begin:end], digits


def main() -> None:
    """Writes the files."""
    generator, speaker = np.random.default_rng(SEED), speech_data.Speaker()
    _, held_out = speech_data.voices()
    voices = [
        speech_data.name(accent, variant) for accent in speech_data.ACCENTS for variant in held_out
    ]
    spoken = [
        phrase(speaker, voices[index % len(voices)], generator) for index in range(UTTERANCES)
    ]
    sets = {
        ("unseen voices", "unseen.ogg"): [(one.speech.samples, one.digits) for one in spoken],
        ("flite", "flite.ogg"): [flite(generator, index) for index in range(FLITE_UTTERANCES)],
    }
    written = []
    for (name, file), utterances in sets.items():
        parts, rows, at = [], [], 0
        for samples, digits in utterances:
            samples = np.pad(samples * (LEVEL / np.abs(samples).max()), SILENCE)
            text = " ".join(WORDS[digit] for digit in digits)
            rows.append({"begin": at, "end": at + len(samples), "text": text})
            at += len(samples)
            parts.append(samples)
        path = EXAMPLE / "data" / file
        path.parent.mkdir(exist_ok=True)
        everything = np.concatenate(parts)
        with soundfile.SoundFile(
            path, "w", speech_data.RATE, 1, format="OGG", subtype="VORBIS", compression_level=0.8
        ) as out:
            for block in np.array_split(everything, max(1, len(everything) // 65536)):
                out.write(block)
        words = sum(len(row["text"].split()) for row in rows)
        size, hashed = (
            path.stat().st_size,
            speech_data.digest([soundfile.read(path, dtype="int16")[0]]),
        )
        seconds = at / speech_data.RATE
        print(
            f"{file}: {len(rows)} utterances, {words} words, {seconds:.0f} s, {size} bytes, sound "
            f"{hashed}"
        )
        written.append({"name": name, "file": file, "utterances": rows})
    (EXAMPLE / "data" / "recordings.json").write_text(json.dumps(written, indent=0) + "\n")


if __name__ == "__main__":
    main()
