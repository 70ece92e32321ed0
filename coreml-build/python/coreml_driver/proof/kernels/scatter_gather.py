"""Reading and writing by indices: MIL's `scatter_gather`.

Owns: their kernels.
Must not: let an index through that is out of bounds: torch raises for it, which is a fault of the
program.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from coreml_driver.proof.kernels.registry import Unproved, integer, kernel

#: MIL's modes as torch's ways of combining; those of a difference and a quotient are made of them.
REDUCTIONS = {
    "add": "sum",
    "div": "prod",
    "max": "amax",
    "min": "amin",
    "mul": "prod",
    "sub": "sum",
}


@kernel("gather")
def _gather(
    x: torch.Tensor,
    indices: torch.Tensor,
    axis: Any = None,
    batch_dims: Any = None,
    validate_indices: Any = None,
) -> torch.Tensor:
    """Rows of one dimension; the first `batch_dims` dimensions go together."""
    batch = integer(batch_dims, 0)
    along = integer(axis, 0) % max(x.dim(), 1)
    batch = batch + indices.dim() if batch < 0 else batch
    chosen = _positive(indices, x.shape[along])
    if not batch:
        shape = (*x.shape[:along], *indices.shape, *x.shape[along + 1 :])
        return x.index_select(along, chosen.reshape(-1)).reshape(shape)
    common = x.shape[:batch]
    rows = [
        _gather(one, other, torch.tensor(along - batch))
        for one, other in zip(
            x.reshape(-1, *x.shape[batch:]),
            chosen.reshape(-1, *chosen.shape[batch:]),
            strict=True,
        )
    ]
    stacked = torch.stack(rows)
    return stacked.reshape(*common, *stacked.shape[1:])


@kernel("gather_along_axis")
def _gather_along_axis(
    x: torch.Tensor, indices: torch.Tensor, axis: Any = None, validate_indices: Any = None
) -> torch.Tensor:
    """One element of a dimension for each index, all others at the same place."""
    along = integer(axis, 0)
    return torch.gather(x, along, _positive(indices, x.shape[along]))


@kernel("gather_nd")
def _gather_nd(
    x: torch.Tensor, indices: torch.Tensor, batch_dims: Any = None, validate_indices: Any = None
) -> torch.Tensor:
    """Slices that rows of indices point to."""
    batch = integer(batch_dims, 0)
    rows = x.reshape(math.prod(x.shape[:batch]), *x.shape[batch:])
    own = indices.reshape(rows.shape[0], *indices.shape[batch:])
    depth = own.shape[-1]
    found = [
        one[tuple(_positive(places[..., k], one.shape[k]) for k in range(depth))]
        for one, places in zip(rows, own, strict=True)
    ]
    stacked = torch.stack(found)
    return stacked.reshape(*x.shape[:batch], *stacked.shape[1:])


@kernel("scatter")
def _scatter(
    data: torch.Tensor,
    indices: torch.Tensor,
    updates: torch.Tensor,
    axis: Any = None,
    mode: str | None = None,
    validate_indices: Any = None,
) -> torch.Tensor:
    """Rows of one dimension, combined with others."""
    along = integer(axis, 0) % data.dim()
    front = data.movedim(along, 0)
    # The dimensions of the indices stand where the dimension was.
    places = list(range(along, along + indices.dim()))
    rows = updates.movedim(places, list(range(indices.dim())))
    rows = rows.reshape(indices.numel(), *front.shape[1:])
    chosen = _positive(indices.reshape(-1), front.shape[0])
    return _combined(front, chosen, rows, mode or "add").movedim(0, along)


@kernel("scatter_nd")
def _scatter_nd(
    data: torch.Tensor,
    indices: torch.Tensor,
    updates: torch.Tensor,
    mode: str | None = None,
    validate_indices: Any = None,
) -> torch.Tensor:
    """Slices that rows of indices point to, combined with others."""
    depth = indices.shape[-1]
    flat = data.reshape(math.prod(data.shape[:depth]), *data.shape[depth:])
    place = torch.zeros(indices.shape[:-1], dtype=torch.int64)
    for k in range(depth):
        place = place * data.shape[k] + _positive(indices[..., k], data.shape[k])
    rows = updates.reshape(place.numel(), *flat.shape[1:])
    return _combined(flat, place.reshape(-1), rows, mode or "add").reshape(data.shape)


@kernel("scatter_along_axis")
def _scatter_along_axis(
    data: torch.Tensor,
    indices: torch.Tensor,
    updates: torch.Tensor,
    axis: Any = None,
    mode: str | None = None,
    validate_indices: Any = None,
) -> torch.Tensor:
    """One element of a dimension for each index, combined with another."""
    along = integer(axis, 0)
    places = _positive(indices, data.shape[along])
    return _reduced(data, along, places, updates.to(data.dtype), mode or "add")


def _positive(indices: torch.Tensor, size: int) -> torch.Tensor:
    """Return indices that count from the start; torch's want 64 bits."""
    wide = indices.to(torch.int64)
    wide = torch.where(wide < 0, wide + size, wide)
    if wide.numel() and (int(wide.min()) < 0 or int(wide.max()) >= size):
        outside = wide[(wide < 0) | (wide >= size)].reshape(-1)[0]
        raise IndexError(f"the index {int(outside)} is out of bounds for a size of {size}")
    return wide


def _combined(
    data: torch.Tensor, places: torch.Tensor, rows: torch.Tensor, mode: str
) -> torch.Tensor:
    """Return `data` with the rows at `places` of its first dimension combined with others."""
    spread = places.reshape(-1, *([1] * (data.dim() - 1))).expand(rows.shape)
    return _reduced(data, 0, spread, rows.to(data.dtype), mode)


def _reduced(
    data: torch.Tensor, axis: int, places: torch.Tensor, updates: torch.Tensor, mode: str
) -> torch.Tensor:
    """Return `data` with elements combined with others, by MIL's mode."""
    if mode == "update":
        return data.scatter(axis, places, updates)
    reduce = REDUCTIONS.get(mode)
    if reduce is None:
        raise Unproved(f"the mode `{mode}`")
    if mode == "sub":
        updates = -updates
    if mode == "div":
        divisor = torch.ones_like(data).scatter_reduce(axis, places, updates, reduce)
        return data / divisor if data.is_floating_point() else data // divisor
    return data.scatter_reduce(axis, places, updates, reduce)
