"""What the speaking example trains on: phrases of a few words, said by one voice of espeak-ng, cut
into phonemes.

Owns: the words, how often a phrase has how many, spectrograms. Must not: know networks, be needed
by a build.
Flow: `train.py` → here → `tools/speech-data`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from networks import GROUP, HOP, LONGEST, MELS, STEPS

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools" / "speech-data"))
from speech_data import DIGITS, RATE, Speaker, noise  # noqa: E402

WORDS = (*DIGITS, "point", "plus", "minus", "times", "equals", "percent")
MOST_WORDS = 7
DIGITS_ALONE = 0.6  # part of the phrases that have digits only
VOICE = {"voice": "en-us", "rate": 150, "pitch": 50, "range": 30}
SILENCE = "_"
LEAD = 512  # samples of silence before a phrase
FFT = 1024
FLOOR = 1e-4  # of a band's amplitude: what is less is silence
CENTRE, SCALE = -4.0, 4.0  # logarithms minus the one, divided by the other, are about -1.3 to 1.7


@dataclass
class Utterance:
    """A phrase as it is trained on. The duration of the last silence makes the frames whole
    steps."""

    text: str
    phonemes: list[int]
    durations: list[int]  # of each phoneme, in frames
    samples: torch.Tensor  # HOP for each frame
    frames: torch.Tensor  # [frames, MELS], normalised


def plain(name: str) -> str:
    """Returns a phoneme without its stress."""
    return name.lstrip("',")


class Voice:
    """The synthesiser, and how it says each word alone."""

    def __init__(self) -> None:
        self._speaker = Speaker(phonemes=True)
        spoken = [self._speaker.say(word, **VOICE).phonemes[0] for word in WORDS]
        self.words = {
            word: [plain(name) for name, _ in phonemes if not name.startswith(SILENCE)]
            for word, phonemes in zip(WORDS, spoken, strict=True)
        }
        self.phonemes = [
            SILENCE,
            *sorted({name for names in self.words.values() for name in names}),
        ]
        self._filters = mel_filters()

    def say(self, words: list[str]) -> Utterance:
        """Says a phrase. What joins words in speech (`four r one`) counts as part of the phoneme
        before it."""
        speech = self._speaker.say(" ".join(words), **VOICE)
        if len(speech.phonemes) != len(words):
            raise RuntimeError(f"espeak-ng says {len(speech.phonemes)} words of {words}")
        names, starts, end = [SILENCE], [-LEAD], len(speech.samples)
        for word, phonemes in zip(words, speech.phonemes, strict=True):
            left = list(self.words[word])
            for name, start in phonemes:
                if left and plain(name) == left[0]:
                    names.append(left.pop(0))
                    starts.append(start)
                elif name.startswith(SILENCE) and not left:
                    end = min(end, start)
            if left:
                raise RuntimeError(f"espeak-ng says {phonemes} for {word}")
        names.append(SILENCE)
        starts.append(end)
        bounds = [0]
        for start in starts[1:]:
            bounds.append(max(bounds[-1] + 1, round((start + LEAD) / HOP)))
        count = -(-max(-(-(LEAD + len(speech.samples)) // HOP), bounds[-1] + 1) // GROUP) * GROUP
        durations = [
            after - before for before, after in zip(bounds, [*bounds[1:], count], strict=True)
        ]
        if count > STEPS * GROUP or len(names) > LONGEST:
            raise RuntimeError(f"{words}: {len(names)} phonemes, {durations} frames")
        samples = torch.zeros(count * HOP)
        samples[LEAD : LEAD + len(speech.samples)] = torch.from_numpy(speech.samples)
        ids = [self.phonemes.index(name) for name in names]
        return Utterance(
            " ".join(words), ids, durations, samples, spectrogram(samples, self._filters)
        )


def phrases(count: int, seed: int) -> list[list[str]]:
    """Returns phrases of 1 to 7 words."""
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(count):
        words = DIGITS if generator.random() < DIGITS_ALONE else WORDS
        drawn.append(
            [
                words[index]
                for index in generator.integers(
                    0, len(words), generator.integers(1, MOST_WORDS + 1)
                )
            ]
        )
    return drawn


def hiss(frames: int) -> torch.Tensor:
    """Returns the vocoder's noise as `src/noise.rs` makes it, [1, frames, HOP]."""
    return torch.from_numpy(noise(frames * HOP, 0)).reshape(1, -1, HOP)


def mel_filters() -> torch.Tensor:
    """Returns triangles of equal width in mel (Slaney's scale is linear to 1 kHz, then
    logarithmic), [mels, bins]."""
    step = np.log(6.4) / 27
    top = 15 + np.log(RATE / 2 / 1000) / step
    mels = np.linspace(0, top, MELS + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(step * (mels - 15)))
    bins = np.arange(FFT // 2 + 1) * RATE / FFT
    rising = (bins[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins[None]) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return torch.from_numpy(triangles.astype(np.float32))


def spectrogram(samples: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """Returns normalised logarithms of mel bands, [..., samples / HOP, MELS]."""
    spectrum = torch.stft(samples, FFT, HOP, window=torch.hann_window(FFT), return_complex=True)
    amplitudes = (spectrum.real.square() + spectrum.imag.square() + 1e-9).sqrt()[..., :-1]
    bands = (filters @ amplitudes).clamp_min(FLOOR).log()
    return ((bands - CENTRE) / SCALE).transpose(-1, -2)
