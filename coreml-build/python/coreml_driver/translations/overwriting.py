"""Writes into tensors of a traced graph that coremltools puts into the wrong place or refuses.

`y[1, 2:4] = v` is a `copy_` into a view of `y`. coremltools makes one write into `y` of it, but
takes the views to be of the first dimensions in their order: `y[..., 0] = v` becomes `y[0] = v`. A
`copy_` into a whole tensor it refuses. Here both become values: the view with what is written, and
the tensors that it is a view of with that.

Owns: those writes. Those that coremltools has right, and those into states, stay as they are.
Must not: know whether another name of the memory is used later: `aliases` has refused that.
Flow: `translations` imports this file -> `rewrite` runs before coremltools' own pass.
"""

from __future__ import annotations

from typing import Any

import torch
from coremltools.converters.mil.frontend.torch import converter
from coremltools.converters.mil.frontend.torch.internal_graph import InternalTorchIRNode

from coreml_driver.translations.arguments import Signature

#: Writes, and what their values are.
WRITES = {"copy_": "copy", "fill_": "fill"}
#: Views, and the operations that put them back.
VIEWS = {"select": "select_scatter", "slice": "slice_scatter"}
#: More dimensions than any tensor has.
MANY = 16
OURS = "_overwritten_"


def rewrite(graph: Any) -> None:
    """Rewrite the writes of a graph that coremltools has read."""
    makers: dict[str, Any] = {}
    names: dict[str, str] = {}
    nodes: list[Any] = []
    for node in graph.nodes:
        for old, new in names.items():
            node.replace_name(old, new)
        if node.kind in WRITES:
            chain = _chain(node.inputs[0], makers)
            whole = chain[0].inputs[0] if chain else node.inputs[0]
            maker = makers.get(whole)
            known = maker is not None or whole in graph.inputs
            empty = not chain and maker is not None and maker.kind == "empty"
            if known and not empty and not (chain and _in_order(chain, makers)):
                made = _values(node, chain, len(nodes))
                nodes += made
                makers |= {one.outputs[0]: one for one in made}
                names[whole] = made[-1].outputs[0]
                _follow(names)
                continue
        nodes.append(node)
        makers |= dict.fromkeys(node.outputs, node)
    graph.nodes = nodes
    graph.outputs = [names.get(one, one) for one in graph.outputs]


def _chain(name: str, makers: dict[str, Any]) -> list[Any]:
    """Return the views that lead to a value, the outermost first."""
    chain: list[Any] = []
    while name in makers and makers[name].kind in VIEWS:
        chain.insert(0, makers[name])
        name = makers[name].inputs[0]
    return chain


def _in_order(chain: list[Any], makers: dict[str, Any]) -> bool:
    """Return whether views are of the first dimensions, one after the other."""
    left = list(range(MANY))
    for number, view in enumerate(chain):
        maker = makers.get(view.inputs[1])
        dim = None if maker is None else (maker.attr or {}).get("value")
        if not isinstance(dim, int) or dim < 0 or left[dim] != number:
            return False
        if view.kind == "select":
            left.pop(dim)
    return True


def _values(node: Any, chain: list[Any], count: int) -> list[Any]:
    """Return what a write becomes: the view's new value, then that of each tensor around it.

    Parameters: `count` — of nodes so far, for names.
    """
    kind = WRITES[node.kind]
    overload = getattr(getattr(node, "signature", None), "overload", None)
    meant = getattr(getattr(torch.ops.aten, kind), getattr(overload, "_overloadname", "default"))
    value = node.outputs[0]
    first = _node(kind, node.inputs, value, node)
    first.signature = Signature(meant, {}, ())
    made = [first]
    for number, view in enumerate(reversed(chain)):
        inputs = [view.inputs[0], value, *view.inputs[1:]]
        value = f"{node.outputs[0]}{OURS}{count}_{number}"
        made.append(_node(VIEWS[view.kind], inputs, value, node))
    return made


def _node(kind: str, inputs: list[str], output: str, like: Any) -> Any:
    """Return a node of coremltools."""
    return InternalTorchIRNode(
        kind=kind,
        inputs=list(inputs),
        outputs=[output],
        name=output,
        parent=like.parent,
        model_hierarchy=like.model_hierarchy,
        meta=like.meta,
    )


def _follow(names: dict[str, str]) -> None:
    """Let names lead to the last value."""
    for old, new in names.items():
        while new in names:
            new = names[new]
        names[old] = new


ASSIGNMENTS = converter.generate_tensor_assignment_ops


def _assignments(graph: Any) -> None:
    """Stand in for coremltools' own pass."""
    rewrite(graph)
    ASSIGNMENTS(graph)


converter.generate_tensor_assignment_ops = _assignments
