"""Counts of values, and places in a sorted order.

Owns: histograms, `searchsorted`, `isin`, and what keeps each value once.
Must not: know medians and quantiles (that is `ranks`).
"""

from __future__ import annotations

from typing import Any

import torch

from coreml_driver.translations.composition import composite, untraced
from coreml_driver.translations.refusals import CannotExpress


def _below(sequence: torch.Tensor, values: torch.Tensor, right: bool) -> torch.Tensor:
    """Return how many elements of a sorted last axis stand before each value."""
    before = values.unsqueeze(-1)
    ahead = sequence.unsqueeze(-2)
    # Nothing is above what is no number: it comes last.
    beyond = ahead > before if right else ahead >= before
    return torch.logical_not(beyond).to(torch.int32).sum(-1)


@composite("bucketize")
def _bucketize(
    self: Any, boundaries: torch.Tensor, out_int32: bool = False, right: bool = False
) -> torch.Tensor:
    """The interval of each value."""
    x = self if isinstance(self, torch.Tensor) else torch.tensor(self)
    return _below(boundaries, x.reshape(-1), right).reshape(x.shape)


@composite("searchsorted", replaces=True, why="one sequence for many rows of values is refused")
def _searchsorted(
    sorted_sequence: torch.Tensor,
    self: Any,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: torch.Tensor | None = None,
) -> torch.Tensor:
    """The place of each value in a sorted sequence, or in the sequence of its own row."""
    sequence = sorted_sequence
    if sorter is not None:
        sequence = torch.gather(sequence, -1, sorter)
    right = right or side == "right"
    x = self if isinstance(self, torch.Tensor) else torch.tensor(self)
    if sequence.ndim == 1:
        return _below(sequence, x.reshape(-1), right).reshape(x.shape)
    rows = sequence.reshape(-1, sequence.shape[-1])
    return _below(rows, x.reshape(rows.shape[0], -1), right).reshape(x.shape)


@composite("isin")
def _isin(
    elements: Any = None,
    test_elements: Any = None,
    assume_unique: bool = False,
    invert: bool = False,
    element: Any = None,
    test_element: Any = None,
) -> torch.Tensor:
    """Whether each element is one of others."""
    one = elements if elements is not None else element
    other = test_elements if test_elements is not None else test_element
    one = one if isinstance(one, torch.Tensor) else torch.tensor(one)
    other = other if isinstance(other, torch.Tensor) else torch.tensor(other)
    found = (one.reshape(-1, 1) == other.reshape(1, -1)).any(-1).reshape(one.shape)
    return torch.logical_not(found) if invert else found


@composite("histc")
def _histc(self: torch.Tensor, bins: int = 100, min: float = 0, max: float = 0) -> torch.Tensor:
    """How many elements fall into each of equal intervals."""
    x = self.reshape(-1)
    low: Any = min
    high: Any = max
    if low == high:
        low, high = x.amin(), x.amax()
        same = low == high
        low, high = torch.where(same, low - 1, low), torch.where(same, high + 1, high)
    place = torch.floor((x - low) / (high - low) * bins)
    place = torch.where(place == bins, bins - 1.0, place)
    inside = torch.logical_and(x >= low, x <= high)
    with untraced():
        numbers = torch.arange(float(bins)).unsqueeze(1)
    hits = torch.logical_and(place.unsqueeze(0) == numbers, inside.unsqueeze(0))
    return hits.to(x.dtype).sum(1)


def _edges(x: torch.Tensor, bins: int, range: Any) -> torch.Tensor:
    """Return the edges of equal intervals."""
    if range is not None:
        low, high = float(range[0]), float(range[1])
        if low == high:
            low, high = low - 0.5, high + 0.5
        with untraced():
            return torch.linspace(low, high, bins + 1)
    low, high = x.amin(), x.amax()
    same = low == high
    low, high = torch.where(same, low - 0.5, low), torch.where(same, high + 0.5, high)
    # From both ends, as PyTorch does, so that both ends are exact.
    with untraced():
        half = torch.arange(bins + 1) < (bins + 1) // 2
        up = torch.arange(bins + 1.0)
        down = up.flip(0)
    step = (high - low) / bins
    return torch.where(half, low + step * up, high - step * down)


def _membership(x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """Return which interval each element is in: the last one has both ends."""
    count = edges.shape[0] - 1
    low, high = edges.narrow(0, 0, count), edges.narrow(0, 1, count)
    column = x.unsqueeze(1)
    with untraced():
        last = torch.arange(count) == count - 1
    below = torch.logical_or(column < high, torch.logical_and(last, column == high))
    return torch.logical_and(column >= low, below).to(x.dtype)


def _density(hist: torch.Tensor, widths: list[torch.Tensor]) -> torch.Tensor:
    """Return a histogram whose integral is one."""
    hist = hist / hist.sum()
    for axis, width in enumerate(widths):
        shape = [1] * hist.ndim
        shape[axis] = -1
        hist = hist / width.reshape(shape)
    return hist


@composite("histogram")
def _histogram(
    self: torch.Tensor,
    bins: Any,
    range: Any = None,
    weight: torch.Tensor | None = None,
    density: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """A histogram and the edges of its intervals."""
    x = self.reshape(-1)
    edges = bins if isinstance(bins, torch.Tensor) else _edges(x, int(bins), range)
    hits = _membership(x, edges)
    if weight is not None:
        hits = hits * weight.reshape(-1, 1)
    hist = hits.sum(0)
    if density:
        hist = _density(hist, [edges[1:] - edges[:-1]])
    return hist, edges


@composite("_histogramdd_bin_edges")
def _bin_edges(
    self: torch.Tensor,
    bins: list[int],
    range: Any = None,
    weight: Any = None,
    density: bool = False,
) -> list[torch.Tensor]:
    """The edges of the intervals of each dimension."""
    rows = self.reshape(-1, self.shape[-1])
    pairs = (
        [None] * len(bins)
        if range is None
        else [range[2 * k : 2 * k + 2] for k, _ in enumerate(bins)]
    )
    return [_edges(rows[:, k], count, pairs[k]) for k, count in enumerate(bins)]


def _histogram_of(
    self: torch.Tensor, edges: list[torch.Tensor], weight: Any, density: bool
) -> torch.Tensor:
    """Return a histogram of several dimensions."""
    rows = self.reshape(-1, self.shape[-1])
    hits = [_membership(rows[:, k], one) for k, one in enumerate(edges)]
    *others, last = hits
    product = torch.ones_like(rows[:, :1])
    if weight is not None:
        product = product * weight.reshape(-1, 1)
    for one in others:
        product = (product.unsqueeze(2) * one.unsqueeze(1)).reshape(rows.shape[0], -1)
    hist = (product.T @ last).reshape([one.shape[1] for one in hits])
    return _density(hist, [one[1:] - one[:-1] for one in edges]) if density else hist


@composite("_histogramdd_from_bin_cts")
def _histogram_from_counts(
    self: torch.Tensor,
    bins: list[int],
    range: Any = None,
    weight: Any = None,
    density: bool = False,
) -> torch.Tensor:
    """A histogram of equal intervals in each dimension."""
    return _histogram_of(self, _bin_edges(self, bins, range), weight, density)


@composite("_histogramdd_from_bin_tensors")
def _histogram_from_edges(
    self: torch.Tensor, bins: list[torch.Tensor], weight: Any = None, density: bool = False
) -> torch.Tensor:
    """A histogram of given intervals in each dimension."""
    return _histogram_of(self, list(bins), weight, density)


def _kept_once(x: torch.Tensor) -> torch.Tensor:
    """Return which elements of a vector differ from the one before."""
    with untraced():
        first = torch.ones(1, dtype=torch.bool)
    return torch.cat((first, x[1:] != x[:-1])) if x.shape[0] > 1 else first


def _once(
    x: torch.Tensor, inverse: bool, counts: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return each run of equal elements once, the run of each element, and their lengths."""
    kept = _kept_once(x)
    places = torch.nonzero(kept).squeeze(1)
    values = torch.index_select(x, 0, places)
    runs = torch.cumsum(kept.to(torch.int32), 0) - 1 if inverse else places
    if counts:
        with untraced():
            end = torch.tensor([x.shape[0]])
        places = torch.cat((places, end.to(places.dtype)))
        lengths = places[1:] - places[:-1]
    else:
        lengths = places
    return values, runs, lengths


@composite("unique_consecutive")
def _unique_consecutive(
    self: torch.Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Each run of equal elements once."""
    if dim is not None and self.ndim > 1:
        raise CannotExpress("`unique_consecutive` of slices has no translation", "Leave `dim` out.")
    values, runs, lengths = _once(self.reshape(-1), return_inverse, return_counts)
    return values, runs.reshape(self.shape) if return_inverse else runs, lengths


@composite("_unique2", replaces=True, why="`sorted=False` is refused; no counts")
def _unique(
    self: torch.Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Each element once, sorted, which is also what PyTorch gives where it need not sort."""
    flat = self.reshape(-1)
    ordered, _ = torch.sort(flat)
    values, runs, lengths = _once(ordered, False, return_counts)
    if return_inverse:
        smaller = torch.logical_and(
            ordered.unsqueeze(0) < flat.unsqueeze(1), _kept_once(ordered).unsqueeze(0)
        )
        runs = smaller.to(torch.int32).sum(1).reshape(self.shape)
    return values, runs, lengths
