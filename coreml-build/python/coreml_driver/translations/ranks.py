"""Order statistics.

Owns: `median`, `quantile`, `mode`, `kthvalue`.
Must not: sort by itself: it uses `sort`.
"""

from __future__ import annotations

from typing import Any

import torch

from coreml_driver.translations.approximation import INFINITY, NOT_A_NUMBER
from coreml_driver.translations.composition import composite


def _sorted(x: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sort an axis; what is no number comes last."""
    if x.is_floating_point():
        keys = torch.where(torch.isnan(x), INFINITY, x)
        order = torch.argsort(keys, dim=dim, stable=True)
        return torch.gather(keys, dim, order), order
    return torch.sort(x, dim=dim, stable=True)


def _pick(x: torch.Tensor, dim: int, place: int, keepdim: bool) -> torch.Tensor:
    """Return one slice of an axis."""
    found = x.narrow(dim, place, 1)
    return found if keepdim else found.squeeze(dim)


def _has_nan(x: torch.Tensor, dim: int, keepdim: bool) -> torch.Tensor:
    """Return whether a slice has something that is no number."""
    return torch.isnan(x).any(dim, keepdim=keepdim)


def _first_nan(x: torch.Tensor, dim: int, keepdim: bool) -> torch.Tensor:
    """Return the place of the first thing in a slice that is no number."""
    return torch.isnan(x).to(torch.int32).argmax(dim, keepdim=keepdim)


@composite("kthvalue")
def _kthvalue(
    self: torch.Tensor, k: int, dim: int = -1, keepdim: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """The k-th smallest element and its place."""
    if not self.ndim:
        return self, torch.zeros_like(self, dtype=torch.int32)
    values, order = _sorted(self, dim)
    return _pick(values, dim, k - 1, keepdim), _pick(order, dim, k - 1, keepdim)


@composite("median")
def _median(self: torch.Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median, with its place where an axis is named."""
    if dim is None:
        flat = self.reshape(-1)
        middle = (flat.shape[0] - 1) // 2
        found = _pick(_sorted(flat, 0)[0], 0, middle, False)
        return (
            torch.where(_has_nan(flat, 0, False), NOT_A_NUMBER, found)
            if self.is_floating_point()
            else found
        )
    if not self.ndim:
        return self, torch.zeros_like(self, dtype=torch.int32)
    middle = (self.shape[dim] - 1) // 2
    values, order = _sorted(self, dim)
    found, place = _pick(values, dim, middle, keepdim), _pick(order, dim, middle, keepdim)
    if self.is_floating_point():
        broken = _has_nan(self, dim, keepdim)
        found = torch.where(broken, NOT_A_NUMBER, found)
        place = torch.where(broken, _first_nan(self, dim, keepdim).to(place.dtype), place)
    return found, place


def _take(x: torch.Tensor, dim: int, place: torch.Tensor) -> torch.Tensor:
    """Return the elements of an axis at places that differ from slice to slice."""
    return torch.gather(x, dim, place)


@composite("nanmedian")
def _nanmedian(self: torch.Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median of what is a number."""
    if not self.is_floating_point():
        return _median(self, dim, keepdim)
    flat = self.reshape(-1) if dim is None else self
    if dim is not None and not self.ndim:
        return self, torch.zeros_like(self, dtype=torch.int32)
    axis = 0 if dim is None else dim
    values, order = _sorted(flat, axis)
    numbers = torch.logical_not(torch.isnan(flat)).to(torch.int32).sum(axis, keepdim=True)
    place = torch.div((numbers - 1).clamp(min=0), 2, rounding_mode="floor")
    found = torch.where(numbers == 0, NOT_A_NUMBER, _take(values, axis, place.long()))
    where = _take(order, axis, place.long())
    if dim is None:
        return found.reshape(())
    return (found, where) if keepdim else (found.squeeze(axis), where.squeeze(axis))


def _quantile_at(
    values: torch.Tensor, rank: torch.Tensor, last: Any, interpolation: str
) -> torch.Tensor:
    """Return what stands at places between whole ones of a sorted last axis."""
    low = torch.floor(rank)
    high = torch.minimum(torch.ceil(rank), last)
    if interpolation == "lower":
        return _take(values, -1, low.long())
    if interpolation == "higher":
        return _take(values, -1, high.long())
    if interpolation == "nearest":
        return _take(values, -1, torch.round(rank).long())
    one, other = _take(values, -1, low.long()), _take(values, -1, high.long())
    if interpolation == "midpoint":
        return one + (other - one) / 2
    return one + (other - one) * (rank - low)


def _quantiles(
    x: torch.Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str, skip: bool
) -> torch.Tensor:
    """Return quantiles, of what is a number where `skip` is set."""
    q = q if isinstance(q, torch.Tensor) else torch.tensor(float(q))
    rank_of_input = x.ndim
    moved = x.reshape(-1) if dim is None or not x.ndim else x.movedim(dim, -1)
    rest = moved.shape[:-1]
    moved = moved.reshape(-1, moved.shape[-1])
    wanted = q.reshape(1, -1)
    values, _ = _sorted(moved, -1)
    nan = torch.isnan(moved)
    if skip:
        last = (torch.logical_not(nan).float().sum(-1, keepdim=True) - 1).clamp(min=0.0)
    else:
        last = torch.full((moved.shape[0], 1), moved.shape[-1] - 1.0)
    rank = (wanted * last).expand(moved.shape[0], wanted.shape[1])
    found = _quantile_at(values, rank, last, interpolation)
    broken = nan.all(-1, keepdim=True) if skip else nan.any(-1, keepdim=True)
    found = torch.where(broken, NOT_A_NUMBER, found)
    # First the quantiles, then the other axes, with the reduced one where it is kept.
    shape = list(rest)
    if keepdim:
        if dim is None:
            shape = [1] * rank_of_input
        elif rank_of_input:
            shape.insert(dim % rank_of_input, 1)
    found = found.transpose(0, 1).reshape([wanted.shape[1], *shape])
    return found if q.ndim else found.squeeze(0)


@composite("quantile")
def _quantile(
    self: torch.Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    interpolation: str = "linear",
) -> torch.Tensor:
    """Quantiles."""
    return _quantiles(self, q, dim, keepdim, interpolation, skip=False)


@composite("nanquantile")
def _nanquantile(
    self: torch.Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    interpolation: str = "linear",
) -> torch.Tensor:
    """Quantiles of what is a number."""
    return _quantiles(self, q, dim, keepdim, interpolation, skip=True)


@composite("mode")
def _mode(
    self: torch.Tensor, dim: int = -1, keepdim: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """The most frequent value, the least of equally frequent ones, and its last place."""
    if not self.ndim:
        return self, torch.zeros_like(self, dtype=torch.int32)
    moved = self.movedim(dim, -1)
    rest, count = moved.shape[:-1], moved.shape[-1]
    rows = moved.reshape(-1, count)
    values, order = torch.sort(rows, dim=-1, stable=True)
    equal = (values.unsqueeze(2) == values.unsqueeze(1)).to(torch.int32).sum(-1)
    # In the sorted order the first of the most frequent ones is the least.
    first = equal.argmax(-1, keepdim=True)
    value = _take(values, -1, first)
    length = _take(equal, -1, first)
    last = first + length.to(first.dtype) - 1
    place = _take(order, -1, last)
    shape = list(rest)
    if keepdim:
        shape.insert(dim % self.ndim, 1)
    return value.reshape(shape), place.reshape(shape)
