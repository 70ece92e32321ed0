"""Limits and choices: what keeps a number inside of bounds, or takes one of two.

Owns: `clamp`, `maximum`, `minimum`, and unary functions of floats that coremltools refuses for
integers.
Must not: know a capture; `Arguments` hides it.
Flow: `translations` imports this file, so that its rows are registered.
"""

from __future__ import annotations

from typing import Any

from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.frontend._utils import pymil_broadcast_tensors
from coremltools.converters.mil.mil import types
from coremltools.converters.mil.mil.types.symbolic import any_symbolic

from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.promotion import cast, is_float, promoted, to_float
from coreml_driver.translations.registry import ORIGINAL, translation

#: Functions that MIL has for floats, by PyTorch's names.
OF_FLOATS = {
    "sqrt": mb.sqrt,
    "exp": mb.exp,
    "exp2": mb.exp2,
    "special_exp2": mb.exp2,
    "sin": mb.sin,
    "cos": mb.cos,
    "tan": mb.tan,
    "asin": mb.asin,
    "arcsin": mb.asin,
    "acos": mb.acos,
    "arccos": mb.acos,
    "atan": mb.atan,
    "arctan": mb.atan,
    "sinh": mb.sinh,
    "cosh": mb.cosh,
    "tanh": mb.tanh,
    "atanh": mb.atanh,
    "arctanh": mb.atanh,
    "erf": mb.erf,
    "special_erf": mb.erf,
    "sigmoid": mb.sigmoid,
    "special_expit": mb.sigmoid,
}


@translation(*OF_FLOATS, why="integers are refused", replaces=True)
def _of_floats(context: Any, node: Any) -> None:
    """A function of floats; PyTorch promotes integers."""
    x = to_float(Arguments(context, node)["self"])
    function = OF_FLOATS[node.kind.partition(".")[0].removesuffix("_")]
    context.add(function(x=x, name=node.name), node.name)


@translation("abs", "absolute", why="booleans are refused", replaces=True)
def _abs(context: Any, node: Any) -> None:
    """The size of a number."""
    x = Arguments(context, node)["self"]
    context.add(mb.abs(x=cast(x, "int32") if types.is_bool(x.dtype) else x, name=node.name))


@translation(
    "clamp",
    "clip",
    "clamp_min",
    "clamp_max",
    why="without a bound infinities become the largest number; tensors as bounds, and bounds of "
    "another element type, are refused",
    replaces=True,
)
def _clamp(context: Any, node: Any) -> None:
    """Numbers kept inside of bounds; where they cross, the upper one holds."""
    arguments = Arguments(context, node)
    low = arguments.get("min", None)
    high = arguments.get("max", None)
    x = arguments["self"]
    given = [bound for bound in (low, high) if bound is not None]
    x, *given = promoted(x, *given)
    if types.is_bool(x.dtype):
        x, *given = (cast(one, "int32") for one in (x, *given))
    plain = all(bound.val is not None and not bound.rank for bound in given)
    if len(given) == 2 and plain and is_float(x) and given[0].val <= given[1].val:
        context.add(mb.clip(x=x, alpha=given[0], beta=given[1], name=node.name), node.name)
        return
    bounds = iter(given)
    if low is not None:
        x = mb.maximum(x=x, y=next(bounds))
    if high is not None:
        x = mb.minimum(x=x, y=next(bounds))
    context.add(mb.identity(x=x, name=node.name), node.name)


@translation(
    "maximum",
    "minimum",
    "max.other",
    "min.other",
    why="booleans are refused",
    replaces=True,
)
def _extreme(context: Any, node: Any) -> None:
    """The larger, or the smaller, of two numbers."""
    arguments = Arguments(context, node)
    x, y = promoted(arguments["self"], arguments["other"])
    boolean = types.is_bool(x.dtype)
    if boolean:
        x, y = cast(x, "int32"), cast(y, "int32")
    extreme = mb.maximum if node.kind.startswith("max") else mb.minimum
    found = extreme(x=x, y=y)
    context.add(cast(found, "bool" if boolean else None, node.name), node.name)


@translation("where", why="a number as one of the two is refused in exported graphs", replaces=True)
def _where(context: Any, node: Any) -> None:
    """One of two by a condition, or the places where it holds."""
    arguments = Arguments(context, node)
    if "self" not in arguments or "other" not in arguments:
        ORIGINAL["where"](context, node)
        return
    condition = cast(arguments["condition"], "bool")
    one, other = promoted(arguments["self"], arguments["other"])
    boolean = types.is_bool(one.dtype)
    if boolean:
        one, other = cast(one, "int32"), cast(other, "int32")
    condition, one, other = _broadcast(condition, one, other)
    found = mb.select(cond=condition, a=one, b=other)
    context.add(cast(found, "bool" if boolean else None, node.name), node.name)


def _broadcast(condition: Any, one: Any, other: Any) -> tuple[Any, Any, Any]:
    """Return three values that MIL can select from: of equal shapes, where those are known."""
    values = [condition, one, other]
    if any(any_symbolic(value.shape) for value in values) or not any(one.rank for one in values):
        return condition, one, other
    return tuple(pymil_broadcast_tensors(values))
