"""Functions whose operands PyTorch promotes and coremltools refuses.

Owns: `maximum`, `minimum`, `abs`, and unary functions of floats that take integers.
Must not: know a capture; `Arguments` hides it.
Flow: `translations` imports this file, so that its rows are registered.
"""

from __future__ import annotations

from typing import Any

from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types

from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.promotion import cast, promoted, to_float
from coreml_driver.translations.registry import translation

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
