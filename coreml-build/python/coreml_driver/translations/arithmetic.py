"""Arithmetic that coremltools gets wrong: lost factors, quotients, remainders, types of results.

Owns: the rows of this family.
Must not: know a capture; `Arguments` hides it.
Flow: `translations` imports this file, so that its rows are registered.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types

from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.promotion import (
    cast,
    is_float,
    number,
    promoted,
    to_float,
    type_of,
    whole,
)
from coreml_driver.translations.registry import ORIGINAL, translation


@translation(
    "add",
    "sub",
    "rsub",
    "subtract",
    why="`alpha` is refused when traced and ignored when exported (#2573, #2680)",
    replaces=True,
)
def _add(context: Any, node: Any) -> None:
    """`self + alpha * other`; `rsub` swaps the two, and the factor stays with the second."""
    arguments = Arguments(context, node)
    x, y = _operands(arguments)
    kind = node.kind.partition(".")[0]
    if not _tensors(x, y):
        ORIGINAL[kind](context, node)
        return
    alpha = arguments.constant("alpha") if "alpha" in arguments else 1
    if kind == "add" and types.is_bool(x.dtype) and types.is_bool(y.dtype):
        result = mb.logical_or(x=x, y=y, name=node.name) if alpha else x
        context.add(result, node.name)
        return
    if kind == "rsub":
        x, y = y, x
    x, y = map(whole, promoted(x, y))
    operation = mb.add if kind == "add" else mb.sub
    context.add(operation(x=x, y=_times(y, alpha), name=node.name), node.name)


@translation(
    "div",
    "divide",
    "true_divide",
    "truediv",
    why="quotients of integers are rounded as floating-point numbers (#2733); `true_divide` of "
    "integers is an integer; a `rounding_mode` that is called like a value of the graph is refused",
    replaces=True,
)
def _div(context: Any, node: Any) -> None:
    """`self / other`, rounded down, to zero, or not at all."""
    arguments = Arguments(context, node)
    x, y = _operands(arguments)
    if not _tensors(x, y):
        ORIGINAL["div"](context, node)
        return
    mode = arguments.constant("rounding_mode") if "rounding_mode" in arguments else None
    if mode is None:
        result = mb.real_div(x=to_float(x), y=to_float(y), name=node.name)
    elif mode == "floor":
        result = _floor_div(x, y, node.name)
    else:
        result = _trunc_div(x, y, node.name)
    context.add(result, node.name)


@translation(
    "floor_divide",
    "floordiv",
    why="the quotient of integers becomes a floating-point number, inexact above 2048 in half "
    "precision (#2733)",
    replaces=True,
)
def _floor_divide(context: Any, node: Any) -> None:
    """`self // other`."""
    x, y = _operands(Arguments(context, node))
    context.add(_floor_div(x, y, node.name), node.name)


@translation(
    "remainder",
    why="computed as `x - floor_div(x, y) * y`, which is 0 for `y = 1` (#2762), and rounds",
    replaces=True,
)
def _remainder(context: Any, node: Any) -> None:
    """`self % other`, with the sign of the divisor."""
    x, y = map(whole, promoted(*_operands(Arguments(context, node))))
    context.add(mb.mod(x=x, y=y, name=node.name), node.name)


@translation("reciprocal", why="MIL's `inverse` adds 1e-4 to its operand (#2773)", replaces=True)
def _reciprocal(context: Any, node: Any) -> None:
    """`1 / self`."""
    x = to_float(Arguments(context, node)["self"])
    context.add(mb.real_div(x=number(x, 1), y=x, name=node.name), node.name)


@translation(
    "clamp",
    "clip",
    "clamp_min",
    "clamp_max",
    "hardtanh",
    why="integers become floating-point numbers; bounds that are tensors, or integers beside "
    "floating-point numbers, are refused",
    replaces=True,
)
def _clamp(context: Any, node: Any) -> None:
    """`self` between two bounds; the upper one counts where they cross."""
    arguments = Arguments(context, node)
    x, result = arguments["self"], arguments.result_type
    low, high = (
        arguments.get(names[0], arguments.get(names[1]))
        for names in (("min", "min_val"), ("max", "max_val"))
    )
    kind = result or type_of(x)
    x = cast(x, kind)
    low, high = (None if one is None else cast(one, kind) for one in (low, high))
    numbers = [None if one is None else one.val for one in (low, high)]
    plain = all(one is not None and one.size == 1 and np.isfinite(one).all() for one in numbers)
    if plain and is_float(x) and numbers[0].item() < numbers[1].item():
        bounds = [number(x, one.item()) for one in numbers]
        context.add(mb.clip(x=x, alpha=bounds[0], beta=bounds[1], name=node.name), node.name)
        return
    x = x if low is None else mb.maximum(x=x, y=low)
    x = x if high is None else mb.minimum(x=x, y=high)
    context.add(mb.identity(x=x, name=node.name), node.name)


def _operands(arguments: Arguments) -> tuple[Any, Any]:
    """Return the first two arguments, which overloads for plain numbers call `a` and `b`."""
    first, second, *_ = arguments.names
    return arguments[first], arguments[second]


def _tensors(*values: Any) -> bool:
    """Return whether values are real numbers; lists and complex numbers are for others."""
    return all(isinstance(x, Var) and not types.is_complex(x.dtype) for x in values)


def _times(x: Any, factor: Any) -> Any:
    """Return `factor * x` in the type of `x`."""
    return x if factor == 1 else mb.mul(x=x, y=number(x, factor))


def _floor_div(x: Any, y: Any, name: str) -> Any:
    """Return the quotient rounded down, of integers as an integer."""
    x, y = map(whole, promoted(x, y))
    return mb.floor_div(x=x, y=y, name=name)


def _trunc_div(x: Any, y: Any, name: str) -> Any:
    """Return the quotient rounded to zero, of integers as an integer.

    For integers: rounded down, and one more where that is not exact and the signs differ.
    """
    x, y = map(whole, promoted(x, y))
    if is_float(x):
        quotient = mb.real_div(x=x, y=y)
        down, up = mb.floor(x=quotient), mb.ceil(x=quotient)
        negative = mb.less(x=quotient, y=number(quotient, 0))
        return mb.select(cond=negative, a=up, b=down, name=name)
    down = mb.floor_div(x=x, y=y)
    inexact = mb.not_equal(x=mb.mul(x=down, y=y), y=x)
    differ = mb.logical_xor(x=mb.less(x=x, y=0), y=mb.less(x=y, y=0))
    up = cast(mb.logical_and(x=inexact, y=differ), "int32")
    return mb.add(x=down, y=up, name=name)
