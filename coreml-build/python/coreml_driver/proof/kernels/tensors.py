"""Making, joining and filling tensors: MIL's `tensor_operation`.

Owns: their kernels.
Must not: round results.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional

from coreml_driver.proof.kernels.registry import Unproved, flag, integer, integers, kernel, number


@kernel("band_part")
def _band_part(x: torch.Tensor, lower: Any = None, upper: Any = None) -> torch.Tensor:
    """Zeros outside a band around the diagonal; a negative number keeps a whole side."""
    below, above = integer(lower, -1), integer(upper, -1)
    rows, columns = torch.arange(x.shape[-2])[:, None], torch.arange(x.shape[-1])
    kept = torch.ones(x.shape[-2:], dtype=torch.bool)
    if below >= 0:
        kept &= rows - columns <= below
    if above >= 0:
        kept &= columns - rows <= above
    # Infinities outside the band are gone, too.
    return torch.where(kept, x, torch.zeros((), dtype=x.dtype))


@kernel("concat")
def _concat(values: list[torch.Tensor], axis: Any, interleave: Any = None) -> torch.Tensor:
    """One after the other along a dimension, or element by element in turn."""
    along = integer(axis)
    if not flag(interleave, False):
        return torch.cat([torch.atleast_1d(one) for one in values], along)
    along %= values[0].dim()
    turns = torch.stack(values, along + 1)
    return turns.flatten(along, along + 1)


@kernel("stack")
def _stack(values: list[torch.Tensor], axis: Any) -> torch.Tensor:
    """Along a new dimension."""
    return torch.stack(values, integer(axis))


@kernel("split")
def _split(
    x: torch.Tensor, axis: Any, num_splits: Any = None, split_sizes: Any = None
) -> tuple[torch.Tensor, ...]:
    """Parts of one dimension."""
    along = integer(axis)
    if split_sizes is not None:
        return x.split(integers(split_sizes), along)
    count = integer(num_splits)
    if x.shape[along] % count:
        raise ValueError(f"a size of {x.shape[along]} does not fall into {count} equal parts")
    return x.split(x.shape[along] // count, along)


@kernel("tile")
def _tile(x: torch.Tensor, reps: torch.Tensor) -> torch.Tensor:
    """Repeated along each dimension."""
    return x.repeat(integers(reps))


@kernel("shape")
def _shape(x: torch.Tensor) -> torch.Tensor:
    """The sizes."""
    return torch.tensor(x.shape, dtype=torch.int32)


@kernel("fill")
def _fill(shape: torch.Tensor, value: Any = None) -> torch.Tensor:
    """A tensor of one number."""
    return _filled(integers(shape), value)


@kernel("fill_like")
def _fill_like(ref_tensor: torch.Tensor, value: Any = None) -> torch.Tensor:
    """A tensor of one number, with another's sizes."""
    return _filled(ref_tensor.shape, value)


def _filled(shape: Any, value: Any) -> torch.Tensor:
    """Return a tensor of one number; it is 0.0 by default."""
    one = torch.zeros(()) if value is None else torch.as_tensor(value)
    return one.expand(tuple(shape)).clone()


@kernel("cumsum")
def _cumsum(
    x: torch.Tensor, axis: Any = None, exclusive: Any = None, reverse: Any = None
) -> torch.Tensor:
    """Sums of all elements so far, perhaps without the element itself, perhaps from the end."""
    along = integer(axis, 0)
    turned = x.flip(along) if flag(reverse, False) else x
    sums = turned.cumsum(along)
    if flag(exclusive, False):
        first = torch.zeros_like(sums.narrow(along, 0, 1))
        sums = torch.cat([first, sums.narrow(along, 0, sums.shape[along] - 1)], along)
    return sums.flip(along) if flag(reverse, False) else sums


@kernel("non_zero")
def _non_zero(x: torch.Tensor) -> torch.Tensor:
    """Where elements are not zero, a row for each."""
    return torch.nonzero(x)


@kernel("one_hot")
def _one_hot(
    indices: torch.Tensor,
    one_hot_vector_size: Any,
    axis: Any = None,
    on_value: Any = None,
    off_value: Any = None,
) -> torch.Tensor:
    """One value where the index is, another elsewhere."""
    size, along = integer(one_hot_vector_size), integer(axis, -1)
    along = along + indices.dim() + 1 if along < 0 else along
    places = torch.arange(size).reshape(-1, *([1] * (indices.dim() - along)))
    hit = indices.to(torch.int64).unsqueeze(along) == places
    on = torch.tensor(1) if on_value is None else torch.as_tensor(on_value)
    off = torch.tensor(0) if off_value is None else torch.as_tensor(off_value)
    return torch.where(hit, on, off)


@kernel("pad")
def _pad(
    x: torch.Tensor, pad: torch.Tensor, mode: str | None = None, constant_val: Any = None
) -> torch.Tensor:
    """The last dimensions, with more elements before and behind."""
    flat = integers(pad)
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    if mode in (None, "constant"):
        value = 0.0 if constant_val is None else number(constant_val)
        ends = [size for pair in reversed(pairs) for size in pair]
        return functional.pad(x, ends, value=value if x.is_floating_point() else int(value))
    if mode not in ("reflect", "replicate"):
        raise Unproved(f"the mode `{mode}`")
    for axis, (before, after) in enumerate(pairs, start=x.dim() - len(pairs)):
        if not before and not after:
            continue
        size = x.shape[axis]
        places = torch.arange(-before, size + after)
        if mode == "replicate":
            places = places.clamp(0, size - 1)
        else:
            places = (size - 1) - (places.abs() - (size - 1)).abs()
        x = x.index_select(axis, places)
    return x


@kernel("range_1d")
def _range_1d(end: torch.Tensor, start: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """Numbers at equal distances, the end not included."""
    if not start.is_floating_point():
        return torch.arange(integer(start), integer(end), integer(step), dtype=torch.int32)
    first, last, width = number(start), number(end), number(step)
    count = max(0, math.ceil((last - first) / width))
    return (first + torch.arange(count, dtype=torch.float64) * width).to(torch.float32)
