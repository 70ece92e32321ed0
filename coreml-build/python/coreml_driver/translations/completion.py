"""Exported calls with all arguments, as traced ones have them.

An exported call leaves out what equals a default. Many of coremltools' translations were written
for traced calls, count their inputs, and refuse. Where one does, it is asked again with the
defaults written out.

Owns: writing them out.
Must not: change a call that a translation takes as it is.
Flow: `fallback` -> here -> the translation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from coreml_driver.translations.arguments import signature

#: What coremltools' translations say about a call with fewer inputs than they expect.
REFUSED = re.compile(r"got \d+ input\(s\), expected|not enough values to unpack")


def translate(translation: Callable[[Any, Any], None], context: Any, node: Any) -> None:
    """Translate a node, once more with all arguments where that is what was missing."""
    frames = list(context._current_graph)
    try:
        translation(context, node)
    except ValueError as error:
        if node.meta is None or not REFUSED.search(str(error)) or not _complete(node):
            raise
        context._current_graph = frames
        translation(context, node)


def _complete(node: Any) -> bool:
    """Give a node all arguments of its schema, by position; return whether any were missing."""
    called = signature(node)
    if called is None:
        return False
    named = node.kwinputs or {}
    inputs = list(node.inputs)
    for argument in called.schema.arguments[len(inputs) :]:
        given = named.get(argument.name)
        inputs.append(given[0] if given else argument.default_value)
    changed = len(inputs) > len(node.inputs)
    node.inputs = inputs
    node.kwinputs = None
    return changed
