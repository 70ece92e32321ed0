"""Distances of rows, and the product of three tensors behind `bilinear`.

Owns: `cdist`, `pdist`, `_trilinear`.
Must not: know matrices (that is `linear_algebra`).
"""

from __future__ import annotations

import math

import torch

from coreml_driver.translations.approximation import floats
from coreml_driver.translations.composition import composite, untraced


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


#: Rows beyond which PyTorch computes distances as products of matrices.
MANY = 25
#: Ways of `compute_mode`.
PRODUCTS_IF_MANY, PRODUCTS, NO_PRODUCTS = 0, 1, 2


@composite("cdist", "_cdist_forward")
def _cdist(
    x1: torch.Tensor, x2: torch.Tensor, p: float = 2, compute_mode: int | None = None
) -> torch.Tensor:
    """The distances of all pairs of rows."""
    one, other = floats(x1), floats(x2)
    mode = PRODUCTS_IF_MANY if compute_mode is None else compute_mode
    many = max(one.shape[-2], other.shape[-2]) > MANY
    if p == 2 and (mode == PRODUCTS or (mode == PRODUCTS_IF_MANY and many)):
        squares = (one * one).sum(-1, keepdim=True) + (other * other).sum(-1).unsqueeze(-2)
        return torch.sqrt((squares - 2 * one @ other.transpose(-1, -2)).clamp(min=0.0))
    return _distance(one.unsqueeze(-2) - other.unsqueeze(-3), p)


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
