"""Windows of spoken digits with what Whisper's decoder should write about them.

Owns: the small vocabulary, and how phrases become windows and tokens. Must not: know the model or
the synthesiser's library (`tools/speech-data`).
Flow: `train.py` draws endless windows from here; `test_set.py` makes the committed recordings.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools" / "speech-data"))
import speech_data
from speech_data import RATE, Speech

# The order is that of openai-whisper: text, end, start, specials, timestamps.
WORDS = speech_data.DIGITS
END, START, NO_SPEECH, NO_TIMESTAMPS, FIRST_TIMESTAMP = range(10, 15)
PRECISION = 0.05  # seconds from timestamp to timestamp
WINDOW = 6.0  # seconds

LONGEST_PHRASE = 7  # words
PAUSE = (0.4, 1.6)  # seconds between phrases; words of one phrase are closer
CUT = 0.03  # seconds: a word that ends later than this before the window's end is not whole
SILENT = 0.06  # part of the windows where nobody speaks
ENDS, ENDS_WHOLE = (
    0.15,
    0.25,
)  # parts of the windows whose sound ends anywhere within, and behind what is said
MARGIN = speech_data.MARGIN / RATE  # seconds of silence at both ends of a phrase


@dataclass
class Phrase:
    """Digits that were said in one go."""

    speech: Speech
    digits: list[int]


@dataclass
class Segment:
    """A phrase in a window: its times in seconds, and its digits; `end` is None where the window
    cuts it.

    `spans` are the begin and the end of each digit.
    """

    begin: float
    end: float | None
    digits: list[int]
    spans: list[tuple[float, float]]


def phrase(speaker: speech_data.Speaker, voice: str, generator: np.random.Generator) -> Phrase:
    """Says a few random digits with a random manner of speaking."""
    digits = generator.integers(0, len(WORDS), generator.integers(1, LONGEST_PHRASE + 1)).tolist()
    manner = {
        "rate": generator.integers(130, 240),
        "pitch": generator.integers(15, 85),
        "range": generator.integers(20, 80),
        "gap": generator.integers(0, 5),
    }
    speech = speaker.say(" ".join(WORDS[digit] for digit in digits), voice, **manner)
    if len(speech.words) != len(digits):
        raise RuntimeError(f"{voice} reported {len(speech.words)} words of {len(digits)}")
    return Phrase(speech, digits)


def tail(spoken: Phrase, first: int, jitter: int) -> Phrase:
    """Returns a phrase from its word `first` on, as a window sees it that begins between two
    words."""
    begin = max(0, spoken.speech.words[first] + jitter)
    words = [max(0, start - begin) for start in spoken.speech.words[first:]]
    return Phrase(Speech(spoken.speech.samples[begin:], words), spoken.digits[first:])


def varied(spoken: Phrase, generator: np.random.Generator) -> Phrase:
    """Returns the phrase of a speaker of another size, in another room, with another microphone."""
    speech = spoken.speech
    speech = Speech(speech.samples.astype(np.float32) / 32768, speech.words)
    if generator.random() < 0.7:
        speech = speech_data.stretched(speech, generator.uniform(0.85, 1.18))
    if generator.random() < 0.5:
        speech.samples = speech_data.tilted(speech.samples, generator)
    if generator.random() < 0.2:
        speech.samples = speech_data.echoed(speech.samples, generator)
    return Phrase(speech, spoken.digits)


def window(
    phrases: list[Phrase],
    generator: np.random.Generator,
    seconds: float,
    decibels: tuple[float, float] = (8.0, 45.0),
) -> tuple[np.ndarray, list[Segment]]:
    """Returns a window with some of the phrases in it, at times with none, and the segments of what
    is heard.

    Some end early, as the last window of a file does: behind its sound, noise included,
    `transcribe.rs` has exact zeros.
    """
    count = end = int(seconds * RATE)
    ending = generator.random()
    if ending < ENDS:
        end = int(generator.uniform(0.2, seconds) * RATE)
    samples, segments = np.zeros(count, np.float32), []
    energy, spoken_samples = 0.0, 0
    continues = generator.random() < 0.3
    latest = 1.2 if generator.random() < 0.75 else seconds - 0.5
    at = 0 if continues else int(generator.uniform(0, latest) * RATE)
    spoken_end = 0
    left = (
        0
        if generator.random() < SILENT
        else int(generator.integers(1, 4))
        if generator.random() < 0.5
        else 99
    )
    level = np.exp(generator.uniform(np.log(0.08), 0))
    while left > 0 and at < end - int(0.15 * RATE):
        one = varied(phrases[generator.integers(len(phrases))], generator)
        if continues and not segments and len(one.digits) > 1:
            jitter = int(generator.uniform(-0.06, 0.06) * RATE)
            one = tail(one, int(generator.integers(1, len(one.digits))), jitter)
        sound = one.speech.samples
        # Phrases of one window are about equally loud.
        sound = sound * (
            level * generator.uniform(0.7, 1.0) / max(1e-3, float(np.abs(sound).max()))
        )
        part = sound[: end - at]
        samples[at : at + len(part)] += part
        energy, spoken_samples = energy + float(np.square(part).sum()), spoken_samples + len(part)
        segments += heard(one, at, end)
        spoken_end = at + len(sound)
        at = spoken_end + int(generator.uniform(*PAUSE) * RATE)
        left -= 1
    if ENDS <= ending < ENDS + ENDS_WHOLE and spoken_end < end:
        end = spoken_end + int((end - spoken_end) * generator.random() ** 2)
    if generator.random() < 0.1:
        return (
            samples,
            segments,
        )  # silence between words is true silence, as in sound that a program made
    power = energy / spoken_samples if spoken_samples else level**2 * 0.02
    colour = generator.uniform(0.3, 0.97) if generator.random() < 0.5 else 0.0
    noisy = speech_data.with_noise(
        samples, generator.uniform(*decibels), power, int(generator.integers(1 << 60)), colour
    )
    noisy[end:] = 0
    return noisy, segments


def heard(spoken: Phrase, at: int, count: int) -> list[Segment]:
    """Returns the segments of a phrase that begins `at` in a sound of `count` samples: two where
    its end is cut off."""
    starts = spoken.speech.words
    ends = [*starts[1:], len(spoken.speech.samples) - speech_data.MARGIN]
    whole = [end for end in ends if at + end <= count - int(CUT * RATE)]
    begin = at / RATE + (MARGIN if starts[0] == 0 else 0.0)
    segments = []
    if whole:
        spans = [
            ((at + first) / RATE, (at + last) / RATE)
            for first, last in zip(starts, whole, strict=False)
        ]
        segments.append(Segment(begin, (at + whole[-1]) / RATE, spoken.digits[: len(whole)], spans))
        begin = (at + whole[-1]) / RATE
    if len(whole) < len(ends):
        segments.append(Segment(begin, None, [], []))
    return segments


def timestamp(seconds: float) -> int:
    """Returns the token of a time."""
    return FIRST_TIMESTAMP + min(round(WINDOW / PRECISION), max(0, round(seconds / PRECISION)))


def tokens(
    segments: list[Segment], timestamps: bool
) -> tuple[list[int], list[tuple[float, float] | None]]:
    """Returns what the decoder is to write behind its start token, the end included, and where each
    token is heard."""
    if not segments:
        return [NO_SPEECH, END], [None, None]
    written, places = ([], []) if timestamps else ([NO_TIMESTAMPS], [None])
    for segment in segments:
        if timestamps:
            written.append(timestamp(segment.begin))
            places.append((segment.begin, segment.begin))
        written += segment.digits
        places += segment.spans
        if timestamps and segment.end is not None:
            written.append(timestamp(segment.end))
            places.append((segment.end, segment.end))
    return [*written, END], [*places, None]


def shown(written: list[int], generator: np.random.Generator) -> list[int]:
    """Returns what the decoder reads while it learns to write: its start token and what it wrote,
    without the end.

    Decoding forbids the token of silence and goes on behind a time, or behind the token that there
    are none. So silence is shown behind these too, and there it ends.
    """
    if written[0] == NO_SPEECH and generator.random() < 0.8:
        time = FIRST_TIMESTAMP + int(generator.integers(0, round(WINDOW / PRECISION) + 1))
        return [START, NO_TIMESTAMPS if generator.random() < 0.2 else time]
    return [START, *written[:-1]]
