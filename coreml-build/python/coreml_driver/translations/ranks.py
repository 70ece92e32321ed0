"""Order statistics, counts of values, and places in a sorted order.

Owns: `median`, `quantile`, `mode`, `kthvalue`, histograms, `searchsorted`, `isin`, and what keeps
each value once.
Must not: sort by itself: it uses `sort`.
"""

from __future__ import annotations

from typing import Any

import torch

from coreml_driver.translations.approximation import INFINITY, NOT_A_NUMBER
from coreml_driver.translations.composition import composite, untraced
from coreml_driver.translations.refusals import CannotExpress


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
