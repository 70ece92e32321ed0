"""Recurrent layers of exported graphs, and the arithmetic of their sizes.

Owns: the rows of this family.
Must not: know what a layer computes: coremltools' translation of the traced layer does.
Flow: `translations` imports this file, so that its rows are registered.
"""

from __future__ import annotations

import copy
from typing import Any

from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.frontend.torch.ops import _get_inputs

from coreml_driver.translations.registry import MISSING, ORIGINAL, translation


@translation("lstm.input", "gru.input", "rnn_tanh.input", "rnn_relu.input", why=MISSING)
def _recurrent(context: Any, node: Any) -> None:
    """A layer of an exported graph, whose results are one value, by the translation of a traced
    one, whose results have a name each.
    """
    kind = node.kind.partition(".")[0]
    count = 3 if kind == "lstm" else 2
    traced = copy.copy(node)
    traced.kind = kind
    traced.outputs = [f"{node.name}_of_layer_{number}" for number in range(count)]
    ORIGINAL[kind](context, traced)
    context.add(tuple(context[name] for name in traced.outputs), node.name)


@translation("mod", why=MISSING)
def _mod(context: Any, node: Any) -> None:
    """The remainder of a size, with the sign of the divisor as in Python."""
    x, y = _get_inputs(context, node, expected=2)
    context.add(mb.mod(x=x, y=y, name=node.name), node.name)
