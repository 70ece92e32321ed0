"""Making tensors: coremltools drops the element type that was asked for.

Owns: the rows of this family.
Must not: know a capture; `Arguments` hides it.
Flow: `translations` imports this file, so that its rows are registered.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil.types.symbolic import any_symbolic

from coreml_driver.translations.arguments import MIL_TYPES, Arguments
from coreml_driver.translations.promotion import NUMPY_TYPES, cast, promoted, type_of
from coreml_driver.translations.registry import ORIGINAL, translation


@translation(
    "zeros",
    "ones",
    "full",
    "empty",
    "zeros_like",
    "ones_like",
    "full_like",
    "empty_like",
    "new_zeros",
    "new_full",
    "new_empty",
    why="`dtype` is ignored, partly or as a keyword, and integers become floating-point numbers; "
    "zeros like an infinite tensor of flexible size are no numbers",
    replaces=True,
)
def _full(context: Any, node: Any) -> None:
    """A tensor of one value, in the type that PyTorch gives it."""
    arguments = Arguments(context, node)
    kind = node.kind.partition(".")[0]
    if "size" in arguments:
        shape = arguments.sizes("size")
    else:
        x = arguments["self"]
        shape = mb.shape(x=x) if any_symbolic(x.shape) else list(x.shape)
    value = arguments.constant("fill_value") if "fill_value" in arguments else "ones" in kind
    context.add(filled(shape, value, _wanted(arguments), node.name), node.name)


def filled(shape: Any, value: Any, kind: str, name: str | None = None) -> Any:
    """Return a tensor of one value. Parameters: `shape` — a list of integers, or a `Var`."""
    named = {} if name is None else {"name": name}
    typed = NUMPY_TYPES[kind](value)
    if isinstance(shape, list):
        if not shape:
            return mb.const(val=typed, **named)
        if 0 in shape:
            return mb.const(val=np.full(shape, typed), **named)
        shape = np.array(shape, np.int32)
    return mb.fill(shape=shape, value=typed, **named)


@translation("constant", why="an infinite number becomes 3.4e38 when traced", replaces=True)
def _constant(context: Any, node: Any) -> None:
    """A number of a traced graph."""
    value = node.attr["value"]
    if isinstance(value, float) and np.isinf(value):
        context.add(mb.const(val=np.float32(value), name=node.name), node.name)
    else:
        ORIGINAL["constant"](context, node)


@translation("fill", why="the type of the value takes the place of the tensor's", replaces=True)
def _fill(context: Any, node: Any) -> None:
    """`self` with all elements replaced by one value."""
    arguments = Arguments(context, node)
    x, value = arguments["self"], arguments["value"]
    shape = mb.shape(x=x) if any_symbolic(x.shape) else list(x.shape)
    if value.val is not None:
        context.add(filled(shape, value.val, type_of(x), node.name), node.name)
    else:
        zeros = filled(shape, 0, type_of(x))
        context.add(mb.add(x=zeros, y=cast(value, type_of(x)), name=node.name), node.name)


@translation("eye", why="`dtype` is ignored; a size that varies is refused", replaces=True)
def _eye(context: Any, node: Any) -> None:
    """Ones along the main diagonal of a matrix of zeros."""
    arguments = Arguments(context, node)
    kind = _wanted(arguments)
    rows = arguments["n"]
    columns = arguments.get("m", rows)
    if all(arguments.known(name) for name in ("n", "m") if name in arguments):
        sizes = [int(arguments.constant(name)) for name in ("n", "m") if name in arguments]
        values = np.eye(sizes[0], sizes[-1]).astype(NUMPY_TYPES[kind])
        context.add(mb.const(val=values, name=node.name), node.name)
        return
    down, along = (mb.range_1d(start=0, end=one, step=1) for one in (rows, columns))
    there = mb.equal(x=mb.expand_dims(x=down, axes=[1]), y=mb.expand_dims(x=along, axes=[0]))
    context.add(cast(there, kind, node.name), node.name)


@translation(
    "arange",
    why="`dtype` is ignored; a range of floating-point numbers adds up its step",
    replaces=True,
)
def _arange(context: Any, node: Any) -> None:
    """Numbers from `start` to `end`, which is left out, by `step`."""
    arguments = Arguments(context, node)
    names = [name for name in ("start", "end", "step") if name in arguments]
    kind, _ = arguments.dtype, arguments.element_type("dtype")
    if all(arguments.known(name) for name in names):
        bounds = [arguments.constant(name) for name in names]
        values = torch.arange(*bounds, dtype=kind)
        wanted = NUMPY_TYPES[MIL_TYPES[values.dtype]]
        context.add(mb.const(val=values.numpy().astype(wanted), name=node.name), node.name)
        return
    start, end, step = promoted(
        arguments.get("start", 0), arguments["end"], arguments.get("step", 1)
    )
    if type_of(end) == "int32":
        values = mb.range_1d(start=start, end=end, step=step)
    else:
        count = mb.ceil(x=mb.real_div(x=mb.sub(x=end, y=start), y=step))
        places = mb.range_1d(start=0, end=cast(count, "int32"), step=1)
        values = mb.add(x=mb.mul(x=cast(places, type_of(end)), y=step), y=start)
    context.add(cast(values, _wanted(arguments, type_of(values)), node.name), node.name)


@translation("scalar_tensor", why="`dtype` is ignored", replaces=True)
def _scalar_tensor(context: Any, node: Any) -> None:
    """A tensor of one number."""
    arguments = Arguments(context, node)
    value = arguments["s"]
    context.add(cast(value, _wanted(arguments, type_of(value)), node.name), node.name)


def _wanted(arguments: Arguments, otherwise: str = "fp32") -> str:
    """Return the element type of a result: PyTorch's own, else the one that was asked for."""
    asked = arguments.element_type("dtype") if "dtype" in arguments else None
    return arguments.result_type or asked or otherwise
