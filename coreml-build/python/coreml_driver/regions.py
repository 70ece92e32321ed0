"""Which elements of a tensor its views show, in a traced graph of fixed shapes.

Each view is made once more, of a tensor that holds the numbers of its own elements: what comes out
are the elements that the view shows, whatever slices, transpositions and reshapes led there. Where
that cannot be done (a position that is a tensor, a size that is computed, strides by hand) nothing
is known, and everything counts as shown.

Owns: that calculation. Must not: decide what a write loses; `aliases` does.
Flow: `aliases` adds each node of its graph -> `overlap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

#: Elements of the largest tensor whose views are told apart.
LARGEST = 1 << 22
#: Views whose elements depend on strides that the graph does not tell.
BY_STRIDES = ("aten::as_strided", "aten::as_strided_")


class Regions:
    """The elements that values show, each found when it is first asked for."""

    def __init__(self) -> None:
        """Begin with no values."""
        self._values: dict[str, Any] = {}
        self._shown: dict[str, tuple[Any, str, bool]] = {}
        self._found: dict[str, Any] = {}

    def add(self, value: Any) -> None:
        """Add a value that has memory of its own."""
        self._values[value.debugName()] = value

    def add_view(self, value: Any, node: Any, shown: str, writes: bool) -> None:
        """Add a result of `node` that shows the memory of `shown`.

        Parameters: `writes` — the result is the very tensor that was written to.
        """
        self._values[value.debugName()] = value
        self._shown[value.debugName()] = (node, shown, writes)

    def overlap(self, one: str, other: str) -> bool:
        """Return whether two values of one memory may have an element in common."""
        first, second = self._elements(one), self._elements(other)
        if not (isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor)):
            return True
        return bool(torch.isin(first.reshape(-1), second.reshape(-1)).any())

    def _elements(self, name: str) -> Any:
        """Return the numbers of the elements of a value: a tensor, a list of them, or `None` for
        unknown.
        """
        if name not in self._found:
            self._found[name] = None  # of what depends on itself
            self._found[name] = self._of_view(name) if name in self._shown else self._of_root(name)
        return self._found[name]

    def _of_root(self, name: str) -> torch.Tensor | None:
        """Number the elements of a tensor."""
        value = self._values.get(name)
        sizes = (
            value.type().sizes()
            if value is not None and isinstance(value.type(), torch.TensorType)
            else None
        )
        if sizes is None or any(size is None for size in sizes):
            return None
        count = torch.Size(sizes).numel()
        return torch.arange(count).reshape(sizes) if count <= LARGEST else None

    def _of_view(self, name: str) -> Any:
        """Take the same view of the numbers."""
        node, shown, writes = self._shown[name]
        elements = self._elements(shown)
        if elements is None or writes:
            return elements
        if node.kind() in ("prim::ListUnpack", "prim::TupleUnpack"):
            position = [output.debugName() for output in node.outputs()].index(name)
            return elements[position] if isinstance(elements, Sequence) else None
        if (
            not node.kind().startswith("aten::")
            or node.kind() in BY_STRIDES
            or not isinstance(elements, torch.Tensor)
        ):
            return None
        arguments = []
        for argument in node.inputs():
            if argument.debugName() == shown:
                arguments.append(elements)
                continue
            known, constant = _constant(argument)
            if not known:
                return None
            arguments.append(constant)
        try:
            found = getattr(torch.ops.aten, node.kind().removeprefix("aten::"))(*arguments)
        except Exception:
            return None
        return list(found) if isinstance(found, (list, tuple)) else found


def _constant(value: Any) -> tuple[bool, Any]:
    """Return whether a value is a constant of the graph, and which."""
    node = value.node()
    if node.kind() == "prim::Constant":
        constant = value.toIValue()
        return not isinstance(constant, torch.Tensor), constant
    if node.kind() == "prim::ListConstruct":
        parts = [_constant(part) for part in node.inputs()]
        return all(known for known, _ in parts), [part for _, part in parts]
    return False, None
