"""Changes of shape that coremltools refuses: to and from a single number; parts of an axis.

Owns: `reshape` and its kin, `narrow`, `slice`.
Must not: know a capture; `Arguments` hides it.
Flow: `translations` imports this file, so that its rows are registered.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil.types.symbolic import any_symbolic

from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.refusals import CannotExpress
from coreml_driver.translations.registry import ORIGINAL, translation


@translation(
    "reshape",
    "view",
    "_unsafe_view",
    "view_copy",
    "_reshape_copy",
    why="the shape of a single number is refused",
    replaces=True,
)
def _reshape(context: Any, node: Any) -> None:
    """The same elements in another shape."""
    arguments = Arguments(context, node)
    name = "size" if "size" in arguments else "shape"
    if name not in arguments:
        raise CannotExpress(
            "`view` with an element type reads the bits of numbers", "Convert them: `x.to(…)`."
        )
    x = arguments["self"]
    if not arguments.known(name) or (arguments.integers(name) and x.rank):
        ORIGINAL["reshape"](context, node)
        return
    size = arguments.integers(name)
    if not size:
        found = mb.squeeze(x=x, name=node.name) if x.rank else mb.identity(x=x, name=node.name)
    else:
        found = mb.expand_dims(x=x, axes=list(range(len(size))), name=node.name)
    context.add(found, node.name)


@translation("expand", why="each size is unknown where one of them varies", replaces=True)
def _expand(context: Any, node: Any) -> None:
    """Axes of one repeated; sizes that are known stay so."""
    ORIGINAL["expand"](context, node)
    found = context[node.name]
    if not any_symbolic(found.shape):
        return
    size = Arguments(context, node).sizes("size")
    values = size if isinstance(size, list) else size.sym_val
    # A size of -1 stays as it is; a reshape can find one of those.
    if values is not None and len(values) == found.rank and list(values).count(-1) <= 1:
        context.add(mb.reshape(x=found, shape=size), node.name, override=True)


@translation(
    "split",
    "split_with_sizes",
    why="sizes that are computed are refused",
    replaces=True,
)
def _split(context: Any, node: Any) -> None:
    """The parts of an axis, whose sizes may be known to a run alone."""
    arguments = Arguments(context, node)
    name = next(one for one in ("split_sizes", "split_size") if one in arguments)
    if arguments.known(name):
        ORIGINAL["split"](context, node)
        return
    x, sizes = arguments["self"], arguments[name]
    axis = arguments.axis("dim", x.rank)
    if len(sizes) == 1:
        context.add([x], node.name)
        return
    parts, begin = [], mb.const(val=np.int32(0))
    for size in sizes:
        end = mb.add(x=begin, y=size)
        first, last = (_at(one, axis, x.rank) for one in (begin, end))
        rest = [other != axis for other in range(x.rank)]
        parts.append(mb.slice_by_index(x=x, begin=first, end=last, begin_mask=rest, end_mask=rest))
        begin = end
    context.add(parts, node.name)


def _at(value: Any, axis: int, rank: int) -> Any:
    """Return places in all axes: a value in one of them, and zeros."""
    places = [[0]] * rank
    places[axis] = mb.expand_dims(x=value, axes=[0])
    return mb.concat(values=places, axis=0)


@translation(
    "narrow",
    "narrow_copy",
    why="other sizes that vary are refused",
    replaces=True,
)
def _narrow(context: Any, node: Any) -> None:
    """A part of an axis; other sizes may vary."""
    arguments = Arguments(context, node)
    x = arguments["self"]
    axis = arguments.axis("dim", x.rank)
    start, length = arguments.constant("start"), arguments.constant("length")
    if start < 0:
        if not isinstance(x.shape[axis], (int, np.integer)):
            raise CannotExpress(
                "`narrow` counts from the end of an axis that varies", "Use `x[..., -n:]`."
            )
        start += int(x.shape[axis])
    begin, end, mask = [0] * x.rank, [0] * x.rank, [True] * x.rank
    begin[axis], end[axis], mask[axis] = start, start + length, False
    part = mb.slice_by_index(
        x=x, begin=begin, end=end, begin_mask=mask, end_mask=mask, name=node.name
    )
    context.add(part, node.name)


@translation(
    "slice",
    "_slice",
    "slice_copy",
    why="a part that holds nothing, `x[..., 1:]` of one column, becomes the last column",
    replaces=True,
)
def _slice(context: Any, node: Any) -> None:
    """Every so many elements of an axis."""
    arguments = Arguments(context, node)
    x = arguments["self"]
    axis = arguments.axis("dim", x.rank)
    size = x.shape[axis]
    bounds = [name for name in ("start", "end") if name in arguments]
    if not isinstance(size, (int, np.integer)) or not all(map(arguments.known, bounds)):
        ORIGINAL["slice"](context, node)
        return
    step = arguments.constant("step") or 1
    chosen = range(int(size))[arguments.constant("start") : arguments.constant("end") : step]
    if chosen:
        ORIGINAL["slice"](context, node)
        return
    # The only form of an empty part that coremltools keeps empty.
    mask = [one != axis for one in range(x.rank)]
    nothing = [0] * x.rank
    part = mb.slice_by_index(x=x, begin=nothing, end=nothing, end_mask=mask, name=node.name)
    context.add(part, node.name)
