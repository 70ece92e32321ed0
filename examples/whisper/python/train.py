"""Trains the size "digits": a Whisper that writes spoken digits, with timestamps.

Owns: `weights/digits.safetensors`.   Must not: be needed by a build.
Flow: run by hand, `python python/train.py`, where torch, safetensors, scipy and espeakng-loader are
installed. One core, about half an hour. Seeds are fixed, so the same versions on the same processor
give the same weights, bit for bit: two runs of `train.py --steps 20 --phrases 2 --out FILE` print
the same hashes of speech and weights.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from digit_speech import END, START, WINDOW, WORDS, phrase, shown, speech_data, tokens, window
from log_mel import log_mel, mel_filters
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional
from whisper_model import SIZES, Whisper

EXAMPLE = Path(__file__).resolve().parent.parent
SEED = 5
PHRASES = 30  # of each voice
STEPS = 1800
SHORT_STEPS = (
    350  # that begin with windows of half the length: cheaper, and attention finds its place sooner
)
BATCH = 32
ADAM_RATE, MUON_RATE = 2e-3, 0.02  # at the peak
WARM_UP = 60  # steps
NO_TIMESTAMPS = 0.15  # part of the windows that are written without
IGNORED = -100
POSITION = 0.02  # seconds from position to position of the encoder
NEAR = 2  # positions around a token that count as its place
CHECKS = 160  # windows of unseen voices


class Bank:
    """Phrases of many voices, made once; windows are mixed from them without end."""

    def __init__(
        self, variants: list[str], accents: tuple[str, ...], phrases: int, seed: int
    ) -> None:
        speaker, self.generator = speech_data.Speaker(), np.random.default_rng(seed)
        self.voices = []
        for accent in accents:
            for variant in variants:
                voice = speech_data.name(accent, variant)
                spoken = [phrase(speaker, voice, self.generator) for _ in range(phrases)]
                for one in spoken:
                    one.speech.samples = np.round(one.speech.samples * 32767).astype(np.int16)
                self.voices.append(spoken)

    def digest(self) -> str:
        """Returns a hash of all that is said."""
        return speech_data.digest(one.speech.samples for spoken in self.voices for one in spoken)

    def draw(self, count: int, seconds: float, **options) -> tuple[torch.Tensor, list]:
        """Returns samples, [count, seconds * RATE], and the segments of each window."""
        generator = self.generator
        chosen = [self.voices[generator.integers(len(self.voices))] for _ in range(count)]
        drawn = [window(phrases, generator, seconds, **options) for phrases in chosen]
        return torch.from_numpy(np.stack([samples for samples, _ in drawn])), [
            segments for _, segments in drawn
        ]


def masked(mel: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
    """Returns spectrograms with a random slope over the bands, and some bands at their floor."""
    bands = mel.shape[1]
    slope = torch.linspace(-1, 1, bands)[None, :, None]
    mel = mel + slope * torch.tensor(
        generator.uniform(-0.15, 0.15, (len(mel), 1, 1)), dtype=torch.float32
    )
    for row in mel:
        width = int(generator.integers(0, 12))
        first = int(generator.integers(0, bands - width))
        row[first : first + width] = row.min()
    return mel


def batch(
    segments: list, generator: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns the decoder's inputs, what it should say, and where that is heard: [batch, length,
    positions], 1 there."""
    pairs = [tokens(one, timestamps=bool(generator.random() >= NO_TIMESTAMPS)) for one in segments]
    length = max(len(written) for written, _ in pairs)
    inputs = [shown(written, generator) + [END] * (length - len(written)) for written, _ in pairs]
    targets = [written + [IGNORED] * (length - len(written)) for written, _ in pairs]
    heard = torch.zeros(len(pairs), length, SIZES["digits"].n_audio_ctx)
    for row, (_, places) in zip(heard, pairs, strict=True):
        for token, place in zip(row, places, strict=False):
            if place is not None:
                begin, end = (round(seconds / POSITION) for seconds in place)
                token[max(0, begin - NEAR) : end + NEAR + 1] = 1
    return torch.tensor(inputs), torch.tensor(targets), heard


class Guide:
    """Teaches one head of the decoder's last cross attention to look where the next token is heard.

    Without it, training has to find by itself that what is written goes along with what is heard,
    which takes most of the time; with it, the head also tells when each word was said.
    """

    def __init__(self, model: Whisper) -> None:
        self.attention = model.decoder.blocks[-1].cross_attn
        self.attention.register_forward_pre_hook(self._keep)

    def _keep(self, _module: nn.Module, arguments: tuple) -> None:
        self.x, self.audio = arguments[:2]

    def loss(self, heard: torch.Tensor) -> torch.Tensor:
        """Returns how little of the head's attention is where it should be."""
        attention = self.attention
        query, key = (
            part[:, 0]
            for part in map(attention.split, (attention.query(self.x), attention.key(self.audio)))
        )
        weights = (query @ key.transpose(1, 2) / query.shape[-1] ** 0.5).softmax(-1)
        inside = (weights * heard[..., : weights.shape[-1]]).sum(-1)
        placed = heard[..., : weights.shape[-1]].sum(-1) > 0
        return -inside[placed].clamp(min=1e-4).log().mean() if placed.any() else inside.sum() * 0


class Muon(torch.optim.Optimizer):
    """Momentum whose steps are made orthogonal, for the matrices of the layers (Keller Jordan,
    2024)."""

    def __init__(self, parameters, lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        """Moves the parameters."""
        for group in self.param_groups:
            for parameter in group["params"]:
                average = self.state[parameter].setdefault("average", torch.zeros_like(parameter))
                average.lerp_(parameter.grad, 1 - group["momentum"])
                step = parameter.grad.lerp(average, group["momentum"]).flatten(1)
                tall = step.shape[0] > step.shape[1]
                step = step.t() if tall else step
                step = step / (step.norm() + 1e-7)
                for _ in range(
                    5
                ):  # Newton and Schulz, with the coefficients that Muon is known for
                    square = step @ step.t()
                    step = 3.4445 * step + (-4.7750 * square + 2.0315 * square @ square) @ step
                step = (step.t() if tall else step).reshape(parameter.shape)
                ratio = max(1.0, parameter.shape[0] / parameter[0].numel()) ** 0.5
                parameter.mul_(1 - group["lr"] * 0.01).add_(step, alpha=-group["lr"] * ratio)


@torch.no_grad()
def greedy(model: Whisper, mel: torch.Tensor) -> list[list[int]]:
    """Returns the most probable tokens of each window, with timestamps and without the end."""
    audio, written = model.encoder(mel), torch.full((len(mel), 1), START)
    for _ in range(model.dimensions.n_text_ctx - 1):
        following = model.decoder(written, audio)[:, -1].argmax(-1)
        following[(written == END).any(1)] = END
        written = torch.cat([written, following[:, None]], 1)
        if (written == END).any(1).all():
            break
    return [row[: row.index(END)] if END in row else row for row in written[:, 1:].tolist()]


def edits(reference: list[int], hypothesis: list[int]) -> int:
    """Returns the Levenshtein distance."""
    row = list(range(len(hypothesis) + 1))
    for i, expected in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, found in enumerate(hypothesis, 1):
            diagonal, row[j] = (
                row[j],
                min(row[j] + 1, row[j - 1] + 1, diagonal + (expected != found)),
            )
    return row[-1]


def word_error_rate(model: Whisper, mels: torch.Tensor, segments: list) -> float:
    """Returns the word error rate of greedy decoding."""
    model.eval()
    found = [row for part in mels.split(40) for row in greedy(model, part)]
    truth = [[digit for segment in one for digit in segment.digits] for one in segments]
    errors = sum(
        edits(t, [x for x in f if x < len(WORDS)]) for t, f in zip(truth, found, strict=True)
    )
    model.train()
    return errors / sum(map(len, truth))


def main() -> None:
    """Trains, checks on voices that training never saw, and writes the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--phrases", type=int, default=PHRASES, help="of each voice")
    parser.add_argument("--out", type=Path, default=EXAMPLE / "weights" / "digits.safetensors")
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    generator = np.random.default_rng(SEED)
    began = time.process_time()
    train, held_out = speech_data.voices()
    bank = Bank(train, speech_data.ACCENTS, options.phrases, seed=1)
    unseen = Bank(held_out, speech_data.ACCENTS, 6, seed=2)
    filters = mel_filters(SIZES["digits"].n_mels)
    checks = {}
    for name, decibels in (("near-clean", (25.0, 45.0)), ("noisy", (8.0, 20.0))):
        samples, segments = unseen.draw(CHECKS, WINDOW, decibels=decibels)
        checks[name] = log_mel(samples, filters), segments
    seconds = time.process_time() - began
    print(
        f"{len(bank.voices)} voices after {seconds:.0f} s, speech {bank.digest()} "
        f"{unseen.digest()}",
        flush=True,
    )

    model = Whisper(SIZES["digits"])
    # A head on the encoder, for training alone: the words in their order, without alignment (CTC).
    ctc = nn.Linear(model.dimensions.n_audio_state, END + 1)
    parameters = [*model.parameters(), *ctc.parameters()]
    guide = Guide(model)
    matrices = [p for name, p in model.named_parameters() if "blocks" in name and p.dim() == 2]
    others = [p for name, p in model.named_parameters() if "blocks" not in name or p.dim() != 2]
    adam = torch.optim.AdamW([*others, *ctc.parameters()], betas=(0.9, 0.98), weight_decay=0.01)
    muon = Muon(matrices, lr=MUON_RATE)
    model.train()
    for step in range(options.steps):
        done = step / options.steps
        rate = min(1, (step + 1) / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * done)) + 1e-4
        adam.param_groups[0]["lr"], muon.param_groups[0]["lr"] = rate * ADAM_RATE, rate * MUON_RATE
        short = step < SHORT_STEPS * options.steps / STEPS
        samples, segments = bank.draw(BATCH, WINDOW / 2 if short else WINDOW)
        audio = model.encoder(masked(log_mel(samples, filters), generator))
        inputs, targets, heard = batch(segments, generator)
        logits = model.decoder(inputs, audio)
        writing = functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, label_smoothing=0.03
        )
        digits = [[digit for segment in one for digit in segment.digits] for one in segments]
        lengths = torch.tensor([len(one) for one in digits])
        flat = torch.tensor([digit for one in digits for digit in one])
        scores = ctc(audio).log_softmax(-1).transpose(0, 1)
        positions = torch.full((BATCH,), scores.shape[0])
        order = functional.ctc_loss(scores, flat, positions, lengths, blank=END, zero_infinity=True)
        place = guide.loss(heard)
        loss = writing + 0.5 * (1 - done) * order + 0.3 * place
        model.zero_grad()
        ctc.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        adam.step()
        muon.step()
        if step % 50 == 0:
            seconds = time.process_time() - began
            terms = {"writing": writing, "order": order, "place": place}
            terms = ", ".join(f"{name} {float(term):.3f}" for name, term in terms.items())
            print(f"{step}: {seconds:.0f} s, {terms}", flush=True)
        if step % 600 == 599 or step + 1 == options.steps:
            rates = {
                name: f"{100 * word_error_rate(model, *check):.2f} %"
                for name, check in checks.items()
            }
            print(f"{step}: word error rates of unseen voices {rates}", flush=True)

    weights = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, options.out)
    minutes, hashed = (
        (time.process_time() - began) / 60,
        speech_data.digest(part.numpy() for part in weights.values()),
    )
    print(f"{options.out} after {minutes:.1f} minutes, weights {hashed}", flush=True)


if __name__ == "__main__":
    main()
