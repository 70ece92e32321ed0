"""The shapes with which a flexible model is tried.

Owns: which of the shapes that a manifest allows are run: the default, the smallest, another, the
largest, and the enumerated ones.
Must not: run anything.
Flow: `observation` -> `choices` -> samples of each; `capture` compares the graph with the module at
all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from coreml_driver.features import Input, Range, Shape

#: One shape for every input, in the manifest's order.
Choice = tuple[Shape, ...]
#: How many shapes are tried at most: enumerations may have a hundred.
MOST_CHOICES = 8


def choices(inputs: Sequence[Input]) -> list[Choice]:
    """Return the shapes to try, the default first, then the smallest, another one, the largest.

    Returns: one choice for a model of fixed shapes.
    """
    count = max((len(declared.shapes) for declared in inputs), default=0) or 1
    # Enumerated shapes of several inputs pair by position.
    sizes = [
        sum(math.prod(declared.shapes[position]) for declared in inputs if declared.shapes)
        for position in range(count)
    ]
    by_size = sorted(range(count), key=lambda position: sizes[position])
    smallest, middle, largest = by_size[0], by_size[count // 2], by_size[-1]
    wanted: list[tuple[Callable[[Range], int], int]] = [
        (lambda size: size.default, 0),
        (lambda size: size.min, smallest),
        (_another, middle),
        (lambda size: size.max, largest),
        *((lambda size: size.default, position) for position in range(count)),
    ]
    found = [_choose(inputs, size, position) for size, position in wanted]
    return list(dict.fromkeys(found))[:MOST_CHOICES]


def unequal(inputs: Sequence[Input]) -> Choice | None:
    """Return a choice in which ranges without a common symbol differ, or `None` when there is one
    range alone.

    Two inputs whose sizes must be equal in truth fail with it.
    """
    ranges = list(dict.fromkeys(_symbol(declared, axis) for declared, axis, _ in _ranges(inputs)))
    if len(ranges) < 2:
        return None
    sizes = {}
    for declared, axis, size in _ranges(inputs):
        shift = ranges.index(_symbol(declared, axis))
        # From the default downwards where there is room, so that no run is larger than one of the
        # others.
        sizes[declared.name, axis] = max(size.min, size.default - shift)
    chosen = tuple(
        tuple(sizes.get((declared.name, axis), size) for axis, size in enumerate(declared.shape))
        for declared in inputs
    )
    return chosen if chosen != _choose(inputs, lambda size: size.default, 0) else None


def elements(choice: Choice) -> int:
    """Return the number of elements of all inputs."""
    return sum(math.prod(shape) for shape in choice)


def shown(inputs: Sequence[Input], choice: Choice) -> str:
    """Return the shapes of the flexible inputs, for messages."""
    return ", ".join(
        f"`{declared.name}` {list(shape)}"
        for declared, shape in zip(inputs, choice, strict=True)
        if declared.flexible
    )


def _choose(inputs: Sequence[Input], size: Callable[[Range], int], position: int) -> Choice:
    """Return one choice: `size` of each range, the enumerated shapes at `position`."""
    return tuple(
        declared.shapes[position]
        if declared.shapes
        else tuple(each if isinstance(each, int) else size(each) for each in declared.dimensions)
        for declared in inputs
    )


def _another(size: Range) -> int:
    """Return a size that is neither the smallest nor the default nor the largest, where there is
    one.
    """
    above, below = (size.default + size.max) // 2, (size.min + size.default) // 2
    return above if above not in (size.default, size.max) else below


def _ranges(inputs: Sequence[Input]) -> list[tuple[Input, int, Range]]:
    """Return every ranged dimension with its input and axis."""
    return [
        (declared, axis, size)
        for declared in inputs
        for axis, size in enumerate(declared.dimensions)
        if isinstance(size, Range)
    ]


def _symbol(declared: Input, axis: int) -> tuple[str, int] | str:
    """Return what tells a range from the others: its symbol, or its place."""
    size = declared.dimensions[axis]
    assert isinstance(size, Range)
    return size.symbol or (declared.name, axis)
