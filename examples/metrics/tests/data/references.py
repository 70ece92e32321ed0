"""Computes what `tests/references.rs` compares with, by the Python packages that papers use.

Owns: `speech.wav` and `references.json` beside this file.   Must not: be needed by a test.
Flow: run by hand with espeakng-loader, jiwer 4.0.0, pystoi 0.4.1, pesq 0.0.4, mel-cepstral-distance
0.0.4, numpy and scipy.
"""

import ctypes
import json
import wave
from pathlib import Path

import espeakng_loader
import jiwer
import numpy as np
from mel_cepstral_distance.alignment import align_MC_s_D
from mel_cepstral_distance.computation import get_average_MCD, get_MCD_k
from pesq import pesq
from pystoi import stoi
from scipy.fft import dct
from scipy.signal import resample_poly

FOLDER = Path(__file__).resolve().parent
RATE = 16_000
TEXTS = [
    ("one two three", "one two three"),
    ("Four, five: six!", "four five"),
    ("seven eight nine zero", "seven ate nine oh zero"),
    ("it's a quarter past ten", "its a quart past ten then"),
    ("stop", "go on"),
]


def speech() -> np.ndarray:
    """Returns a synthetic sentence as 16-bit samples of 16 kHz."""
    parts: list[np.ndarray] = []
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    kind = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
    )

    @kind
    def collect(samples: object, count: int, _: object) -> int:
        if samples and count > 0:
            parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    rate = library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
    library.espeak_SetSynthCallback(collect)
    library.espeak_SetVoiceByName(b"en-us")
    text = b"the quick brown fox jumps over the lazy dog\0"
    library.espeak_Synth(text, len(text), 0, 1, 0, 1, None, None)
    library.espeak_Synchronize()
    signal = resample_poly(np.concatenate(parts).astype(np.float64), RATE, rate)
    return np.clip(np.rint(signal * 0.7), -32768, 32767).astype(np.int16)


def degraded(clean: np.ndarray) -> dict[str, np.ndarray]:
    """Returns versions of a signal, by whole numbers alone, so that the test makes the same."""
    state, noise = 1, []
    for _ in clean:
        state = (state * 1103515245 + 12345) % 2**31
        noise.append((state >> 16) % 2001 - 1000)
    noise, clean = np.array(noise), clean.astype(np.int64)
    padded = np.concatenate([np.zeros(3, np.int64), clean])
    dull = (padded[3:] + padded[2:-1] + padded[1:-2] + padded[:-3]) // 4
    signals = {
        "noisy": clean + noise,
        "dull": dull,
        "clipped": np.clip(clean, -3000, 3000),
        "faint": clean // 8 + noise,
    }
    return {
        name: np.clip(signal, -32768, 32767).astype(np.int16) for name, signal in signals.items()
    }


def cepstra(signal: np.ndarray) -> np.ndarray:
    """Returns coefficients 1 to 24 of 40 Slaney mel bands, [24, frames]."""
    frames = np.lib.stride_tricks.sliding_window_view(signal, 512)[::128]
    power = np.abs(np.fft.rfft(frames * np.hanning(514)[1:-1])) ** 2
    step = np.log(6.4) / 27
    mels = np.linspace(0, 15 + np.log(8.0) / step, 42)
    hertz = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(step * (mels - 15)))
    bins = np.arange(257) * RATE / 512
    rise = (bins - hertz[:-2, None]) / np.diff(hertz)[:-1, None]
    fall = (hertz[2:, None] - bins) / np.diff(hertz)[1:, None]
    filters = np.maximum(0, np.minimum(rise, fall)) * (2 / (hertz[2:] - hertz[:-2]))[:, None]
    amplitude = 0.5 * np.log(np.maximum(power @ filters.T, 1e-8))
    return (dct(amplitude, type=2, axis=1) / (2 * 40))[:, 1:25].T


def distortion(clean: np.ndarray, other: np.ndarray) -> float:
    """Returns the mel cepstral distortion in decibels, aligned by the package's dynamic time
    warping."""
    one, two, _ = align_MC_s_D(cepstra(clean), cepstra(other), 0, 24, "dtw", None)
    return float(10 / np.log(10) * np.sqrt(2) * get_average_MCD(get_MCD_k(one, two, 0, 24)))


def main() -> None:
    """Writes both files."""
    clean = speech()
    with wave.open(str(FOLDER / "speech.wav"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", "not compressed"))
        file.writeframes(clean.tobytes())
    unit = clean / 32768
    signals = {}
    for name, other in degraded(clean).items():
        signals[name] = {
            "stoi": float(stoi(unit, other / 32768, RATE)),
            "pesq": float(pesq(RATE, clean, other, "wb")),
            "mcd": distortion(unit, other / 32768),
            # Without its first tenth of a second and every tenth frame: the alignment has something
            # to do.
            "mcd_warped": distortion(unit, np.delete(other[1600:], np.s_[::10]) / 32768),
        }
    usual = jiwer.Compose(
        [
            jiwer.ToLowerCase(),
            jiwer.SubstituteRegexes({r"[^\w\s']": " "}),
            jiwer.RemoveMultipleSpaces(),
            jiwer.Strip(),
            jiwer.ReduceToListOfListOfWords(),
        ]
    )
    references, hypotheses = zip(*TEXTS, strict=True)
    words = jiwer.process_words(list(references), list(hypotheses), usual, usual)
    counts = {
        name: getattr(words, name) for name in ("substitutions", "deletions", "insertions", "wer")
    }
    result = {"texts": TEXTS, "words": counts, "signals": signals}
    (FOLDER / "references.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
