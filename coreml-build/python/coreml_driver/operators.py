"""Operations of a captured graph and the Python lines that they come from.

Owns: reading TorchScript and exported graphs for messages.
Must not: change a graph.
Flow: asked by `diagnosis` when coremltools has failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from coremltools.converters.mil.frontend.torch.utils import sanitize_op_kind

from coreml_driver.failures import PythonLine
from coreml_driver.lines import UserCode
from coreml_driver.translations.fallback import has_translation, is_made_of_others


def is_export(program: Any) -> bool:
    """Return whether `program` comes from `torch.export`."""
    return isinstance(program, torch.export.ExportedProgram)


def unsupported(program: Any, user_code: UserCode) -> dict[str, PythonLine | None]:
    """Return the operations of the graph that have neither a translation nor a decomposition, with
    the first line of each.
    """
    found: dict[str, PythonLine | None] = {}
    for kind, place in _operations(program):
        known = has_translation(kind) or is_made_of_others(kind)
        if not known and found.get(kind) is None:
            found[kind] = user_code.of_text(place)
    return found


def line(program: Any, node: Any, user_code: UserCode) -> PythonLine | None:
    """Return the user's line of the node that coremltools was translating.

    Parameters: `node` — coremltools' own node. An exported one carries its stack; a traced one is
    found again by its name, or else by its kind if the graph has only one of it.
    """
    if node is None or program is None:
        return None
    if is_export(program):
        return user_code.of_text((node.meta or {}).get("stack_trace"))
    candidates = [place for name, kind, place in _traced(program) if name == node.name]
    candidates = candidates or [
        place for _, kind, place in _traced(program) if sanitize_op_kind(kind) == node.kind
    ]
    return user_code.of_text(candidates[0]) if len(candidates) == 1 else None


def _operations(program: Any) -> Iterator[tuple[str, str]]:
    """Yield kind and place of every operation, without the graph's own bookkeeping (`prim::`)."""
    if program is None:
        return
    if is_export(program):
        for node in program.graph.nodes:
            if node.op == "call_function" and hasattr(node.target, "name"):
                yield sanitize_op_kind(node.target.name()), node.meta.get("stack_trace") or ""
        return
    for _, kind, place in _traced(program):
        if not kind.startswith("prim::"):
            yield sanitize_op_kind(kind), place


def _traced(program: Any) -> list[tuple[str, str, str]]:
    """Return name, kind and place of every node of a traced graph, those of nested blocks
    included.
    """
    found: list[tuple[str, str, str]] = []

    def visit(block: Any) -> None:
        for node in block.nodes():
            names = [output.debugName() for output in node.outputs()]
            found.append((names[0] if names else "", node.kind(), node.sourceRange()))
            for nested in node.blocks():
                visit(nested)

    visit(program.inlined_graph)
    return found
