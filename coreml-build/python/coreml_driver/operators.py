"""Operations of a captured graph and the Python lines that they come from.

Owns: reading TorchScript and exported graphs for messages.
Must not: change a graph.
Flow: asked by `diagnosis` when coremltools has failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from coremltools.converters.mil.frontend.torch.utils import sanitize_op_kind

from coreml_driver.failures import PythonLine
from coreml_driver.lines import UserCode
from coreml_driver.translations.fallback import has_translation, is_made_of_others

#: What TorchScript puts before the path of a module.
TRACED = "__module"
#: The attribute of the captured module that is the user's own, see `prepare.Flat`.
WRAPPED = "module"
#: What `torch.export` appends to the path of a module that is called again.
CALLED_AGAIN = re.compile(r"@\d+$")


def is_export(program: Any) -> bool:
    """Return whether `program` comes from `torch.export`."""
    return isinstance(program, torch.export.ExportedProgram)


def unsupported(program: Any, user_code: UserCode) -> dict[str, PythonLine | None]:
    """Return the operations of the graph that have neither a translation nor a decomposition, with
    the first line of each.
    """
    found: dict[str, PythonLine | None] = {}
    for kind, _, text in _operations(program):
        known = has_translation(kind) or is_made_of_others(kind)
        if not known and found.get(kind) is None:
            found[kind] = user_code.of_text(text)
    return found


def line(program: Any, node: Any, user_code: UserCode) -> PythonLine | None:
    """Return the user's line of the node that coremltools was translating."""
    return user_code.of_text(place(program, node)[1])


def place(program: Any, node: Any) -> tuple[str, str]:
    """Return the layer of a node that coremltools was translating, and the text that names its
    lines; nothing where the node is not known.

    Parameters: `node` — coremltools' own node. An exported one carries its stack; a traced one is
    found again by its name, or else by its kind if the graph has only one of it.
    """
    if node is None or program is None:
        return "", ""
    if is_export(program):
        meta = node.meta or {}
        return layer_of_exported(meta), meta.get("stack_trace") or ""
    nodes = _traced(program)
    candidates = [one for one in nodes if one.name == node.name]
    candidates = candidates or [one for one in nodes if sanitize_op_kind(one.kind) == node.kind]
    return (candidates[0].layer, candidates[0].text) if len(candidates) == 1 else ("", "")


def first_place(program: Any, kind: str) -> tuple[str, str]:
    """Return the layer and the text of the first node of a kind."""
    return next((one[1:] for one in _operations(program) if one[0] == kind), ("", ""))


def layer_of_traced(node: Any) -> str:
    """Return the path of the layer that a node of TorchScript stands in, whose scope is
    `__module.module.a/__module.module.a.b`.
    """
    path = node.scopeName().rpartition("/")[2].removeprefix(TRACED).removeprefix(".")
    return _without_wrapper(path)


def layer_of_exported(meta: Mapping[str, Any]) -> str:
    """Return the path of the layer that an exported node stands in."""
    modules = list((meta.get("nn_module_stack") or {}).values())
    return _without_wrapper(CALLED_AGAIN.sub("", str(modules[-1][0])) if modules else "")


def _without_wrapper(path: str) -> str:
    """Return the path inside the user's module; of what is around that module there is none."""
    first, _, rest = path.partition(".")
    return rest if first == WRAPPED else ""


def _operations(program: Any) -> Iterator[tuple[str, str, str]]:
    """Yield kind, layer and place of every operation, without the graph's own bookkeeping
    (`prim::`).
    """
    if program is None:
        return
    if is_export(program):
        for node in program.graph.nodes:
            if node.op == "call_function" and hasattr(node.target, "name"):
                kind = sanitize_op_kind(node.target.name())
                yield kind, layer_of_exported(node.meta), node.meta.get("stack_trace") or ""
        return
    for one in _traced(program):
        if not one.kind.startswith("prim::"):
            yield sanitize_op_kind(one.kind), one.layer, one.text


class _Node(NamedTuple):
    """A node of a traced graph."""

    name: str
    kind: str
    layer: str
    #: What names its lines.
    text: str


def _traced(program: Any) -> list[_Node]:
    """Return every node of a traced graph, those of nested blocks included."""
    found: list[_Node] = []

    def visit(block: Any) -> None:
        for node in block.nodes():
            names = [output.debugName() for output in node.outputs()]
            name = names[0] if names else ""
            found.append(_Node(name, node.kind(), layer_of_traced(node), node.sourceRange()))
            for nested in node.blocks():
                visit(nested)

    visit(program.inlined_graph)
    return found
