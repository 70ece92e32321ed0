"""Lists of tensors: MIL's list operations.

Owns: their kernels. A list is never changed: an operation gives a new one.
Must not: round what is kept in a list; it was rounded when it was computed.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from coreml_driver.proof.kernels.elementwise import CAST_TYPES
from coreml_driver.proof.kernels.registry import flag, integer, integers, kernel
from coreml_driver.proof.values import TORCH_TYPES


@dataclass(frozen=True)
class Tensors:
    """A list."""

    #: `None` where nothing was written yet.
    items: tuple[torch.Tensor | None, ...]
    #: Sizes of an element.
    shape: tuple[int, ...]
    kind: torch.dtype
    #: Whether a write behind the end makes it longer.
    grows: bool

    def at(self, index: int) -> torch.Tensor:
        """Return an element; zeros where nothing was written."""
        found = self.items[index]
        return torch.zeros(self.shape, dtype=self.kind) if found is None else found

    def written(self, index: int, value: torch.Tensor) -> Tensors:
        """Return a list with one other element."""
        items = list(self.items)
        if self.grows and index >= len(items):
            items += [None] * (index + 1 - len(items))
        items[index] = value
        return replace(self, items=tuple(items), shape=tuple(value.shape), kind=value.dtype)


@kernel("make_list")
def _make_list(
    elem_shape: list[torch.Tensor],
    init_length: Any = None,
    dynamic_length: Any = None,
    dtype: str | None = None,
) -> Tensors:
    """An empty list."""
    sizes = [size for one in elem_shape for size in integers(one)]
    return Tensors(
        (None,) * integer(init_length, 1),
        tuple(max(size, 0) for size in sizes),
        TORCH_TYPES[CAST_TYPES[dtype or "fp32"]],
        flag(dynamic_length, True),
    )


@kernel("list_length")
def _list_length(ls: Tensors) -> torch.Tensor:
    """The number of elements."""
    return torch.tensor(len(ls.items), dtype=torch.int32)


@kernel("list_read")
def _list_read(ls: Tensors, index: torch.Tensor) -> torch.Tensor:
    """One element."""
    return ls.at(integer(index))


@kernel("list_gather")
def _list_gather(ls: Tensors, indices: torch.Tensor) -> torch.Tensor:
    """Several elements, along a new first dimension."""
    return torch.stack([ls.at(index) for index in integers(indices)])


@kernel("list_write")
def _list_write(ls: Tensors, index: torch.Tensor, value: torch.Tensor) -> Tensors:
    """A list with one other element."""
    return ls.written(integer(index), value)


@kernel("list_scatter")
def _list_scatter(ls: Tensors, indices: torch.Tensor, value: torch.Tensor) -> Tensors:
    """A list with several other elements, which come along the first dimension."""
    for index, one in zip(integers(indices), value, strict=True):
        ls = ls.written(index, one)
    return ls
