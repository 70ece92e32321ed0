"""Draws the pictures of docs/speech.md: a spectrogram with what was written, an alignment, and word
error rates against bits.

Owns: the pictures. Must not: compute what the programs compute: texts, times and rates are those of
the example `whisper`.
Flow: builds nothing: `cargo build --release -p whisper` first; then
`python tools/bench-speech/plots.py`, with a Python that has torch, numpy, safetensors, soundfile
and matplotlib.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
import soundfile
import torch

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "whisper"
sys.path.insert(0, str(EXAMPLE / "python"))
from log_mel import log_mel, mel_filters  # noqa: E402
from whisper_model import whisper  # noqa: E402

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

RATE = 16_000
WINDOW = 6.0  # seconds
START, END, FIRST_TIMESTAMP, PRECISION = 11, 10, 14, 0.05
WORDS = "zero one two three four five six seven eight nine".split()
BITS = {"float16": 16, "int8": 8, "6 bits": 6, "int4 in blocks": 4}


def recording() -> np.ndarray:
    """Returns the first committed recordings, two windows of them, with a little noise."""
    samples, _ = soundfile.read(EXAMPLE / "data" / "unseen.ogg", dtype="float32")
    noise = np.random.default_rng(1).normal(size=int(2 * WINDOW * RATE)).astype(np.float32)
    return samples[: len(noise)] + noise * 1e-3


def transcribed(binary: str, samples: np.ndarray) -> list[dict]:
    """Returns the segments that the program writes."""
    with tempfile.TemporaryDirectory() as folder:
        sound = f"{folder}/sound.wav"
        soundfile.write(sound, samples, RATE, subtype="PCM_16")
        ran = subprocess.run(
            [binary, sound, "--format", "json"], check=True, capture_output=True, text=True
        )
    return json.loads(ran.stdout)["segments"]


def spectrogram(samples: np.ndarray, segments: list[dict], path: Path) -> None:
    """Draws what is heard, and below it what is written."""
    mel = log_mel(torch.from_numpy(samples)[None], mel_filters(80))[0]
    figure, axes = pyplot.subplots(figsize=(9, 3), layout="constrained")
    axes.imshow(
        mel, origin="lower", aspect="auto", extent=(0, len(samples) / RATE, 0, 80), cmap="magma"
    )
    for number, segment in enumerate(segments):
        axes.axvspan(
            segment["start"], segment["end"], facecolor="none", edgecolor="white", linewidth=0.8
        )
        axes.text(
            segment["start"] + 0.05,
            74 - 7 * (number % 2),
            segment["text"],
            color="white",
            fontsize=8,
        )
    axes.set(
        xlabel="seconds",
        ylabel="mel band",
        title="Log-mel spectrogram, and the segments that were written",
    )
    figure.savefig(path, dpi=110)


@torch.no_grad()
def alignment(samples: np.ndarray, segments: list[dict], path: Path) -> None:
    """Draws where the head that was taught to look at each token looks, for the first window's
    tokens."""
    model = whisper("digits", str(EXAMPLE / "weights" / "digits.safetensors"))
    window = torch.from_numpy(samples[: int(WINDOW * RATE)])[None]
    audio = model.encoder(log_mel(window, mel_filters(80)))
    tokens: list[int] = []
    for one in segments:
        # The next window counts its times from its own begin.
        if tokens and one["tokens"][0] < tokens[-1]:
            break
        tokens += one["tokens"]
    attention = model.decoder.blocks[-1].cross_attn
    kept = {}
    attention.register_forward_pre_hook(lambda _module, arguments: kept.update(x=arguments[0]))
    model.decoder(torch.tensor([[START, *tokens]]), audio)
    query, key = (
        attention.split(attention.query(kept["x"]))[0, 0],
        attention.split(attention.key(audio))[0, 0],
    )
    weights = (query @ key.T / query.shape[-1] ** 0.5).softmax(-1)[: len(tokens)]
    names = [
        WORDS[token] if token < END else f"{(token - FIRST_TIMESTAMP) * PRECISION:.2f} s"
        for token in tokens
    ]
    figure, axes = pyplot.subplots(figsize=(9, 0.22 * len(names) + 1.2), layout="constrained")
    axes.imshow(
        weights,
        aspect="auto",
        extent=(0, WINDOW, len(names), 0),
        cmap="Blues",
        vmax=float(weights.max()) / 2,
    )
    axes.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=8)
    axes.set(
        xlabel="seconds",
        title="Where one head of the cross attention looks when each token is written",
    )
    figure.savefig(path, dpi=110)


def rates(binary: str, path: Path) -> None:
    """Draws the table of `wer`."""
    lines = subprocess.run([binary], check=True, capture_output=True, text=True).stdout.splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("| ")
    ]
    names, table = (
        rows[0][1:],
        {row[0]: [float(cell.removesuffix(" %")) for cell in row[1:]] for row in rows[1:]},
    )
    figure, axes = pyplot.subplots(figsize=(9, 4), layout="constrained")
    for column, name in enumerate(names):
        line = axes.plot(
            list(BITS.values()), [table[one][column] for one in BITS], marker="o", label=name
        )[0]
        axes.axhline(
            table["PyTorch float32"][column], color=line.get_color(), linewidth=0.8, linestyle=":"
        )
    axes.set_xticks(list(BITS.values()), [f"{bits}" for bits in BITS.values()])
    axes.set(
        xlabel="bits of a weight",
        ylabel="word error rate, %",
        title="Words that are wrong (dotted: PyTorch)",
        ylim=(0, None),
    )
    axes.invert_xaxis()
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.savefig(path, dpi=110)


def main() -> None:
    """Draws the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    parser.add_argument(
        "--binaries", default=f"{target}/release", help="folder of the built programs"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    options = parser.parse_args()
    samples = recording()
    segments = transcribed(f"{options.binaries}/whisper", samples)
    spectrogram(samples, segments, options.out / "speech-spectrogram.png")
    alignment(samples, segments, options.out / "speech-alignment.png")
    rates(f"{options.binaries}/wer", options.out / "speech-bits.png")


if __name__ == "__main__":
    main()
