"""Distances of rows, and the product of three tensors behind `bilinear`.

Owns: `cdist`, `pdist`, `_trilinear`.
Must not: know matrices (that is `linear_algebra`).
"""

from __future__ import annotations

import math
from typing import Any

import torch

from coreml_driver.translations.approximation import floats
from coreml_driver.translations.composition import composite, untraced
from coreml_driver.translations.refusals import CannotExpress


@composite("_trilinear")
def _trilinear(
    i1: torch.Tensor,
    i2: torch.Tensor,
    i3: torch.Tensor,
    expand1: list[int],
    expand2: list[int],
    expand3: list[int],
    sumdim: list[int],
    unroll_dim: int = 1,
) -> torch.Tensor:
    """The sum over a product of three tensors, with axes put between theirs."""
    for axis in expand1:
        i1 = i1.unsqueeze(axis)
    for axis in expand2:
        i2 = i2.unsqueeze(axis)
    for axis in expand3:
        i3 = i3.unsqueeze(axis)
    return (i1 * i2 * i3).sum(sumdim)


@composite("cdist", "_cdist_forward", replaces=True, why="missing")
def _cdist(
    x1: torch.Tensor, x2: torch.Tensor, p: float = 2, compute_mode: Any = None
) -> torch.Tensor:
    """The distances of all pairs of rows."""
    if x1.shape[-1] == 0:
        raise CannotExpress("`cdist` of empty rows has no translation", "Leave it out.")
    return _distance(floats(x1).unsqueeze(-2) - floats(x2).unsqueeze(-3), p)


def _distance(apart: torch.Tensor, p: float) -> torch.Tensor:
    """Return the norm of the last axis."""
    size = apart.abs()
    if p == 0:
        return (size != 0).to(apart.dtype).sum(-1)
    if p == 1:
        return size.sum(-1)
    if p == 2:
        return torch.sqrt((apart * apart).sum(-1))
    if math.isinf(p):
        return size.amax(-1)
    return torch.pow(torch.pow(size, p).sum(-1), 1 / p)


@composite("pdist", "_pdist_forward")
def _pdist(self: torch.Tensor, p: float = 2) -> torch.Tensor:
    """The distances of all pairs of different rows."""
    count = self.shape[0]
    with untraced():
        pairs = torch.triu_indices(count, count, 1)
    one, other = torch.index_select(self, 0, pairs[0]), torch.index_select(self, 0, pairs[1])
    return _distance(one - other, p)
