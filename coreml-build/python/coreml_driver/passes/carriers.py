"""Tensors of high rank, by values that carry their elements with fewer axes.

Owns: the table of rules; shapes, sizes and parameters, as rules ask for them.
Must not: know an operation (that is `rank_rules` and `rank_axes`).
Flow: `ranks` -> the rules -> here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil.types.symbolic import is_symbolic

#: The most axes that a tensor of Core ML has.
MOST = 5


class CannotLower(Exception):
    """An operation that has no rule for what it is asked."""


class Carriers:
    """The values that carry tensors of high rank."""

    def __init__(self) -> None:
        self._of: dict[Any, Any] = {}

    def keep(self, tensor: Any, carrier: Any) -> None:
        """Keep what carries a tensor of high rank."""
        self._of[tensor] = carrier

    def shaped(self, value: Any, shape: Sequence[Any], **named: Any) -> Any:
        """Return the elements of a value, or of what carries it, in a shape of few axes."""
        if value.val is not None and value not in self._of:
            return mb.const(val=np.reshape(value.val, sizes(shape)), **named)
        carrier = self._of.get(value, value)
        if carrier.rank > MOST:
            raise CannotLower
        if tuple(carrier.shape) == tuple(shape) and not named:
            return carrier
        if not shape:
            return mb.squeeze(x=mb.reshape(x=carrier, shape=[1]), **named)
        return mb.reshape(x=carrier, shape=sizes(shape), **named)


Rule = Callable[[Any, Carriers], list[Any]]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Declare how operations are done."""

    def declare(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, rule))
        return rule

    return declare


def sizes(shape: Sequence[Any]) -> list[int]:
    """Return a shape as a reshape takes it: at most one size that varies is left to be found."""
    varying = [size for size in shape if is_symbolic(size)]
    if len(varying) > 1:
        raise CannotLower
    return [-1 if is_symbolic(size) else int(size) for size in shape]


def product(sizes: Sequence[Any]) -> Any:
    """Return how many elements axes have together."""
    result: Any = 1
    for size in sizes:
        result = result * size
    return result


def around(shape: Sequence[Any], axis: int) -> list[Any]:
    """Return the sizes before, of, and behind an axis."""
    return [product(shape[:axis]), shape[axis], product(shape[axis + 1 :])]


def constant(value: Any) -> Any:
    """Return a parameter that has to be known."""
    if value is None:
        return None
    if value.val is None:
        raise CannotLower
    return value.val


def again(operation: Any, *left_out: str, **changed: Any) -> Any:
    """Return the results of the same operation with other operands."""
    inputs = {
        name: value
        for name, value in operation.inputs.items()
        if value is not None and name not in left_out
    }
    return getattr(mb, operation.op_type)(**(inputs | changed))


def repeated(value: Any, shape: Sequence[Any], wanted: Sequence[Any], carriers: Carriers) -> Any:
    """Return a value of `shape` repeated along its axes of one, as broadcasting does."""
    sizes = list(shape)
    for axis, (size, times) in enumerate(zip(shape, wanted, strict=True)):
        if size == times:
            continue
        if is_symbolic(times):
            raise CannotLower
        value = mb.tile(x=carriers.shaped(value, around(sizes, axis)), reps=[1, int(times), 1])
        sizes[axis] = times
    return value
