"""Trains the three networks of the speaking example and writes what it commits.

Owns: `weights/*.safetensors`, `data/words.txt`, `data/texts.safetensors`. Must not: be needed by a
build.
Flow: run by hand, `python python/train.py`, where torch, scipy, safetensors and espeakng-loader are
installed. One core, about 14 minutes. `--only PART` does one part, of `acoustic`, `vocoder` and
`keep`, from what the others wrote; the first two can run at once. Seeds are fixed for each part, so
the same versions give the same weights.
"""

import argparse
import random
import time
from pathlib import Path

import torch
from networks import GROUP, HOP, MELS, decoder, encoder, vocoder
from safetensors.torch import load_file, save_file
from utterances import (
    CENTRE,
    FLOOR,
    SCALE,
    Utterance,
    Voice,
    hiss,
    mel_filters,
    phrases,
    spectrogram,
)

EXAMPLE = Path(__file__).resolve().parent.parent
TRAINING, TESTS = 900, 40  # phrases
SEED = 5
PARTS = ("acoustic", "vocoder", "keep")
SILENT = (torch.tensor(FLOOR).log().item() - CENTRE) / SCALE

ACOUSTIC_STEPS, ACOUSTIC_BATCH, ACOUSTIC_RATE = 2600, 24, 2e-3
OWN_FROM = 0.15  # of the training, after which the decoder also hears what it said itself
HEARD_NOISE = 0.1

VOCODER_STEPS, VOCODER_BATCH, VOCODER_RATE = 2200, 8, 1.5e-3
SEGMENT, MARGIN = 40, 4  # frames of a segment, and of either side of it that is not judged
RESOLUTIONS = (
    (256, 64),
    (512, 128),
    (1024, 256),
)  # of the vocoder's loss: samples of a transform, of a hop
KEPT = (
    "one two three",
    "seven",
    "four one zero nine",
    "two plus three equals five",
    "six eight",
    "nine point five percent",
)


def folded(utterances: list[Utterance]) -> dict[str, torch.Tensor]:
    """Returns a batch: phonemes and durations padded with 0, frames with silence, and what tells
    them apart."""
    most = max(len(one.phonemes) for one in utterances)
    steps = max(len(one.frames) for one in utterances) // GROUP
    batch = {
        "phonemes": torch.zeros(len(utterances), most, dtype=torch.long),
        "durations": torch.zeros(len(utterances), most, dtype=torch.long),
        "frames": torch.full((len(utterances), steps * GROUP, MELS), SILENT),
        "real": torch.zeros(len(utterances), steps * GROUP),
        "of_phoneme": torch.zeros(len(utterances), steps * GROUP, dtype=torch.long),
        "place": torch.zeros(len(utterances), steps * GROUP, 2),
    }
    for row, one in enumerate(utterances):
        length, count = len(one.phonemes), len(one.frames)
        durations = torch.tensor(one.durations)
        batch["phonemes"][row, :length] = torch.tensor(one.phonemes)
        batch["durations"][row, :length] = durations
        batch["frames"][row, :count] = one.frames
        batch["real"][row, :count] = 1
        batch["of_phoneme"][row, :count] = torch.repeat_interleave(torch.arange(length), durations)
        batch["place"][row, :count] = places(durations)
    return batch


def places(durations: torch.Tensor) -> torch.Tensor:
    """Returns where each frame is in its phoneme, as `Decoder.forward` takes it: [frames, 2]."""
    each = [
        ((torch.arange(int(count)) + 0.5) / count, torch.full((int(count),), count / 10))
        for count in durations
    ]
    return torch.stack([torch.cat(parts) for parts in zip(*each, strict=True)], dim=-1)


def grouped(x: torch.Tensor) -> torch.Tensor:
    """[batch, frames, n] to [batch, steps, group, n]."""
    return x.reshape(len(x), -1, GROUP, x.shape[-1])


def later(frames: torch.Tensor) -> torch.Tensor:
    """Returns what each step hears: the frames of the step before, zeros at first."""
    return torch.cat([torch.zeros_like(frames[:, :1]), frames[:, :-1]], dim=1)


def told(
    encoded: torch.Tensor, batch: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns what the decoder is told: the encoding of each frame's phoneme, and the place in
    it."""
    of_frame = batch["of_phoneme"][..., None].expand(-1, -1, encoded.shape[-1])
    return grouped(encoded.gather(1, of_frame)), grouped(batch["place"])


def train_acoustic(
    utterances: list[Utterance], tests: list[Utterance], steps: int
) -> dict[str, torch.nn.Module]:
    """Trains encoder and decoder together, on L1 and L2 of the frames and L2 of the logarithms of
    durations."""
    torch.manual_seed(SEED)
    shuffle = random.Random(SEED)
    networks = {"encoder": encoder().train(), "decoder": decoder().train()}
    encode, decode = networks.values()
    parameters = [*encode.parameters(), *decode.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=ACOUSTIC_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, ACOUSTIC_RATE, steps, pct_start=0.08)
    began = time.process_time()
    for step in range(steps):
        batch = folded(shuffle.sample(utterances, ACOUSTIC_BATCH))
        mask = (batch["durations"] > 0).float()
        result = encode(batch["phonemes"], mask)
        truth, real = grouped(batch["frames"]), grouped(batch["real"][..., None])
        heard = later(truth)
        parts = told(result["encoded"], batch)
        if step > OWN_FROM * steps and step % 2:
            with torch.no_grad():
                own = later(decode.train_steps(heard, *parts))
            heard = torch.where(torch.rand(*heard.shape[:2], 1, 1) < 0.7, own, heard)
        heard = heard + HEARD_NOISE * torch.randn_like(heard)
        wrong = decode.train_steps(heard, *parts) - truth
        spectral = ((wrong.abs() + wrong.square()) * real).sum() / real.sum() / MELS
        log_durations = batch["durations"].clamp_min(1).float().log()
        timing = ((result["log_duration"] - log_durations).square() * mask).sum() / mask.sum()
        optimizer.zero_grad()
        (spectral + 0.5 * timing).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == steps - 1:
            seconds = time.process_time() - began
            print(
                f"acoustic {step} {seconds:.0f} s: frames {spectral:.4f} durations {timing:.4f}",
                flush=True,
            )
    for network in networks.values():
        network.eval()
    spoken = free(networks, tests)
    apart = [(one - test.frames).abs().mean() for one, test in zip(spoken, tests, strict=True)]
    print(
        f"acoustic: frames {sum(apart) / len(apart):.4f} apart from those of {len(tests)} phrases "
        "that never trained"
    )
    return networks


@torch.no_grad()
def free(networks: dict[str, torch.nn.Module], utterances: list[Utterance]) -> list[torch.Tensor]:
    """Returns the frames that the decoder makes of true durations, hearing nothing but itself."""
    spoken = []
    for begin in range(0, len(utterances), 32):
        part = utterances[begin : begin + 32]
        batch = folded(part)
        encoded = networks["encoder"](batch["phonemes"], (batch["durations"] > 0).float())[
            "encoded"
        ]
        parts = told(encoded, batch)
        frames = torch.zeros_like(grouped(batch["frames"]))
        for step in range(frames.shape[1]):
            seen = [whole[:, : step + 1] for whole in (later(frames), *parts)]
            frames[:, step] = networks["decoder"].train_steps(*seen)[:, -1]
        spoken += [frames[row].flatten(0, 1)[: len(one.frames)] for row, one in enumerate(part)]
    return spoken


def vocoder_loss(made: torch.Tensor, truth: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """Returns how far apart sounds are in spectra of three resolutions, and in mel bands."""
    loss = 2 * (spectrogram(made, filters) - spectrogram(truth, filters)).abs().mean()
    for size, hop in RESOLUTIONS:
        window = torch.hann_window(size)
        spectra = (
            torch.stft(sound, size, hop, window=window, return_complex=True)
            for sound in (made, truth)
        )
        one, other = ((part.real.square() + part.imag.square() + 1e-8).sqrt() for part in spectra)
        loss = loss + (one - other).norm() / other.norm().clamp_min(0.1)
        loss = loss + ((one + 1e-3).log() - (other + 1e-3).log()).abs().mean()
    return loss


def train_vocoder(utterances: list[Utterance], steps: int) -> torch.nn.Module:
    """Trains the vocoder on segments of frames and their samples. There is no adversary."""
    torch.manual_seed(SEED)
    network = vocoder()
    torch.manual_seed(SEED)
    shuffle = random.Random(SEED)
    filters = mel_filters()
    long = [one for one in utterances if len(one.frames) > SEGMENT]
    optimizer = torch.optim.AdamW(network.parameters(), lr=VOCODER_RATE, betas=(0.8, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, VOCODER_RATE, steps, pct_start=0.05)
    began, judged, shown = time.process_time(), slice(MARGIN * HOP, (SEGMENT - MARGIN) * HOP), 0.0
    mask = torch.ones(VOCODER_BATCH, SEGMENT)
    for step in range(steps):
        frames, samples = [], []
        for one in shuffle.sample(long, VOCODER_BATCH):
            begin = shuffle.randrange(len(one.frames) - SEGMENT + 1)
            frames.append(one.frames[begin : begin + SEGMENT])
            samples.append(one.samples[begin * HOP : (begin + SEGMENT) * HOP])
        made = network(torch.stack(frames), torch.randn(VOCODER_BATCH, SEGMENT, HOP), mask).flatten(
            1
        )
        loss = vocoder_loss(made[:, judged], torch.stack(samples)[:, judged], filters)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        shown = loss.item() if step == 0 else 0.95 * shown + 0.05 * loss.item()
        if step % 50 == 0 or step == steps - 1:
            print(
                f"vocoder {step} {time.process_time() - began:.0f} s: loss {shown:.3f}", flush=True
            )
    return network.eval()


@torch.no_grad()
def speak(networks: dict[str, torch.nn.Module], phonemes: list[int]) -> torch.Tensor:
    """Returns the samples of a phrase, as `src/` makes them: step by step, with the decoder's
    caches."""
    ids = torch.tensor([phonemes])
    result = networks["encoder"](ids, torch.ones_like(ids))
    ends = result["log_duration"][0].exp().cumsum(0)
    bounds = [0]
    for end in ends.tolist():
        bounds.append(max(bounds[-1] + 1, int(end + 0.5)))
    bounds[-1] = -(-bounds[-1] // GROUP) * GROUP
    durations = torch.tensor(bounds).diff()
    encoded = grouped(result["encoded"].repeat_interleave(durations, dim=1))
    place = grouped(places(durations)[None])
    for cache in networks["decoder"].buffers():
        cache.zero_()
    frames = [torch.zeros(1, GROUP, MELS)]
    for step in range(encoded.shape[1]):
        frames.append(
            networks["decoder"](frames[-1], encoded[:, step], place[:, step], torch.tensor([step]))
        )
    frames = torch.cat(frames[1:], dim=1)
    return networks["vocoder"](
        frames, hiss(frames.shape[1]), torch.ones(1, frames.shape[1])
    ).flatten()


def keep(networks: dict[str, torch.nn.Module], voice: Voice, file: Path) -> None:
    """Writes what PyTorch makes of some texts, and how the synthesiser says them, as 16-bit
    samples."""
    kept = {}
    for text in KEPT:
        utterance = voice.say(text.split())
        for name, samples in (
            ("pytorch", speak(networks, utterance.phonemes)),
            ("synthesiser", utterance.samples),
        ):
            kept[f"{name}/{text}"] = (samples.clamp(-1, 1) * 32767).round().to(torch.int16)
    save_file(kept, file)


def save(folder: Path, networks: dict[str, torch.nn.Module]) -> None:
    """Writes weights in half precision."""
    for name, network in networks.items():
        weights = {key: value.half().contiguous() for key, value in network.state_dict().items()}
        save_file(weights, folder / f"{name}.safetensors")


def load(folder: Path, *names: str) -> dict[str, torch.nn.Module]:
    """Reads what `save` wrote."""
    networks = {
        name: {"encoder": encoder, "decoder": decoder, "vocoder": vocoder}[name]() for name in names
    }
    for name, network in networks.items():
        weights = load_file(folder / f"{name}.safetensors")
        network.load_state_dict({key: value.float() for key, value in weights.items()})
        network.eval()
    return networks


def main() -> None:
    """Trains what is asked for, and writes the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument(
        "--out", type=Path, default=EXAMPLE, help="folder that gets weights/ and data/"
    )
    parser.add_argument("--part", type=float, default=1.0, help="of the steps")
    options = parser.parse_args()
    parts = [options.only] if options.only else PARTS
    weights, data = options.out / "weights", options.out / "data"
    for folder in (weights, data):
        folder.mkdir(parents=True, exist_ok=True)

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    voice = Voice()
    said = phrases(TRAINING + TESTS, SEED) if parts != ["keep"] else []
    utterances = [voice.say(words) for words in said]
    utterances, tests = utterances[:TRAINING], utterances[TRAINING:]
    print(f"{len(utterances)} phrases, {len(voice.phonemes)} phonemes", flush=True)
    if "acoustic" in parts:
        lines = [
            " ".join(voice.phonemes),
            *(f"{word} {' '.join(names)}" for word, names in voice.words.items()),
        ]
        (data / "words.txt").write_text("\n".join(lines) + "\n")
        save(weights, train_acoustic(utterances, tests, int(ACOUSTIC_STEPS * options.part)))
    if "vocoder" in parts:
        save(weights, {"vocoder": train_vocoder(utterances, int(VOCODER_STEPS * options.part))})
    if "keep" in parts:
        keep(load(weights, "encoder", "decoder", "vocoder"), voice, data / "texts.safetensors")


if __name__ == "__main__":
    main()
