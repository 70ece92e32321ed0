"""Runs a network of `tools/whole-models` in PyTorch, once for each line of standard input.

Owns: nothing; `whole-models` makes the network.   Must not: convert.
Flow: `rival.rs` starts it with a name and a number of threads, and each answer is the nanoseconds
of a run.
"""

import pathlib
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "whole-models"))

import make  # noqa: E402  (found by the line above)


@torch.inference_mode()
def main(name: str, threads: str) -> None:
    """Answers until standard input ends."""
    torch.set_num_threads(int(threads))
    network = make.NETWORKS[name]()
    inputs = tuple(network.samples[0].values())
    for _ in sys.stdin:
        start = time.perf_counter_ns()
        network.module(*inputs)
        print(time.perf_counter_ns() - start, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
