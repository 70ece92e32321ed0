"""Synthetic speech for the training scripts of the examples: a synthesiser, its voices, and what is
done to its sound.

Owns: espeak-ng through ctypes, which voices train and which are held out, augmentation and noise.
Must not: know a model, write files, be needed by a build.
Flow: `examples/whisper/python/train.py` and other training scripts put this folder on `sys.path`
and import it.

The PyPI package `espeakng-loader` carries the library and the voices of espeak-ng (GPL-3): a tool
of training, no part of what is built or shipped. All randomness comes from the numpy generator that
the caller gives.
"""

import ctypes
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

import espeakng_loader
import numpy as np
from scipy.signal import resample_poly

# samples a second, of everything that this module returns unless a caller asks for another
RATE = 16_000
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ACCENTS = ("en-us", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbcwmd", "en-us-nyc", "en")
HELD_OUT_ACCENTS = ("en-gb-x-gbclan", "en-029")
HELD_OUT = 16  # voice variants that never train
# Variants that no listener takes for a person: whispers, robots, and the Klatt synthesiser's
# buzzes.
NOT_HUMAN = (
    "whisper",
    "croak",
    "demonic",
    "robosoft",
    "unirobot",
    "mr",
    "fast",
    "klatt",
    "alien",
    "linda",
)
QUIET = 0.01  # below this amplitude, the edge of a sound is silence
BREATH = 1  # seed of the noise in voices
MARGIN = 400  # samples that are kept on either side of a trimmed sound

_SYNCHRONOUS = (
    2  # AUDIO_OUTPUT_SYNCHRONOUS: sound comes through the callback, in the caller's thread
)
_UTF8 = 1
_PHONEME_EVENTS = 1
_WORD, _PHONEME, _END = 1, 7, 0  # types of events
_PARAMETERS = {"rate": 1, "pitch": 3, "range": 4, "gap": 7}


class _Event(ctypes.Structure):
    """`espeak_EVENT`."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("milliseconds", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_int64),
    ]


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass
class Speech:
    """What was said: samples in [-1, 1], and where each word begins, in samples; the first begins
    at the sound."""

    samples: np.ndarray
    words: list[int]
    phonemes: list[list[tuple[str, int]]] = field(
        default_factory=list
    )  # of each word, by espeak-ng's names


class Speaker:
    """espeak-ng. One for a process: the library keeps its state in globals.

    With `phonemes`, speech says where each phoneme begins too.
    """

    def __init__(self, rate: int = RATE, phonemes: bool = False) -> None:
        self._rate = rate
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self._native = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, data, _PHONEME_EVENTS if phonemes else 0
        )
        if self._native <= 0:
            raise RuntimeError("espeak-ng does not start: is the package espeakng-loader complete?")
        self._parts: list[np.ndarray] = []
        self._starts: list[int] = []
        self._phonemes: list[list[tuple[str, int]]] = []
        self._callback = _CALLBACK(self._receive)  # kept here, because the library does not own it
        self._library.espeak_SetSynthCallback(self._callback)
        pointer, number = ctypes.c_void_p, ctypes.c_uint
        arguments = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            number,
            ctypes.c_int,
            number,
            number,
            pointer,
            pointer,
        ]
        self._library.espeak_Synth.argtypes = arguments
        self._library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]

    def _receive(self, samples, count: int, events) -> int:
        if samples and count > 0:
            self._parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        at = 0
        while events and events[at].type != _END:
            if events[at].type == _WORD:
                self._starts.append(events[at].milliseconds)
                self._phonemes.append([])
            elif events[at].type == _PHONEME and self._phonemes:
                name = (
                    int(events[at].id).to_bytes(8, "little", signed=True).split(b"\0")[0].decode()
                )
                self._phonemes[-1].append((name, events[at].sample))
            at += 1
        return 0

    def say(self, text: str, voice: str = "en-us", **parameters: int) -> Speech:
        """Speaks a text, without the silence around it.

        `voice` is an accent, or `accent+variant`. Parameters: `rate` in words a minute (80 to 450),
        `pitch` and its `range` (0 to 99), `gap` between words in units of 10 ms.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice}")
        settings = {"rate": 175, "pitch": 50, "range": 50, "gap": 0} | parameters
        for name, value in settings.items():
            self._library.espeak_SetParameter(_PARAMETERS[name], int(value), 0)
        self._parts.clear()
        self._starts.clear()
        self._phonemes.clear()
        # The breath of some variants is noise, which the library would seed with the time of day.
        self._library.espeak_ng_SetRandSeed(BREATH)
        raw = text.encode() + b"\0"
        self._library.espeak_Synth(raw, len(raw), 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        native = (
            np.concatenate(self._parts).astype(np.float32) / 32768
            if self._parts
            else np.zeros(0, np.float32)
        )
        divisor = np.gcd(self._rate, self._native)
        samples = resample_poly(native, self._rate // divisor, self._native // divisor).astype(
            np.float32
        )
        begin, end = sounding(samples)
        words = [
            min(max(0, start * self._rate // 1000 - begin), end - begin) for start in self._starts
        ]

        def place(sample: int) -> int:
            return min(max(0, sample * self._rate // self._native - begin), end - begin)

        phonemes = [[(name, place(sample)) for name, sample in word] for word in self._phonemes]
        return Speech(samples[begin:end], [0, *words[1:]], phonemes)


def sounding(samples: np.ndarray) -> tuple[int, int]:
    """Returns where the sound begins and ends, with a margin."""
    loud = np.flatnonzero(np.abs(samples) > QUIET)
    if not len(loud):
        return 0, len(samples)
    return max(0, loud[0] - MARGIN), min(len(samples), loud[-1] + MARGIN)


def variants() -> list[str]:
    """Returns the names of espeak-ng's voice variants that sound like people, sorted."""
    names = os.listdir(os.path.join(espeakng_loader.get_data_path(), "voices", "!v"))
    return sorted(
        name for name in names if " " not in name and not name.lower().startswith(NOT_HUMAN)
    )


def voices() -> tuple[list[str], list[str]]:
    """Returns the variants that train, and those that are held out; the empty one is the accent
    itself."""
    names = variants()
    held_out = sorted(np.random.default_rng(7).choice(names, HELD_OUT, replace=False).tolist())
    return ["", *(name for name in names if name not in held_out)], held_out


def name(accent: str, variant: str) -> str:
    """Returns the voice of an accent and a variant, as `Speaker.say` takes it."""
    return f"{accent}+{variant}" if variant else accent


def stretched(speech: Speech, factor: float) -> Speech:
    """Returns speech that is `factor` times as fast, with its pitch and formants moved along:
    another speaker's size."""
    count = int(len(speech.samples) / factor)
    samples = np.interp(np.arange(count) * factor, np.arange(len(speech.samples)), speech.samples)
    return Speech(samples.astype(np.float32), [int(start / factor) for start in speech.words])


def tilted(samples: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Returns the sound of another microphone: a random slope over the frequencies."""
    return np.convolve(samples, [1, generator.uniform(-0.6, 0.6)])[: len(samples)].astype(
        np.float32
    )


def echoed(samples: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Returns the sound in a small room: a decaying random response after the direct sound."""
    length = int(generator.integers(400, 2400))
    decay = np.exp(-np.arange(length) / generator.uniform(100, 500))
    response = generator.normal(size=length) * decay * generator.uniform(0.02, 0.12)
    response[0] = 1
    size = 1 << (len(samples) + length).bit_length()
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)


def noise(count: int, seed: int, colour: float = 0.0) -> np.ndarray:
    """Returns noise of unit power: white, or with `colour` in (0, 1) more of the low frequencies.

    A number depends on the seed and its place alone (SplitMix64; four 16-bit parts of it summed are
    nearly normal), so that the Rust side (`examples/whisper/src/noise.rs`) makes the same without a
    file.
    """
    with np.errstate(over="ignore"):
        state = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(
            0x9E3779B97F4A7C15
        )
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    parts = sum((state >> np.uint64(shift)) & np.uint64(0xFFFF) for shift in (0, 16, 32, 48))
    white = (parts.astype(np.float64) - 2 * 65535) / (65536 / np.sqrt(3))
    if colour:
        from scipy.signal import lfilter

        white = lfilter([np.sqrt(1 - colour**2)], [1, -colour], white)
    return white.astype(np.float32)


def with_noise(
    samples: np.ndarray, decibels: float, power: float, seed: int, colour: float = 0.0
) -> np.ndarray:
    """Returns samples and noise, `power` (the mean square of what is spoken) being `decibels` above
    the noise."""
    return samples + noise(len(samples), seed, colour) * np.float32(
        np.sqrt(power / 10 ** (decibels / 10))
    )


def digest(arrays: Iterable[np.ndarray]) -> str:
    """Returns a hash of numbers, by which two runs of a script are seen to be the same."""
    every = hashlib.sha256()
    for array in arrays:
        every.update(np.ascontiguousarray(array).tobytes())
    return every.hexdigest()[:16]
