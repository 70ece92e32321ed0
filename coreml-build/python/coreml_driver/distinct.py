"""Samples that prove nothing: in PyTorch itself, all of them give the same.

Owns: when the results of two samples count as the same, as `cargo coreml verify` judges them
(`coreml-rt/src/parity/distinct.rs`). Must not: run a module.
Flow: `observation` -> `remarks`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import torch

from coreml_driver.samples import Run

#: What a half-precision program may differ by, in decibels below its peak, unless the manifest says
#: otherwise.
DECIBELS = 35.0
#: The same of a float32 program, absolute and relative to the reference.
ATOL, RTOL = 1e-3, 1e-5


def remarks(names: Sequence[str], runs: Sequence[Run], half: bool) -> list[str]:
    """Return a warning if no output differs between samples by what parity would see.

    Parameters: `names` - of the outputs; `runs` - the samples that are kept.
    """
    pairs = [
        (one, other)
        for first, second in combinations(runs, 2)
        for (_, ones), (_, others) in zip(first.steps, second.steps, strict=False)
        for one, other in zip(ones, others, strict=False)
        if one.shape == other.shape
    ]
    if not pairs or not all(_same(one, other, half) for one, other in pairs):
        return []
    return [
        f"parity proves little: in PyTorch the samples hardly differ in {' and '.join(names)}, so "
        "that the result of another input would pass too; give the inputs a `sample` like real "
        "ones, or the model its trained weights"
    ]


def _same(one: torch.Tensor, other: torch.Tensor, half: bool) -> bool:
    """Return whether the second would pass where the first is expected."""
    if not one.is_floating_point():
        return torch.equal(one, other)
    a, b = one.to(torch.float64), other.to(torch.float64)
    if not half:
        return torch.allclose(b, a, rtol=RTOL, atol=ATOL, equal_nan=True)
    noise = float(((a - b) ** 2).mean()) if a.numel() else 0.0
    peak = float(a.abs().max()) if a.numel() else 0.0
    if not math.isfinite(noise + peak):
        return False
    return noise == 0 or (peak > 0 and 10 * math.log10(peak**2 / noise) >= DECIBELS)
