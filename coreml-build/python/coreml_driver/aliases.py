"""Writes through views in a traced graph: what another name of the same memory would not see.

A traced graph has values, not memory: `y[0].add_(1)` makes a new value of the row, and `y` stays
what it was. coremltools puts `copy_` and `fill_` through slices back into the whole, and nothing
else; the rest it translates as it stands, without a word. An exported graph has no such writes.

Owns: finding such a write whose other names are used afterwards. Names that show other elements, by
`regions`, are none.
Must not: look at buffers: `states` and `checks` do.
Flow: `conversion`, for traced graphs -> `check`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from coreml_driver.failures import Failure, PythonLine
from coreml_driver.lines import UserCode
from coreml_driver.regions import Regions

#: Writes that coremltools puts into the tensor that these views are of.
FUSED_WRITES, FUSED_VIEWS = ("aten::copy_", "aten::fill_"), ("aten::select", "aten::slice")
CURES = (
    "Make a new tensor: `torch.where(mask, a, b)`, `torch.cat`, or the operation without the "
    "underscore.",
    "Assign what is computed: `y[:, 1:3] = y[:, 1:3] + 1` instead of `y[:, 1:3].add_(1)`.",
    'Or use `capture = "export"`, which keeps such writes.',
)


def check(program: Any, flexible: bool, user_code: UserCode, line: PythonLine | None) -> None:
    """Refuse a graph in which a write would be lost.

    Parameters: `program` — a traced module; `flexible` — whether its inputs have other shapes too,
    at which views that lie apart here may meet.
    Errors: `Failure` of kind `lost-write`.
    """
    graph = _Graph(program.inlined_graph, flexible)
    for position, node in enumerate(graph.nodes):
        for value in _written(node):
            if not graph.is_buffer(value) and graph.is_lost(position, value):
                kind = node.kind().removeprefix("aten::")
                message = (
                    f"`{kind}` writes into a view here, and another name of the same memory is "
                    "used afterwards: a "
                    "trace would not see the write there."
                )
                place = user_code.of_text(node.sourceRange()) or line
                raise Failure("lost-write", message, place, "capture", CURES)


def _written(node: Any) -> Iterator[str]:
    """Yield the values that an operation writes to."""
    for argument, value in zip(_schema(node), node.inputs(), strict=False):
        if argument.alias_info is not None and argument.alias_info.is_write:
            yield value.debugName()


def _schema(node: Any) -> list[Any]:
    """Return the arguments that an operation declares; none for the graph's own bookkeeping."""
    text = node.schema() if node.kind().startswith("aten::") else "(no schema)"
    return [] if text == "(no schema)" else torch._C.parse_schema(text).arguments


@dataclass
class _Graph:
    """A graph, its nested blocks in a row, with who makes and who uses each value."""

    graph: Any
    #: Whether the sizes in it are not the only ones.
    flexible: bool
    nodes: list[Any] = field(default_factory=list)
    #: The operation that makes a value.
    maker: dict[str, Any] = field(default_factory=dict)
    #: Where a value is used; the end of the graph counts as one more.
    uses: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    #: The value whose memory a value shows, and where it was made.
    root: dict[str, str] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    regions: Regions = field(default_factory=Regions)

    def __post_init__(self) -> None:
        """Walk through the graph."""
        for value in self.graph.inputs():
            self.regions.add(value)
        self._visit(self.graph)
        for value in self.graph.outputs():
            self.uses[value.debugName()].append(len(self.nodes))

    def _visit(self, block: Any) -> None:
        """Add the nodes of a block and of those inside."""
        for node in block.nodes():
            position = len(self.nodes)
            self.nodes.append(node)
            names = [value.debugName() for value in node.inputs()]
            for name in names:
                self.uses[name].append(position)
            shown, writes = self._shown(node)
            for value in node.outputs():
                if shown is None:
                    self.regions.add(value)
                else:
                    self.regions.add_view(value, node, shown, writes)
                name = value.debugName()
                self.maker[name], self.made[name] = node, position
                self.root[name] = self.root.get(shown, shown) if shown is not None else name
            for inner in node.blocks():
                self._visit(inner)

    def _shown(self, node: Any) -> tuple[str | None, bool]:
        """Return the value whose memory the results of an operation show, and whether it is
        written.
        """
        inputs = [value.debugName() for value in node.inputs()]
        if node.kind() in ("prim::ListUnpack", "prim::TupleUnpack"):
            return inputs[0], False
        for argument, name in zip(_schema(node), inputs, strict=False):
            if argument.alias_info is not None:
                return name, argument.alias_info.is_write
        return None, False

    def is_buffer(self, value: str) -> bool:
        """Return whether a value is memory that the module keeps."""
        maker = self.maker.get(self.root.get(value, value))
        return maker is not None and maker.kind() == "prim::GetAttr"

    def is_lost(self, position: int, value: str) -> bool:
        """Return whether a write at `position` into `value` is missed by a later use of the same
        memory.
        """
        root = self.root.get(value, value)
        names = {
            name
            for name, other in self.root.items()
            if other == root and self.made[name] < position
        } | {
            root,
            value,
        }
        if not self.flexible:
            names = {name for name in names if self.regions.overlap(name, value)}
        result = next(iter(self.nodes[position].outputs())).debugName()
        base = self._base(position, value)
        if base is not None:
            # The whole has the new values; the written part is no value of its own any more.
            return any(
                self._used_after(name, position, value) for name in (names - {base}) | {result}
            )
        assigned = self._assigned_back(position, result)
        later = [
            use
            for name in names
            for use in self._later(name, position, value)
            if use not in assigned
        ]
        if assigned and later and min(later) > max(assigned):
            return False
        return bool(later)

    def _used_after(self, name: str, position: int, value: str) -> bool:
        """Return whether a value is used after a write at `position` into `value`."""
        return bool(self._later(name, position, value))

    def _later(self, name: str, position: int, value: str) -> list[int]:
        """Return where a value is used after a write at `position` into `value`, but for views of
        other elements.
        """
        return [
            use for use in self.uses[name] if use > position and not self._looks_aside(use, value)
        ]

    def _looks_aside(self, use: int, value: str) -> bool:
        """Return whether an operation only makes views that show nothing of `value`."""
        if self.flexible or use >= len(self.nodes) or self.is_write(use):
            return False
        results = [result.debugName() for result in self.nodes[use].outputs()]
        is_view = bool(results) and all(self.root[result] != result for result in results)
        return is_view and not any(self.regions.overlap(result, value) for result in results)

    def is_write(self, position: int) -> bool:
        """Return whether an operation writes to a value."""
        return any(True for _ in _written(self.nodes[position]))

    def _base(self, position: int, value: str) -> str | None:
        """Return the tensor that coremltools puts a write into; `None` where it does not."""
        if self.nodes[position].kind() not in FUSED_WRITES:
            return None
        base, user = value, position
        while base in self.maker and self.maker[base].kind() in FUSED_VIEWS:
            if self.uses[base] != [user]:
                return None  # coremltools follows a view to one user only
            user = self.made[base]
            base = next(iter(self.maker[base].inputs())).debugName()
        return base if base != value else None

    def _assigned_back(self, position: int, result: str) -> set[int]:
        """Return the operations of `y[…] = result` that follow an augmented assignment such as
        `y[…] += 1`.
        """
        for use in self.uses[result]:
            if use >= len(self.nodes) or self.nodes[use].kind() != "aten::copy_":
                continue
            target, source = [value.debugName() for value in self.nodes[use].inputs()][:2]
            base = self._base(use, target)
            if (
                source == result
                and base is not None
                and self.root.get(base, base) == self.root.get(result)
            ):
                return {step for step in range(position + 1, use + 1)}
        return set()
