"""What exported graphs compute of sizes, by functions of Python.

Owns: those that are no operation of ATen.
Must not: know a capture; these nodes have no schema.
Flow: `translations` imports this file, so that its rows are registered.
"""

from __future__ import annotations

from typing import Any

from coremltools.converters.mil import Builder as mb

from coreml_driver.translations.promotion import cast, promoted, to_float
from coreml_driver.translations.registry import MISSING, translation


def _operands(context: Any, node: Any) -> list[Any]:
    """Return the operands of a node: values of the graph, or plain numbers."""
    return [context[one] if isinstance(one, str) else one for one in node.inputs]


@translation("sym_float", why=MISSING)
def _float(context: Any, node: Any) -> None:
    """A size as a floating-point number."""
    context.add(cast(_operands(context, node)[0], "fp32", node.name), node.name)


@translation("sym_max", "sym_min", why=MISSING)
def _extreme(context: Any, node: Any) -> None:
    """The larger, or the smaller, of two sizes."""
    x, y = promoted(*_operands(context, node))
    extreme = mb.maximum if node.kind == "sym_max" else mb.minimum
    context.add(extreme(x=x, y=y, name=node.name), node.name)


@translation("sym_sqrt", "_sym_sqrt", why=MISSING)
def _root(context: Any, node: Any) -> None:
    """The square root of a size."""
    context.add(mb.sqrt(x=to_float(_operands(context, node)[0]), name=node.name), node.name)
