"""Numbers that no result may depend on: memory that nobody has written to, and integers beyond 32
bits.

`torch.empty` gives memory that the code is about to fill. An index of `log(0)` is beyond 32 bits,
and `torch.where` takes another one in its place. Whether a result depends on such a number is found
out by runs in which it is another one.

Owns: these runs.
Must not: judge a number that is not read.
Flow: `observation` -> here -> `checks`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from coreml_driver.samples import difference
from coreml_driver.witness import INT32_MAX, INT32_MIN, UNWRITTEN, has_numbers, wide_integer

#: What memory holds that nobody has written to: floats, integers, truth values.
MEMORY = ((float("nan"), INT32_MAX // 3, True), (3e4, INT32_MIN // 3, False), (-3e4, 5, True))
#: What an integer beyond 32 bits becomes: the bounds, where one that saturates ends, and others.
WIDE = (INT32_MIN, INT32_MAX, 0, 7)


def memory_is_read(
    run: Callable[[], Sequence[torch.Tensor]], expected: Sequence[torch.Tensor]
) -> bool:
    """Return whether a result depends on memory that nobody has written to.

    Parameters: `run` — runs the module on the same inputs; `expected` — what a run gave in which
    that memory held zeros.
    """
    return any(_moves(_Filled(choice), run, expected) for choice in MEMORY)


def wide_is_read(
    run: Callable[[], Sequence[torch.Tensor]], expected: Sequence[torch.Tensor]
) -> bool:
    """Return whether a result depends on an integer beyond 32 bits.

    Parameters: as for `memory_is_read`.
    """
    return any(_moves(_Narrowed(value), run, expected) for value in WIDE)


def _moves(
    mode: TorchDispatchMode,
    run: Callable[[], Sequence[torch.Tensor]],
    expected: Sequence[torch.Tensor],
) -> bool:
    """Return whether a run under a mode gives something else, or fails."""
    try:
        with mode:
            results = run()
    except Exception:  # such a number was an index, or a size
        return True
    return not difference(expected, results)[1]


class _Filled(TorchDispatchMode):
    """Fills memory that nobody has written to."""

    def __init__(self, choice: tuple[float, int, bool]) -> None:
        """Parameters: `choice` — a float, an integer and a truth value to fill it with."""
        super().__init__()
        self._choice = choice

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one operation."""
        result = func(*args, **(kwargs or {}))
        if func._schema.name.removeprefix("aten::") in UNWRITTEN:
            fill(result, *self._choice)
        return result


def fill(tensor: torch.Tensor, number: float, integer: int, truth: bool) -> None:
    """Fill a tensor by the kind of its numbers."""
    if tensor.is_floating_point() or tensor.is_complex():
        tensor.fill_(number)
    elif tensor.dtype is torch.bool:
        tensor.fill_(truth)
    else:
        bounds = torch.iinfo(tensor.dtype)
        tensor.fill_(min(max(integer, bounds.min), bounds.max))


class _Narrowed(TorchDispatchMode):
    """Puts a number in the place of each integer beyond 32 bits."""

    def __init__(self, value: int) -> None:
        """Parameters: `value` — the number."""
        super().__init__()
        self._value = value

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one operation."""
        result = func(*args, **(kwargs or {}))
        if func.is_view:
            return result
        for tensor in tree_leaves(result):
            wide = isinstance(tensor, torch.Tensor) and tensor.dtype is torch.int64
            if wide and tensor.numel() and has_numbers(tensor) and wide_integer(tensor) is not None:
                outside = (tensor < INT32_MIN) | (tensor > INT32_MAX)
                tensor.masked_fill_(outside, self._value)
        return result
