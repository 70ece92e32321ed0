"""Ranges of integer inputs that the manifest says nothing of.

Owns: how far the samples of such an input reach: to the end of the table that it looks up, else
beyond what 16 bits hold, as far as the module takes that.
Must not: touch an input whose range is declared.
Flow: `observation` -> `choose` before the first sample -> the inputs that samples are drawn from,
and a line in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from coreml_driver.features import Input
from coreml_driver.samples import Sample, assemble
from coreml_driver.witness import FLOAT16_MAX, wide_integer

#: How far an input reaches that looks nothing up: beyond 16 bits, and within half precision, so
#: that arithmetic with it does not overflow by itself.
BEYOND = 40000
#: What a table may keep for itself at its end, or at its beginning: an offset of positions.
RESERVED = 2

#: Runs the module on a sample; returns its outputs.
Run = Callable[[Sample], Sequence[torch.Tensor]]
#: Draws a sample of inputs with the given ranges.
Draw = Callable[[Sequence[Input]], Sample]


def choose(
    inputs: Sequence[Input], run: Run, draw: Draw, excepted: str | None = None
) -> tuple[Input, ...]:
    """Return the inputs, each integer one without a range with one that the module takes.

    Parameters: `excepted` — an input that keeps its values: the mask of buckets.
    Returns: unchanged inputs where the module does not even take the usual values: the first
    sample will say why.
    """
    open_ = [
        position
        for position, one in enumerate(inputs)
        if one.dtype == "int32"
        and one.name != excepted
        and one.sample_range is None
        and one.sample_start is None
        and one.image is None
    ]
    if not open_:
        return tuple(inputs)
    limits = _watched(run, draw(inputs), open_)
    if limits is None:
        return tuple(inputs)
    for spare in (0, RESERVED):
        wanted = {
            position: BEYOND if limits[position] is None else limits[position] - 1 - spare
            for position in open_
        }
        for chosen in (wanted, *({one: high} for one, high in wanted.items() if len(wanted) > 1)):
            trial = _with(inputs, chosen)
            if _takes(run, trial, draw):
                return _alone(trial, wanted, run, draw)
    # What overflows even so is often a mask.
    flags = _with(inputs, dict.fromkeys(open_, 1))
    return flags if not _takes(run, inputs, draw) and _takes(run, flags, draw) else tuple(inputs)


def _alone(
    found: tuple[Input, ...], wanted: dict[int, int], run: Run, draw: Draw
) -> tuple[Input, ...]:
    """Return `found` with the ranges of further inputs, those that the module takes beside it."""
    for position, high in wanted.items():
        if found[position].sample_range is None:
            trial = _with(found, {position: high})
            if _takes(run, trial, draw):
                found = trial
    return found


def _with(inputs: Sequence[Input], highs: dict[int, int]) -> tuple[Input, ...]:
    """Return inputs with ranges from zero."""
    return tuple(
        replace(one, sample_range=(0.0, float(highs[position])), guessed=True)
        if highs.get(position, -1) > 0
        else one
        for position, one in enumerate(inputs)
    )


def _takes(run: Run, inputs: Sequence[Input], draw: Draw) -> bool:
    """Return whether the module takes the values of inputs, the largest ones too, and gives numbers
    that half precision holds.
    """
    arrays = [array.copy() for array in draw(inputs).arrays]
    for one, array in zip(inputs, arrays, strict=True):
        if one.guessed and one.sample_range is not None and array.size:
            array.flat[-1], array.flat[0] = one.sample_range
    watch = _Watch([])
    try:
        with watch:
            outputs = run(assemble(inputs, arrays))
    except Exception:
        return False
    return not watch.overflows and all(
        bool(one.isfinite().all()) for one in outputs if one.is_floating_point()
    )


def _watched(run: Run, sample: Sample, positions: Sequence[int]) -> dict[int, Any] | None:
    """Return how many rows the table has that each input looks up, `None` where it looks nothing
    up; `None` in all if the module does not take the sample.
    """
    watch = _Watch([sample.tensors[position] for position in positions])
    try:
        with watch:
            run(sample)
    except Exception:
        return None
    return dict(zip(positions, watch.limits, strict=True))


class _Watch(TorchDispatchMode):
    """Sees what indices are looked up in, and numbers that are too large."""

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        """Parameters: `tensors` — the inputs to follow."""
        super().__init__()
        self.limits: list[int | None] = [None] * len(tensors)
        #: Whether a number is beyond half precision or, an integer, beyond 32 bits.
        self.overflows = False
        self._from: Any = WeakTensorKeyDictionary()
        self._tensors = tensors

    def __enter__(self) -> Any:
        """Begin to follow the inputs."""
        for position, tensor in enumerate(self._tensors):
            self._from[tensor] = frozenset({position})
        return super().__enter__()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one operation and look at it."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        for table, index in _lookups(func, args):
            for position in self._from.get(index, ()):
                known = self.limits[position]
                self.limits[position] = table if known is None else min(known, table)
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        positions: frozenset[int] = frozenset().union(
            *(self._from.get(one, frozenset()) for one in tensors)
        )
        for one in tree_leaves(result):
            if isinstance(one, torch.Tensor) and one.device.type != "meta" and one.numel():
                # What is computed with fractions is no index any more.
                if positions and not one.is_floating_point() and one.dtype != torch.bool:
                    self._from[one] = positions
                self.overflows |= _overflows(one)
        return result


def _overflows(tensor: torch.Tensor) -> bool:
    """Return whether a number is finite, and beyond half precision or 32 bits."""
    if tensor.dtype == torch.int64:
        return wide_integer(tensor) is not None
    if tensor.dtype != torch.float32:
        return False
    low, high = tensor.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).aminmax()
    return max(-float(low), float(high)) > FLOAT16_MAX


def _lookups(func: Any, args: tuple[Any, ...]) -> list[tuple[int, torch.Tensor]]:
    """Return the tables that an operation looks indices up in, by their number of rows."""
    name = func._schema.name.removeprefix("aten::")
    if name == "embedding":
        return [(args[0].shape[0], args[1])]
    if name in ("index_select", "gather", "scatter", "scatter_add", "index_add", "index_copy"):
        source, axis, index = args[:3]
        return [(source.shape[axis], index)] if source.dim() else []
    if name in ("index", "index_put", "index_put_"):
        return [
            (args[0].shape[axis], index)
            for axis, index in enumerate(args[1])
            if isinstance(index, torch.Tensor)
        ]
    if name in ("scatter_", "scatter_add_"):
        return [(args[0].shape[args[1]], args[2])]
    return []
