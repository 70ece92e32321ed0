"""Writes what PyTorch makes of the committed recordings, for the program to be compared with.

Owns: `data/reference.safetensors`: `tokens.SET.CONDITION`, what PyTorch wrote about each utterance,
in single precision and without caches, padded with the end token; `samples` and `mel`, a window and
its spectrogram by torch's own FFT.
Must not: be needed by a build.
Flow: run by hand after `train.py` and `test_set.py`: `python python/reference.py`.
"""

import json
from pathlib import Path

import numpy as np
import soundfile
import torch
from digit_speech import END, FIRST_TIMESTAMP, NO_SPEECH, NO_TIMESTAMPS, START, speech_data
from log_mel import HOP, log_mel, mel_filters
from safetensors.torch import save_file
from whisper_model import SIZES, Whisper, whisper

EXAMPLE = Path(__file__).resolve().parent.parent
CONDITIONS = ((30.0, 45.0), (8.0, 20.0), (8.0, 8.0))  # as in `src/recordings.rs`
HIDDEN = float("-inf")


def restrict(logits: torch.Tensor, tokens: list[int]) -> torch.Tensor:
    """Returns the logits that may follow, by the rules of OpenAI's `ApplyTimestampRules`
    (`src/decode.rs` has them too)."""
    logits = logits.clone()
    logits[[START, NO_SPEECH, NO_TIMESTAMPS]] = HIDDEN
    last = bool(tokens) and tokens[-1] >= FIRST_TIMESTAMP
    before = len(tokens) < 2 or tokens[-2] >= FIRST_TIMESTAMP
    if last and before:
        logits[FIRST_TIMESTAMP:] = HIDDEN
    elif last:
        logits[:END] = HIDDEN
    times = [token for token in tokens if token >= FIRST_TIMESTAMP]
    if times:
        logits[FIRST_TIMESTAMP : times[-1] + (0 if last and not before else 1)] = HIDDEN
    if not tokens:
        logits[:FIRST_TIMESTAMP] = HIDDEN
    if logits[FIRST_TIMESTAMP:].logsumexp(0) > logits[:FIRST_TIMESTAMP].max():
        logits[:FIRST_TIMESTAMP] = HIDDEN
    return logits


@torch.no_grad()
def written(model: Whisper, mels: torch.Tensor) -> list[list[int]]:
    """Returns the tokens of each window, all of them decoded side by side."""
    audio, most = model.encoder(mels), model.dimensions.n_text_ctx // 2
    tokens: list[list[int]] = [[] for _ in mels]
    for length in range(most + 1):
        rows = [[START, *row, *[END] * (length - len(row))] for row in tokens]
        logits = model.decoder(torch.tensor(rows), audio)
        going = False
        for row, scores in zip(tokens, logits, strict=True):
            if len(row) == length and length < most:
                following = int(restrict(scores[-1], row).argmax())
                if following != END:
                    row.append(following)
                    going = True
        if not going:
            break
    return tokens


def heard(samples: np.ndarray, index: int, least: float, most: float, window: int) -> np.ndarray:
    """Returns an utterance with its noise, as `Set::heard` in `src/recordings.rs` does."""
    power = float(np.square(samples).mean())
    level, colour = least + (most - least) * (index % 8) / 7, 0.0 if index % 2 == 0 else 0.9
    return speech_data.with_noise(
        np.pad(samples, (0, window - len(samples))), level, power, index, colour
    )


def main() -> None:
    """Writes the file."""
    torch.set_num_threads(1)
    size = SIZES["digits"]
    model, window = (
        whisper("digits", str(EXAMPLE / "weights" / "digits.safetensors")),
        size.frames * HOP,
    )
    filters = mel_filters(size.n_mels)
    kept = {}
    for at, recordings in enumerate(json.loads((EXAMPLE / "data" / "recordings.json").read_text())):
        sound, _ = soundfile.read(EXAMPLE / "data" / recordings["file"], dtype="float32")
        for condition, (least, most) in enumerate(CONDITIONS):
            parts = [sound[one["begin"] : one["end"]] for one in recordings["utterances"]]
            samples = np.stack(
                [heard(part, index, least, most, window) for index, part in enumerate(parts)]
            )
            mels = log_mel(torch.from_numpy(samples), filters)
            tokens = [row for part in mels.split(40) for row in written(model, part)]
            width = max(map(len, tokens))
            padded = [row + [END] * (width - len(row)) for row in tokens]
            kept[f"tokens.{at}.{condition}"] = torch.tensor(padded, dtype=torch.uint8)
            if not at and not condition:
                kept |= {"samples": torch.from_numpy(samples[0]).half(), "mel": mels[0]}
    # The spectrogram of the samples as they are kept, in half precision.
    kept["mel"] = log_mel(kept["samples"].float()[None], filters)[0]
    save_file(kept, EXAMPLE / "data" / "reference.safetensors")


if __name__ == "__main__":
    main()
