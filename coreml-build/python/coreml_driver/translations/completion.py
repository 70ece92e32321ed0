"""Exported calls with all arguments, as traced ones have them.

An exported call leaves out what equals a default. Many of coremltools' translations were written
for traced calls, count their inputs, and refuse. Where one does, it is asked again with the
defaults written out.

Owns: writing them out.
Must not: change a call that a translation takes as it is.
Flow: coremltools translates an exported node -> `following`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from coremltools.converters.mil.frontend.torch import ops

from coreml_driver.translations.arguments import signature

#: What coremltools' translations say about a call with fewer inputs than they expect.
REFUSED = re.compile(r"got \d+ input\(s\), expected|not enough values to unpack")


@contextmanager
def following() -> Iterator[None]:
    """Ask again where a translation refuses an exported call.

    Called by: `conversion`, around `convert.to_package`.
    """
    original = ops.convert_single_node

    def convert(context: Any, node: Any) -> None:
        """Stand in for coremltools' translation of a node."""
        try:
            original(context, node)
        except ValueError as error:
            if node.meta is None or not REFUSED.search(str(error)) or not _complete(node):
                raise
            original(context, node)

    ops.convert_single_node = convert
    try:
        yield
    finally:
        ops.convert_single_node = original


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
