"""Measures the example `whisper` against openai-whisper in PyTorch and faster-whisper, and a long
sound against a short one.

Owns: the table.   Must not: compute anything itself.
Flow: builds nothing: `cargo build --release -p whisper` first; then
`python tools/bench-speech/bench.py`, with a Python that has torch, numpy, safetensors, soundfile
and what `requirements.txt` names. Starts each contender as a process of its own, turn and turn
about, and reads its peak memory from the system.

All sides have the same random weights of a size, in float32, greedy decoding of exactly 50 tokens a
window with the same tokens suppressed, no timestamps, windows without overlap, and read the file as
part of the time. Loading models is not part of it, but its memory is.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soundfile

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RATE = 16_000
TOKENS = 50


def run(command: list[str], threads: int) -> tuple[str, str, float]:
    """Returns what a process printed, what it said, and its peak memory in MB."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=out, stderr=said, env=environment, text=True)
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, peak_memory(process.pid))
            time.sleep(0.01)
        out.seek(0)
        said.seek(0)
        printed, errors = out.read(), said.read()
    if process.returncode:
        raise RuntimeError(f"{command} failed:\n{errors}")
    return printed, errors, peak


def peak_memory(process: int) -> float:
    """Returns the peak memory of a running process in MB, as Linux counts it.

    What `wait4` tells would count the pages of this process too, which a child has before it
    becomes another program.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def ours(binary: str, sound: str, threads: int, *options: str) -> tuple[float, float, list]:
    """Returns seconds, peak memory in MB, and tokens of our program."""
    printed, said, memory = run(
        [binary, sound, "--format", "json", "--threads", str(threads), *options], threads
    )
    seconds = float(re.search(r" in ([\d.]+) s, real-time", said)[1])
    return seconds, memory, [segment["tokens"] for segment in json.loads(printed)["segments"]]


def recording(seconds: float) -> np.ndarray:
    """Returns the committed recordings, again and again, with a little noise."""
    samples, _ = soundfile.read(
        ROOT / "examples" / "whisper" / "data" / "unseen.ogg", dtype="float32"
    )
    count = int(seconds * RATE)
    samples = np.tile(samples, -(-count // len(samples)))[:count]
    return samples + np.random.default_rng(1).normal(size=count).astype(np.float32) * 1e-3


class Ours:
    """Our program, with a size."""

    name = "ours"

    def __init__(self, binary: str, size: str) -> None:
        words = find_spec("whisper")
        if words is None or words.origin is None:
            raise SystemExit(
                "openai-whisper is not installed: see tools/bench-speech/requirements.txt"
            )
        ranks = Path(words.origin).parent / "assets" / "multilingual.tiktoken"
        options = [
            "--no-timestamps",
            "--overlap",
            "0",
            "--temperatures",
            "0",
            "--most-tokens",
            str(TOKENS),
        ]
        self.binary, self.options = binary, ["--size", size, "--words", str(ranks), *options]

    def measured(self, sound: str, threads: int) -> tuple[float, float, list]:
        """Returns seconds, peak memory in MB, and tokens."""
        return ours(self.binary, sound, threads, *self.options)


class Python:
    """A process of Python that prints its seconds and tokens."""

    def __init__(self, name: str, command: list[str], *after: str) -> None:
        self.name, self.command, self.after = name, command, after

    def measured(self, sound: str, threads: int) -> tuple[float, float, list]:
        """Returns seconds, peak memory in MB, and tokens."""
        command = [
            sys.executable,
            *self.command,
            sound,
            str(threads),
            "1",
            str(TOKENS),
            *self.after,
        ]
        printed, _, memory = run(command, threads)
        found = json.loads(printed.splitlines()[-1])
        return (
            found["seconds"],
            memory,
            [[token for token in window if token < 50257] for window in found["tokens"]],
        )


def pytorch(size: str) -> Python:
    """Returns openai-whisper's `transcribe`."""
    return Python("openai-whisper (PyTorch)", [str(HERE / "pytorch_side.py"), size])


def faster(folder: str) -> Python | None:
    """Returns faster-whisper, where it is installed; its model goes to a folder."""
    if find_spec("faster_whisper") is None:
        return None
    side = str(HERE / "faster_side.py")
    subprocess.run([sys.executable, side, folder], check=True)
    tokens = json.loads((ROOT / "examples" / "whisper" / "data" / "openai_tokens.json").read_text())
    return Python(
        "faster-whisper (CTranslate2)",
        [side, folder],
        json.dumps(tokens["models"][0]["suppressed"]),
    )


def same(one: list, other: list) -> int:
    """Returns how many tokens of two lists of windows are the same."""
    return sum(a == b for x, y in zip(one, other, strict=False) for a, b in zip(x, y, strict=False))


def side_by_side(
    contenders: list, sound: str, seconds: float, threads: int, rounds: int, label: str
) -> None:
    """Measures contenders in turn, the last of them ours, and prints a row for each."""
    least = [(float("inf"), 0.0, [])] * len(contenders)
    for _ in range(rounds):
        for at, contender in enumerate(contenders):
            took, memory, tokens = contender.measured(sound, threads)
            least[at] = min(least[at][0], took), max(least[at][1], memory), tokens
    here = least[-1]
    for contender, (took, memory, tokens) in zip(contenders, least, strict=True):
        print(
            f"| {label} | {contender.name} | {took:.2f} s | {took / here[0]:.2f} | "
            f"{took / seconds:.4f} | {memory:.0f} MB "
            f"| {here[1] / memory:.2f} | {same(tokens, here[2])} of {sum(map(len, tokens))} |",
            flush=True,
        )


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    parser.add_argument("--binary", default=f"{target}/release/whisper")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument(
        "--sizes",
        nargs="*",
        default=[],
        help="larger sizes that the program was built with: base small",
    )
    parser.add_argument(
        "--long", type=float, default=60, help="minutes of the long sound; 0 leaves it out"
    )
    options = parser.parse_args()
    head = (
        "| {} | program | seconds | time ÷ ours | real-time factor | peak memory "
        "| our memory ÷ its | same tokens as ours |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        sound = f"{folder}/sound.wav"
        soundfile.write(sound, recording(options.seconds), RATE, subtype="PCM_16")
        about = (
            f"{options.seconds:.0f} s of sound, {TOKENS} tokens a window, least of "
            f"{options.rounds} rounds"
        )
        print(f"Whisper tiny, random weights, {about}:\n\n{head.format('threads')}")
        contenders = [pytorch("tiny"), faster(folder), Ours(options.binary, "tiny")]
        contenders = [contender for contender in contenders if contender]
        for threads in options.threads:
            side_by_side(contenders, sound, options.seconds, threads, options.rounds, str(threads))
        if options.sizes:
            print(
                f"\nLarger sizes, {options.threads[-1]} threads, {about}:\n\n{head.format('size')}"
            )
        for size in options.sizes:
            both = [pytorch(size), Ours(options.binary, size)]
            side_by_side(both, sound, options.seconds, options.threads[-1], options.rounds, size)
        if not options.long:
            return
        print(
            "\nThe digits' model, 1 thread:\n\n| sound | seconds | real-time factor | peak memory "
            "|\n|---|---|---|---|"
        )
        for minutes in (1, options.long):
            soundfile.write(sound, recording(60 * minutes), RATE, subtype="PCM_16")
            seconds, memory, _ = ours(options.binary, sound, 1)
            print(
                f"| {minutes:.0f} min | {seconds:.2f} s | {seconds / 60 / minutes:.4f} | "
                f"{memory:.0f} MB |",
                flush=True,
            )


if __name__ == "__main__":
    main()
