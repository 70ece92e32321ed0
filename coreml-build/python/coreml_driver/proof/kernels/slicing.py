"""Parts of tensors: MIL's slices and windows.

Owns: their kernels.
Must not: round results.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

from typing import Any

import torch

from coreml_driver.proof.kernels.registry import flags, integer, integers, kernel


@kernel("slice_by_index")
def _slice_by_index(
    x: torch.Tensor,
    begin: torch.Tensor,
    end: torch.Tensor,
    stride: Any = None,
    begin_mask: Any = None,
    end_mask: Any = None,
    squeeze_mask: Any = None,
) -> torch.Tensor:
    """`x[begin:end:stride, …]`; a mask stands for an open end, or for a single element."""
    ranges = _ranges(x, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    for axis, chosen in enumerate(ranges):
        x = _taken(x, axis, chosen)
    squeezed = flags(squeeze_mask, len(ranges))
    for axis in reversed(range(len(ranges))):
        if squeezed[axis]:
            x = x.squeeze(axis)
    return x


@kernel("slice_update")
def _slice_update(
    x: torch.Tensor,
    update: torch.Tensor,
    begin: torch.Tensor,
    end: torch.Tensor,
    stride: Any = None,
    begin_mask: Any = None,
    end_mask: Any = None,
    squeeze_mask: Any = None,
) -> torch.Tensor:
    """`x` with `x[begin:end:stride, …] = update`."""
    ranges = _ranges(x, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    places = torch.arange(x.numel()).reshape(x.shape)
    for axis, chosen in enumerate(ranges):
        places = _taken(places, axis, chosen)
    flat = x.reshape(-1).clone()
    flat[places.reshape(-1)] = update.to(x.dtype).reshape(-1)
    return flat.reshape(x.shape)


@kernel("slice_by_size")
def _slice_by_size(x: torch.Tensor, begin: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """`x[begin:begin + size, …]`; -1 is all that follows."""
    for axis, (start, length) in enumerate(zip(integers(begin), integers(size), strict=True)):
        start = start + x.shape[axis] if start < 0 else start
        x = x.narrow(axis, start, x.shape[axis] - start if length < 0 else length)
    return x


@kernel("sliding_windows")
def _sliding_windows(x: torch.Tensor, axis: Any, size: Any, stride: Any = None) -> torch.Tensor:
    """Overlapping parts of one dimension, along a new dimension before it."""
    along = integer(axis) % x.dim()
    return x.unfold(along, integer(size), integer(stride, 1)).movedim(-1, along + 1)


def _ranges(
    x: torch.Tensor,
    begin: torch.Tensor,
    end: torch.Tensor,
    stride: Any,
    begin_mask: Any,
    end_mask: Any,
    squeeze_mask: Any,
) -> list[range]:
    """Return the positions that are chosen of each dimension."""
    rank = x.dim()
    begins, ends = integers(begin), integers(end)
    steps = integers(stride, [1] * rank)
    open_begin, open_end = flags(begin_mask, rank), flags(end_mask, rank)
    single = flags(squeeze_mask, rank)
    found = []
    for axis, size in enumerate(x.shape):
        if single[axis]:
            place = 0 if open_begin[axis] else begins[axis]
            chosen = range(size)[place]
            found.append(range(chosen, chosen + 1))
            continue
        part = slice(
            None if open_begin[axis] else begins[axis],
            None if open_end[axis] else ends[axis],
            steps[axis],
        )
        found.append(range(size)[part])
    return found


def _taken(x: torch.Tensor, axis: int, chosen: range) -> torch.Tensor:
    """Return the positions `chosen` of a dimension: a view where torch has one."""
    if chosen == range(x.shape[axis]):
        return x
    if chosen.step > 0:
        start = chosen.start if len(chosen) else 0
        stop = chosen.stop if len(chosen) else 0
        return x[(slice(None),) * axis + (slice(start, stop, chosen.step),)]
    return x.index_select(axis, torch.tensor(list(chosen), dtype=torch.int64))
