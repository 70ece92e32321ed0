"""Translations of elementary operations that coremltools lacks.

Owns: the rows of this family.
Must not: know a capture; `registry` says what a row is.
Flow: `translations` imports this file, so that its rows are registered.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.frontend.torch.ops import (
    NUM_TO_DTYPE_STRING,
    _get_inputs,
    _get_kwinputs,
)
from coremltools.converters.mil.mil.types import builtin_to_string

from coreml_driver.translations.registry import MISSING, translation


@translation("new_ones", why=MISSING)
def _new_ones(context: Any, node: Any) -> None:
    """`x.new_ones(size, dtype=…)`; the type is a keyword in exported graphs."""
    inputs = _get_inputs(context, node, min_expected=2)
    x, size = inputs[0], inputs[1]
    asked = (
        inputs[2] if len(inputs) > 2 else _get_kwinputs(context, node, "dtype", default=[None])[0]
    )
    kind = builtin_to_string(x.dtype) if asked is None else NUM_TO_DTYPE_STRING[int(asked.val)]
    if isinstance(size, list):
        size = mb.concat(values=size, axis=0) if size else np.zeros(0, np.int32)
    if getattr(size, "val", size) is not None and np.size(getattr(size, "val", size)) == 0:
        ones = mb.const(val=np.float32(1))  # a single number, which MIL cannot fill
    else:
        ones = mb.fill(shape=size, value=1.0)
    context.add(mb.cast(x=ones, dtype=kind, name=node.name))


@translation("lerp", why=MISSING)
def _lerp(context: Any, node: Any) -> None:
    """`start + weight * (end - start)`."""
    start, end, weight = _get_inputs(context, node, expected=3)
    context.add(
        mb.add(x=start, y=mb.mul(x=mb.sub(x=end, y=start), y=_float(weight)), name=node.name)
    )


@translation("addcmul", why=MISSING)
def _addcmul(context: Any, node: Any) -> None:
    """`x + value * a * b`."""
    x, a, b, value = _scaled(context, node)
    context.add(mb.add(x=x, y=mb.mul(x=mb.mul(x=a, y=b), y=value), name=node.name))


@translation("addcdiv", why=MISSING)
def _addcdiv(context: Any, node: Any) -> None:
    """`x + value * a / b`."""
    x, a, b, value = _scaled(context, node)
    context.add(mb.add(x=x, y=mb.mul(x=mb.real_div(x=a, y=b), y=value), name=node.name))


@translation("swapaxes", "swapdims", why=MISSING)
def _swapaxes(context: Any, node: Any) -> None:
    """`x.swapaxes(first, second)`."""
    x, first, second = _get_inputs(context, node, expected=3)
    order = list(range(x.rank))
    order[first.val], order[second.val] = order[second.val], order[first.val]
    context.add(mb.transpose(x=x, perm=order, name=node.name))


@translation("movedim", "moveaxis", why=MISSING)
def _movedim(context: Any, node: Any) -> None:
    """`x.movedim(source, destination)`, each an axis or several."""
    x, old, new = _get_inputs(context, node, expected=3)
    sources = [int(axis) % x.rank for axis in np.atleast_1d(old.val)]
    places = [int(axis) % x.rank for axis in np.atleast_1d(new.val)]
    rest = iter([axis for axis in range(x.rank) if axis not in sources])
    order = [
        sources[places.index(place)] if place in places else next(rest) for place in range(x.rank)
    ]
    context.add(mb.transpose(x=x, perm=order, name=node.name))


@translation("diff", why=MISSING)
def _diff(context: Any, node: Any) -> None:
    """`x.diff(n, dim, prepend, append)`."""
    inputs = _get_inputs(context, node, min_expected=1)
    x, count, axis, before, after = (*inputs, *([None] * (5 - len(inputs))))
    axis = (-1 if axis is None else int(axis.val)) % x.rank
    parts = [part for part in (before, x, after) if part is not None]
    x = mb.concat(values=parts, axis=axis) if len(parts) > 1 else x
    others = [number != axis for number in range(x.rank)]
    everything, start = [0] * x.rank, [int(not other) for other in others]
    for _ in range(1 if count is None else int(count.val)):
        upper = mb.slice_by_index(x=x, begin=start, end=everything, end_mask=[True] * x.rank)
        lower = mb.slice_by_index(
            x=x, begin=everything, end=[-one for one in start], end_mask=others
        )
        x = mb.sub(x=upper, y=lower)
    context.add(x, torch_name=node.name)


@translation("zero", why=MISSING)
def _zero(context: Any, node: Any) -> None:
    """`x.zero_()`."""
    (x,) = _get_inputs(context, node, expected=1)
    zeros = mb.fill(shape=mb.shape(x=x), value=0.0)
    context.add(mb.cast(x=zeros, dtype=builtin_to_string(x.dtype), name=node.name))


def _scaled(context: Any, node: Any) -> tuple[Any, Any, Any, Any]:
    """Return the operands of `addcmul` and `addcdiv`; the factor is a keyword in exported
    graphs.
    """
    inputs = _get_inputs(context, node, min_expected=3)
    value = (
        inputs[3] if len(inputs) > 3 else _get_kwinputs(context, node, "value", default=[None])[0]
    )
    return inputs[0], inputs[1], inputs[2], np.float32(1) if value is None else _float(value)


def _float(value: Any) -> Any:
    """Return a constant number as a float, which MIL does not make of an integer itself."""
    constant = getattr(value, "val", value)
    return np.float32(constant) if np.ndim(constant) == 0 and constant is not None else value
