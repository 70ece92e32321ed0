"""Reductions of runs of slices.

Owns: `segment_reduce`.
Must not: know bags of embeddings (that is `bags`).
"""

from __future__ import annotations

import math
from typing import Any

import torch

from coreml_driver.translations.approximation import INFINITY
from coreml_driver.translations.composition import composite, untraced
from coreml_driver.translations.refusals import CannotExpress


@composite("segment_reduce")
def _segment_reduce(
    data: torch.Tensor,
    reduce: str,
    lengths: torch.Tensor | None = None,
    indices: torch.Tensor | None = None,
    offsets: torch.Tensor | None = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: Any = None,
) -> torch.Tensor:
    """A reduction of each run of slices."""
    if indices is not None:
        raise CannotExpress("`segment_reduce` by indices has no translation", "Pass `lengths`.")
    if lengths is not None:
        end = torch.cumsum(lengths, -1)
        start = end - lengths
    else:
        assert offsets is not None
        start, end = offsets[..., :-1], offsets[..., 1:]
    count = data.shape[axis]
    with untraced():
        numbers = torch.arange(count)
    # Batch axes, segments, slices, and the axes behind.
    inside = torch.logical_and(numbers >= start.unsqueeze(-1), numbers < end.unsqueeze(-1))
    behind = data.ndim - axis - 1
    mask = inside.reshape(list(inside.shape) + [1] * behind)
    rows = data.unsqueeze(axis)
    reduced = axis + 1
    size = inside.long().sum(-1).reshape(list(start.shape) + [1] * behind)
    neutral = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "max": -INFINITY, "min": INFINITY}[reduce]
    chosen = torch.where(mask, rows, neutral)
    if reduce == "sum":
        found = chosen.sum(reduced)
        return found if initial is None else found + initial
    if reduce == "prod":
        found = chosen.prod(reduced)
        return found if initial is None else found * initial
    if reduce == "mean":
        total = chosen.sum(reduced) + (0 if initial is None else initial)
        empty = torch.tensor(math.nan) if initial is None else torch.tensor(float(initial))
        return torch.where(size == 0, empty, total / torch.where(size == 0, 1, size))
    found = chosen.amax(reduced) if reduce == "max" else chosen.amin(reduced)
    if initial is None:
        return found
    limit = torch.tensor(float(initial))
    return torch.maximum(found, limit) if reduce == "max" else torch.minimum(found, limit)
