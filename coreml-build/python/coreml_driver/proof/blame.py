"""The first operation whose value leaves PyTorch's.

Owns: matching operations of the program with nodes of the captured graph, and the choice among
those that differ.
Must not: be asked before something differs: it keeps every value of the captured graph.
Flow: `prove` has found a difference -> `trails`, `Trail.departure` -> the message of the failure.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from coreml_driver.failures import PythonLine
from coreml_driver.origins import Origins
from coreml_driver.proof import captured
from coreml_driver.proof.captured import Key
from coreml_driver.proof.compare import ABSOLUTE, RELATIVE, Difference, difference
from coreml_driver.proof.reading import Step

#: How far a value may be from PyTorch's, relative to the largest one: first what no order of
#: summation explains, then the last bits.
LEVELS = ((1e-3, 1e-4), (RELATIVE * 4, ABSOLUTE * 4), (RELATIVE, ABSOLUTE))
#: Operations that are not named where another one of the same node can be.
PLAIN = frozenset({"cast", "expand_dims", "identity", "reshape", "squeeze", "transpose"})
#: Tensors with more dimensions are not looked at in another order of them.
MOST_ORDERED = 4


@dataclass(frozen=True)
class Departure:
    """An operation that gives other values than PyTorch's, although all before it agree."""

    #: MIL's name of the operation; empty where PyTorch's has none in the program.
    operation: str
    #: Name of its first output.
    output: str
    #: What it was translated from, as PyTorch names it.
    source: str
    #: Path of the module.
    module: str
    line: PythonLine | None
    #: `None` for an operation that cannot be executed.
    difference: Difference | None

    def __str__(self) -> str:
        """Return it as messages spell it."""
        source = f", translated from `{self.source}`" if self.source else ""
        place = f" in `{self.module}`" if self.module else ""
        if not self.operation:
            return (
                f"PyTorch's operation `{self.source}`{place} is missing: the program has none in "
                "its place."
            )
        if self.difference is None:
            return f"It is the operation `{self.output}`{source}{place}."
        return (
            f"The first operation whose result differs from PyTorch's is `{self.operation}` "
            f"(`{self.output}`){source}{place}: {self.difference}."
        )


@dataclass
class _Node:
    """A node of the captured graph, and how close the program comes to it."""

    key: Key
    source: str
    values: list[torch.Tensor]
    #: The nodes that it gets.
    inputs: Sequence[Key]
    #: The last operation that was made of it, and what that got.
    step: Step | None = None
    got: Sequence[torch.Tensor] = ()
    #: The smallest difference so far, at each level; `None` where one operation agrees.
    found: list[Difference | None] | None = None


class Trail:
    """The values of a captured graph, which an execution is compared with as it goes."""

    def __init__(self, origins: Origins) -> None:
        """Begin with no values."""
        self._origins = origins
        self._nodes: dict[Key, _Node] = {}

    def see(self, key: Key, source: str, values: Sequence[Any], inputs: Sequence[Key]) -> None:
        """Keep the values of a node: a later one may write to them."""
        tensors = [value.detach().clone() for value in values if isinstance(value, torch.Tensor)]
        if tensors:
            self._nodes[key] = _Node(key, source, tensors, inputs)

    def watch(self, step: Step, results: Sequence[Any], inputs: Mapping[str, Any]) -> None:
        """Compare a step of the program with the node that it was made of."""
        node = self._of_step(step)
        if node is None:
            return
        tensors = [result for result in results if isinstance(result, torch.Tensor)]
        compared = [
            pair for result in tensors for value in node.values if (pair := _like(value, result))
        ]
        if not compared:
            return
        if node.step is None or step.kind not in PLAIN:
            node.step = step
        node.got = tensors_of(inputs)
        levels = node.found or [Difference((), None, None)] * len(LEVELS)
        node.found = [
            level and _smallest(level, compared, *LEVELS[number])
            for number, level in enumerate(levels)
        ]

    def departure(self) -> Departure | None:
        """Return the first operation that differs, in the order of the captured graph."""
        for level in range(len(LEVELS)):
            for node in self._nodes.values():
                apart = node.found[level] if node.found is not None else None
                if apart is None or node.step is None:
                    continue
                lost = self._lost(node, LEVELS[level])
                if lost is not None:
                    return self._departure(lost, None, None)
                return self._departure(node, node.step, apart)
        return None

    def _lost(self, node: _Node, level: tuple[float, float]) -> _Node | None:
        """Return a node before `node` that has no operation of its own, and whose values the
        operation of `node` does not get: a pass has taken it for nothing.
        """
        relative, absolute = level
        waiting, lost = list(node.inputs), None
        while waiting:
            before = self._nodes.get(waiting.pop())
            computed = before is not None and before.source.startswith("aten")
            if before is None or before.step is not None or not computed:
                continue
            pairs = [pair for got in node.got for one in before.values if (pair := _like(one, got))]
            agrees = any(
                difference(*pair, relative=relative, absolute=absolute) is None for pair in pairs
            )
            if pairs and not agrees:
                lost = before
                waiting = list(before.inputs)
        return lost

    def of_step(self, step: Step) -> Departure:
        """Return what is known about a step that cannot be executed."""
        return self._departure(self._of_step(step) or _Node("", "", [], ()), step, None)

    def _of_step(self, step: Step) -> _Node | None:
        """Return the node that an operation was made of."""
        key = self._origins.nodes.get(step.outputs[0]) if step.outputs else None
        return None if key is None else self._nodes.get(key)

    def _departure(self, node: _Node, step: Step | None, apart: Difference | None) -> Departure:
        """Return an operation with its place."""
        output = step.outputs[0] if step is not None and step.outputs else ""
        origin = self._origins.operations.get(output) or self._origins.captured.get(node.key)
        return Departure(
            "" if step is None else step.kind,
            output,
            node.source,
            origin.module if origin is not None else "",
            origin.line if origin is not None else None,
            apart,
        )


def tensors_of(arguments: Mapping[str, Any]) -> list[torch.Tensor]:
    """Return the tensors among what a step gets, in the order of the parameters' names."""
    found = []
    for _, value in sorted(arguments.items()):
        several = value if isinstance(value, list) else [value]
        found += [one for one in several if isinstance(one, torch.Tensor)]
    return found


def _smallest(
    before: Difference,
    pairs: Sequence[tuple[torch.Tensor, torch.Tensor]],
    relative: float,
    absolute: float,
) -> Difference | None:
    """Return the last difference of a node's values, or `None` when one pair agrees."""
    found: Difference | None = before
    for value, result in pairs:
        found = difference(value, result, relative=relative, absolute=absolute)
        if found is None:
            return None
    return found


def _like(value: torch.Tensor, result: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return a value of PyTorch and a result of the program in the same shape, or `None`.

    A pass may have left out dimensions of size one, or changed the order of all.
    """
    if value.numel() != result.numel() or value.numel() == 0:
        return None
    if value.dtype != torch.float32 and not value.is_floating_point():
        value = value.to(result.dtype) if not result.is_floating_point() else value
    if _sizes(value) == _sizes(result) or value.dim() > MOST_ORDERED:
        return value, result.reshape(value.shape)
    one, other = value.reshape(_sizes(value)), result.reshape(_sizes(result))
    for order in itertools.permutations(range(other.dim())):
        turned = other.permute(order)
        if turned.shape == one.shape and difference(one, turned, relative=1e-3) is None:
            return one, turned
    return value, result.reshape(value.shape)


def _sizes(value: torch.Tensor) -> list[int]:
    """Return the sizes that are not one."""
    return [size for size in value.shape if size != 1]


def trails(
    program: Any, predictions: Sequence[Sequence[torch.Tensor]], origins: Origins
) -> list[Trail]:
    """Run a captured graph and keep its values, for predictions in a row.

    Parameters: `predictions` — inputs of each, as the graph takes them.
    """
    graph = captured.Graph(program)
    found = []
    for inputs in predictions:
        found.append(Trail(origins))
        graph.run(inputs, found[-1].see)
    return found
