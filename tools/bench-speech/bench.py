"""Measures the example `whisper` against openai-whisper in PyTorch, and a long sound against a short one.

Owns: the table.   Must not: compute anything itself.
Flow: builds nothing: `cargo build --release -p whisper` first; then `python tools/bench-speech/bench.py`, with a Python that
has torch, numpy, safetensors, soundfile and what `requirements.txt` names. Starts each contender as a process of its own, turn
and turn about, and reads its peak memory from the system.

Both sides have the same random weights of size "tiny", greedy decoding of exactly 50 tokens a window, no timestamps, windows
without overlap, and read the file as part of the time. Loading models is not part of it.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
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

    What `wait4` tells would count the pages of this process too, which a child has before it becomes another program.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def ours(binary: str, sound: str, threads: int, *options: str) -> tuple[float, float, list]:
    """Returns seconds, peak memory in MB, and tokens of our program."""
    printed, said, memory = run([binary, sound, "--format", "json", "--threads", str(threads), *options], threads)
    seconds = float(re.search(r" in ([\d.]+) s, real-time", said)[1])
    return seconds, memory, [segment["tokens"] for segment in json.loads(printed)["segments"]]


def recording(seconds: float) -> np.ndarray:
    """Returns the committed recordings, again and again, with a little noise."""
    samples, _ = soundfile.read(ROOT / "examples" / "whisper" / "data" / "unseen.ogg", dtype="float32")
    count = int(seconds * RATE)
    samples = np.tile(samples, -(-count // len(samples)))[:count]
    return samples + np.random.default_rng(1).normal(size=count).astype(np.float32) * 1e-3


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    parser.add_argument("--binary", default=f"{target}/release/whisper")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--long", type=float, default=60, help="minutes of the long sound")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sound = f"{folder}/sound.wav"
        soundfile.write(sound, recording(options.seconds), RATE, subtype="PCM_16")
        print(
            f"Whisper tiny, random weights, {options.seconds:.0f} s of sound, {TOKENS} tokens a window, least of {options.rounds} rounds:\n"
        )
        print(
            "| threads | PyTorch (openai-whisper) | ours | × faster | real-time factor | peak memory, PyTorch | ours | ratio | same tokens |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        tiny = (
            "--size",
            "tiny",
            "--no-timestamps",
            "--overlap",
            "0",
            "--temperatures",
            "0",
            "--most-tokens",
            str(TOKENS),
        )
        for threads in options.threads:
            here, there = (float("inf"), 0.0, []), (float("inf"), 0.0, [])
            for _ in range(options.rounds):
                seconds, memory, tokens = ours(options.binary, sound, threads, *tiny)
                here = min(here[0], seconds), max(here[1], memory), tokens
                command = [sys.executable, str(HERE / "pytorch_side.py"), sound, str(threads), "1", str(TOKENS)]
                printed, _, memory = run(command, threads)
                found = json.loads(printed.splitlines()[-1])
                there = min(there[0], found["seconds"]), max(there[1], memory), found["tokens"]
            words = [[token for token in window if token < 50257] for window in there[2]]
            same = sum(
                a == b for one, other in zip(here[2], words, strict=False) for a, b in zip(one, other, strict=False)
            )
            print(
                f"| {threads} | {there[0]:.2f} s | {here[0]:.2f} s | {there[0] / here[0]:.2f} | {here[0] / options.seconds:.4f} "
                f"| {there[1]:.0f} MB | {here[1]:.0f} MB | {here[1] / there[1]:.2f} | {same} of {sum(map(len, words))} |",
                flush=True,
            )
        print(
            "\nThe digits' model, 1 thread:\n\n| sound | seconds | real-time factor | peak memory |\n|---|---|---|---|"
        )
        for minutes in (1, options.long):
            soundfile.write(sound, recording(60 * minutes), RATE, subtype="PCM_16")
            seconds, memory, _ = ours(options.binary, sound, 1)
            print(
                f"| {minutes:.0f} min | {seconds:.2f} s | {seconds / 60 / minutes:.4f} | {memory:.0f} MB |", flush=True
            )


if __name__ == "__main__":
    main()
